"""Changes into worktrees, and what was kept out of them again: a patch, a branch, the user's files.

Refuses: to write outside the worktree or through a link, to touch the user's index, and to overwrite work that is not
committed or a branch that perfcrew did not make.
"""

from __future__ import annotations

import os
import secrets
import tokenize
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from perfcrew.core.errors import ToolFailed, UsageError
from perfcrew.core.patches import Fix
from perfcrew.experiment import policy
from perfcrew.experiment.repository import PRIVATE, git, git_bytes, git_path, repository, uncommitted, unfiltered
from perfcrew.experiment.store import is_ours
from perfcrew.target.leftovers import Registry

if TYPE_CHECKING:
    from perfcrew.experiment.worktrees import Worktree


@dataclass(frozen=True)
class Applied:
    """Paths, relative to the target's folder, that a change wrote; `refused`: why it was not applied, else empty."""

    files: tuple[str, ...] = ()
    refused: str = ""


def write_fix(tree: Worktree, fix: Fix, allow: Sequence[str] = ()) -> Applied:
    """Write a fix's files, all or none. Paths are relative to the target's folder; `allow`: globs of them."""
    return write_files(tree.target_root, fix.files, allow)


def write_files(root: Path, files: Mapping[str, str | None], allow: Sequence[str] = ()) -> Applied:
    """Whole new texts into a tree, all or none; None removes a file. Encoding and mode of what was there are kept."""
    if refused := policy.refusal(root, files, allow):
        return Applied(refused=refused)
    before = {name: _content(root / name) for name in files}
    texts = {name: policy.Change(_decoded(before[name]), text) for name, text in files.items()}
    if refused := policy.weakening(texts, allow):
        return Applied(refused=refused)
    try:
        for name, text in files.items():
            _put(root / name, None if text is None else _encoded(before[name], name, text))
    except BaseException:
        for name, content in before.items():
            _put(root / name, content)
        raise
    return Applied(tuple(files))


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _encoded(before: bytes | None, name: str, text: str) -> bytes:
    """In the encoding that a Python file declares; UTF-8 else."""
    if before is None or not name.endswith(".py"):
        return text.encode()
    lines = iter(before.splitlines(keepends=True))
    try:
        encoding, _ = tokenize.detect_encoding(lambda: next(lines, b""))
    except SyntaxError:
        encoding = "utf-8"
    return text.removeprefix("\ufeff").encode(encoding)


def _put(path: Path, content: bytes | None) -> None:
    """Replace a file at once, its mode kept; None removes it."""
    if content is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    beside.write_bytes(content)
    beside.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
    os.replace(beside, path)


def write_patch(tree: Worktree, patch: str, allow: Sequence[str] = ()) -> Applied:
    """A unified diff, its paths relative to the repository's top, into a worktree, all or none."""
    try:
        files = patched_files(tree.path, patch)
        git(tree.path, "apply", "--check", "-", content=patch, environment=PRIVATE)
    except ToolFailed as error:
        return Applied(refused=f"the patch does not apply: {(error.tail.splitlines() or [error.what])[0]}")
    special = [line for line in patch.splitlines() if line.startswith(("new file mode 1", "new mode 1"))]
    if any(line.endswith(("120000", "160000")) for line in special):
        return Applied(refused="it makes a symbolic link or a submodule")
    if refused := policy.refusal(tree.path, files, allow):
        return Applied(refused=refused)
    before = {name: _decoded(_content(tree.path / name)) for name in files}
    git(tree.path, "apply", "-", content=patch, environment=PRIVATE)
    changes = {name: policy.Change(before[name], _decoded(_content(tree.path / name))) for name in files}
    if refused := policy.weakening(changes, allow):
        git(tree.path, "apply", "--reverse", "-", content=patch, environment=PRIVATE)
        return Applied(refused=refused)
    return Applied(files)


def _decoded(content: bytes | None) -> str | None:
    return None if content is None else content.decode("utf-8", "replace")


def patched_files(where: Path, patch: str) -> tuple[str, ...]:
    """The files that a patch writes, renames or removes, both names of a rename. ToolFailed where it is no patch."""
    named: list[str] = []
    for reverse in ((), ("--reverse",)):
        words = ("apply", "--numstat", "-z", *reverse, "-")
        entries = git(where, *words, content=patch, environment=PRIVATE).split("\0")
        named += [entry.split("\t", 2)[2] for entry in entries if entry.count("\t") >= 2]
    return tuple(dict.fromkeys(named))


def message(
    title: str, hypothesis: str, figures: Sequence[str], trade_offs: Sequence[str] = (), finding: str = ""
) -> str:
    """A commit's message: the change in a line, why it was thought to help, what was measured, what it costs."""
    parts = [title.strip().splitlines()[0][:100], hypothesis.strip()]
    parts += ["Measured:\n" + "\n".join(f"- {figure}" for figure in figures)] if figures else []
    parts += ["Price:\n" + "\n".join(f"- {price}" for price in trade_offs)] if trade_offs else []
    parts += [f"Finding: {finding}"] if finding else []
    return "\n\n".join(part for part in parts if part) + "\n"


def save_patch(patch: str, path: Path) -> None:
    """Write it to a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    beside.write_bytes(patch.encode("utf-8", "surrogateescape"))
    os.replace(beside, path)


def diff(tree: Worktree, base: str, head: str = "HEAD") -> str:
    """What changed between two commits, as `git apply` takes it."""
    return tree.git("diff", "--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv", base, head)


def publish(root: Path, tree: Worktree, branch: str, registry: Registry | None = None) -> str:
    """Put the worktree's last commit into the user's repository as a branch; gives the commit.

    The only write there: new objects, then the one ref, which is in place whole or not at all; no reflog, no HEAD.
    A branch of that name that is not perfcrew's, or is checked out, is left alone: UsageError.
    """
    top, tip = repository(root), tree.git("rev-parse", "HEAD").strip()
    ref = f"refs/heads/{branch}"
    there = _there(top, ref)
    if there == tip:
        return tip
    _may_replace(top, branch, ref, there)
    lock = git_path(top, ref).with_name(git_path(top, ref).name + ".lock")
    token = registry.temporary(lock) if registry else ""
    objects = tree.store.pack(tip, _shared(top, tree))
    git_bytes(top, ("unpack-objects", "-q"), content=objects)
    old = there or "0" * len(tip)
    git(top, "-c", "core.logAllRefUpdates=false", "update-ref", "-m", "perfcrew", ref, tip, old)
    if registry:
        registry.over(token)
    return tip


def _shared(top: Path, tree: Worktree) -> list[str]:
    """The last commit of the branch that the user has too, so that no more than what is new is written."""
    line = tree.git("rev-list", "--first-parent", "--max-count=1000", "HEAD").split()
    return [next((commit for commit in line if _there(top, commit)), line[-1])]


def _there(top: Path, name: str) -> str | None:
    try:
        return git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").strip()
    except ToolFailed:
        return None


def _may_replace(top: Path, branch: str, ref: str, there: str | None) -> None:
    if there is None:
        return
    checked_out = git(top, "worktree", "list", "--porcelain").splitlines()
    if f"branch {ref}" in checked_out or not is_ours(top, there):
        why = "is checked out" if f"branch {ref}" in checked_out else "has commits that are not perfcrew's"
        raise UsageError(f"the branch {branch} {why}", where=str(top), do=f"git branch -m {branch} another-name")


def apply_to_tree(root: Path, patch: str, files: Sequence[str] = ()) -> tuple[str, ...]:
    """Apply a patch to the user's working files, not to the index; gives the files.

    UsageError where one of them has changes that are not committed, or the patch does not fit them as they are now.
    """
    top = repository(root)
    try:
        named = patched_files(top, patch)
    except ToolFailed as error:
        raise UsageError("this is no patch", where=str(root), do=error.tail) from None
    changed = sorted(set(uncommitted(root)) & {*named, *files})
    if changed:
        shown = ", ".join(changed[:5])
        raise UsageError(f"{shown}: changed and not committed", where=str(top), do="commit or stash it first")
    try:
        git(top, *unfiltered(top), "apply", "-", content=patch)
    except ToolFailed as error:
        do = "apply the result branch instead: git merge or git cherry-pick"
        raise UsageError(f"the patch does not fit: {error.tail}", where=str(top), do=do) from None
    return named


def apply_patch_file(root: Path, path: Path) -> tuple[str, ...]:
    """The same for a patch in a file, whose line ends are kept as they are."""
    return apply_to_tree(root, path.read_bytes().decode("utf-8", "surrogateescape"))
