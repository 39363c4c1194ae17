"""A cache's keys and what was done with them: operations of a round trip, and the patterns that keys follow.

A key may hold an e-mail address or a name: what reaches a report is its pattern, never the key.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from perfcrew.core.trace import Span

READS = frozenset(["GET", "MGET", "HGET", "HMGET", "HGETALL", "GETEX", "GETRANGE", "LRANGE", "SMEMBERS", "ZRANGE"])
"""Commands that give values of a cache; the others that read (EXISTS) only ask whether there are any."""
KEEPING = frozenset(["HSET", "HMSET", "HSETNX", "SET KEEPTTL"])
"""Writes after which a key lives as long as it would have; the probe names the last one so."""
WRITES = KEEPING | frozenset(["SET", "SETEX", "PSETEX", "SETNX", "GETSET", "MSET", "MSETNX"])
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


_SEALED = "\x1f"
"""Before the digest of a key that is kept under its pattern."""
_DIGEST = re.compile(rf"{_SEALED}[0-9a-f]*")


def pattern(key: str, words: Collection[str] = ()) -> str:
    """The key with all replaced that may be somebody's: ids, hashes, dates, addresses, and words after the first one.

    Words stay that are known: the few that caches commonly use, and `words`, in lower case, of the source's own texts.
    """
    return "".join(_parts(key, words))


def patterns(keys: Iterable[str], words: Collection[str] = ()) -> dict[str, str]:
    """Each key's pattern; many words at one place are values too. A sealed key's is the one it was sealed with."""
    every = set(keys)
    split = {key: _parts(key, words) for key in every if _SEALED not in key}
    for places in range(max(map(len, split.values()), default=0)):
        if places % 2 == 0:
            _blind(split, places)
    opened = {key: _DIGEST.sub("", key) for key in every if _SEALED in key}
    return {**{key: "".join(parts) for key, parts in split.items()}, **opened}


def sealed(keys: Iterable[str], words: Collection[str], salt: str) -> dict[str, str]:
    """Each key as it may be kept: its pattern and a digest, so that equal keys stay equal and none can be read.

    Of a hash's `name field` both parts are.
    """
    every = set(keys)
    whole, heads = patterns(every, words), patterns({key.split(" ", 1)[0] for key in every}, words)

    def seal(part: str, shown: str) -> str:
        digest = hashlib.sha256(f"{salt}\0{part}".encode("utf-8", "replace")).hexdigest()[:16]
        return part if _SEALED in part else f"{shown}{_SEALED}{digest}"

    found = {}
    for key in every:
        head, cut, field = key.partition(" ")
        found[key] = seal(head, heads[head]) + (cut and cut + seal(field, whole[key].partition(" ")[2]))
    return found


def words_of(texts: Iterable[str]) -> frozenset[str]:
    """The words of a source's texts that look like keys, or parts of them: `cart:{user}:items` has cart and items."""
    found: set[str] = set()
    for text in texts:
        plain = _FILLED.sub("0", text)
        if len(text) <= _LONGEST_TEXT and _OF_KEYS.search(plain) and not _SPACE.search(plain):
            found.update(piece.lower() for piece in _PIECES.split(plain))
    return frozenset(found - {""})


def _blind(split: dict[str, list[str]], place: int) -> None:
    """Replace the words at this place where they are many among the keys of one build."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for key, parts in split.items():
        if place < len(parts) and not parts[place].startswith("{"):
            groups.setdefault((*parts[1::2], *(parts[:1] if place else ())), []).append(key)
    for keys in groups.values():
        if len({split[key][place] for key in keys}) > (MOST_WORDS if place else MOST_NAMESPACES):
            for key in keys:
                split[key][place] = "{}"


def _parts(key: str, words: Collection[str]) -> list[str]:
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
        is_first = all(not p or _VERSION.fullmatch(p) for p in pieces[:number:2])  # a key of Django's begins with a cut
        found.append(_word(piece, valued, is_first, words))
    return found


def _word(text: str, valued: bool, is_first: bool, words: Collection[str]) -> str:
    for known, name in _PLACEHOLDERS:
        if known.fullmatch(text):
            return name or text
    if not text:
        return text
    if valued and not _VERSION_OR_FIELD.fullmatch(text):
        return "{}"
    if not _WORD.fullmatch(text) or not (is_first or _is_known(text, words)):
        versioned = _VERSIONED.search(text)
        return "{}" + (_DIGITS.sub("{n}", versioned[0]) if versioned else "")
    return _DIGITS.sub("{n}", text)


def _is_known(text: str, words: Collection[str]) -> bool:
    pieces = [piece.lower() for piece in _PIECES.split(text) if piece]
    return bool(pieces) and all(piece in words or piece in _COMMON for piece in pieces)


_LONGEST_TEXT = 200
_FILLED = re.compile(r"\{[^{}]*\}|%\(\w+\)[sd]|%[sdr]")
_OF_KEYS = re.compile(r"[:/|]")
_SPACE = re.compile(r"\s")
_PIECES = re.compile(r"[^a-z]+", re.IGNORECASE)
_COMMON = frozenset(
    """all by card cache cart config count data day detail field fields flags get hash head header hour html index info
    item items json key keys latest limit list lock meta minute month name new next page popular prev profile queue
    rate recent session set settings stats status sum tag tags text token top total user users v value values version
    ver schema views decorators week year best""".split()  # noqa: SIM905 - a line of words reads better
)
"""What caches' keys are commonly made of, and people's names are not."""
_VERSION = re.compile(r"v\d+(\.\d+)*", re.IGNORECASE)
_VERSIONED = re.compile(r"[._-](v|ver|version|schema|rev)[._-]?\d{1,4}$", re.IGNORECASE)
_VERSION_OR_FIELD = re.compile(
    r"(by|all|count|list|index|page|profile|new|best|top|latest|recent|popular|v\d+)", re.IGNORECASE
)


def common(names: Sequence[str]) -> str:
    """The name that occurs most."""
    return Counter(names).most_common(1)[0][0]
