"""What an instance's requests come to: figures of two that were asked in turn."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcrew.core.web import Endpoint, Plan
from perfcrew.experiment.asked import Asked, latencies_ms
from perfcrew.instruments.load import LoadResult

times = st.floats(0.1, 1000.0)


def load(samples_ms: list[float], indices: list[int] | None = None, **more: bool) -> LoadResult:
    count = len(samples_ms)
    told = tuple(indices or [0] * count)
    return LoadResult("in turn", tuple(samples_ms), told, (0.0,) * count, {200: count}, {}, 0, count, 1.0, **more)


def asked(cpu_ms: float, latency_ms: float, restless: bool = False) -> Asked:
    """What four requests of one side came to; nothing was sent."""
    nothing: Any = None
    one = Asked(nothing, Plan(endpoint=Endpoint(method="GET", path="/a", source="user")), nothing)
    one.took(load([latency_ms] * 4, restless=restless), 4 * cpu_ms, latency_ms)
    return one


@given(st.lists(times, min_size=1, max_size=40), st.floats(0.2, 5.0))
def test_what_is_so_many_times_as_long_each_time_is_told_as_that(ones: list[float], ratio: float) -> None:
    a, b = latencies_ms(load(ones), load([ms * ratio for ms in ones]))
    assert a is not None and b is not None
    assert b / a == pytest.approx(ratio)
    assert min(ones) <= a * 1.0001 * max(ratio, 1) and a <= max(ones) * max(ratio, 1) * 1.0001


@given(st.lists(st.tuples(times, times), min_size=1, max_size=40))
def test_swapped_sides_swap_their_figures(pairs: list[tuple[float, float]]) -> None:
    ones, others = [a for a, _ in pairs], [b for _, b in pairs]
    there, back = latencies_ms(load(ones), load(others)), latencies_ms(load(others), load(ones))
    assert there == pytest.approx((back[1], back[0]))


def test_a_machine_that_changes_its_speed_meanwhile_is_no_difference() -> None:
    """Half of the time it is twice as slow; the middle of each side's own times lies anywhere between."""
    draw = random.Random(3)
    speeds = [1.0 if n // 10 % 2 else 2.0 for n in range(50)]
    ones, others = ([5.0 * s * math.exp(draw.gauss(0, 0.02)) for s in speeds] for _ in "ab")
    a, b = latencies_ms(load(ones), load(others))
    assert a is not None and b is not None and b / a == pytest.approx(1.0, abs=0.02)


def test_several_requests_count_by_what_each_takes() -> None:
    """A short one that takes twice as long and a long one that stays are 101 against 102."""
    a, b = latencies_ms(load([1, 100, 1, 100], [0, 1, 0, 1]), load([2, 100, 2, 100], [0, 1, 0, 1]))
    assert a is not None and b is not None and b / a == pytest.approx(102 / 101, rel=0.01)


def test_where_requests_failed_each_side_has_its_own_middle() -> None:
    assert latencies_ms(load([1, 2, 3]), load([4, 8])) == (2, 6)
    assert latencies_ms(load([1.0]), load([])) == (1.0, None)
    assert latencies_ms(load([]), load([])) == (None, None)


@pytest.mark.parametrize(
    ("name", "cpu_ms", "latency_ms", "restless", "parallel"),
    [
        ("works all the time", 10.0, 10.0, False, False),
        ("waits mostly", 1.0, 50.0, False, False),
        ("on two cores", 16.0, 10.0, False, True),
        ("a little beside the answer", 0.35, 0.2, False, False),
        ("works on after the answer", 1.0, 50.0, True, True),
    ],
)
def test_who_works_on_several_cores_or_after_its_answer_shares_none(
    name: str, cpu_ms: float, latency_ms: float, restless: bool, parallel: bool
) -> None:
    one = asked(cpu_ms, latency_ms, restless=restless)
    assert one.in_parallel == parallel
    assert one.reading().values["cpu"] == pytest.approx(cpu_ms)


def test_of_few_requests_one_great_pass_of_the_collector_does_not_decide() -> None:
    one = asked(25.0, 5.0)
    one.took(load([5.0] * 4), 4 * 25.0, 5.0, cpu_middle_ms=5.0)
    assert (one.reading().values["cpu"], one.reading(rare=False).values["cpu"]) == (25.0, 5.0)
    one.took(load([5.0] * 4), 4 * 25.0, 5.0)
    assert one.reading(rare=False).values["cpu"] == 25.0, "not known of each"
