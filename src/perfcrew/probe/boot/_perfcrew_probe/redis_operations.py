"""What one command of Redis does with each of its keys: read or written, how many bytes, for how long."""

from __future__ import annotations

import time
from typing import Any

MOST = 200
_KEY_CHARS = 200
_BY_NUMBER = frozenset(["EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FCALL_RO"])
_EVERY = frozenset(["MGET", "DEL", "UNLINK", "EXISTS", "TOUCH", "SUNION", "SINTER", "SDIFF"])
_NOW = frozenset(["EXPIREAT", "PEXPIREAT", "EXAT", "PXAT"])
_MILLISECONDS = frozenset(["PX", "PXAT", "PSETEX", "PEXPIRE", "PEXPIREAT"])

Operation = list
"""[command, key, hit or None, bytes, seconds to live or None]; a field of a hash stands behind its key and a space."""


def operations(command: tuple[Any, ...], first_key: str | None) -> list[Any]:
    """One for each key, at most `MOST`; those of reads know neither hit nor bytes yet."""
    name = plain(command[0]).upper() if command else ""
    given = command[1:]
    if name in _BY_NUMBER:
        return [_new(name, key) for key in given[2 : 2 + _number(given[1:2])][:MOST]]
    if first_key is None:
        return []
    if name in _EVERY:
        return [_new(name, key) for key in given[:MOST]]
    if name in ("HGET", "HMGET"):
        return [_new(name, given[0], field) for field in given[1 : MOST + 1]]
    if name in ("MSET", "MSETNX"):
        return [_new(name, k, size=size_of(v)) for k, v in zip(given[0 : 2 * MOST : 2], given[1::2])]
    if name in ("HSET", "HSETNX", "HMSET"):
        return [_new(name, given[0], f, size=size_of(v)) for f, v in zip(given[1 : 2 * MOST : 2], given[2::2])]
    return [_one(name, given)]


def answered(found: list[Any], names: frozenset[str], result: Any, is_hit: Any) -> None:
    """Put what came back into the operations of one command; `names` are the commands that read."""
    if not found or found[0][0] not in names or isinstance(result, BaseException):
        return
    if found[0][0] in ("MGET", "HMGET") and isinstance(result, (list, tuple)):
        for one, value in zip(found, result):
            one[2], one[3] = value is not None, size_of(value)
        return
    found[0][2], found[0][3] = is_hit(result), size_of(result)


def _one(name: str, given: tuple[Any, ...]) -> list[Any]:
    if name in ("SETEX", "PSETEX") and len(given) > 2:
        return _new(name, given[0], size=size_of(given[2]), ttl=_seconds(name, given[1]))
    if name in ("EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT") and len(given) > 1:
        return _new(name, given[0], ttl=_seconds(name, given[1]))
    if name in ("SET", "GETEX"):
        size = size_of(given[1]) if name == "SET" and len(given) > 1 else 0
        rest = given[2 if name == "SET" else 1 :]
        keeps = any(plain(word).upper() == "KEEPTTL" for word in rest if isinstance(word, (str, bytes)))
        return _new("SET KEEPTTL" if keeps else name, given[0], size=size, ttl=_option(rest))
    size = sum(size_of(value) for value in given[1:]) if name in ("SETNX", "GETSET", "APPEND") else 0
    return _new(name, given[0], size=size)


def _option(words: tuple[Any, ...]) -> float | None:
    for word, value in zip(words, words[1:]):
        option = plain(word).upper()
        if option in ("EX", "PX", "EXAT", "PXAT"):
            return _seconds(option, value)
    return None


def _seconds(name: str, value: Any) -> float | None:
    try:
        seconds = float(value) / (1000 if name in _MILLISECONDS else 1)
    except (TypeError, ValueError):
        return None
    return round(seconds - time.time() if name in _NOW else seconds, 3)


def _new(name: str, key: Any, field: Any = None, *, size: int = 0, ttl: float | None = None) -> list[Any]:
    text = plain(key) if field is None else plain(key) + " " + plain(field)
    return [name, text[:_KEY_CHARS], None, size, ttl]


def _number(words: tuple[Any, ...]) -> int:
    text = plain(words[0]) if words else ""
    return int(text) if text.isdigit() else 0


def plain(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def size_of(value: Any) -> int:
    """Bytes of a value as the application gave it or got it; what is neither text nor a collection counts as text."""
    if value is None or isinstance(value, bool):
        return 0
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace"))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return len(value)
    if isinstance(value, dict):
        return sum(size_of(key) + size_of(one) for key, one in value.items())
    if isinstance(value, (list, tuple, set)):
        return sum(size_of(one) for one in value)
    return len(str(value)) if isinstance(value, (int, float)) else 0
