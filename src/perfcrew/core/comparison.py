"""Comparisons: two sides measured in one session, what differs, and how sure that is.

Ratios are B over A: 1.05 is five per cent more. The direction of the metric tells whether more is worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from perfcrew.core.answers import Outcome
from perfcrew.core.base import Noun
from perfcrew.core.metrics import Direction, Unit

Verdict = Literal["improved", "regressed", "equivalent", "inconclusive"]
Role = Literal["deciding", "guard", "shown"]
"""`deciding`: a verdict may rest on it. `guard`: it may only speak against one. `shown`: for the reader."""

_NO_BOUND = 1e-6


class Ratio(Noun):
    """B over A with the interval that holds at whatever moment one looks, so also when one stopped because of it."""

    value: float
    low: float
    high: float
    level: float

    @property
    def bounded(self) -> bool:
        """Whether the pairs bound it on both sides; what they do not bound stands as a ratio beyond all sense."""
        return self.low > _NO_BOUND and self.high < 1 / _NO_BOUND


class Effect(Noun):
    """One metric of a comparison. `a` and `b` are medians over the pairs, in `unit`."""

    metric: str
    unit: Unit
    direction: Direction
    role: Role
    exact: bool = False
    verdict: Verdict | None
    """None where it was refused."""
    refused: str = ""
    a: float | None = None
    b: float | None = None
    ratio: Ratio | None = None
    pairs_count: int = 0
    weight: float = 1.0
    """Its part of the comparison's error."""
    margin_share: float | None = None
    """Its own margin, where the comparison's is not meant for it."""
    visible_share: float | None = None
    """The smallest change that these pairs could have told from none, as a fraction."""
    noise_share: float | None = None
    """How far two measurements of side A lie apart in the middle: the machine's noise, as a fraction."""
    log_ratios: tuple[float, ...] = ()
    """Natural logarithm of B over A, pair by pair in the order measured. All of them: outliers are kept."""
    a_samples: tuple[float, ...] = ()
    b_samples: tuple[float, ...] = ()


class Side(Noun):
    """One of the two sides: `a` is before, `b` after."""

    label: str
    what: str
    """The command, revision, address or callable."""


class Comparison(Noun):
    """What two sides measured in turn came to. `verdict` is None where it would mean nothing: `refused` says why."""

    kind: Literal["comparison"] = "comparison"
    subject: str
    a: Side
    b: Side
    verdict: Verdict | None
    rests_on: str = ""
    """The metric that the verdict rests on."""
    why: str = ""
    refused: str = ""
    effects: tuple[Effect, ...] = ()
    design: Literal["one core", "duet", "interleaved", "instances"]
    unit: str = ""
    """What one pair is: `a fresh process of each`, `a started instance of each`."""
    pairs_count: int
    margin_share: float
    error_share: float
    """The rate at which equal sides are called changed, at most, however often one looks."""
    seed: int
    spent_s: float
    budget_s: float
    more_s: float | None = None
    """An estimate of the further time in which an undecided comparison would be decided."""
    cold: tuple[Effect, ...] = ()
    """First requests after a start, apart from the warm ones."""
    unproven: tuple[str, ...] = ()
    """Metrics beside the one that it rests on of which it was asked, and not proven, that they are no worse."""
    answers: Outcome | None = None
    """Whether the servers were seen to answer alike before they were measured. None where that was not looked at."""
    answers_may_differ: bool = False
    """It was asked for to judge sides that answer otherwise."""
    notes: tuple[str, ...] = ()

    def material(self, effect: Effect) -> bool:
        """Whether a worsening matters: processor time that grew by less than the margin of what a user waits does not.

        Handing a blocking call to a thread costs a tenth of a millisecond, of a request that takes sixty.
        """
        latency = self.effect("latency")
        if effect.metric != "cpu" or latency is None or latency.a is None or effect.a is None or effect.b is None:
            return True
        return effect.b - effect.a > self.margin_share * latency.a

    def doubts(self) -> tuple[str, ...]:
        """What is not proven to be no worse, and would matter: each as `latency of GET /books`."""
        effects = {name: self.effect(name) for name in self.unproven}
        return tuple(f"{name} of {self.subject}" for name, e in effects.items() if e is None or self.material(e))

    def effect(self, metric: str) -> Effect | None:
        """The effect on a metric, None where it was not measured."""
        return next((e for e in self.effects if e.metric == metric), None)


def pooled(metric: str, statistic: str) -> str:
    """The effect on a statistic of all requests of a side together."""
    return f"{metric}.{statistic}.pooled"


def paid(comparison: Comparison, effect: Effect, endpoint: str, pays: Sequence[str]) -> bool:
    """Whether it is a count that a change of this endpoint was said to pay with before it was measured."""
    return comparison.subject == endpoint and effect.exact and effect.metric in pays


def moved_from_start(found: Sequence[Comparison], effect: Effect) -> bool:
    """Whether a first request is not proven to pay more than the start saved: work moved to where it is needed."""
    start = next((e for c in found for e in c.effects if e.metric == "startup"), None)
    if effect.metric != "latency.cold" or start is None or start.verdict != "improved":
        return False
    if start.a is None or start.ratio is None or effect.a is None or effect.ratio is None:
        return False
    if not start.ratio.bounded:  # what has no bound could have saved the whole start
        return False
    return effect.a * (effect.ratio.low - 1) <= start.a * (1 - start.ratio.low)
