"""What a run writes into the target's tree, seen by comparing before and after."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_LEFT_OUT = {".git", ".hg", ".venv", "venv", "env", "node_modules", ".perfcrew", "__pycache__", ".tox", ".mypy_cache"}

_OF_A_READER = ("-shm",)
"""SQLite's shared memory of a database in WAL mode: whoever reads it touches that, and nothing is written."""


@dataclass(frozen=True)
class TreeDigest:
    """The files of a tree by size and time of change, to see what a run wrote into it."""

    files: Mapping[str, tuple[int, int]]

    def changed_since(self, before: TreeDigest) -> tuple[str, ...]:
        """Relative paths that appeared, changed or went."""
        names = self.files.keys() | before.files.keys()
        return tuple(sorted(n for n in names if self.files.get(n) != before.files.get(n)))


def tree_digest(root: Path) -> TreeDigest:
    """The state of the tree now, without version control, environments and packages. Costs one stat a file."""
    files = {}
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f not in _LEFT_OUT]
        for name in names:
            if name.endswith(_OF_A_READER):
                continue
            path = os.path.join(folder, name)
            try:
                stat = os.stat(path, follow_symlinks=False)
            except FileNotFoundError:
                continue
            files[os.path.relpath(path, root)] = (stat.st_size, stat.st_mtime_ns)
    return TreeDigest(files)
