"""The environment names machine, interpreter, packages and commit."""

import subprocess
import sys
from pathlib import Path

import pytest

from perfcrew.core.errors import ToolFailed
from perfcrew.core.project import Project
from perfcrew.instruments.environment import measure_environment


def project(root: Path, python: str = sys.executable) -> Project:
    return Project(root=root, name="p", framework="unknown", python=Path(python), workdir=root, start=("true",))


async def test_outside_of_git_there_is_no_commit(tmp_path: Path) -> None:
    environment = await measure_environment(project(tmp_path))
    assert environment.commit is None
    assert environment.dirty is None
    assert environment.packages["pydantic"]
    assert environment.cores >= 1


async def test_a_changed_tree_is_said_to_be_dirty(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True, timeout=30
        )

    git("init", "-q")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-qm", "a")
    clean = await measure_environment(project(tmp_path))
    (tmp_path / "a").write_text("2")
    dirty = await measure_environment(project(tmp_path))
    assert (clean.dirty, dirty.dirty) == (False, True)
    assert len(clean.commit or "") == 40


async def test_an_interpreter_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="does not run"):
        await measure_environment(project(tmp_path, "/nowhere/python"))
