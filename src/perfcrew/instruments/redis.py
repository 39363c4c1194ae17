"""Reads a Redis server: INFO, a sample of its keys by SCAN, SLOWLOG. Bounded in keys and in time, and only reads.

Refuses: KEYS and MONITOR, which stop or flood a server; every command that writes, but for `forget`, on a server of our
own; and to keep a key: what is kept of keys is their pattern.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from perfcrew.core.cache import patterns
from perfcrew.core.errors import Unmeasurable
from perfcrew.core.evidence import CacheServer, KeyGroup, SlowCommand
from perfcrew.target.redis.address import without_password

if TYPE_CHECKING:
    from redis import Redis

MOST_KEYS = 2000
MOST_GROUPS = 40
LIMIT_S = 10.0
_ANSWER_S = 2.0
_CONNECT_S = 1.0
_SCAN_COUNT = 250
_SLOW_ENTRIES = 128
_BATCH = 100
_OURS = frozenset(["SCAN", "INFO", "SLOWLOG", "MEMORY", "PTTL", "TYPE", "OBJECT", "HELLO", "AUTH", "CLIENT", "SELECT"])
T = TypeVar("T")


class Counters(NamedTuple):
    """What the server has counted since its start."""

    hits: int = 0
    misses: int = 0
    evicted: int = 0
    expired: int = 0
    commands: int = 0

    def since(self, before: Counters) -> Counters:
        """What was counted after `before`."""
        return Counters(*(now - then for now, then in zip(self, before, strict=True)))


class _Key(NamedTuple):
    name: str
    ttl_ms: int
    """-1: it lives for ever; -2: it is gone."""
    size: int | None
    type: str
    encoding: str
    stands_for: float = 1.0
    """Keys of its database, itself among them."""


@dataclass
class _Reading:
    """One look at a server: when it must be over, and what it would not tell."""

    url: str
    ends: float
    refused: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.shown = without_password(self.url)

    def client(self, database: int | None = None) -> Redis:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        options: dict[str, Any] = {} if database is None else {"db": database}
        made: Redis = Redis.from_url(
            self.url,
            socket_timeout=_ANSWER_S,
            socket_connect_timeout=_CONNECT_S,
            retry=Retry(NoBackoff(), 0),
            decode_responses=False,
        )
        made.connection_pool.connection_kwargs.update(options)
        return made

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.ends

    def asked(self, what: str, ask: Callable[[], T], otherwise: T) -> T:
        """The answer, or `otherwise` with a line in `refused` where the login may not ask for it."""
        from redis.exceptions import NoPermissionError, ResponseError

        try:
            return ask()
        except (NoPermissionError, ResponseError) as error:
            self.refused[what] = str(error)[:200]
            return otherwise


async def counters(url: str) -> Counters:
    """What the server has counted so far, for a later difference. Unmeasurable where it can't be read."""
    return await asyncio.to_thread(_counters, url)


async def forget(url: str, keys: Sequence[tuple[int, str]]) -> None:
    """Delete these keys (database, key) of a server that is ours. Unmeasurable where it is not there."""
    await asyncio.to_thread(_forget, url, keys)


def _forget(url: str, keys: Sequence[tuple[int, str]]) -> None:
    reading = _Reading(url, time.monotonic() + LIMIT_S)
    with _told(reading):
        for database in sorted({number for number, _ in keys}):
            with reading.client(database) as client:
                client.unlink(*(key for number, key in keys if number == database))


async def measure_redis(
    url: str,
    since: Counters = Counters(),  # noqa: B008
    limit_s: float = LIMIT_S,
    words: Collection[str] = (),
) -> CacheServer:
    """Look at the server, for `limit_s` at most; its counters are told as the difference to `since`.

    `words` are those of the source's own texts, which may stand in patterns of keys.

    Raises Unmeasurable with what to do where it is not there, refuses the login, or goes away meanwhile. What the
    login may not ask for is named in `refused`.
    """
    return await asyncio.to_thread(_measure, url, since, limit_s, words)


def _counters(url: str) -> Counters:
    reading = _Reading(url, time.monotonic() + LIMIT_S)
    with _told(reading), reading.client() as client:
        return _counted(client.info("stats"))


def _counted(info: Mapping[str, Any]) -> Counters:
    names = ("keyspace_hits", "keyspace_misses", "evicted_keys", "expired_keys", "total_commands_processed")
    return Counters(*(int(info.get(name, 0)) for name in names))


def _measure(url: str, since: Counters, limit_s: float, known: Collection[str]) -> CacheServer:
    reading = _Reading(url, time.monotonic() + limit_s)
    with _told(reading), reading.client() as client:
        info = client.info()
        none: tuple[SlowCommand, ...] = ()
        slow = reading.asked("slow commands", lambda: _slow(client, known), none)
        databases = {int(name[2:]): int(d["keys"]) for name, d in info.items() if name.startswith("db") and "keys" in d}
        found = [key for n, keys in databases.items() for key in _sampled(reading, n, keys, len(databases))]
    if info.get("cluster_enabled"):
        reading.refused["the other nodes"] = "it is one node of a cluster: only its own keys and counters are told"
    return _body(info, since, found, sum(databases.values()), slow, reading.refused, known)


def _body(
    info: Mapping[str, Any],
    since: Counters,
    found: Sequence[_Key],
    keys: int,
    slow: tuple[SlowCommand, ...],
    refused: Mapping[str, str],
    known: Collection[str],
) -> CacheServer:
    now = _counted(info)
    hits, misses, evicted, expired, commands = now.since(since)
    asked = hits + misses
    return CacheServer(
        version=str(info.get("redis_version", "")),
        keys_count=keys,
        sampled_count=len(found),
        hits_count=hits,
        misses_count=misses,
        hit_share=hits / asked if asked > 0 else None,
        evicted_count=evicted,
        expired_count=expired,
        commands_count=commands,
        used_bytes=int(info.get("used_memory", 0)),
        peak_bytes=int(info.get("used_memory_peak", 0)),
        resident_bytes=int(info.get("used_memory_rss", 0)),
        fragmentation_share=float(info.get("mem_fragmentation_ratio", 0.0)),
        limit_bytes=int(info.get("maxmemory", 0)),
        policy=str(info.get("maxmemory_policy", "")),
        groups=_groups(found, known),
        slow=slow,
        refused=dict(refused),
    )


def _sampled(reading: _Reading, database: int, keys: int, databases: int) -> list[_Key]:
    """Keys of one database, each standing for as many of it as were not looked at."""
    with reading.client(database) as client:
        nothing: list[bytes] = []
        names = reading.asked("keys", lambda: _names(reading, client, MOST_KEYS // databases), nothing)
        found: list[_Key] = []
        for start in range(0, len(names), _BATCH):
            if reading.is_over:
                reading.refused["some keys"] = "the time for looking was over"
                break
            found += _looked_at(reading, client, names[start : start + _BATCH])
    there = [key for key in found if key.ttl_ms != -2]
    return [key._replace(stands_for=max(keys / len(there), 1.0)) for key in there]


def _names(reading: _Reading, client: Redis, most: int) -> list[bytes]:
    """Distinct names, as the server's table has them, which is no order that the keys have."""
    cursor, names = 0, dict[Any, None]()
    while len(names) < most and not reading.is_over:
        cursor, some = client.scan(cursor, count=_SCAN_COUNT)
        names.update(dict.fromkeys(some))
        if not cursor:
            break
    return list(names)[:most]


def _looked_at(reading: _Reading, client: Redis, names: Sequence[bytes]) -> list[_Key]:
    """Four questions a key, in one round trip; what the login may not ask comes back as an error in its place."""
    from redis.exceptions import NoPermissionError

    asked: Any = client.pipeline(transaction=False)
    for name in names:
        asked.pttl(name)
        asked.type(name)
        asked.execute_command("MEMORY USAGE", name)
        asked.execute_command("OBJECT ENCODING", name)
    answers = asked.execute(raise_on_error=False)
    for question, answer in zip(("time to live", "type", "size", "encoding"), answers, strict=False):
        if isinstance(answer, NoPermissionError):
            reading.refused[question] = str(answer)[:200]
    rows = (answers[n : n + 4] for n in range(0, len(answers), 4))
    return [_key(name, *row) for name, row in zip(names, rows, strict=True)]


def _key(name: bytes, ttl: object, kind: object, size: object, encoding: object) -> _Key:
    return _Key(
        name.decode("utf-8", "replace"),
        ttl if isinstance(ttl, int) else -1,
        size if isinstance(size, int) else None,
        kind.decode() if isinstance(kind, bytes) else "",
        encoding.decode() if isinstance(encoding, bytes) else "",
    )


def _groups(found: Sequence[_Key], known: Collection[str]) -> tuple[KeyGroup, ...]:
    by_name = patterns((key.name for key in found), known)
    groups: dict[str, list[_Key]] = {}
    for key in found:
        groups.setdefault(by_name[key.name], []).append(key)
    made = [_group(pattern, group) for pattern, group in groups.items()]
    return tuple(sorted(made, key=lambda g: (-(g.total_bytes or 0), -g.keys_count, g.pattern))[:MOST_GROUPS])


def _group(pattern: str, keys: Sequence[_Key]) -> KeyGroup:
    lives = sorted(key.ttl_ms / 1000 for key in keys if key.ttl_ms >= 0)
    sizes = [key.size for key in keys if key.size is not None]
    return KeyGroup(
        pattern=pattern,
        keys_count=len(keys),
        estimated_count=round(sum(key.stands_for for key in keys)),
        without_ttl_count=sum(key.ttl_ms == -1 for key in keys),
        ttl_median_s=median(lives) if lives else None,
        ttl_max_s=lives[-1] if lives else None,
        median_bytes=float(median(sizes)) if sizes else None,
        largest_bytes=max(sizes) if sizes else None,
        total_bytes=sum(sizes) if sizes else None,
        type=Counter(key.type for key in keys).most_common(1)[0][0],
        encoding=Counter(key.encoding for key in keys).most_common(1)[0][0],
    )


def _slow(client: Redis, known: Collection[str]) -> tuple[SlowCommand, ...]:
    """By command and the pattern of its first key; our own questions are left out."""
    found: dict[tuple[str, str], list[float]] = {}
    entries = [
        (e["command"].decode("utf-8", "replace"), e["duration"] / 1e3) for e in client.slowlog_get(_SLOW_ENTRIES)
    ]
    words = [(text.split(" "), ms) for text, ms in entries]
    names = patterns((w[1] for w, _ in words if len(w) > 1), known)
    for (name, *rest), ms in words:
        if name.upper() not in _OURS:
            keyed = rest and name.upper() not in ("EVAL", "EVALSHA", "CONFIG", "KEYS", "COMMAND")
            found.setdefault((name.upper(), names[rest[0]] if keyed else ""), []).append(ms)
    made = (SlowCommand(command=n, pattern=p, times_count=len(ms), longest_ms=max(ms)) for (n, p), ms in found.items())
    return tuple(sorted(made, key=lambda s: -s.longest_ms)[:10])


@contextmanager
def _told(reading: _Reading) -> Iterator[None]:
    """Turn what the client raises into what a reader can act on."""
    from redis.exceptions import AuthenticationError, NoPermissionError, RedisError
    from redis.exceptions import ConnectionError as Gone
    from redis.exceptions import TimeoutError as Late

    try:
        yield
    except AuthenticationError as error:
        raise Unmeasurable(
            f"the Redis refuses the login: {error}", where=reading.shown, do="put user and password into its URL"
        ) from None
    except NoPermissionError as error:
        raise Unmeasurable(
            f"the login may not read the Redis: {error}",
            where=reading.shown,
            do="allow it: ACL SETUSER <user> +info +scan +pttl +type +memory|usage +object|encoding +slowlog|get ~*",
        ) from None
    except Late:
        raise Unmeasurable(
            f"the Redis gave no answer within {_ANSWER_S:g} s", where=reading.shown, do=_of_late(reading.url)
        ) from None
    except Gone as error:
        raise Unmeasurable(f"the Redis can't be reached: {error}", where=reading.shown, do=_of_gone(error)) from None
    except RedisError as error:
        raise Unmeasurable(f"the Redis can't be read: {error}", where=reading.shown) from None


def _of_late(url: str) -> str:
    if url.lower().startswith(("rediss:", "valkeys:")):
        return "its URL speaks TLS: write redis:// where the server does not; else look whether it is busy"
    return "look whether it is busy; where it speaks TLS only, write rediss://"


def _of_gone(error: Exception) -> str:
    text = str(error).lower()
    if "ssl" in text or "certificate" in text:
        return "a rediss:// URL speaks TLS: write redis:// where the server does not, or give its certificate"
    if "closed" in text or "reset" in text or "protocol" in text:
        return "it may speak TLS only (write rediss://), or have ended meanwhile"
    return "start it, or correct its URL"
