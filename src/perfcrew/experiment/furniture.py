"""What an application needs beside its commit: settings, databases and built files that git ignores, and submodules.

A copy is taken once a run, so that all worktrees have the same. Nothing is linked: what a worktree's application writes
stays in the worktree. Left out: environments, packages, caches and what is too large, which is said.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from perfcrew.core.errors import ToolFailed, Unmeasurable
from perfcrew.experiment.repository import PRIVATE, git, git_path, unfiltered
from perfcrew.experiment.store import Store
from perfcrew.target.clones import sqlite

FILE_BYTES = 50_000_000
ALL_BYTES = 300_000_000
DATABASE_BYTES = 2_000_000_000
_ABOVE_BYTES = 1_000_000
_FOLDERS = {
    *(".git", ".hg", ".svn", ".perfcrew", "node_modules", "__pycache__", ".tox", ".nox", ".eggs", "htmlcov"),
    *(".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".idea", ".vscode", ".direnv", ".cache"),
}
_FILES = re.compile(r".*\.(py[co]|log|sw[op]|pid|sock)|\.DS_Store|\.coverage.*|.*-(wal|shm|journal)")
_NEEDED = re.compile(r"\.env(\..*)?|.*\.env")
_SQLITE = b"SQLite format 3\0"
_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\n")


@dataclass(frozen=True)
class Furniture:
    """A copy of what is not in the commit, below `folder` as below the top; `left_out`: what is not in it, and why."""

    folder: Path
    left_out: tuple[str, ...]


def gathered(store: Store, root: Path) -> Furniture:
    """Copy what the application at `root` may need, once a workspace. Settings and data never enter a commit."""
    folder = store.path.with_name("furniture")
    notes = folder / "left-out"
    if not notes.exists():
        making = folder.with_name(f"furniture-{secrets.token_hex(4)}")
        left_out = _gather(store, root, making / "files")
        (making / "left-out").write_text("\0".join(left_out), "utf-8", "surrogateescape")
        os.rename(making, folder)
    said = notes.read_text("utf-8", "surrogateescape")
    return Furniture(folder / "files", tuple(said.split("\0")) if said else ())


def _gather(store: Store, root: Path, to: Path) -> list[str]:
    to.mkdir(parents=True)
    ignored = list(_files(store, "--ignored"))
    data = [name for name in _files(store) if _is_needed(store.top / name)]
    store.exclude(data)
    left_out: list[str] = []
    room_bytes = ALL_BYTES
    for name in dict.fromkeys([*data, *(n for n in ignored if _concerns(store.top / n, root))]):
        why, size_bytes = _copied(store.top / name, to / name, room_bytes)
        room_bytes -= size_bytes
        left_out += [f"{name}: {why}"] if why else []
    return left_out


def _files(store: Store, *words: str) -> Iterator[str]:
    """Untracked files, folders of nothing else walked here, so that packages and caches are not."""
    listing = ("ls-files", "-z", "--others", "--exclude-standard", "--directory", *words)
    for name in git(store.top, *listing, environment=store.outside).split("\0"):
        if name.endswith("/"):
            yield from _below(store.top, name)
        elif name and not _FILES.fullmatch(os.path.basename(name)) and not _in_skipped(name):
            yield name


def _in_skipped(name: str) -> bool:
    return bool(_FOLDERS & set(Path(name).parts))


def _below(top: Path, name: str) -> Iterator[str]:
    if _in_skipped(name) or (top / name / "pyvenv.cfg").exists():
        return
    for folder, folders, files in os.walk(top / name):
        links = [f for f in folders if os.path.islink(os.path.join(folder, f))]
        folders[:] = [f for f in folders if f not in _FOLDERS and not os.path.exists(f"{folder}/{f}/pyvenv.cfg")]
        for file in (*files, *links):
            if not _FILES.fullmatch(file):
                yield os.path.relpath(os.path.join(folder, file), top)


def _is_needed(path: Path) -> bool:
    """Whether a file that is neither tracked nor ignored is data or settings rather than work."""
    return bool(_NEEDED.fullmatch(path.name)) or _is_sqlite(path)


def _is_sqlite(path: Path) -> bool:
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def _concerns(path: Path, root: Path) -> bool:
    """Below the target, or small and in a folder above it, where settings are looked for too."""
    if path.is_relative_to(root):
        return True
    return path.parent in root.parents and path.is_file() and path.stat().st_size <= _ABOVE_BYTES


def _copied(source: Path, to: Path, room_bytes: int) -> tuple[str, int]:
    """Why a file was left out, empty where it was copied, and the bytes that count towards all of them."""
    if source.is_symlink() and not source.is_file():
        return "a link to a folder: what is written there would be written outside the worktree", 0
    if not source.is_file():
        return ("" if not source.exists() else "not a file"), 0
    size_bytes = source.stat().st_size
    database = _is_sqlite(source)
    if size_bytes > (DATABASE_BYTES if database else min(FILE_BYTES, room_bytes)):
        return f"{size_bytes / 1e6:.0f} MB are too much to copy", 0
    to.parent.mkdir(parents=True, exist_ok=True)
    if not database:
        shutil.copy2(source, to)
        return "", size_bytes
    try:
        sqlite.copy(source, to)
    except Unmeasurable as error:
        return error.what, 0
    return "", 0


def furnish(furniture: Furniture, tree: Path) -> None:
    """Put the copies into a worktree; what the commit itself has stays as it is there."""
    for folder, _, files in os.walk(furniture.folder):
        for file in files:
            source = Path(folder) / file
            to = tree / source.relative_to(furniture.folder)
            if not os.path.lexists(to):
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, to)


def fill_submodules(top: Path, tree: Path, as_found: bool) -> list[str]:
    """Check submodules out at the commits that the worktree names, or with `as_found` copy the user's working files.

    Their files are there to be run, not to be changed: they have no repository in the worktree. Gives what is missing.
    """
    missing: list[str] = []
    for path, commit in _gitlinks(tree):
        source = top / path
        if not (source / ".git").exists():
            missing.append(f"submodule {path}: not checked out in your repository")
            continue
        try:
            _fill(source, tree / path, None if as_found else commit)
            missing += fill_nested(source, tree / path, as_found)
        except ToolFailed as error:
            missing.append(f"submodule {path}: {error.tail.splitlines()[-1] if error.tail else error.what}")
    return missing


def fill_nested(source: Path, to: Path, as_found: bool) -> list[str]:
    """The submodules of a submodule."""
    inner = [line[len("160000 ") :].split("\t") for line in _staged(source) if line.startswith("160000 ")]
    missing: list[str] = []
    for rest, path in inner:
        if (source / path / ".git").exists():
            _fill(source / path, to / path, None if as_found else rest.split()[0])
            missing += fill_nested(source / path, to / path, as_found)
    return missing


def _gitlinks(tree: Path) -> list[tuple[str, str]]:
    found = [line for line in _staged(tree) if line.startswith("160000 ")]
    return [(line.partition("\t")[2], line.split()[1]) for line in found]


def _staged(tree: Path) -> list[str]:
    return git(tree, "ls-files", "-z", "--stage").split("\0")


def _fill(source: Path, to: Path, commit: str | None) -> None:
    """A submodule's files: those of a commit by an index of our own, or the working files as they are."""
    if commit is None:
        for name in git(source, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
            if name and (source / name).is_file():
                (to / name).parent.mkdir(parents=True, exist_ok=True)
                (to / name).unlink(missing_ok=True)
                shutil.copy2(source / name, to / name, follow_symlinks=False)
        return
    index = to.parent / f".perfcrew-{secrets.token_hex(4)}.index"
    own = {"GIT_INDEX_FILE": str(index)}
    try:
        git(source, "read-tree", commit, environment=own)
        git(source, *unfiltered(source), "checkout-index", "--all", "--force", f"--prefix={to}/", environment=own)
    finally:
        index.unlink(missing_ok=True)


def fill_pointers(top: Path, tree: Path) -> list[str]:
    """Put what Git LFS keeps in place of its pointers, from the user's copies. Gives what can't be had."""
    named = _filtered(tree)
    kept = git_path(top, "lfs/objects") if named else top
    left, filled = [], []
    for name in named:
        found = _POINTER.match((tree / name).read_bytes()[:1024]) if (tree / name).is_file() else None
        oid = found[1].decode() if found else ""
        source = kept / oid[:2] / oid[2:4] / oid
        if oid and source.is_file():
            shutil.copyfile(source, tree / name)
            filled.append(name)
        else:
            left.append(name)
    if filled:  # or the next commit would hold the contents
        git(tree, "update-index", "-z", "--skip-worktree", "--stdin", content="\0".join(filled), environment=PRIVATE)
    return [f"{name}: as it is stored, since its git filter is not run" for name in left]


def _filtered(tree: Path) -> list[str]:
    """Tracked files that a filter of git is meant to be run on."""
    listed = git(tree, "ls-files", "-z", environment=PRIVATE)
    told = git(tree, "check-attr", "-z", "--stdin", "filter", content=listed, environment=PRIVATE).split("\0")
    return [name for name, value in zip(told[0::3], told[2::3], strict=False) if value not in ("unspecified", "unset")]
