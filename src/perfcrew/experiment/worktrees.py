"""Worktrees in which changes are tried, while the user's repository stays as it is.

They belong to a bare repository of our own in the run's temporary folder, which borrows the user's objects and writes
none: no branch, no index, no lock and no worktree entry is made in the user's `.git` (docs/adr/0006). What is kept at
the end goes there as one branch, when the run says so.

Refuses: to run hooks or filters of the repository, to fetch, and to touch the user's index or stash.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from perfcrew.core.errors import UsageError
from perfcrew.experiment.apply import apply_to_tree, publish
from perfcrew.experiment.furniture import Furniture, fill_pointers, fill_submodules, furnish, gathered
from perfcrew.experiment.relocation import relocate
from perfcrew.experiment.repository import PRIVATE, git, repository, resolved, uncommitted
from perfcrew.experiment.store import NAME, Store, store_of, store_without_git
from perfcrew.target.leftovers import Registry, remove
from perfcrew.target.spawn import uninterrupted

__all__ = [
    "Worktree",
    "apply_to_tree",
    "git",
    "publish",
    "refuse_unfit",
    "relocate",
    "repository",
    "uncommitted",
    "worktree",
]


@dataclass(frozen=True)
class Worktree:
    """A checkout of its own. `target_root` is in it what the project's folder is in the user's repository."""

    path: Path
    target_root: Path
    branch: str
    base_commit: str
    """What changes are measured against: with uncommitted work carried along, the commit that holds it."""
    store: Store
    furniture: Furniture
    as_found: bool = False
    notes: tuple[str, ...] = field(default=())
    """What of the user's folder is not here, and why."""

    def git(self, *words: str) -> str:
        """What git prints. ToolFailed with its words where it fails."""
        return git(self.path, *words, environment=PRIVATE)

    def commit(self, message: str, files: Iterable[str] | None = None) -> str:
        """What differs, as one commit of the branch; its id. The same id where nothing differs.

        With `files` (relative to the target's folder) those alone: tests and the application leave files of their own.
        Dated as its parent, so that the same changes in the same order are the same commits when a run is repeated.
        """
        self._stage(files)
        head = self.git("rev-parse", "HEAD").strip()
        tree = self.git("write-tree").strip()
        if tree == self.git("rev-parse", "HEAD^{tree}").strip():
            return head
        made = self.store.commit_tree(tree, head, message)
        self.git("update-ref", "HEAD", made, head)
        return made

    def _stage(self, files: Iterable[str] | None) -> None:
        if files is None:
            self.git("add", "--all")
            return
        self.git("reset", "--quiet")  # what was only announced for a difference
        inner = self.target_root.relative_to(self.path)
        for name in files:
            path = str(inner / name)
            if (self.path / path).exists() or self.git("ls-files", "-z", "--", f":(literal){path}"):
                self.git("add", "--all", "--force", "--", f":(literal){path}")

    def diff(self, since: str = "HEAD") -> str:
        """The change of the files since a commit, new ones included, as `git apply` takes it."""
        self.git("add", "--all", "--intent-to-add")
        return self.git("diff", "--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv", since)

    def reset(self, to: str = "HEAD") -> None:
        """Back to a commit, without what was added, and with the files that git does not know as they were."""
        self.git("reset", "--quiet", "--hard", to)
        self.git("clean", "--quiet", "-d", "--force", "--force", "-x")
        self.furnish()

    def furnish(self) -> list[str]:
        """Put settings, data, submodules and large files into the checkout; gives what can't be had."""
        missing = fill_submodules(self.store.top, self.path, self.as_found) if self.store.borrowed else []
        missing += fill_pointers(self.store.top, self.path) if self.store.borrowed else []
        furnish(self.furniture, self.path)
        return missing


def refuse_unfit(root: Path, carry_uncommitted: bool) -> None:
    """Raise UsageError where no worktree can stand for the user's folder: no repository, no commit, or open work."""
    top = repository(root)
    resolved(top, "HEAD")
    open_ = () if carry_uncommitted else uncommitted(root)
    if open_:
        raise UsageError(
            f"there is uncommitted work: {', '.join(open_[:5])}",
            where=str(top),
            do="commit it, or give --carry to have it be part of what changes are tried on",
        )


@asynccontextmanager
async def worktree(
    root: Path,
    registry: Registry,
    workspace: Path,
    base: str = "HEAD",
    carry_uncommitted: bool = False,
    branch: str | None = None,
    copy_if_no_git: bool = False,
) -> AsyncIterator[Worktree]:
    """A checkout of a revision on a branch of its own, gone afterwards. `workspace` is known to the registry already.

    With `carry_uncommitted` the user's changes and new files are a commit on top of the revision, which then has to
    be HEAD. UsageError where there is no repository (unless a copy of the files will do), or no such revision.
    """
    path = workspace / f"tree-{secrets.token_hex(3)}"
    token = registry.temporary(path)
    try:
        yield await asyncio.to_thread(
            _made, root.absolute(), path, base, carry_uncommitted, branch or f"perfcrew/{path.name}", copy_if_no_git
        )
    finally:
        await uninterrupted(asyncio.to_thread(_remove, path, workspace))
        registry.over(token)


def _made(root: Path, path: Path, base: str, carry: bool, branch: str, copy_if_no_git: bool) -> Worktree:
    store = _store(root, path.parent, copy_if_no_git)
    furniture = gathered(store, root)
    carried = carry and store.borrowed
    commit = store.commit(base)
    commit = store.carried(commit) if carried else commit
    store.check_out(path, branch, commit)
    made = Worktree(path, path / _inner(root, store.top), branch, commit, store, furniture, carried)
    if not made.target_root.is_dir():
        raise UsageError(
            f"{root} is not in the commit {commit[:10]}",
            where=str(store.top),
            do="commit the project first, or `git init` in it where it does not belong to that repository",
        )
    notes = (*furniture.left_out, *made.furnish())
    return Worktree(path, made.target_root, branch, commit, store, furniture, carried, notes)


def _store(root: Path, workspace: Path, copy_if_no_git: bool) -> Store:
    try:
        top = repository(root)
    except UsageError:
        if not copy_if_no_git:
            raise
        return store_without_git(root, workspace)
    # git resolves links; the user's spelling of the path is what commands and settings hold
    return store_of(_spelled(root, top), workspace)


def _spelled(root: Path, top: Path) -> Path:
    for _ in root.resolve().relative_to(top.resolve()).parts:
        root = root.parent
    return root if root.resolve() == top.resolve() else top


def _inner(root: Path, top: Path) -> Path:
    return root.resolve().relative_to(top.resolve())


def _remove(path: Path, workspace: Path) -> None:
    """The worktree's files, and its entry in our repository."""
    remove(workspace / NAME / "worktrees" / path.name)
    remove(path)
