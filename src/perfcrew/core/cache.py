"""A cache's keys and what was done with them: operations of a round trip, and the patterns that keys follow.

A key may hold an e-mail address or a name: what reaches a report is its pattern, never the key.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from perfcrew.core.trace import Span

READS = frozenset(["GET", "MGET", "HGET", "HMGET", "HGETALL", "GETEX", "GETRANGE", "LRANGE", "SMEMBERS", "ZRANGE"])
"""Commands that give values of a cache; the others that read (EXISTS) only ask whether there are any."""
WRITES = frozenset(["SET", "SETEX", "PSETEX", "SETNX", "GETSET", "MSET", "MSETNX", "HSET", "HSETNX", "HMSET"])
REMOVALS = frozenset(["DEL", "UNLINK", "GETDEL", "HDEL"])
EXPIRIES = frozenset(["EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT", "GETEX"])

MOST_WORDS = 8
"""Different words at one place of otherwise equal keys; more are values, such as names of people."""
MOST_NAMESPACES = 20
_CUT = re.compile(r"([:/|,;&?(){}\[\]\s#=]+)")
_PLACEHOLDERS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), name)
    for pattern, name in (
        (r"[^@\s]+@[^@\s]+", "{email}"),
        (r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", "{uuid}"),
        (r"v\d+(\.\d+)*", ""),
        (r"\d{4}-\d{2}-\d{2}([T ].*)?", "{date}"),
        (r"\d{1,3}(\.\d{1,3}){3}", "{ip}"),
        (r"[-+]?\d+([.,]\d+)*", "{n}"),
        (r"(?=[^g-z]*\d)[0-9a-f]{8,}", "{hash}"),
        (r"[0-9a-f]{16,}", "{hash}"),
        (r"(?=.*\d)(?=.*[a-z])[\w+/.-]{20,}=*", "{hash}"),
        (r"[\w.+/-]{32,}=*", "{hash}"),
    )
)
_WORD = re.compile(r"[a-z][a-z0-9]*([._-]?[a-z0-9]+)*", re.IGNORECASE | re.ASCII)
_DIGITS = re.compile(r"(?<![a-z])\d+|\d{2,}|(?<=[a-z])\d+$", re.IGNORECASE)
_PERSONAL = re.compile(
    r"(.*[_.-])?(user(name)?|name|e?mail|login|customer|account|session|token|member|author|person|people|phone|"
    r"address|profile|owner|patient|client|contact|firstname|lastname|surname|nick(name)?|search|query|q)s?",
    re.IGNORECASE,
)


class Operation(NamedTuple):
    """One command on one key. `ttl_s`: how long it will live from now on, None where the command says nothing of it."""

    command: str
    key: str
    hit: bool | None
    size_bytes: int
    ttl_s: float | None


def operations(span: Span) -> tuple[Operation, ...]:
    """What a round trip did with each of its keys."""
    told = span.attributes.get("perfcrew.cache.operations")
    if not isinstance(told, str):
        return ()
    return tuple(Operation(str(c), str(k), hit, int(size), ttl) for c, k, hit, size, ttl in json.loads(told))


def pattern(key: str) -> str:
    """The key with ids, hashes, dates, addresses and what follows the word of a person replaced."""
    return "".join(_parts(key))


def patterns(keys: Iterable[str]) -> dict[str, str]:
    """Each key's pattern; words that differ from key to key at one place are values too."""
    split = {key: _parts(key) for key in keys}
    for places in range(max(map(len, split.values()), default=0)):
        if places % 2 == 0:
            _blind(split, places)
    return {key: "".join(parts) for key, parts in split.items()}


def _blind(split: dict[str, list[str]], place: int) -> None:
    """Replace the words at this place where the keys around them are equal and the words are many."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for key, parts in split.items():
        if place < len(parts) and not parts[place].startswith("{"):
            groups.setdefault((*parts[:place], "", *parts[place + 1 :]), []).append(key)
    for keys in groups.values():
        if len({split[key][place] for key in keys}) > (MOST_WORDS if place else MOST_NAMESPACES):
            for key in keys:
                split[key][place] = "{}"


def _parts(key: str) -> list[str]:
    """Words and what cuts them, in turn."""
    pieces = _CUT.split(key)
    found: list[str] = []
    for number, piece in enumerate(pieces):
        if number % 2:
            found.append(piece)
            continue
        before = pieces[number - 2] if number >= 2 else ""
        cut = pieces[number - 1] if number else ""
        goes_on = bool(found) and found[-2:-1] == ["{}"] and cut.isspace()
        valued = number >= 2 and ("=" in cut or goes_on or bool(_PERSONAL.fullmatch(before)))
        found.append(_word(piece, valued))
    return found


def _word(text: str, valued: bool) -> str:
    for known, name in _PLACEHOLDERS:
        if known.fullmatch(text):
            return name or text
    if not text:
        return text
    if valued and not _VERSION_OR_FIELD.fullmatch(text):
        return "{}"
    return _DIGITS.sub("{n}", text) if _WORD.fullmatch(text) else "{}"


_VERSION_OR_FIELD = re.compile(
    r"(by|all|count|list|index|page|profile|new|best|top|latest|recent|popular|v\d+)", re.IGNORECASE
)


def common(names: Sequence[str]) -> str:
    """The name that occurs most."""
    return Counter(names).most_common(1)[0][0]
