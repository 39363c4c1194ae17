"""Getting in and staying out of the way: the environment, the dependencies folder, other sitecustomize modules."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from probe_harness import PYTHON, Probe

from perfcrew.probe import inject


def python(environment: dict[str, str], code: str, cwd: Path) -> str:
    done = subprocess.run(
        [PYTHON, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_environment_puts_the_probe_before_what_was_there(tmp_path: Path) -> None:
    given = inject.environment(tmp_path / "out", tmp_path, parts=("spans", "heap"), pythonpath="/theirs")
    assert given["PYTHONPATH"] == f"{inject.BOOT}{os.pathsep}/theirs"
    assert given["PERFCREW_PROBE_PARTS"] == "heap,spans"


def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such part of the probe: nonsense"):
        inject.environment(tmp_path, tmp_path, parts=("nonsense",))


def test_the_dependencies_are_made_once_and_hold_what_opentelemetry_needs(tmp_path: Path) -> None:
    first = inject.dependencies(tmp_path)
    made = first.stat().st_mtime_ns
    assert inject.dependencies(tmp_path) == first and first.stat().st_mtime_ns == made
    assert (first / "opentelemetry" / "sdk" / "trace" / "__init__.py").exists()
    assert (first / "wrapt").exists() and (first / "typing_extensions.py").exists()
    assert not (first / "fastapi").exists() and not (first / "sqlalchemy").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == [first.name], "no draft is left"


def test_the_dependencies_come_last_on_the_targets_path(tmp_path: Path, deps: Path) -> None:
    given = inject.environment(tmp_path / "out", tmp_path, deps=deps)
    code = "import sqlite3, sys; sqlite3.connect(':memory:').execute('select 1'); print(sys.path[-1])"
    assert python(given, code, tmp_path) == str(deps)


def test_a_process_that_loads_nothing_of_interest_imports_nothing_of_weight(tmp_path: Path, deps: Path) -> None:
    given = inject.environment(tmp_path / "out", tmp_path, deps=deps)
    heavy = "[m for m in ('asyncio', 'opentelemetry', 'inspect', 'sqlite3', 'email') if m in sys.modules]"
    plain = python({}, f"import sys; print({heavy})", tmp_path)
    assert python(given, f"import sys; print({heavy})", tmp_path) == plain


def test_the_targets_own_sitecustomize_runs_too(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.theirs = True\n")
    given = inject.environment(tmp_path / "out", tmp_path, pythonpath=str(tmp_path))
    code = "import sys, sitecustomize; print(sys.theirs, sitecustomize.__file__)"
    assert python(given, code, tmp_path) == f"True {tmp_path / 'sitecustomize.py'}"
    assert list((tmp_path / "out").glob("*.jsonl")), "and so did ours"


def test_without_the_variables_the_folder_alone_does_nothing(tmp_path: Path) -> None:
    assert (
        python({"PYTHONPATH": str(inject.BOOT)}, "import sys; print('_perfcrew_probe' in sys.modules)", tmp_path)
        == "False"
    )


def test_a_fork_writes_its_own_file_and_nothing_twice(new_probe: Callable[..., Probe]) -> None:
    records = new_probe().run("forking.py")
    assert len(list(records.folder.glob("*.jsonl"))) == 2
    assert [len(records.at(mark, "database")) for mark in ("parent", "child")] == [1, 1]


@pytest.mark.parametrize("mode", ["otel", "stdlib"])
def test_a_hook_that_fails_is_a_note_and_the_target_goes_on(new_probe: Callable[..., Probe], mode: str) -> None:
    records = new_probe(mode=mode).run("surprised.py")
    assert any("no repr" in note for note in records.hello["notes"])
    errors = [span["attributes"]["error.type"] for span in records.of("database") if "error.type" in span["attributes"]]
    assert errors == ["ProgrammingError"], "the driver's own error passes through"


def test_an_instrumentor_for_another_library_is_used(deps: Path, tmp_path: Path) -> None:
    """A library that no hook covers, with an OpenTelemetry instrumentor in the dependencies folder."""
    own = tmp_path / "deps"
    own.mkdir()
    for entry in deps.iterdir():
        (own / entry.name).symlink_to(entry)
    (own / inject.INSTRUMENTORS).unlink()
    (own / inject.INSTRUMENTORS).write_text(json.dumps({"bazaar": "bazaar_instrumentor:Instrumentor"}))
    (own / "bazaar_instrumentor.py").write_text(
        "import bazaar\nfrom opentelemetry import trace\n"
        "class Instrumentor:\n"
        "    def instrument(self, skip_dep_check):\n"
        "        original = bazaar.find\n"
        "        def find():\n"
        "            with trace.get_tracer('bazaar_instrumentor').start_as_current_span('find') as span:\n"
        "                span.set_attribute('db.system', 'bazaar')\n"
        "                return original()\n"
        "        bazaar.find = find\n"
    )
    (tmp_path / "bazaar.py").write_text("def find():\n    return 1\n")
    given = inject.environment(tmp_path / "out", tmp_path, deps=own)
    assert python(given, "import bazaar; print(bazaar.find())", tmp_path) == "1"
    lines = [json.loads(line) for file in (tmp_path / "out").glob("*.jsonl") for line in file.read_text().splitlines()]
    assert [(line["kind"], line["name"]) for line in lines if line["type"] == "span"] == [("database", "find")]


def test_nothing_of_perfcrew_is_imported_into_the_target() -> None:
    sources = [file.read_text() for file in inject.BOOT.rglob("*.py")]
    assert sources and not [text for text in sources if "import perfcrew" in text or "from perfcrew" in text]
