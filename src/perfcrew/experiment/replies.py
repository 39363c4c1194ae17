"""Two answers to one request held against each other: status, headers that matter, the decoded body."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from perfcrew.experiment.canonical import Gap, is_deep, json_gaps, shown
from perfcrew.experiment.markup import page_gaps, text_gaps
from perfcrew.target.client import Answer

_ROUNDS = 12
EVERYTHING = "everything"
"""The entry of a mask for answers of the base that keep differing in other places."""

_TRANSPORT = """
date server content-length transfer-encoding content-encoding connection keep-alive age via x-cache x-cache-hits
x-request-id request-id x-correlation-id x-trace-id x-amzn-trace-id traceparent tracestate server-timing
x-process-time x-runtime x-response-time
"""
_PASSING = frozenset(_TRANSPORT.split())
_PRESENT = frozenset(("etag", "last-modified", "expires"))
"""Headers whose value follows the content or the clock: they must stay, and that is all."""
_NOT_TO_ADD = re.compile(
    r"cache-control|content-(type|disposition|language|location|range|security-policy)|location|set-cookie|"
    r"www-authenticate|refresh|pragma|expires|clear-site-data|vary|access-control-.*|link|retry-after"
)
_PLAIN = ("content-type", "cache-control", "vary", "allow", "content-language", "content-disposition")
"""Headers whose values may be shown."""


def gaps(base: Answer, change: Answer, allowed: frozenset[str], *, shallow: bool = False) -> list[Gap]:
    """What differs, but for what `allowed` lets differ. `shallow`: status and content type alone, as for errors."""
    if EVERYTHING in allowed or "status" in allowed:
        return []
    if base.status != change.status or (base.error is None) != (change.error is None):
        return [Gap("status", "", _status(base), _status(change))]
    found = [] if base.status == 0 else _header_gaps(base.headers, change.headers, allowed)
    if shallow:
        return [gap for gap in found if gap.path == "content-type"]
    return found + _body_gaps(base, change, allowed)


def learned(answers: Sequence[Answer], allowed: frozenset[str]) -> frozenset[str]:
    """What may differ, by these answers of the base to one request, on top of what is known already."""
    for other in answers[1:]:
        for one, two in ((answers[0], other), (other, answers[0])):
            for _ in range(_ROUNDS):
                entries = {gap.entry for gap in gaps(one, two, allowed)}
                if not entries:
                    break
                allowed = allowed | entries
            else:
                return allowed | {EVERYTHING}
    return allowed


def _status(answer: Answer) -> str:
    return str(answer.status) if answer.error is None else f"{answer.status or 'no answer'}, broken off"


def _header_gaps(base: dict[str, str], change: dict[str, str], allowed: frozenset[str]) -> list[Gap]:
    names = {n for n in base if n not in _PASSING} | {n for n in change if _NOT_TO_ADD.fullmatch(n)}
    found = []
    for name in sorted(n for n in names if f"header {n}" not in allowed):
        one, other = base.get(name), change.get(name)
        if not _same_header(name, one, other):
            found.append(Gap("header", name, _header(name, one), _header(name, other)))
    return found


def _same_header(name: str, base: str | None, change: str | None) -> bool:
    if name == "vary":
        one, other = _words(base or ""), _words(change or "")
        return one <= other and other - one <= {"accept-encoding"}
    if base is None or change is None:
        return base is change
    if name == "set-cookie":
        return cookies(base) == cookies(change)
    if name in ("cache-control", "content-type", "allow") or name.startswith("access-control-"):
        return _words(base) == _words(change)
    return name in _PRESENT or base == change


def _words(value: str) -> set[str]:
    return {word.strip().lower().replace('"', "") for word in re.split(r"[,;]", value) if word.strip()}


def cookies(header: str) -> list[str]:
    """What is kept of cookies: their names and attributes, without values and dates."""
    return sorted(_cookie(line) for line in header.split("\n"))


def _cookie(line: str) -> str:
    name, *attributes = (part.strip() for part in line.split(";"))
    kept = sorted(a.lower() for a in attributes if not a.lower().startswith(("expires", "max-age")))
    return "; ".join([name.partition("=")[0], *kept])


def _header(name: str, value: str | None) -> str:
    if value is None:
        return "absent"
    if name == "set-cookie":
        return ", ".join(cookies(value))[:200]
    return value[:200] if name in _PLAIN or name.startswith("access-control-") else shown(value)


class _Parsed(NamedTuple):
    value: Any


def _body_gaps(base: Answer, change: Answer, allowed: frozenset[str]) -> list[Gap]:
    if base.body == change.body and base.decoded_bytes == change.decoded_bytes:
        return []
    kind = base.content_type
    if base.truncated or change.truncated:
        return _byte_gaps(base, change, allowed)
    if kind.endswith(("/json", "+json")):
        one, other = _parsed(base), _parsed(change)
        if one and other:
            return json_gaps(one.value, other.value, allowed)
    if kind in ("text/html", "application/xhtml+xml"):
        return page_gaps(_text(base), _text(change), allowed)
    if kind.startswith("text/") or kind.endswith(("json", "xml", "javascript", "yaml", "x-ndjson", "csv")):
        return text_gaps(_text(base), _text(change), allowed)
    return _byte_gaps(base, change, allowed)


def _byte_gaps(base: Answer, change: Answer, allowed: frozenset[str]) -> list[Gap]:
    return [] if "bytes" in allowed else [Gap("bytes", "", _digest(base), _digest(change))]


def _digest(answer: Answer) -> str:
    return f"{answer.decoded_bytes} bytes ({hashlib.sha256(answer.body).hexdigest()[:12]})"


def _parsed(answer: Answer) -> _Parsed | None:
    try:
        value = answer.json()
    except (ValueError, RecursionError):
        return None
    return None if is_deep(value) else _Parsed(value)


def _text(answer: Answer) -> str:
    return answer.body.decode("utf-8", "replace")
