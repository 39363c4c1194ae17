"""A slope that a few outliers do not move: Theil's and Sen's, with Sen's interval (Sen, JASA 63, 1968)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from perfcrew.core.errors import Unmeasurable
from perfcrew.core.evidence import Estimate

LARGEST = 2000
"""Points. All pairs are compared, so more are thinned evenly."""


def slope(x: Sequence[float], y: Sequence[float], level: float = 0.95) -> Estimate:
    """The median slope over all pairs of points, in units of y per unit of x; the errors are taken as independent.

    The bounds are None below 5 points, where Sen's interval says nothing. Raises Unmeasurable below 3 points, or
    where all x are equal.
    """
    from scipy.stats import theilslopes  # type: ignore[import-untyped]

    if len(x) != len(y):
        raise ValueError(f"{len(x)} x and {len(y)} y")
    step = math.ceil(len(x) / LARGEST) or 1
    xs, ys = list(x)[::step], list(y)[::step]
    if len(xs) < 3 or min(xs) == max(xs):
        raise Unmeasurable("a slope takes three points or more, at different places", do="measure for longer")
    fit = theilslopes(ys, xs, alpha=level)
    if len(xs) < 5:
        return Estimate(value=float(fit.slope), level=level)
    low, high = (bound if math.isfinite(bound) else None for bound in (float(fit.low_slope), float(fit.high_slope)))
    return Estimate(value=float(fit.slope), low=low, high=high, level=level)
