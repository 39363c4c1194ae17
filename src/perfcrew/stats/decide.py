"""From paired log ratios to a verdict on one metric: improved, regressed, equivalent or inconclusive.

- *equivalent*: that the ratio lies within the margin on both sides is proven (two one-sided tests).
- *improved*, *regressed*: that there is a difference of more than `LEAST` of the margin in that direction is proven,
  and its estimate is no smaller than `MATTERS` of it: a difference that is real and does not matter is not called a
  change, nor one that is barely told from none.
- *inconclusive*: neither, yet. With it come the change that could have been seen, and how many pairs more it takes.

All tests are anytime-valid (`evalue`), so one looks after each pair, and stops when the answer is there.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from perfcrew.core.comparison import Ratio, Verdict
from perfcrew.stats.evalue import BETS, GRID, Evidence
from perfcrew.stats.location import hodges_lehmann, spread

FEWEST = 6
"""Pairs below which no verdict is given."""
MATTERS = 0.75
LEAST = 0.1
STEPS = 100
REPEATED = 0.75
"""Where fewer of the values than this share are different ones, they were rounded."""
_MOST_PAIRS = 2000


@dataclass(frozen=True)
class Demand:
    """What is asked of a verdict. `margin` is a fraction.

    `error` is the rate of false alarms over a family of metrics, `weight` this metric's part of it (Bonferroni).
    """

    margin: float = 0.02
    error: float = 0.005
    weight: float = 1.0
    direction: Literal["lower", "higher"] = "lower"

    @property
    def own_error(self) -> float:
        return self.error * self.weight

    @property
    def margin_log(self) -> float:
        return math.log1p(self.margin)


@dataclass(frozen=True)
class Judged:
    """A verdict on one metric, or why there is none. Fractions are of side A."""

    verdict: Verdict | None
    ratio: Ratio | None
    refused: str = ""
    visible_share: float | None = None
    pairs_wanted: int | None = None


def judge(log_ratios: Sequence[float], demand: Demand) -> Judged:
    """The verdict that these pairs carry. Refused (verdict None) for too few of them, or ones that do not vary."""
    if len(log_ratios) < FEWEST:
        return Judged(None, None, f"{len(log_ratios)} pairs are too few: {FEWEST} at least")
    if any(not math.isfinite(x) for x in log_ratios):
        return Judged(None, None, "a measurement was zero or missing, and has no ratio")
    if max(log_ratios) == min(log_ratios):
        return Judged(None, None, "every pair gave the very same ratio: a clock varies, so this is none")
    evidence = Evidence.of(log_ratios)
    interval = evidence.interval(demand.own_error)
    middle = hodges_lehmann(log_ratios)
    ratio = Ratio(
        value=math.exp(middle),
        low=math.exp(max(interval.low, -20.0)),
        high=math.exp(min(interval.high, 20.0)),
        level=1 - demand.own_error,
    )
    return Judged(
        _verdict(evidence, middle, demand),
        ratio,
        visible_share=math.expm1(min(max(interval.high - middle, middle - interval.low), 20.0)),
        pairs_wanted=_wanted(log_ratios, demand),
    )


def _verdict(evidence: Evidence, middle: float, demand: Demand) -> Verdict:
    margin, one_sided = demand.margin_log, math.log(1 / demand.own_error)
    if evidence.above(-margin) >= one_sided and evidence.below(margin) >= one_sided:
        return "equivalent"
    two_sided = math.log(2 / demand.own_error)
    matters, least = abs(middle) >= MATTERS * margin, LEAST * margin
    if matters and middle > 0 and evidence.above(least) >= two_sided:
        return "regressed" if demand.direction == "lower" else "improved"
    if matters and middle < 0 and evidence.below(-least) >= two_sided:
        return "improved" if demand.direction == "lower" else "regressed"
    return "inconclusive"


def not_worse(log_ratios: Sequence[float], margin: float, error: float, direction: str = "lower") -> bool:
    """Whether it is proven that B is not worse than A by the margin (a fraction) or more: non-inferiority.

    That nothing significant was seen is no such proof. Where it is asked of several metrics and all must hold, each
    is tested at the whole error: the claim that all hold is then wrong at that rate at most (Berger 1982).
    """
    if len(log_ratios) < FEWEST or any(not math.isfinite(x) for x in log_ratios):
        return False
    evidence = Evidence.of(log_ratios)
    worse = math.log1p(margin) if direction == "lower" else -math.log1p(margin)
    seen = evidence.below(worse) if direction == "lower" else evidence.above(worse)
    return seen >= math.log(1 / error)


def too_coarse(a: Sequence[float], b: Sequence[float], least: float) -> str:
    """Why a clock can't judge these times of two sides (all in one unit); empty where it can.

    Times that repeat themselves were rounded: they must be `STEPS` of the smallest difference seen, and `least` anyway.
    """
    shortest = min(statistics.median(a), statistics.median(b))
    if shortest < least:
        return f"the clock is too coarse: {shortest:.3g} is measured, and less than {least:g} can't be judged"
    if min(len(a), len(b)) < FEWEST:
        return ""
    for side, samples in (("A", a), ("B", b)):
        if len(set(samples)) == 1:
            return f"every measurement of {side} gave the very same value: a clock varies, so this is none"
    values = sorted({*a, *b})
    if len(values) < 2 or len(values) > REPEATED * (len(a) + len(b)):
        return ""
    step = min(after - before for before, after in itertools.pairwise(values))
    if shortest < STEPS * step:
        return f"the clock is too coarse: it counts in steps of {step:.3g}, and {shortest:.3g} is measured"
    return ""


def noise(samples: Sequence[float]) -> float | None:
    """The middle distance of two measurements of one side that follow each other, as a fraction: the noise floor."""
    pairs = list(itertools.pairwise(samples))
    if len(pairs) < 3 or min(samples) <= 0:
        return None
    return math.expm1(statistics.median(abs(math.log(second / first)) for first, second in pairs))


def _half_width(log_ratios: Sequence[float], demand: Demand) -> float:
    """About the difference that as many pairs with as much noise would tell from none, were they not too few."""
    count, deviation = len(log_ratios), spread(log_ratios) or statistics.pstdev(log_ratios)
    return deviation * math.sqrt(2 * (math.log(2 / demand.own_error) + 1) / count)


def _wanted(log_ratios: Sequence[float], demand: Demand) -> int | None:
    """About the pairs after which the margin could be told from none; None where that is out of reach."""
    count = len(log_ratios) * (_half_width(log_ratios, demand) / demand.margin_log) ** 2
    return math.ceil(max(count, _fewest_ever(demand))) if count <= _MOST_PAIRS else None


def _fewest_ever(demand: Demand) -> float:
    """Pairs that it takes with next to no noise: each bet at most about doubles, and the mixture has a price."""
    return (math.log(2 / demand.own_error) + math.log(len(GRID) * len(BETS))) / math.log1p(max(BETS))
