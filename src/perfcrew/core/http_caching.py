"""What the headers of an answer allow caches, as RFC 9111 reads them, and its validators, as RFC 9110 does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from perfcrew.core.base import Noun

Tag = Literal["", "strong", "weak", "malformed"]
LONGEST_S = 2**31
"""What a cache makes of any longer time (RFC 9111, 1.2.2)."""
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_DIRECTIVE = re.compile(rf'({_TOKEN})(?:\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,"]*))?')
_TAG = re.compile(r'(W/)?"[\x21\x23-\x7e\x80-\xff]*"')


class Allows(Noun):
    """What may be done with an answer by who keeps it."""

    no_store: bool = False
    """Nobody may keep it."""
    private: bool = False
    """Only a browser may, no cache between."""
    fresh_s: float = 0.0
    """How long a browser may show it without asking again."""
    varies: tuple[str, ...] = ()
    """Headers of the request that it depends on, in lower case; `*`: on more than the request."""


def directives(text: str) -> dict[str, str | None]:
    """A `Cache-Control`: names in lower case, arguments without their quotes, None without one.

    Where a name comes twice the first counts; what is no directive is passed over.
    """
    found: dict[str, str | None] = {}
    for match in _DIRECTIVE.finditer(text):
        name, argument = match[1].lower(), match[2]
        found.setdefault(name, None if argument is None else _unquoted(argument))
    return found


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text


def allows(headers: Mapping[str, str]) -> Allows:
    """What an answer with these headers (names in lower case) allows.

    A time that can't be read is none: the answer is stale at once. What browsers guess where nothing is said, they
    guess differently, so it is no freshness here.
    """
    said = directives(headers.get("cache-control", ""))
    return Allows(
        no_store="no-store" in said,
        private="private" in said,
        fresh_s=0.0 if "no-cache" in said else _fresh_s(said, headers),
        varies=tuple(dict.fromkeys(v for v in re.split(r"[\s,]+", headers.get("vary", "").lower()) if v)),
    )


def _fresh_s(said: Mapping[str, str | None], headers: Mapping[str, str]) -> float:
    if "max-age" in said:
        return max(_seconds(said["max-age"]) - _seconds(headers.get("age")), 0.0)
    ends, sent = moment(headers.get("expires")), moment(headers.get("date"))
    return min(max((ends - sent).total_seconds(), 0.0), LONGEST_S) if ends and sent else 0.0


def _seconds(text: str | None) -> float:
    return float(min(int(text), LONGEST_S)) if text and re.fullmatch(r"[0-9]{1,18}", text) else 0.0


def moment(text: str | None) -> datetime | None:
    """A date of HTTP; None where there is none, or none that can be read."""
    try:
        found = parsedate_to_datetime(text) if text else None
    except (TypeError, ValueError):
        return None
    return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found


def tag(text: str) -> Tag:
    """What kind of `ETag` it is; a tag without its quotes is malformed, and some frameworks never match it."""
    if not text:
        return ""
    match = _TAG.fullmatch(text)
    if match is None:
        return "malformed"
    return "weak" if match[1] else "strong"


def conditions(headers: Mapping[str, str]) -> dict[str, str]:
    """What a client that kept an answer with these headers asks with; empty where it has nothing to ask by."""
    asked = {"If-None-Match": headers.get("etag", ""), "If-Modified-Since": headers.get("last-modified", "")}
    return {name: value for name, value in asked.items() if value}
