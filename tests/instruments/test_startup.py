"""importtime is read as a tree, and the application's line that imports a heavy module is found."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from perfcrew.instruments.startup import ENVIRONMENT, read_importtime, startup

FILES = {
    "src/shop/__init__.py": "",
    "src/shop/main.py": "import json\nfrom shop import admin\n\ndef later():\n    import shop.rare\n",
    "src/shop/admin.py": "import os\n\nfrom .services import heavy\n",
    "src/shop/services/__init__.py": "",
    "src/shop/services/heavy.py": "import time\ntime.sleep(0.08)\nTABLE = 1\n",
    "src/shop/rare.py": "import time\ntime.sleep(0.08)\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def log_of(root: Path, code: str) -> str:
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(root / "src")}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60, check=True
    ).stderr


def test_a_heavy_module_is_named_with_the_line_that_imports_it(root: Path) -> None:
    body = startup([900.0, 950.0, 1000.0], log_of(root, "import shop.main"), root)
    heavy = next(i for i in body.imports if i.module == "shop.services.heavy")
    assert heavy.own_ms > 70
    assert str(heavy.importer) == "src/shop/admin.py:3 (<module>)"
    assert heavy.place is not None
    assert heavy.place.file == "src/shop/services/heavy.py"
    assert body.median_ms == 950


def test_what_is_imported_within_a_function_is_not_part_of_the_start(root: Path) -> None:
    body = startup([900.0], log_of(root, "import shop.main"), root)
    assert "shop.rare" not in {i.module for i in body.imports}


def test_the_parent_is_the_module_whose_import_led_there(root: Path) -> None:
    imports = {i.module: i for i in read_importtime(log_of(root, "import shop.main"))}
    assert imports["shop.services.heavy"].parent == "shop.admin"
    assert imports["shop.admin"].parent == "shop.main"
    assert imports["shop.main"].cumulative_ms >= imports["shop.services.heavy"].own_ms


@pytest.mark.parametrize("log", ["", "import time: self [us] | cumulative | imported package\n", "hello\n\x00"])
def test_a_log_without_imports_gives_none(log: str, root: Path) -> None:
    assert startup([1.0], log, root).imports == ()


def test_lines_between_are_passed_over() -> None:
    log = "INFO starting\nimport time:       100 |        100 |   a.b\nnoise\nimport time:       200 |        300 | a\n"
    assert [(i.module, i.parent) for i in read_importtime(log)] == [("a.b", "a"), ("a", None)]
