"""A model of a cache: what hit ratio and what staleness a time to live would have given for recorded accesses.

The cache is filled by the reads that miss, and a key lives from then on for its time, as `SET key value EX ttl` does.
With a limit in bytes keys are dropped as Redis does it: some are sampled, the best of them and of those sampled before
go (`evict.c`: five samples, a pool of sixteen). Its clock of use counts whole seconds, as the server's does.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np

Policy = Literal["allkeys-lru", "allkeys-random", "volatile-ttl", "noeviction"]
POLICIES: tuple[Policy, ...] = ("allkeys-lru", "allkeys-random", "volatile-ttl", "noeviction")
SAMPLES = 5
_POOL = 16
CLOCK_S = 1.0


class Access(NamedTuple):
    """A read of a key, or a write of the data behind it. Seconds of any clock, in order of time."""

    at_s: float
    key: Hashable
    size_bytes: int = 0
    writes: bool = False


class Outcome(NamedTuple):
    """What one time to live gives. Shares are None where there was nothing to take them of."""

    ttl_s: float
    reads: int
    hits: int
    stale: int
    """Hits that gave an answer from before a write."""
    evicted: int
    peak_bytes: int
    oldest_s: float
    """The longest that a stale answer was given after the write."""

    @property
    def hit_ratio(self) -> float | None:
        return self.hits / self.reads if self.reads else None

    @property
    def stale_share(self) -> float | None:
        """Of the hits."""
        return self.stale / self.hits if self.hits else None


@dataclass(frozen=True)
class Cache:
    """How it is set up. `deletes`: writes delete the key; without, answers are as old as the time to live."""

    ttl_s: float
    limit_bytes: int | None = None
    policy: Policy = "allkeys-lru"
    deletes: bool = False
    samples: int = SAMPLES
    clock_s: float = CLOCK_S
    seed: int = 0


@dataclass
class _Entry:
    filled_s: float
    ends_s: float
    size: int
    used_s: float
    place: int
    written_s: float | None = None


@dataclass
class _State:
    """The keys that are held now; `order` lets one be drawn at random."""

    cache: Cache
    entries: dict[Hashable, _Entry] = field(default_factory=dict)
    order: list[Hashable] = field(default_factory=list)
    ends: list[tuple[float, int, Hashable]] = field(default_factory=list)
    pool: dict[Hashable, float] = field(default_factory=dict)
    used_bytes: int = 0
    evicted: int = 0
    peak_bytes: int = 0
    fills: int = 0

    def __post_init__(self) -> None:
        self.draw = random.Random(self.cache.seed)

    def expire(self, now_s: float) -> None:
        while self.ends and self.ends[0][0] <= now_s:
            ends_s, _, key = heapq.heappop(self.ends)
            entry = self.entries.get(key)
            if entry is not None and entry.ends_s <= ends_s:
                self.drop(key)

    def drop(self, key: Hashable) -> None:
        entry = self.entries.pop(key)
        self.used_bytes -= entry.size
        last = self.order.pop()
        if last != key:
            self.order[entry.place] = last
            self.entries[last].place = entry.place
        self.pool.pop(key, None)

    def fill(self, access: Access) -> None:
        """Make room and hold it; nothing is held that finds no room."""
        limit = self.cache.limit_bytes
        if limit is not None:
            while self.entries and self.used_bytes + access.size_bytes > limit:
                if self.cache.policy == "noeviction":
                    return
                self.drop(self._victim(access.at_s))
                self.evicted += 1
            if access.size_bytes > limit:
                return
        ends_s = access.at_s + self.cache.ttl_s
        entry = _Entry(access.at_s, ends_s, access.size_bytes, access.at_s, len(self.order))
        self.entries[access.key] = entry
        self.order.append(access.key)
        self.fills += 1
        heapq.heappush(self.ends, (ends_s, self.fills, access.key))
        self.used_bytes += access.size_bytes
        self.peak_bytes = max(self.peak_bytes, self.used_bytes)

    def _victim(self, now_s: float) -> Hashable:
        if self.cache.policy == "allkeys-random":
            return self.order[self.draw.randrange(len(self.order))]
        for key in self.draw.sample(self.order, min(self.cache.samples, len(self.order))):
            self._into_pool(key, self._worth(self.entries[key], now_s))
        return max(self.pool, key=lambda key: self.pool[key])

    def _worth(self, entry: _Entry, now_s: float) -> float:
        """How much it should go: idle time in ticks of the server's clock, or how soon it ends anyway."""
        if self.cache.policy == "volatile-ttl":
            return -entry.ends_s
        tick = self.cache.clock_s
        return now_s // tick - entry.used_s // tick if tick else now_s - entry.used_s

    def _into_pool(self, key: Hashable, worth: float) -> None:
        if key in self.pool:
            return
        if len(self.pool) >= _POOL:
            least = min(self.pool, key=lambda other: self.pool[other])
            if self.pool[least] >= worth:
                return
            del self.pool[least]
        self.pool[key] = worth


def replay(accesses: Iterable[Access], cache: Cache) -> Outcome:
    """Send the accesses through the cache, which is empty at first."""
    state = _State(cache)
    reads = hits = stale = 0
    oldest_s = 0.0
    for one in accesses:
        state.expire(one.at_s)
        entry = state.entries.get(one.key)
        if one.writes:
            _written(state, one, entry)
            continue
        reads += 1
        if entry is None:
            state.fill(one)
            continue
        hits += 1
        entry.used_s = one.at_s
        if entry.written_s is not None:
            stale += 1
            oldest_s = max(oldest_s, one.at_s - entry.written_s)
    return Outcome(cache.ttl_s, reads, hits, stale, state.evicted, state.peak_bytes, oldest_s)


def _written(state: _State, access: Access, entry: _Entry | None) -> None:
    if entry is None:
        return
    if state.cache.deletes:
        state.drop(access.key)
    elif entry.written_s is None:
        entry.written_s = access.at_s


def curve(accesses: Sequence[Access], ttls: Sequence[float], cache: Cache) -> tuple[Outcome, ...]:
    """The outcome for each time to live, all else as `cache` has it."""
    ordered = sorted(accesses, key=lambda one: one.at_s)
    return tuple(replay(ordered, replace(cache, ttl_s=ttl)) for ttl in sorted(ttls))


def smallest(outcomes: Iterable[Outcome], target: float) -> Outcome | None:
    """The one with the least time to live whose hit ratio meets the target; None where none does."""
    met = (one for one in outcomes if one.hit_ratio is not None and one.hit_ratio >= target)
    return min(met, key=lambda one: one.ttl_s, default=None)


def ttls_of(accesses: Sequence[Access], count: int = 24) -> tuple[float, ...]:
    """Times to live worth a look: from the shortest pauses between reads of one key to the whole record, evenly by
    their logarithm. None where no key is read twice."""
    last: dict[Hashable, float] = {}
    pauses = []
    for one in sorted(accesses, key=lambda a: a.at_s):
        if not one.writes:
            if one.key in last and one.at_s > last[one.key]:
                pauses.append(one.at_s - last[one.key])
            last[one.key] = one.at_s
    if not pauses:
        return ()
    whole = max(one.at_s for one in accesses) - min(one.at_s for one in accesses)
    low = float(np.quantile(pauses, 0.02))
    made = np.geomspace(max(low, whole / 1e6), whole * 1.01, count)
    return tuple(float(f"{ttl:.3g}") for ttl in made)
