"""Type check and lint: only what the project has set up, by its own programs, and only what is new."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from perfcrew.core.project import Project
from perfcrew.experiment.checks import Check, Problem, check, configured, judged, new_problems
from perfcrew.target.leftovers import Registry


def _project(root: Path, python: Path = Path(sys.executable)) -> Project:
    return Project(root=root, name="shop", framework="unknown", python=python, workdir=root, start=("x",))


SET_UP: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "nothing": ({"app.py": ""}, ()),
    "mypy in pyproject": ({"pyproject.toml": "[tool.mypy]\nstrict = true\n"}, ("mypy",)),
    "mypy in setup.cfg": ({"setup.cfg": "[metadata]\nx=1\n[mypy]\n"}, ("mypy",)),
    "a plugin's section is none": ({"setup.cfg": "[mypy-django.*]\nignore_missing_imports = true\n"}, ()),
    "ruff in its own file": ({"ruff.toml": ""}, ("ruff",)),
    "flake8 and ruff": ({".flake8": "", "pyproject.toml": "[tool.ruff]\n"}, ("ruff", "flake8")),
    "pyright": ({"pyrightconfig.json": "{}"}, ("pyright",)),
    "a file that can't be read": ({"pyproject.toml": "[tool.mypy\n"}, ()),
}


@pytest.mark.parametrize("case", SET_UP)
def test_what_is_set_up(tmp_path: Path, case: str) -> None:
    files, names = SET_UP[case]
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert configured(_project(tmp_path)) == names


async def test_what_mypy_and_ruff_say_of_a_change(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.mypy]\nstrict = true\n[tool.ruff.lint]\nselect = ['F']\n")
    where = {"workspace": tmp_path / "workspace", "registry": Registry(tmp_path / "left")}
    app = tmp_path / "app.py"
    app.write_text("import os\n\ndef f(x):\n    return x\n")
    before = await check(_project(tmp_path), ["app.py", "gone.py", "notes.md"], **where)
    assert [(c.tool, len(c.problems), c.said) for c in before] == [("mypy", 1, ""), ("ruff", 1, "")]
    app.write_text('"""Moved down."""\n\nimport os\nimport sys\n\ndef f(x):\n    return x\n\nn: int = "a"\n')
    after = await check(_project(tmp_path), ["app.py"], **where)
    assert [(p.tool, p.code, p.line) for p in new_problems(before, after)] == [
        ("mypy", "assignment", 9),
        ("ruff", "F401", 4),
    ]
    assert judged(before, before).passed is True
    assert "app.py:9" in judged(before, after).said
    assert not (tmp_path / ".mypy_cache").exists()
    assert not (tmp_path / ".ruff_cache").exists()


async def test_a_check_that_can_not_run_is_said_and_is_no_pass(tmp_path: Path) -> None:
    (tmp_path / "mypy.ini").write_text("[mypy]\n")
    (tmp_path / "app.py").write_text("x = 1\n")
    program = tmp_path / "bin" / "mypy"
    program.parent.mkdir()
    project = _project(tmp_path, program.with_name("python"))
    where = {"workspace": tmp_path / "workspace", "registry": Registry(tmp_path / "left"), "timeout_s": 1.0}
    said = {}
    for name, script in {"missing": None, "crash": "exit 2", "silent": "exit 1", "hangs": "sleep 60"}.items():
        if script is not None:
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)
        found = await check(project, ["app.py"], **where)
        said[name] = found[0].said
        assert judged(found, found).passed is None
    assert "not installed" in said["missing"]
    assert "exit 2" in said["crash"]
    assert "exit 1" in said["silent"]
    assert "did not end" in said["hangs"]


async def test_no_python_file_is_nothing_to_check(tmp_path: Path) -> None:
    (tmp_path / "mypy.ini").write_text("[mypy]\n")
    found = await check(_project(tmp_path), ["a.sql"], workspace=tmp_path, registry=Registry(tmp_path / "left"))
    assert judged(found, found).passed is None


def _problem(text: str, line: int = 1, tool: str = "mypy") -> Problem:
    return Problem(tool, "app.py", "x", text, line)


NEW: dict[str, tuple[list[Check], list[Check], int]] = {
    "the same elsewhere": ([Check("mypy", (_problem("a", 1),))], [Check("mypy", (_problem("a", 9),))], 0),
    "one more of the same": (
        [Check("mypy", (_problem("a", 1),))],
        [Check("mypy", (_problem("a", 1), _problem("a", 9)))],
        1,
    ),
    "a line in the text": (
        [Check("mypy", (_problem("defined on line 3"),))],
        [Check("mypy", (_problem("defined on line 4"),))],
        0,
    ),
    "another text": ([Check("mypy", (_problem("a"),))], [Check("mypy", (_problem("b"),))], 1),
    "one less": ([Check("mypy", (_problem("a"),))], [Check("mypy")], 0),
    "did not run before": ([Check("mypy", said="crash")], [Check("mypy", (_problem("a"),))], 0),
}


@pytest.mark.parametrize("case", NEW)
def test_what_is_new(case: str) -> None:
    before, after, count = NEW[case]
    assert len(new_problems(before, after)) == count


def test_a_check_that_ran_before_and_does_not_now_is_a_failure() -> None:
    assert judged([Check("mypy")], [Check("mypy", said="crash")]).passed is False
    assert judged([Check("mypy", said="crash")], [Check("mypy", said="crash")]).passed is None
    assert judged([], []).passed is None
