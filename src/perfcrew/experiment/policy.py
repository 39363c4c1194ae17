"""Which files a change may touch: the target's own source, and neither what judges it nor what it is judged by."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

_OFF_LIMITS: tuple[tuple[str, str], ...] = (
    (r"(^|/)(tests?|testing|__tests__|e2e)/|(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$", "tests"),
    (r"\.(test|spec)\.[jt]sx?$", "tests"),
    (r"(^|/)(uv|poetry|pdm|Pipfile|package-lock|yarn|pnpm-lock)\.(lock|json|yaml)$|(^|/)yarn\.lock$", "lock files"),
    (r"(^|/)\.(github|gitlab|circleci|ci)(/|-ci\.yml)|(^|/)(Jenkinsfile|tox\.ini|noxfile\.py)$", "CI"),
    (r"(^|/)perfcrew\.toml$|(^|/)\.perfcrew(/|$)", "perfcrew's configuration"),
    (r"(^|/)\.git(/|$)|(^|/)\.git(attributes|modules)$", "git's own files"),
    (r"(^|/)\.env[^/]*$", "secrets"),
)


def refusal(tree: Path, paths: Iterable[str]) -> str:
    """Why a change of these paths (relative to the tree) is not tried; empty where it may be."""
    for name in paths:
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or not name.strip():
            return f"it writes outside the project: {name!r}"
        for pattern, what in _OFF_LIMITS:
            if re.search(pattern, name):
                return f"it edits {what}, which is off limits: {name}"
        at = tree
        for part in pure.parts:
            at = at / part
            if at.is_symlink():
                return f"it writes through a symbolic link: {name}"
    return ""
