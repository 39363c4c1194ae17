"""Where a frame lies: in the application or beside it, and how its place is written."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path, PurePath

from perfcrew.core.trace import Frame
from perfcrew.core.web import Place

_BESIDE = frozenset({"site-packages", "dist-packages", "node_modules", ".venv", "venv", ".tox", "__pypackages__"})


@lru_cache(maxsize=8192)
def is_application(file: str, root: Path) -> bool:
    """Whether the file lies below the target's root and is not an installed package."""
    path = PurePath(file)
    return path.is_relative_to(root) and not _BESIDE.intersection(path.relative_to(root).parts)


def place(frame: Frame, root: Path) -> Place:
    """The frame's place, relative to the root where it lies below it."""
    path = PurePath(frame.file)
    file = path.relative_to(root).as_posix() if path.is_relative_to(root) else frame.file
    return Place(file=file, line=frame.line, function=frame.function)
