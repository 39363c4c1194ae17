"""A test of where paired differences lie that may be looked at after every pair, and stopped at any time.

For differences that are symmetric about a centre, `1 + b tanh(λ (x - θ))` has expectation 1 where the centre is θ and
at most 1 where it lies below, for any λ > 0 and 0 < b < 1: tanh is odd and increasing. Products of such factors,
averaged over a grid of λ and b, are a non-negative supermartingale, so by Ville's inequality they ever exceed 1/α with
probability α at most, however often one looks (de la Peña, Klass & Lai, Annals of Probability 2004; Ramdas, Grünwald,
Vovk & Shafer, Statistical Science 2023). Pairs whose order is drawn by lot are symmetric about 0 where nothing changed,
whatever the noise. tanh bounds what one outlier can say for a change, b what it can say against one; none is thrown
away.

Differences are natural logarithms of ratios, dimensionless. numpy is imported when a test is first asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

GRID = tuple(10.0 * 3.0**k for k in range(5))
"""λ near effect over variance serves best: from small effects in much noise to large ones in little."""
BETS = (0.5, 0.9)
"""The small bet survives outliers, the large one decides in few pairs where there are none."""
_REACH = 5.0
"""No ratio beyond e^5 is looked for."""
_STEPS = 26
"""Bisections: an edge is then known to a ten-millionth."""


@dataclass
class Evidence:
    """The differences seen so far, and what they say against any supposed centre."""

    differences: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, differences: Iterable[float]) -> Evidence:
        return cls(list(differences))

    def add(self, difference: float) -> None:
        self.differences.append(difference)

    def above(self, centre: float) -> float:
        """Logarithm of the evidence that the true centre lies above this one; it is true at 1/α with error α."""
        return _mixture(self.differences, centre, 1.0)

    def below(self, centre: float) -> float:
        """Logarithm of the evidence that the true centre lies below this one."""
        return _mixture(self.differences, centre, -1.0)

    def interval(self, error: float) -> Interval:
        """All centres that are not refuted, at an error of `error` for both ends together."""
        wanted = math.log(2 / error)
        if not self.differences:
            return Interval(-math.inf, math.inf)
        low, high = min(self.differences), max(self.differences)
        return Interval(
            _edge(lambda c: self.above(c) >= wanted, low - _REACH, high),
            _edge(lambda c: self.below(c) >= wanted, high + _REACH, low),
        )


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`, infinite where the differences do not carry a bound."""

    low: float
    high: float


def _mixture(differences: Sequence[float], centre: float, sign: float) -> float:
    import numpy as np

    apart = np.asarray(differences, dtype=float)[None, :] - centre
    bounded = np.tanh(sign * np.asarray(GRID)[:, None] * apart)
    sums = np.concatenate([np.log1p(bet * bounded).sum(axis=1) for bet in BETS])
    largest = float(sums.max())
    return largest + math.log(float(np.exp(sums - largest).mean()))


def _edge(refuted: Callable[[float], bool], outside: float, inside: float) -> float:
    """Between a centre that is refuted and one that is not, the one where that changes; infinite where none is."""
    if not refuted(outside):
        return -math.inf if outside < inside else math.inf
    for _ in range(_STEPS):
        middle = (outside + inside) / 2
        if refuted(middle):
            outside = middle
        else:
            inside = middle
    return outside
