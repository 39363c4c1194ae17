"""How an exact count grows with the size of the data: the simplest model that explains every point.

Counts are not samples, so nothing is tested: a model fits where no point lies further from it than the jitter that
counts have (throttled writes, session renewals) or a small part of the whole range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

from perfcrew.core.base import Noun
from perfcrew.core.errors import Unmeasurable

Kind = Literal["constant", "logarithmic", "linear", "quadratic", "unclear"]

FEWEST_SIZES = 3
JITTER = 1.0
"""By so much a count may differ from one time to the next with nothing changed."""
TOLERANCE = 0.05
"""Of the level (constant) or of the range (the others): how far a point may lie from the model."""

_MODELS: tuple[tuple[Kind, Callable[[float], float]], ...] = (
    ("logarithmic", math.log),
    ("linear", lambda n: n),
    ("quadratic", lambda n: n * n),
)


class Growth(Noun):
    """`slope`: of the fitted model, per row, per log row or per row squared; of the line where it is unclear.

    `r2` is the fitted model's, 0–1; 1 for a constant.
    """

    kind: Kind
    slope: float
    r2: float


class _Fit(Noun):
    slope: float
    r2: float
    worst: float


def growth(sizes: Sequence[float], values: Sequence[float], jitter: float = JITTER) -> Growth:
    """The simplest of constant, logarithmic, linear and quadratic that fits, `unclear` where none does.

    `sizes` are at least three different positive numbers, else Unmeasurable. A count that falls is `unclear`.
    """
    if len(sizes) != len(values):
        raise ValueError(f"{len(sizes)} sizes and {len(values)} values")
    if len(set(sizes)) < FEWEST_SIZES or min(sizes) <= 0:
        raise Unmeasurable(f"growth takes {FEWEST_SIZES} different positive sizes or more", do="add a size")
    ordered = sorted(values)
    middle, spread = ordered[len(ordered) // 2], ordered[-1] - ordered[0]
    if max(ordered[-1] - middle, middle - ordered[0]) <= max(jitter, TOLERANCE * abs(middle)):
        return Growth(kind="constant", slope=0.0, r2=1.0)
    bound = max(min(jitter, spread / 4), TOLERANCE * spread)
    fits = {kind: _fit([shape(s) for s in sizes], values) for kind, shape in _MODELS}
    for kind, fit in fits.items():
        if fit.slope > 0 and fit.worst <= bound:
            return Growth(kind=kind, slope=fit.slope, r2=fit.r2)
    return Growth(kind="unclear", slope=fits["linear"].slope, r2=fits["linear"].r2)


def _fit(x: Sequence[float], y: Sequence[float]) -> _Fit:
    """Least squares of a line."""
    mean_x, mean_y = math.fsum(x) / len(x), math.fsum(y) / len(y)
    xx = math.fsum((a - mean_x) ** 2 for a in x)
    slope = math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / xx
    residuals = [b - mean_y - slope * (a - mean_x) for a, b in zip(x, y, strict=True)]
    total = math.fsum((b - mean_y) ** 2 for b in y)
    left = math.fsum(r * r for r in residuals)
    return _Fit(slope=slope, r2=min(1.0, max(0.0, 1 - left / total)), worst=max(map(abs, residuals)))


BARELY = 0.10
"""Of the middle: measured values that lie so near one another are constant."""
SLOW = 0.6
"""The exponent of a power of the size below which growth is as slow as a logarithm's, over few doublings."""
LIKELY = 0.8
"""R² that a model of measured values needs."""


def likeliest(
    sizes: Sequence[float], values: Sequence[float]
) -> Literal["constant", "logarithmic", "linear", "unclear"]:
    """Which of three models measured values, which have noise, lie nearest to; `unclear` below three sizes.

    A table that grows eightfold tells a search that takes 1.3 times as long from one that takes eight times: the
    exponent of growth decides, and the model must then explain most of what is seen.
    """
    if len(set(sizes)) < FEWEST_SIZES or min(*sizes, *values) <= 0:
        return "unclear"
    middle = sorted(values)[len(values) // 2]
    if max(values) - min(values) <= BARELY * middle:
        return "constant"
    exponent = _fit([math.log(s) for s in sizes], [math.log(v) for v in values])
    kind: Literal["logarithmic", "linear"] = "logarithmic" if exponent.slope < SLOW else "linear"
    fit = _fit([math.log(s) if kind == "logarithmic" else s for s in sizes], values)
    return kind if fit.slope > 0 and fit.r2 >= LIKELY else "unclear"
