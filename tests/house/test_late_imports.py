"""`--help` and `rules` import nothing heavy, so that they answer at once."""

import subprocess
import sys

import pytest

HEAVY = (
    "pydantic",
    "langgraph",
    "langchain_core",
    "langchain",
    "detect_secrets",
    "numpy",
    "scipy",
    "aiohttp",
    "sqlglot",
    "rich",
    "jinja2",
    "yaml",
    "faker",
)


@pytest.mark.parametrize("arguments", [["--help"], ["rules"], ["rules", "DB101"], ["--version"]])
def test_light(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom perfcrew.surfaces.cli import run\n"
        f"try:\n    run({arguments!r})\nexcept SystemExit:\n    pass\n"
        "print('LOADED', *sorted(m for m in sys.modules if '.' not in m))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(result.stdout.rpartition("LOADED")[2].split())
    assert "perfcrew" in loaded
    assert loaded.isdisjoint(HEAVY)
