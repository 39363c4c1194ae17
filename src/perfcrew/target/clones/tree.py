"""For a database file that no variable names: the target runs in a copy of its tree, which holds the clone.

That works where the file is named relative to the working directory or to the source; a literal absolute path is
refused, since the copy would still open the user's file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from perfcrew.core.errors import UsageError
from perfcrew.core.project import Project

LEFT_OUT = frozenset(
    (".git", ".hg", ".venv", "venv", "env", ".env.d", "node_modules", ".perfcrew", "__pycache__", ".tox", ".mypy_cache",
     ".ruff_cache", ".pytest_cache", "htmlcov")
)  # fmt: skip
_LIMIT_BYTES = 1_000_000_000
_TEXT = (".py", ".toml", ".cfg", ".ini", ".env", ".json", ".yaml", ".yml", ".sh", ".conf")
_ADD = "let the application read its database from a variable, and name it: `target.database_variable` in perfcrew.toml"


def refuse_fixed_file(project: Project, file: Path) -> None:
    """Raise UsageError where the target would open this file even from a copy of its tree."""
    if not file.is_relative_to(project.root.resolve()):
        raise UsageError(
            "the database file lies outside of the project, and no variable names it", where=str(file), do=_ADD
        )
    for path in _texts(project.root):
        text = path.read_text(errors="replace")
        if str(file) in text:
            line = text[: text.index(str(file))].count("\n") + 1
            raise UsageError("the database file is named by its absolute path", where=f"{path}:{line}", do=_ADD)


def _texts(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f not in LEFT_OUT]
        for name in names:
            path = Path(folder, name)
            if (path.suffix in _TEXT or name.startswith(".env")) and path.name != "perfcrew.toml" and path.is_file():
                yield path


def copy(root: Path, to: Path, without: frozenset[Path]) -> None:
    """Copy the tree, but not environments, packages, version control and these files. Links stay links.

    Raises UsageError where it is larger than a gigabyte.
    """
    size = sum(path.lstat().st_size for path in _files(root))
    if size > _LIMIT_BYTES:
        raise UsageError(f"the project is too large to be run in a copy ({size:,} bytes)", where=str(root), do=_ADD)

    def ignore(folder: str, names: list[str]) -> set[str]:
        return {n for n in names if n in LEFT_OUT or Path(folder, n).resolve() in without or _special(Path(folder, n))}

    shutil.copytree(root, to, symlinks=True, ignore=ignore, dirs_exist_ok=True)


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f not in LEFT_OUT]
        yield from (Path(folder, name) for name in names)


def _special(path: Path) -> bool:
    """A socket, a pipe or a device: nothing that could be copied."""
    return path.exists() and not (path.is_file() or path.is_dir())


def environment(project: Project, root: Path) -> dict[str, str]:
    """Lets the copy's packages win over an installed editable original."""
    workdir = root / project.workdir.resolve().relative_to(project.root.resolve())
    folders = [workdir, root, *(f for f in (workdir / "src", root / "src") if f.is_dir())]
    return {"PYTHONPATH": os.pathsep.join(dict.fromkeys(map(str, folders)))}


def moved(text: str, root: Path, to: Path) -> str:
    """A word of a command or a variable with paths into the tree turned to the copy, where the copy has them."""
    if str(root) not in text:
        return text
    turned = text.replace(str(root), str(to))
    return turned if Path(turned).exists() or os.pathsep in turned else text
