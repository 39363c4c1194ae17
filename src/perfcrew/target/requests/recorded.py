"""What recordings have in common: a request as somebody once sent it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from perfcrew.core.base import Noun
from perfcrew.core.web import Endpoint

_SECRET = re.compile(
    r"(^|[_-])(token|secret|password|passwd|pwd|signature|sig|api[_-]?key|access[_-]?key|auth|session|sid|jwt|otp)($|[_-])"
    r"|^(key|code|apikey)$",
    re.I,
)
_ID = re.compile(r"\d+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{16,64}", re.I)


class Recorded(Noun):
    """One request of a recording; `times` is how often it occurred there."""

    method: str
    target: str
    origin: Literal["har", "access-log"]
    headers: dict[str, str] = {}
    body: str | None = None
    times: int = 1

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


def target_of(url: str) -> str:
    """Path and query of a URL or of a request line's target; empty where it has no path."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if not parts.path.startswith("/"):
        return "/" if parts.netloc and not parts.path else ""
    return parts.path + (f"?{parts.query}" if parts.query else "")


def carries_secret(target: str) -> bool:
    """Whether a query parameter's name says that its value is nobody's business: such a request is not repeated."""
    return any(_SECRET.search(name) for name, _ in parse_qsl(urlsplit(target).query, keep_blank_values=True))


def learned(recordings: Iterable[Recorded]) -> list[Endpoint]:
    """Endpoints as the recordings show them, for an application whose routes nothing else tells."""
    found: dict[str, Endpoint] = {}
    for recorded in recordings:
        endpoint = Endpoint(method=recorded.method, path=_templated(recorded.path), source=recorded.origin)
        found.setdefault(endpoint.key, endpoint)
    return list(found.values())


def _templated(path: str) -> str:
    """`/books/7/reviews` as `/books/{id}/reviews`; a second id is `{id2}`."""
    parts, ids = [], 0
    for part in path.split("/"):
        is_id = bool(_ID.fullmatch(part))
        ids += is_id
        parts.append(("{id}" if ids == 1 else f"{{id{ids}}}") if is_id else part)
    return "/".join(parts)
