"""Finds things of the target by their dotted names, without importing it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from perfcrew.rules import source

_SKIPPED = frozenset({"node_modules", "site-packages", "venv", "env", "__pycache__", "tests"})


@lru_cache(maxsize=64)
def _roots(root: Path) -> tuple[Path, ...]:
    """Where packages may begin: the root and two folders below it (`src`, `backend/src`)."""
    found = [root]
    for folder in [root, *_folders(root)]:
        found += [f for f in _folders(folder) if f not in found]
    return tuple(found)


def _folders(folder: Path) -> Iterator[Path]:
    try:
        inner = sorted(folder.iterdir())
    except OSError:
        # Not readable for us: there is nothing to find there.
        return
    yield from (p for p in inner if p.is_dir() and p.name not in _SKIPPED and not p.name.startswith("."))


def file_of(root: Path, module: str) -> Path | None:
    """The file of a module below the root, None where it is no module of the target."""
    tail = Path(*module.split(".")) if module and all(module.split(".")) else None
    if tail is None:
        return None
    for start in _roots(root):
        for path in ((start / tail).with_suffix(".py"), start / tail / "__init__.py"):
            if path.is_file():
                return path
    return None


def owner(root: Path, name: str) -> tuple[source.Source, str] | None:
    """The source and the last name of `package.module.Class.attribute`."""
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        path = file_of(root, ".".join(parts[:cut]))
        text = source.read(path) if path else None
        if text:
            return text, parts[-1]
    return None
