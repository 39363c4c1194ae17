"""A target that runs in a copy of its tree, because its database file can't be named otherwise, runs a worktree's code.

The copy is of the user's tree, so the worktree's files are laid over it. Its database stays, and what git ignores.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from perfcrew.experiment.worktrees import Worktree
from perfcrew.target.clone import Clone
from perfcrew.target.clones.instance import file_of


def on_worktree(clone: Clone, tree: Worktree) -> Clone:
    """The clone as an instance of the worktree uses it. Clones that are told by a variable stay as they are."""
    root = clone.source_root
    if root is None:
        return clone
    databases = {file_of(url) for url in clone.urls.values()}
    for name in _listed(tree, "ls-files", "-z", "--cached", "--others", "--exclude-standard"):
        if root / name not in databases:
            _lay(tree.target_root / name, root / name)
    for name in _tracked(tree):
        if root / name not in databases and not _is_there(tree.target_root / name):
            _remove(root / name)
    project = clone.project.model_copy(update={"root": tree.target_root}) if clone.project else None
    return replace(clone, project=project)


def _tracked(tree: Worktree) -> set[str]:
    """What the user's commit holds, and the one that changes start from: uncommitted work may have come with it."""
    commits = {tree.store.commit("HEAD"), tree.base_commit}
    return {name for commit in commits for name in _listed(tree, "ls-tree", "-z", "-r", "--name-only", commit)}


def _listed(tree: Worktree, *words: str) -> list[str]:
    """File names, relative to the target's folder."""
    return [name for name in tree.git("-C", str(tree.target_root), *words).split("\0") if name]


def _is_there(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _lay(source: Path, to: Path) -> None:
    if source.is_symlink() or not source.is_file():
        return
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, to)


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
