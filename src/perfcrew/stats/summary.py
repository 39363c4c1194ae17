"""Percentiles and means with intervals that hold for requests of several started instances.

Within one run the interval of a percentile is the one of its order statistics, which assumes no distribution
(Hahn & Meeker, Statistical Intervals, 1991, ch. 5). Requests of one start are not independent of each other, and two
starts of one server differ by themselves (Georges, Buytaert & Eeckhout, OOPSLA 2007; Kalibera & Jones, ISMM 2013), so
the interval is widened to Student's interval between the runs' own values where that is wider. A single run is cut
into consecutive batches that stand for runs, which takes its autocorrelation in.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from perfcrew.core.base import Noun
from perfcrew.core.errors import Unmeasurable
from perfcrew.core.evidence import Estimate

LEVEL = 0.95
PERCENTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
BATCHES = 5
SMALLEST_BATCH = 20


class Summary(Noun):
    """`statistics` by name (p50, p95, p99, mean, min, max) and why others were refused, in the samples' unit."""

    statistics: dict[str, Estimate]
    refused: dict[str, str]


def fewest(q: float) -> int:
    """The samples below which the estimate of a quantile is but the most extreme one: 20 for p95, 100 for p99."""
    return math.ceil(round(1 / min(q, 1 - q), 9))


def quantile(samples: Sequence[float], q: float, level: float = LEVEL) -> Estimate:
    """The q-quantile (0 < q < 1) with its distribution-free interval, samples taken as independent.

    A bound is None where no order statistic gives it: p95 has an upper bound from 72 samples on, p99 from 368.
    Raises Unmeasurable where there are fewer samples than `fewest(q)`.
    """
    import numpy as np
    from scipy.stats import binom  # type: ignore[import-untyped]

    count = len(samples)
    if count < fewest(q):
        raise Unmeasurable(
            f"{count} samples do not carry the {q:g} quantile, which takes {fewest(q)}", do="measure for longer"
        )
    ordered = np.sort(np.asarray(samples, dtype=float))
    lower = int(binom.ppf((1 - level) / 2, count, q))
    upper = int(binom.ppf((1 + level) / 2, count, q)) + 1
    return Estimate(
        value=float(np.quantile(ordered, q)),
        low=float(ordered[lower - 1]) if lower >= 1 else None,
        high=float(ordered[upper - 1]) if upper <= count else None,
        level=level,
    )


def summarise(samples_by_run: Sequence[Sequence[float]], level: float = LEVEL) -> Summary:
    """p50, p95, p99, mean, min and max over all runs. What the samples do not carry stands in `refused`, with why.

    Raises Unmeasurable where there is no sample, or one that is not a finite number.
    """
    runs = [list(run) for run in samples_by_run if len(run)]
    pooled = [sample for run in runs for sample in run]
    if not pooled:
        raise Unmeasurable("there are no samples", do="see why every request failed")
    if not all(math.isfinite(sample) for sample in pooled):
        raise Unmeasurable("a sample is not a finite number", do="look at the instrument that gave it")
    clusters = runs if len(runs) > 1 else _batches(runs[0])
    statistics, refused = {}, {}
    for name, q in PERCENTILES.items():
        try:
            estimate = quantile(pooled, q, level)
        except Unmeasurable as error:
            refused[name] = error.what
        else:
            statistics[name] = _widened(estimate, [_quantile(c, q) for c in clusters])
    statistics["mean"] = _widened(_mean(pooled, level), [sum(c) / len(c) for c in clusters])
    statistics["min"], statistics["max"] = Estimate(value=min(pooled)), Estimate(value=max(pooled))
    return Summary(statistics=statistics, refused=refused)


def _quantile(samples: Sequence[float], q: float) -> float:
    import numpy as np

    return float(np.quantile(samples, q))


def _batches(run: Sequence[float]) -> list[Sequence[float]]:
    count = min(BATCHES, len(run) // SMALLEST_BATCH)
    if count < 2:
        return [run]
    edges = [round(i * len(run) / count) for i in range(count + 1)]
    return [run[a:b] for a, b in itertools.pairwise(edges)]


def _mean(samples: Sequence[float], level: float) -> Estimate:
    value = sum(samples) / len(samples)
    if len(samples) < 3:
        return Estimate(value=value, level=level)
    half = _half_width(samples, level)
    low = value - half if min(samples) < 0 else max(0.0, value - half)
    return Estimate(value=value, low=low, high=value + half, level=level)


def _half_width(values: Sequence[float], level: float) -> float:
    import numpy as np
    from scipy.stats import t

    factor = float(t.ppf((1 + level) / 2, len(values) - 1))
    return factor * float(np.std(values, ddof=1)) / math.sqrt(len(values))


def _widened(estimate: Estimate, by_run: Sequence[float]) -> Estimate:
    """The interval, no narrower than the spread between runs implies; in logarithms where all values are positive."""
    if len(by_run) < 2:
        return estimate
    if min(by_run) > 0 and estimate.value > 0:
        half = min(_half_width([math.log(v) for v in by_run], estimate.level), 700.0)
        low, high = estimate.value * math.exp(-half), estimate.value * math.exp(half)
    else:
        half = _half_width(by_run, estimate.level)
        low, high = estimate.value - half, estimate.value + half
    return _outer(estimate, low, high)


def _outer(estimate: Estimate, low: float, high: float) -> Estimate:
    """The union of both intervals. A bound that order statistics can't give stays None: few runs are no better."""

    def pick(own: float | None, other: float, choose: Callable[[float, float], float]) -> float | None:
        return None if own is None else choose(own, other) if math.isfinite(other) else own

    return estimate.model_copy(update={"low": pick(estimate.low, low, min), "high": pick(estimate.high, high, max)})
