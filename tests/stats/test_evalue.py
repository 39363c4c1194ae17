"""The test that may be looked at after every pair: its error holds, it is never narrower than it may be."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfcrew.stats.decide import FEWEST, Demand, judge, noise, not_worse
from perfcrew.stats.evalue import Evidence
from perfcrew.stats.location import hodges_lehmann, spread

differences = st.lists(st.floats(-2, 2, allow_nan=False, width=32), min_size=1, max_size=40)


def heavy(draw: random.Random, scale: float, centre: float = 0.0) -> float:
    """Symmetric about the centre, one in ten ten times as wild."""
    return centre + draw.gauss(0, scale * (10 if draw.random() < 0.1 else 1))


@given(differences)
@settings(deadline=None)
def test_the_two_directions_mirror_each_other(values: list[float]) -> None:
    seen, mirrored = Evidence.of(values), Evidence.of([-x for x in values])
    assert seen.above(0.1) == pytest.approx(mirrored.below(-0.1), rel=1e-9, abs=1e-9)


@given(differences, st.floats(-1, 1), st.floats(0.001, 1))
@settings(deadline=None)
def test_the_higher_the_supposed_centre_the_less_speaks_for_lying_above_it(
    values: list[float], centre: float, step: float
) -> None:
    seen = Evidence.of(values)
    assert seen.above(centre + step) <= seen.above(centre) + 1e-9


@given(differences, st.floats(0.001, 0.2))
@settings(deadline=None)
def test_the_interval_holds_every_centre_that_is_not_refuted(values: list[float], error: float) -> None:
    interval = Evidence.of(values).interval(error)
    middle = hodges_lehmann(values)
    wanted = math.log(2 / error)
    if Evidence.of(values).above(middle) < wanted and Evidence.of(values).below(middle) < wanted:
        assert interval.low <= middle <= interval.high


@given(st.lists(st.sampled_from([-1.0, 1.0]), min_size=1, max_size=12))
@settings(max_examples=30, deadline=None)
def test_over_all_orders_of_the_lot_the_evidence_averages_to_one_at_most(signs: list[float]) -> None:
    """Exact: the mean over all sign patterns of given sizes is one, which is what makes the error hold."""
    sizes = [0.01 * (i + 1) for i in range(min(len(signs), 8))]
    total = 0.0
    for pattern in range(2 ** len(sizes)):
        values = [s if pattern >> i & 1 else -s for i, s in enumerate(sizes)]
        total += math.exp(Evidence.of(values).above(0.0))
    assert total / 2 ** len(sizes) == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize(("scale", "pairs"), [(0.005, 20), (0.03, 30), (0.2, 30)])
def test_looking_after_each_pair_keeps_the_error(scale: float, pairs: int) -> None:
    """150 comparisons of equal sides, a look after each pair: at most 5 are called changed at an error of 1 %."""
    draw, demand, changed = random.Random(7), Demand(error=0.01), 0
    for _ in range(150):
        values: list[float] = []
        for _ in range(pairs):
            values.append(heavy(draw, scale))
            verdict = judge(values, demand).verdict
            if verdict == "equivalent":
                break
            if verdict in ("improved", "regressed"):
                changed += 1
                break
    assert changed <= 5


@pytest.mark.parametrize(
    ("effect", "scale", "verdict"),
    [
        (0.05, 0.01, "regressed"),
        (-0.05, 0.01, "improved"),
        (1.0, 0.05, "regressed"),
        (0.0, 0.005, "equivalent"),
        (0.004, 0.003, "equivalent"),
        (0.0, 0.3, "inconclusive"),
    ],
)
def test_verdicts(effect: float, scale: float, verdict: str) -> None:
    draw = random.Random(3)
    values = [draw.gauss(math.log1p(effect), scale) for _ in range(60)]
    judged = judge(values, Demand())
    assert judged.verdict == verdict
    assert judged.ratio is not None
    assert judged.ratio.low <= judged.ratio.value <= judged.ratio.high
    higher = judge(values, Demand(direction="higher")).verdict
    assert higher == {"improved": "regressed", "regressed": "improved"}.get(verdict, verdict)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([0.1] * (FEWEST - 1), "too few"),
        ([], "too few"),
        ([0.25] * 30, "very same ratio"),
        ([0.0] * 30, "very same ratio"),
        ([0.1, 0.2] * 5 + [math.nan], "no ratio"),
    ],
)
def test_no_verdict_where_it_would_mean_nothing(values: list[float], why: str) -> None:
    judged = judge(values, Demand())
    assert judged.verdict is None
    assert why in judged.refused


def test_two_samples_of_one_value_are_no_evidence() -> None:
    assert judge([math.log(1.1)] * 2, Demand()).verdict is None


def test_one_wild_pair_does_not_undo_many_good_ones() -> None:
    draw = random.Random(1)
    values = [draw.gauss(0.05, 0.01) for _ in range(30)]
    assert judge([*values, -3.0], Demand()).verdict == "regressed"


@pytest.mark.parametrize(
    ("effect", "margin", "proven"), [(0.0, 0.05, True), (0.04, 0.05, False), (0.2, 0.05, False), (-0.2, 0.05, True)]
)
def test_not_worse_is_proven_not_assumed(effect: float, margin: float, proven: bool) -> None:
    draw = random.Random(5)
    values = [draw.gauss(math.log1p(effect), 0.02) for _ in range(30)]
    assert not_worse(values, margin, 0.01) is proven
    assert not not_worse(values[:3], margin, 0.01)


def test_the_noise_floor_is_that_of_one_side() -> None:
    assert noise([100.0, 101.0, 100.0, 101.0]) == pytest.approx(0.01, abs=0.001)
    assert noise([100.0, 100.0]) is None


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=15), st.floats(-3, 3))
@settings(deadline=None)
def test_the_estimate_moves_with_the_data(values: list[float], by: float) -> None:
    moved = [x + by for x in values]
    assert hodges_lehmann(moved) == pytest.approx(hodges_lehmann(values) + by, abs=1e-9)
    assert spread(moved) == pytest.approx(spread(values), abs=1e-9)
