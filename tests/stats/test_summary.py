"""Percentiles with intervals: what they cover, and what they refuse."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcrew.core.errors import Unmeasurable
from perfcrew.stats import quantile, summarise

times = st.floats(min_value=0.001, max_value=1e6)


@pytest.mark.parametrize(
    ("q", "too_few", "enough", "bounded"), [(0.50, 1, 2, 6), (0.95, 19, 20, 72), (0.99, 99, 100, 368)]
)
def test_a_quantile_takes_samples(q: float, too_few: int, enough: int, bounded: int) -> None:
    with pytest.raises(Unmeasurable):
        quantile(range(too_few), q)
    assert quantile(range(bounded - 1), q).high is None
    assert quantile(range(enough), q).value > 0
    assert quantile(range(bounded), q).high is not None


@given(st.lists(times, min_size=2, max_size=300))
def test_an_interval_holds_its_value_and_stays_within_the_samples(samples: list[float]) -> None:
    estimate = quantile(samples, 0.5)
    assert min(samples) <= estimate.value <= max(samples)
    assert estimate.low is None or min(samples) <= estimate.low <= estimate.value
    assert estimate.high is None or estimate.value <= estimate.high <= max(samples)


@given(st.lists(st.lists(times, max_size=40), min_size=1, max_size=5).filter(any))
def test_a_summary_is_ordered_whatever_the_runs(runs: list[list[float]]) -> None:
    summary = summarise(runs)
    found = {name: e.value for name, e in summary.statistics.items()}
    ordered = [found[name] for name in ("min", "p50", "p95", "p99", "max") if name in found]
    assert ordered == sorted(ordered)
    assert set(found) | set(summary.refused) == {"min", "p50", "p95", "p99", "mean", "max"}
    assert all(e.low <= e.value + 1e-9 for e in summary.statistics.values() if e.low is not None)
    assert all(e.high >= e.value - 1e-9 for e in summary.statistics.values() if e.high is not None)


def test_few_samples_refuse_their_tail_and_say_how_many_it_takes() -> None:
    summary = summarise([[1.0, 2.0, 3.0]] * 5)
    assert "15 samples" in summary.refused["p95"] and "20" in summary.refused["p95"]
    assert set(summary.refused) == {"p95", "p99"}


@pytest.mark.parametrize("runs", [[], [[]], [[1.0, float("nan")]], [[float("inf")]]])
def test_nothing_comes_of_nothing(runs: list[list[float]]) -> None:
    with pytest.raises(Unmeasurable):
        summarise(runs)


def test_runs_that_differ_widen_the_interval_beyond_what_one_crowd_of_samples_would() -> None:
    dice = random.Random(7)
    runs = [[level * dice.lognormvariate(0, 0.05) for _ in range(200)] for level in (5.0, 6.0, 7.0)]
    pooled = quantile([s for run in runs for s in run], 0.5)
    median = summarise(runs).statistics["p50"]
    assert median.low < min(pooled.low, 5.0) and median.high > max(pooled.high, 7.0)


@pytest.mark.parametrize("name", ["p50", "p95", "mean"])
def test_intervals_cover_the_truth_where_started_instances_differ(name: str) -> None:
    """Each of three instances has a level of its own; requests vary around it. Truth: the same, simulated at length."""
    dice = random.Random(20260101)

    def run(size: int) -> list[float]:
        level = dice.gauss(0, 0.1)
        return [dice.lognormvariate(level, 0.3) for _ in range(size)]

    truth = summarise([run(20) for _ in range(4000)]).statistics[name].value
    trials = [summarise([run(60) for _ in range(3)]).statistics[name] for _ in range(300)]
    covered = sum(e.low <= truth <= e.high for e in trials) / len(trials)
    assert covered >= 0.93


def test_one_run_that_wanders_is_not_taken_for_independent_samples() -> None:
    dice = random.Random(3)
    covered = 0
    for _ in range(200):
        level, run = 0.0, []
        for _ in range(300):
            level = 0.9 * level + dice.gauss(0, 0.1)
            run.append(2.718281828**level)
        median = summarise([run]).statistics["p50"]
        covered += median.low <= 1.0 <= median.high
    assert covered / 200 >= 0.85
