"""A bare repository of our own that borrows the user's objects: branches, indexes and commits are made in it.

It is made without git's transport: an empty repository, and a line that names the folder of the user's objects. So
nothing in the user's `.git` is written, locked or packed, and a shallow clone, a submodule or a linked worktree is as
good as any other repository (docs/adr/0006).
"""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from perfcrew.core.errors import ToolFailed, UsageError
from perfcrew.experiment.repository import OURS, PRIVATE, git, git_bytes, git_path, resolved

NAME = "repository.git"
_SAME = (
    *("core.fileMode", "core.symlinks", "core.ignoreCase", "core.precomposeUnicode"),
    *("core.autocrlf", "core.eol", "core.excludesFile", "core.attributesFile"),
)
"""Configuration that decides what a file is and which are ignored: as in the user's repository."""
_COPIED = ("shallow", "info/exclude", "info/attributes")
_NEVER = ("/.perfcrew/", ".perfcrew/")
_MAKING = threading.Lock()


@dataclass(frozen=True)
class Store:
    """Our repository in a workspace, for the user's repository at `top`."""

    path: Path
    top: Path
    borrowed: bool = True
    """False where the user's folder is in no repository, and this one holds its files itself."""

    @property
    def outside(self) -> dict[str, str]:
        """Environment in which git, asked in the user's folder, knows which files are tracked and ignored."""
        return {} if self.borrowed else {**PRIVATE, "GIT_DIR": str(self.path), "GIT_WORK_TREE": str(self.top)}

    def git(self, *words: str, environment: dict[str, str] | None = None) -> str:
        """What git prints when it is asked about our repository."""
        return git(self.path, *words, environment={**PRIVATE, **(environment or {})})

    def commit(self, revision: str) -> str:
        """The commit that a revision names: one of the user's, or one that was made here."""
        if not self.borrowed:
            return self._own(revision)
        try:
            return resolved(self.top, revision)
        except UsageError:
            if not _is_id(revision):
                raise
            return self._own(revision)

    def _own(self, revision: str) -> str:
        try:
            return self.git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").strip()
        except ToolFailed:
            raise UsageError(f"no commit {revision}", where=str(self.top), do="see `git log --oneline`") from None

    def _is_only_here(self, commit: str) -> bool:
        try:
            resolved(self.top, commit)
        except UsageError:
            return True
        return False

    def exclude(self, paths: Iterable[str]) -> None:
        """Never take these files, relative to the top, into a commit."""
        with open(self.path / "info" / "exclude", "a", encoding="utf-8", errors="surrogateescape") as out:
            out.writelines(f"/{_literal(path)}\n" for path in paths)

    def carried(self, base: str) -> str:
        """A commit on top of `base` that holds the user's working files: what is tracked and what is new, not ignored.

        Made by a copy of the user's index, whose own is never refreshed. The same commit again for the same state.
        """
        if self._is_only_here(base):
            return base  # it was carried before
        if resolved(self.top, "HEAD") != base:
            raise UsageError("uncommitted work belongs to HEAD, not to another revision", do="leave out --carry")
        index = self.path / f"carried-{secrets.token_hex(4)}.index"
        outside = {"GIT_INDEX_FILE": str(index), "GIT_DIR": str(self.path), "GIT_WORK_TREE": str(self.top)}
        self._index(index, base, outside)
        git(self.top, "add", "--all", environment={**PRIVATE, **outside})
        tree = self.git("write-tree", environment=outside).strip()
        index.unlink()
        if tree == self.git("rev-parse", f"{base}^{{tree}}").strip():
            return base
        return self.commit_tree(tree, base, "Work of yours that was not committed")

    def _index(self, index: Path, base: str, outside: dict[str, str]) -> None:
        users = git_path(self.top, "index")
        if not users.exists():
            self.git("read-tree", base, environment=outside)
            return
        for shared in users.parent.glob("sharedindex.*"):
            shutil.copy2(shared, self.path / shared.name)
        shutil.copy2(users, index)  # with its time: by it git tells which entries it has to look at again

    def commit_tree(self, tree: str, parent: str | None, message: str) -> str:
        """A commit of a tree, dated as its parent, so that the same work is the same commit."""
        words = ("log", "-1", "--format=%cI", parent) if parent else ()
        date = self.git(*words).strip() if parent else "2000-01-01T00:00:00Z"
        dated = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        parents = ("-p", parent) if parent else ()
        return self.git("commit-tree", tree, *parents, "-m", message, environment=dated).strip()

    def check_out(self, path: Path, branch: str, commit: str) -> None:
        """A worktree of ours at `path`, on a branch of ours."""
        self.git("worktree", "add", "--quiet", "--force", "-B", branch, str(path), commit)

    def pack(self, tip: str, without: Iterable[str]) -> bytes:
        """All objects of a commit that the others don't have, for `git unpack-objects`."""
        wanted = "\n".join([tip, *(f"^{commit}" for commit in without)]) + "\n"
        words = ("pack-objects", "--revs", "--stdout", "--quiet", "--no-reuse-object")
        return git_bytes(self.path, words, PRIVATE, wanted.encode())


def store_of(top: Path, workspace: Path) -> Store:
    """The workspace's repository for the user's at `top`; made where it is not there yet."""
    path = workspace / NAME
    with _MAKING:
        if not path.exists():
            making = workspace / f"{secrets.token_hex(4)}-{NAME}"
            _make(making, top)
            os.rename(making, path)
    return Store(path, top)


def store_without_git(root: Path, workspace: Path) -> Store:
    """The same for a folder that is in no repository: its files, as they are, become the first commit."""
    path = workspace / NAME
    store = Store(path, root, borrowed=False)
    with _MAKING:
        if not path.exists():
            _init(workspace, path, ())
            exclude(path, ("/.perfcrew/", "__pycache__/", "node_modules/", ".venv/", "venv/", "*.sqlite3", ".env"))
            outside = {"GIT_DIR": str(path), "GIT_WORK_TREE": str(root)}
            git(root, "add", "--all", environment={**PRIVATE, **outside})
            tree = store.git("write-tree", environment=outside).strip()
            store.git("update-ref", "HEAD", store.commit_tree(tree, None, "The files as they are"))
    return store


def _make(path: Path, top: Path) -> None:
    asked = ("objects", *_COPIED)
    words = [word for name in asked for word in ("--git-path", name)]
    kind, *places = git(top, "rev-parse", "--show-object-format", *words).split("\n")
    _init(path.parent, path, (f"--object-format={kind}",))
    objects, *copied = (top / place for place in places[: len(asked)])
    (path / "objects" / "info").mkdir(exist_ok=True)
    (path / "objects" / "info" / "alternates").write_bytes(os.fsencode(objects.resolve()) + b"\n")
    for name, users in zip(_COPIED, copied, strict=True):
        if users.is_file():
            (path / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(users, path / name)
    exclude(path, _NEVER)
    _configure(path, top)
    tags = git(top, "for-each-ref", "--format=%(objectname) %(refname)", "refs/tags")
    (path / "packed-refs").write_text(f"# pack-refs with: sorted \n{tags}", "utf-8", "surrogateescape")


def _init(where: Path, path: Path, words: tuple[str, ...]) -> None:
    git(where, "init", "--quiet", "--bare", "--template=", *words, str(path), environment=PRIVATE)


def _configure(path: Path, top: Path) -> None:
    listed = git(top, "config", "--includes", "-z", "--list").split("\0")
    values = dict(entry.split("\n", 1) for entry in listed if "\n" in entry)
    same = {key: values[key.lower()] for key in _SAME if key.lower() in values}
    text = "".join(f"\t{key.partition('.')[2]} = {_quoted(value)}\n" for key, value in same.items())
    with open(path / "config", "a", encoding="utf-8", errors="surrogateescape") as out:
        out.write(f"[core]\n{text}")


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def exclude(path: Path, patterns: Iterable[str]) -> None:
    """Add patterns to what a bare repository ignores."""
    (path / "info").mkdir(exist_ok=True)
    with open(path / "info" / "exclude", "a", encoding="utf-8") as out:
        out.write("\n" + "\n".join(patterns) + "\n")


def _literal(path: str) -> str:
    """A path as a pattern that matches nothing else."""
    escaped = "".join(f"\\{c}" if c in "\\*?[#!" else c for c in path)
    return f"{escaped[:-1]}\\ " if escaped.endswith(" ") else escaped


def _is_id(revision: str) -> bool:
    return len(revision) in (40, 64) and all(c in "0123456789abcdef" for c in revision)


def is_ours(where: Path, commit: str) -> bool:
    """Whether a commit was made by perfcrew."""
    return git(where, "log", "-1", "--format=%ce", commit).strip() == OURS
