"""What is never asked, and why."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from perfcrew.core.project import Project
from perfcrew.core.web import Endpoint

_HARMFUL = frozenset(
    [
        "logout",
        "signout",
        "logoff",
        "delete",
        "destroy",
        "remove",
        "unsubscribe",
        "deactivate",
        "purge",
        "shutdown",
        "truncate",
        "wipe",
        "uninstall",
    ]
)
_TOGETHER = re.compile(r"(?<![a-z])(log|sign)[-_](out|off)(?![a-z])", re.I)
_WORDS = re.compile(r"[^A-Za-z]+")


def refusal(project: Project, endpoint: Endpoint) -> str:
    """Why this endpoint is not asked; empty where it may be."""
    if endpoint.method not in project.methods:
        return f"{endpoint.method} is not asked unless [target] methods lists it"
    pattern = next((p for p in project.exclude if _matches(p, endpoint)), None)
    if pattern is not None:
        return f"excluded by {pattern!r} in [target] exclude"
    return "" if endpoint.method not in ("GET", "HEAD") else _harm_of(endpoint)


def _matches(pattern: str, endpoint: Endpoint) -> bool:
    return any(fnmatchcase(text, pattern) for text in (endpoint.key, endpoint.path, endpoint.path.rstrip("/")))


def _harm_of(endpoint: Endpoint) -> str:
    """A page that reads as changing something although it answers GET, by its path or by its handler's name."""
    handler = endpoint.handler.function.rpartition(".")[2] if endpoint.handler else ""
    word = harmful_word(re.sub(r"\{[^{}]*\}", "", endpoint.path))
    word = word or (harmful_word(handler) if handler == handler.lower() else "")
    return f"its name says {word!r}: asked only by a scenario of perfcrew.toml" if word else ""


def harmful_word(text: str) -> str:
    """The word in a path or name that tells of deleting or logging out; `deleted` is none."""
    found = _TOGETHER.search(text)
    return found[0] if found else _first(w for w in _WORDS.split(text) if w.lower() in _HARMFUL)


def _first(words: Iterable[str]) -> str:
    return next(iter(words), "")
