"""The target's own files, read within bounds: no secrets, nothing outside of its folder, nothing through a link."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from perfcrew.core.errors import UsageError


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SOURCE = _words(
    ".py .pyi .js .jsx .ts .tsx .vue .svelte .html .jinja .jinja2 .j2 .css .sql .md .rst .txt .toml .cfg .ini .yaml "
    ".yml .graphql .proto .sh .json"
)
_NAMED = _words("Dockerfile Procfile Makefile README CLAUDE AGENTS")
_SECRET = re.compile(
    r"(?i)(^|/)(\.env(\..*)?|.*\.env|\.netrc|\.pgpass|\.pypirc|\.npmrc|\.git-credentials|\.htpasswd"
    r"|id_(rsa|dsa|ecdsa|ed25519)(\.pub)?|.*\.(pem|key|p12|pfx|jks|keystore|kdbx|crt|cer|der|asc|gpg)|.*(secret|credential|passw|token)[^/]*"
    r"\.(json|ya?ml|toml|ini|cfg|txt|env|conf)|service[-_]?account.*\.json|local_settings\.py|wp-config\.php)$"
)
_NOT_OURS = _words(
    ".git .hg .svn .perfcrew .venv venv env node_modules __pycache__ dist build .tox .nox .mypy_cache .ruff_cache "
    ".pytest_cache .ssh .aws .gnupg .docker .kube site-packages .idea .vscode htmlcov .eggs secrets .secrets"
)
_LARGEST = 400_000
_MOST_LINES = 160
_MOST_FILES = 4000
_SECONDS = 5.0
"""That one search may take."""
NOTES = ("CLAUDE.md", "AGENTS.md", "README.md", "CONTRIBUTING.md")


class Files:
    """What may be read below a project's folder."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def path(self, name: str) -> Path:
        """The file of that name, relative to the project. UsageError says why it may not be read."""
        pure = PurePosixPath(name.strip())
        if pure.is_absolute() or ".." in pure.parts or not pure.parts or "\0" in name or "\\" in name:
            raise UsageError(f"{name!r} lies outside of the project", do="name a file relative to the project's folder")
        if why := unreadable(pure):
            raise UsageError(f"{name} is not shown: {why}", do="name another file")
        path = self._root / pure
        if not _is_own(path):
            raise UsageError(f"no file {name} in the project", do="search the project for it")
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"{name} is too large to be shown", do="search it for words")
        return path

    def text(self, name: str) -> str:
        """The whole text of a file."""
        return self.path(name).read_text(encoding="utf-8", errors="replace")

    def lines(self, name: str, line: int, around: int = 20) -> str:
        """Numbered lines around one, at most 160."""
        found = self.text(name).splitlines()
        if not 1 <= line <= max(len(found), 1):
            raise UsageError(f"{name} has {len(found)} lines", do="name one of them")
        around = max(0, min(around, _MOST_LINES // 2))
        first = max(1, line - around)
        return "\n".join(f"{n:5d}  {text[:400]}" for n, text in enumerate(found[first - 1 : line + around], first))

    def names(self) -> Iterator[str]:
        """The files that may be read: the project's notes first, then all in order."""
        yield from (name for name in NOTES if self._readable(name))
        seen = 0
        for folder, below, files in os.walk(self._root):
            below[:] = sorted(d for d in below if d not in _NOT_OURS and not Path(folder, d).is_symlink())
            for file in sorted(files):
                name = Path(folder, file).relative_to(self._root).as_posix()
                if name not in NOTES and self._readable(name):
                    seen += 1
                    yield name
            if seen > _MOST_FILES:
                return

    def search(self, words: str, below: str = "", most: int = 40) -> list[str]:
        """`file:line: text` of lines that hold all the words, whatever their case."""
        wanted = [word.lower() for word in words.split()]
        if not wanted:
            raise UsageError("nothing to search for", do="give words")
        found: list[str] = []
        until = time.monotonic() + _SECONDS
        for name in self.names():
            if time.monotonic() > until:
                return [*found, "(not all was searched: name a folder below which to search)"]
            if not name.startswith(below.strip("/")):
                continue
            for number, line in enumerate(self.text(name).splitlines(), 1):
                if all(word in line.lower() for word in wanted):
                    found.append(f"{name}:{number}: {line.strip()[:200]}")
                    if len(found) >= most:
                        return [*found, f"(the first {most}: narrow the search)"]
        return found

    def _readable(self, name: str) -> bool:
        try:
            return self.path(name).is_file()
        except UsageError:
            return False


def _is_own(path: Path) -> bool:
    """Whether it is a file, and no link leads there."""
    try:
        return path.is_file() and path.resolve() == path
    except (OSError, ValueError):  # a name that is too long, or that the system can't spell
        return False


def unreadable(pure: PurePosixPath) -> str:
    """Why no model reads a file of that name; empty where it may."""
    if any(part in _NOT_OURS for part in pure.parts):
        return "it is not the project's own source"
    if _SECRET.search(str(pure)):
        return "files of that name keep secrets"
    known = pure.suffix.lower() in _SOURCE or pure.stem in _NAMED
    return "" if known else "it is no source and no note"
