"""The tail of both sides by all of their requests together."""

from __future__ import annotations

import pytest

from perfcrew.core.comparison import Effect
from perfcrew.experiment.pooled import Pool

SLOW = [10.0] * 9 + [100.0]


def effects(pairs: int, a: list[float], b: list[float], failed_in: int | None = None) -> dict[str, Effect]:
    pool = Pool()
    for number in range(pairs):
        pool.add("GET /x", a, b, failed=number == failed_in)
    return {e.metric: e for e in pool.effects()["GET /x"]}


def test_the_tail_is_that_of_all_requests_of_a_side() -> None:
    found = effects(10, SLOW, [5.0] * 10)["latency.p95.pooled"]
    assert (found.a, found.b, found.pairs_count) == (100.0, 5.0, 10)
    assert found.verdict is None and found.role == "shown" and found.refused


CARRIED: dict[str, tuple[int, set[str]]] = {
    "far too few": (1, set()),
    "enough for a p95, not for a bound of it": (7, set()),
    "enough for a bound of it": (8, {"latency.p95.pooled"}),
    "enough for p99 too": (40, {"latency.p95.pooled", "latency.p99.pooled"}),
}


@pytest.mark.parametrize(("pairs", "metrics"), CARRIED.values(), ids=CARRIED)
def test_a_percentile_that_nothing_bounds_is_not_told(pairs: int, metrics: set[str]) -> None:
    assert set(effects(pairs, SLOW, SLOW)) == metrics


@pytest.mark.parametrize("failed_in", [0, 9])
def test_where_a_request_failed_no_tail_is_known(failed_in: int) -> None:
    assert effects(10, SLOW, SLOW, failed_in) == {}


def test_both_sides_must_carry_it() -> None:
    assert effects(10, SLOW, []) == {}


def test_endpoints_are_apart() -> None:
    pool = Pool()
    for _ in range(10):
        pool.add("GET /x", [1.0] * 10, [1.0] * 10, failed=False)
        pool.add("GET /y", [2.0] * 10, [3.0] * 10, failed=False)
    found = pool.effects()
    assert [(e.a, e.b) for e in found["GET /y"]] == [(2.0, 3.0)]
    assert [(e.a, e.b) for e in found["GET /x"]] == [(1.0, 1.0)]
