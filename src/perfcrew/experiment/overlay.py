"""A target that runs in a copy of its tree, because its database file can't be named otherwise, runs a worktree's code.

The copy is of the user's tree, so the worktree's files are laid over it; its database stays.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from perfcrew.experiment.worktrees import Worktree
from perfcrew.target.clone import Clone


def on_worktree(clone: Clone, tree: Worktree) -> Clone:
    """The clone as an instance of the worktree uses it. Clones that are told by a variable stay as they are."""
    if clone.source_root is None:
        return clone
    wanted = _names(tree, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".")
    for name in wanted:
        _lay(tree.target_root / name, clone.source_root / name)
    for name in _known_to_user(clone) - wanted:
        (clone.source_root / name).unlink(missing_ok=True)
    project = clone.project.model_copy(update={"root": tree.target_root}) if clone.project else None
    return replace(clone, project=project)


def _names(tree: Worktree, *words: str) -> set[str]:
    listed = tree.git("-C", str(tree.target_root), *words).split("\0")
    return {name for name in listed if name and (tree.target_root / name).exists()}


def _known_to_user(clone: Clone) -> set[str]:
    """Source files of the copy: what is no source, such as its database, is not to be removed."""
    root = clone.source_root
    assert root is not None
    return {str(path.relative_to(root)) for path in root.rglob("*.py") if path.is_file()}


def _lay(source: Path, to: Path) -> None:
    if source.is_symlink() or not source.is_file():
        return
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, to)
