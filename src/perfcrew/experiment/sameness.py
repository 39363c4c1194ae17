"""All that is asked about one change, in the order that the instances bear: read, then write, then wait, then load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfcrew.core.answers import AnswersVerdict, EffectsVerdict, FootprintVerdict, FreshnessVerdict, Mask, Refusal
from perfcrew.core.web import Plan
from perfcrew.experiment.answers import compare
from perfcrew.experiment.asking import USUAL, Limits, Side
from perfcrew.experiment.effects import compare_effects
from perfcrew.experiment.footprint import REQUESTS, compare_footprints
from perfcrew.experiment.staleness import compare_freshness
from perfcrew.target.auth import Credentials


@dataclass(frozen=True)
class Wanted:
    """How a change is looked at. `declared_s` is the time to live of a cache that it says it brings."""

    limits: Limits = USUAL
    others: tuple[Credentials, ...] = ()
    declared_s: float = 0.0
    requests_count: int = REQUESTS


AS_USUAL = Wanted()


@dataclass(frozen=True)
class Sameness:
    """Four verdicts on one change."""

    answers: AnswersVerdict
    effects: EffectsVerdict
    freshness: FreshnessVerdict
    footprint: FootprintVerdict

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """All reasons to discard it; empty where it is the same in every respect that could be seen."""
        parts = (self.answers, self.effects, self.freshness, self.footprint)
        return tuple(refusal for part in parts for refusal in part.refusals)


async def compare_all(
    base: Side, change: Side, plans: Sequence[Plan], mask: Mask, wanted: Wanted = AS_USUAL
) -> Sameness:
    """Compare two fresh instances in every respect. Their clones are written to: they can't be measured afterwards.

    TargetFailed where the base no longer listens, Unmeasurable where one of them has ended.
    """
    answers = await compare(base, change, plans, mask, wanted.limits, wanted.others)
    effects = await compare_effects(base, change, plans, mask)
    freshness = await compare_freshness(base, change, plans, mask, wanted.declared_s)
    footprint = await compare_footprints(base, change, plans, wanted.requests_count)
    return Sameness(answers, effects, freshness, footprint)
