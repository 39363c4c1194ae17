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


@dataclass(frozen=True)
class Wanted:
    """How a change is looked at. `declared_s` is the time to live of a cache that it says it brings."""

    limits: Limits = USUAL
    declared_s: float = 0.0
    requests_count: int = REQUESTS


AS_USUAL = Wanted()
_MEANT = ("changes an answer", "special-cases the measured requests", "changes the answer to wrong input")
"""What a change that says so may do to its own endpoint: a bound on a listing answers otherwise."""


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

    def against(self, endpoint: str | None, *, exact: bool) -> tuple[Refusal, ...]:
        """The refusals that count. A change that is not `exact` may answer otherwise at its own endpoint, with the
        same status.
        """
        failed = {d.endpoint for d in self.answers.differences if d.what == "status" and d.role != "wrong input"}
        meant = endpoint if not exact and endpoint not in failed else None
        return tuple(r for r in self.refusals if r.subject != meant or r.name not in _MEANT)

    def unseen(self, endpoint: str | None) -> str:
        """Why the answers that matter could not be compared, empty where they were."""
        if endpoint in self.answers.uncompared:
            return f"its answers could not be compared: {self.answers.uncompared[endpoint]}"
        nothing = self.answers.outcome == "unknown" and self.effects.outcome == "unknown"
        return "no answers could be compared" if nothing else ""

    def told(self, *, exact: bool) -> str:
        """What was found to be the same, and what nothing is known of."""
        found = self.answers
        asked = (
            f"{found.measured_count} measured, {found.held_out_count} held-out and {found.wrong_input_count} wrong "
            "requests"
        )
        said = f"equal on {asked}" if exact else f"answers differ on purpose; {asked} were asked"
        unseen = f"; not compared: {', '.join(found.uncompared)}" if found.uncompared else ""
        return f"{said}; the data are the same, and fresh{unseen}"

    def left(self) -> str:
        """What is known of what it leaves behind."""
        return "nothing is left behind" if self.footprint.outcome == "equal" else "; ".join(self.footprint.notes)


async def compare_all(
    base: Side, change: Side, plans: Sequence[Plan], mask: Mask, wanted: Wanted = AS_USUAL
) -> Sameness:
    """Compare two fresh instances in every respect. Their clones are written to: they can't be measured afterwards.

    TargetFailed where the base no longer listens, Unmeasurable where one of them has ended.
    """
    answers = await compare(base, change, plans, mask, wanted.limits)
    effects = await compare_effects(base, change, plans, mask)
    freshness = await compare_freshness(base, change, plans, mask, wanted.declared_s)
    footprint = await compare_footprints(base, change, plans, wanted.requests_count)
    return Sameness(answers, effects, freshness, footprint)
