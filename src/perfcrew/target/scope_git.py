"""What changed since a revision, by lines of the working tree.

Reads the git repository that the target lies in, and never writes to it: no lock is taken, no hook, filter of
differences or network access is run.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from perfcrew.core.base import Noun
from perfcrew.core.errors import ToolFailed, ToolMissing, UsageError

_TIMEOUT_S = 30
_QUIET = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
_CONFIG = ("-c", "core.fsmonitor=false", "-c", "core.quotePath=false", "-c", "core.hooksPath=/dev/null")
_NO_REFRESH = ("-c", "diff.autoRefreshIndex=false")
"""`git diff` writes the index in spite of GIT_OPTIONAL_LOCKS when it finds that a file was only touched."""
_DIFF = ("diff", "--unified=0", "--no-color", "--no-ext-diff", "--no-textconv", "--relative", "--find-renames")
_PREFIXES = ("--src-prefix=a/", "--dst-prefix=b/", "--ignore-submodules=all", "--diff-filter=d")
_BRANCHES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
_HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+(?P<first>\d+)(?:,(?P<count>\d+))? @@")
_ESCAPE = re.compile(r"\\([0-7]{3}|.)")
_UNTRACKED_BYTES = 2_000_000


class Changes(Noun):
    """Lines of the working tree that are not as they were in `base`, by file relative to the root.

    An untracked file counts as a whole. Where lines were taken out, the lines around the gap count. A file without
    text, or a renamed one that is otherwise the same, has no lines. `reason` says why this base, or why there is none.
    """

    base: str | None
    files: dict[str, frozenset[int]] = {}
    untracked: frozenset[str] = frozenset()
    reason: str = ""

    @property
    def any(self) -> bool:
        """Whether there is anything to scope a review by."""
        return bool(self.files)


class _Base(Noun):
    revision: str
    reason: str


def changed_lines(root: Path, base: str | None = None) -> Changes:
    """What differs from `base`: committed since, staged, not staged and untracked, below `root`.

    Without a base it is the merge base with the default branch, and where there is no git tree or nothing changed, the
    answer is empty with the reason. UsageError where a given base does not exist or `root` lies in no git tree;
    ToolFailed and ToolMissing where git can't answer a given base.
    """
    root = root.resolve()
    try:
        return _since(root, base)
    except (ToolMissing, ToolFailed) as error:
        if base is not None:
            raise
        return Changes(base=None, reason=error.what)


def _since(root: Path, base: str | None) -> Changes:
    if _line(root, "rev-parse", "--is-inside-work-tree") != "true":
        if base is not None:
            raise UsageError("the target lies in no git working tree", where=str(root), do="leave out --base")
        return Changes(base=None, reason="the target lies in no git working tree")
    found = _given(root, base) if base is not None else _default(root)
    if found is None:
        return Changes(base=None, reason="the git repository holds no commit yet")
    untracked = _untracked(root)
    files = {**_parsed(_git(root, *_DIFF, *_PREFIXES, found.revision, "--", ".")), **untracked}
    files = {name: lines for name, lines in files.items() if not name.startswith(".perfcrew/")}
    reason = found.reason if files else f"nothing changed since {found.reason}"
    return Changes(base=found.revision, files=files, untracked=frozenset(untracked) & set(files), reason=reason)


def _given(root: Path, base: str) -> _Base:
    revision = _line(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}")
    if revision is None:
        raise UsageError(f"no commit is called {base!r}", where=str(root), do="give --base a branch, tag or commit")
    return _Base(revision=revision, reason=base)


def _default(root: Path) -> _Base | None:
    """The merge base with the default branch; the last commit where no branch of such a name is known."""
    for branch in _BRANCHES:
        revision = _line(root, "merge-base", "HEAD", branch)
        if revision is not None:
            return _Base(revision=revision, reason=f"the merge base with {branch} ({revision[:10]})")
    head = _line(root, "rev-parse", "--verify", "--quiet", "HEAD")
    return _Base(revision=head, reason=f"the last commit ({head[:10]}): no default branch is known") if head else None


def _untracked(root: Path) -> dict[str, frozenset[int]]:
    listed = _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", ".").split("\0")
    return {name: _all_lines(root / name) for name in listed if name and not name.startswith(".perfcrew/")}


def _all_lines(path: Path) -> frozenset[int]:
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _UNTRACKED_BYTES:
        return frozenset()
    content = path.read_bytes()
    return frozenset() if b"\0" in content else frozenset(range(1, len(content.splitlines()) + 1))


def _parsed(diff: str) -> dict[str, frozenset[int]]:
    """Changed lines by file, of a difference without context."""
    lines: dict[str, set[int]] = {}
    current: set[int] = set()
    left = 0
    for line in diff.split("\n"):
        hunk = _HUNK.match(line) if left == 0 else None
        if left and line[:1] in "+-":
            left -= 1  # content, which may look like a header
        elif line.startswith("diff --git "):
            current = set()
        elif line.startswith(("+++ ", "rename to ")):
            current = lines.setdefault(_name(line), set())
        elif hunk:
            left = _length(line)
            current.update(_touched(int(hunk["first"]), int(hunk["count"] or 1)))
    return {name: frozenset(found) for name, found in lines.items()}


def _length(hunk: str) -> int:
    """How many lines of content follow a hunk's header."""
    counts = re.findall(r"[-+]\d+(?:,(\d+))?", hunk.split("@@")[1])
    return sum(int(count or 1) for count in counts)


def _touched(first: int, count: int) -> Iterator[int]:
    yield from range(first, first + count) if count else (line for line in (first, first + 1) if line)


def _name(header: str) -> str:
    """The file of a header; git quotes names with control characters, quotes or backslashes as C does."""
    text = header.removeprefix("rename to ").removeprefix("+++ ").rstrip("\t")
    if text.startswith('"'):
        text = _ESCAPE.sub(_unescaped, text[1:-1]).encode("latin-1", "replace").decode("utf-8", "replace")
    return text.removeprefix("b/") if header.startswith("+++ ") else text


def _unescaped(escape: re.Match[str]) -> str:
    word = escape[1]
    return chr(int(word, 8)) if len(word) == 3 else {"n": "\n", "t": "\t", "r": "\r"}.get(word, word)


def _line(root: Path, *arguments: str) -> str | None:
    """The first line of what git says, None where it says no."""
    done = _run(root, arguments)
    return done.stdout.split("\n")[0].strip() if done.returncode == 0 else None


def _git(root: Path, *arguments: str) -> str:
    done = _run(root, arguments)
    if done.returncode != 0:
        raise ToolFailed(
            "git could not tell what changed",
            command=["git", *arguments],
            exit=done.returncode,
            tail=done.stderr[-2000:],
            where=str(root),
            do="review everything with --all",
        )
    return done.stdout


def _run(root: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(root), "--no-pager", *_CONFIG, *_NO_REFRESH, *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.run(
            command,
            env={**environment, **_QUIET},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        raise ToolMissing("git is not installed", command=command, do="install git, or use --all") from None
    except subprocess.TimeoutExpired:
        raise ToolFailed(f"git took longer than {_TIMEOUT_S} s", command=command, do="use --all") from None
