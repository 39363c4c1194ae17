"""Git, asked so that nothing of the repository is written, locked, filtered or fetched."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from perfcrew.core.errors import ToolFailed, ToolMissing, UsageError

_TIMEOUT_S = 300.0
_SAFE = (
    *("-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "maintenance.auto=false"),
    *("-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false", "-c", "diff.autoRefreshIndex=false"),
    *("-c", "core.quotePath=false", "-c", "commit.gpgSign=false", "-c", "advice.addEmbeddedRepo=false"),
    *("-c", "user.name=perfcrew", "-c", "user.email=perfcrew@localhost"),
    *("-c", "apply.whitespace=nowarn", "-c", "apply.ignoreWhitespace=no", "-c", "core.safecrlf=false"),
)
OURS = "perfcrew@localhost"
"""The address by which our own commits are known."""
PRIVATE = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
"""For a repository of our own: what the user configured for all of theirs, filters among it, is not for it."""


def git(where: Path, *words: str, environment: Mapping[str, str] | None = None, content: str | None = None) -> str:
    """What git prints, byte for byte (line ends too). ToolFailed carries what it said."""
    given = None if content is None else content.encode("utf-8", "surrogateescape")
    return git_bytes(where, words, environment, given).decode("utf-8", "surrogateescape")


def git_bytes(
    where: Path, words: Sequence[str], environment: Mapping[str, str] | None = None, content: bytes | None = None
) -> bytes:
    """Run git without hooks, questions, and locks that it could do without."""
    command = ["git", *_SAFE, *words]
    try:
        done = subprocess.run(
            command,
            cwd=where,
            env={**_environment(), **(environment or {})},
            input=b"" if content is None else content,
            capture_output=True,
            timeout=_TIMEOUT_S,
        )
    except FileNotFoundError:
        if not where.is_dir():
            raise UsageError(f"no folder {where}", do="name the project's folder") from None
        raise ToolMissing("git is not installed", command=command, do="install git") from None
    except subprocess.TimeoutExpired:
        raise ToolFailed(f"git took longer than {_TIMEOUT_S:g} s", command=command, where=str(where)) from None
    if done.returncode:
        tail = (done.stderr or done.stdout).decode(errors="replace").strip()[-1500:]
        raise ToolFailed("git failed", command=command, exit=done.returncode, tail=tail, where=str(where))
    return done.stdout


def _environment() -> dict[str, str]:
    """Ours without what would point git elsewhere, and with all that makes it leave things alone."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    return kept | {
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_LITERAL_PATHSPECS": "0",
        "LC_ALL": "C",
    }


def repository(root: Path) -> Path:
    """The top of the repository that the folder is in. UsageError where it is in none, or has no commit."""
    try:
        return Path(git(root, "rev-parse", "--show-toplevel").removesuffix("\n"))
    except ToolFailed as error:
        said = error.tail.splitlines()[-1] if error.tail else ""
        raise UsageError(
            "changes are tried in git worktrees, and here git finds no repository" + (f": {said}" if said else ""),
            where=str(root),
            do="`git init && git add -A && git commit` there first",
        ) from None


def resolved(root: Path, revision: str) -> str:
    """The commit that a revision names. UsageError where there is none."""
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    try:
        return git(root, *words).strip()
    except ToolFailed:
        do = "commit something first" if revision == "HEAD" else "see `git log --oneline`"
        raise UsageError(f"no commit {revision!r} in the repository", where=str(root), do=do) from None


def uncommitted(root: Path) -> tuple[str, ...]:
    """Paths, relative to the top, that differ from HEAD or are new and not ignored. The index is not refreshed."""
    top = repository(root)
    words = ("status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=none")
    names = [entry[3:] for entry in git(top, *unfiltered(top), *words).split("\0") if entry]
    return tuple(name for name in names if not _is_ours(name))


def _is_ours(name: str) -> bool:
    return name.startswith(".perfcrew/") or "/.perfcrew/" in name


def unfiltered(top: Path) -> tuple[str, ...]:
    """Options that keep the repository's configured filters from being run: some write into `.git`."""
    try:
        listed = git(top, "config", "--name-only", "-z", "--get-regexp", r"^filter\..*\.(clean|smudge|process)$")
    except ToolFailed as error:
        if error.exit == 1:
            return ()
        raise
    names = [key for key in listed.split("\0") if key]
    drivers = dict.fromkeys(key.rpartition(".")[0] for key in names)
    off = [f"{key}=" for key in names] + [f"{driver}.required=false" for driver in drivers]
    return tuple(word for setting in off for word in ("-c", setting))


def git_path(root: Path, name: str) -> Path:
    """Where the repository keeps something, such as `objects`, `index` or `info/exclude`."""
    return root / git(root, "rev-parse", "--git-path", name).removesuffix("\n")
