"""The model of a cache: what must hold for any accesses, and small cases worked out by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from perfcrew.stats.cache_model import POLICIES, Access, Cache, curve, replay, smallest, ttls_of

ACCESS = some.builds(
    Access,
    at_s=some.integers(0, 400).map(lambda n: n / 4),
    key=some.integers(0, 12),
    size_bytes=some.integers(1, 50),
    writes=some.booleans(),
)
RECORD = some.lists(ACCESS, max_size=120).map(lambda found: sorted(found, key=lambda a: a.at_s))
TTL = some.integers(1, 400).map(lambda n: n / 4)


def reads(*moments: float, key: str = "a") -> list[Access]:
    return [Access(at, key, 10) for at in moments]


def test_a_key_lives_from_its_fill_on() -> None:
    found = replay(reads(0, 1, 2, 3, 4, 5), Cache(ttl_s=2))
    assert (found.reads, found.hits, found.hit_ratio) == (6, 3, 0.5)


def test_a_write_makes_what_is_kept_stale_until_it_ends() -> None:
    record = [*reads(0, 1), Access(1.5, "a", writes=True), *reads(2, 3, 5)]
    found = replay(record, Cache(ttl_s=4))
    assert (found.hits, found.stale, found.oldest_s) == (3, 2, 1.5)
    assert replay(record, Cache(ttl_s=4, deletes=True))[1:4] == (5, 3, 0)


def test_the_one_not_used_for_longest_goes() -> None:
    record = [Access(n, key, 10) for n, key in enumerate("abacab")]
    found = replay(record, Cache(ttl_s=99, limit_bytes=20))
    assert (found.hits, found.evicted, found.peak_bytes) == (2, 2, 20)


def test_without_eviction_new_ones_find_no_room() -> None:
    record = [Access(n, key, 10) for n, key in enumerate("abcabc")]
    assert replay(record, Cache(ttl_s=99, limit_bytes=20, policy="noeviction")).hits == 2


def test_the_smallest_that_meets_the_target() -> None:
    record = reads(*range(100))
    found = curve(record, [1, 5, 10, 50], Cache(0))
    best = smallest(found, 0.8)
    assert best is not None and best.ttl_s == 5
    assert smallest(found, 0.999) is None


def test_nothing_is_advised_of_keys_that_are_read_once() -> None:
    assert ttls_of([Access(n, n) for n in range(9)]) == ()
    assert replay([], Cache(1)).hit_ratio is None


@settings(deadline=None)
@given(RECORD, some.lists(TTL, min_size=2, max_size=6))
def test_a_longer_life_never_hits_less(record: list[Access], ttls: list[float]) -> None:
    found = curve(record, ttls, Cache(0))
    assert all(a.hits <= b.hits for a, b in pairwise(found))


@settings(deadline=None)
@given(RECORD)
def test_for_ever_misses_each_key_once(record: list[Access]) -> None:
    found = replay(record, Cache(1e9))
    assert found.reads - found.hits == len({a.key for a in record if not a.writes})


@settings(deadline=None)
@given(RECORD, TTL)
def test_deleting_at_writes_leaves_nothing_stale_and_hits_no_more(record: list[Access], ttl: float) -> None:
    kept, deleted = replay(record, Cache(ttl)), replay(record, Cache(ttl, deletes=True))
    assert (deleted.stale, deleted.oldest_s) == (0, 0.0)
    assert deleted.hits <= kept.hits
    assert kept.stale <= kept.hits
    assert kept.oldest_s <= ttl


@settings(deadline=None)
@given(RECORD, TTL, some.integers(1, 300), some.sampled_from(POLICIES), some.integers(0, 5))
def test_the_limit_holds_whatever_is_dropped(
    record: list[Access], ttl: float, limit: int, policy: str, seed: int
) -> None:
    found = replay(record, Cache(ttl, limit, policy, seed=seed))  # type: ignore[arg-type]
    assert found.peak_bytes <= limit
    assert found.hits <= replay(record, Cache(ttl)).hits
    assert found == replay(record, Cache(ttl, limit, policy, seed=seed))  # type: ignore[arg-type]


@settings(deadline=None)
@given(RECORD, TTL, some.sampled_from(POLICIES))
def test_room_for_all_is_as_no_limit(record: list[Access], ttl: float, policy: str) -> None:
    assert replay(record, Cache(ttl, 10**9, policy)) == replay(record, Cache(ttl))  # type: ignore[arg-type]


@settings(deadline=None, max_examples=50)
@given(RECORD)
def test_the_ttls_worth_a_look_reach_from_a_pause_to_the_whole(record: list[Access]) -> None:
    found = ttls_of(record)
    assert list(found) == sorted(found)
    if found:
        assert found[-1] >= 0.99 * (record[-1].at_s - record[0].at_s)


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_is_known(policy: str) -> None:
    assert replay(reads(0, 1), Cache(5, 100, policy)).hits == 1  # type: ignore[arg-type]
