"""A test of where paired differences lie that may be looked at after every pair, and stopped at any time.

For differences that are symmetric about a centre, `1 + tanh(λ (x - θ))` has expectation 1 where the centre is θ and at
most 1 where it lies below, for any λ > 0: tanh is odd and increasing. Products of such factors, averaged over a grid
of λ, are a non-negative supermartingale, so by Ville's inequality they ever exceed 1/α with probability α at most,
however often one looks (de la Peña, Klass & Lai, Annals of Probability 2004; Ramdas, Grünwald, Vovk & Shafer,
Statistical Science 2023). Pairs whose order is drawn by lot are symmetric about 0 where nothing changed, whatever
the noise. tanh bounds what one outlier can say, without throwing it away.

Differences are natural logarithms of ratios, dimensionless.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

GRID = tuple(12.5 * 2**k for k in range(9))
"""From effects of 8 % in much noise to effects of a thousandth in next to none."""
_REACH = 5.0
"""No ratio beyond e^5 is looked for."""
_STEPS = 60


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
    sums = [math.fsum(_factor(sign * rate * (x - centre)) for x in differences) for rate in GRID]
    largest = max(sums)
    return largest + math.log(math.fsum(math.exp(s - largest) for s in sums) / len(sums))


def _factor(z: float) -> float:
    """log(1 + tanh z), without overflow."""
    if z < -350:
        return math.log(2) + 2 * z
    return math.log(2) - math.log1p(math.exp(-2 * z))


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
