"""Both commands at once, on an idle core each: every disturbance hits both, so that it decides soonest.

Two programs side by side share caches, memory and perhaps a core's halves, which may slow one more than the other.
So a few pairs in turn are measured too. A duet that disagrees with them is dropped, and the comparison made in turn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from perfcrew.core.comparison import Comparison, Side
from perfcrew.experiment.commands import Commands
from perfcrew.experiment.engine import Rules, Tell, compare
from perfcrew.stats.location import hodges_lehmann, spread

CHECKED = 4
"""Pairs in turn that a duet is held against."""


async def compare_duet(sampler: Commands, a: Side, b: Side, rules: Rules, tell: Tell) -> Comparison:
    """The duet's comparison where some pairs in turn agree with it, else one in turn with the rest of the budget."""
    in_turn = replace(sampler, design="interleaved")
    few = replace(rules, most=CHECKED, seed=rules.seed + 1)
    checked = (await compare(in_turn, a, b, few, tell))[0]
    found = (await compare(replace(sampler, cold=in_turn.cold), a, b, rules, tell))[0]
    if found.refused:
        return found
    against = disagreement(found, checked)
    if not against:
        note = f"{checked.pairs_count} pairs in turn agree with the duet"
        return found.model_copy(update={"notes": (*found.notes, note)})
    tell(against)
    left = replace(rules, budget_s=max(rules.budget_s - found.spent_s, rules.budget_s / 4))
    again = (await compare(in_turn, a, b, left, tell))[0]
    return again.model_copy(update={"notes": (*again.notes, against)})


def disagreement(found: Comparison, checked: Comparison) -> str:
    """Why the duet can't be trusted; empty where the pairs in turn lie where it says, by every deciding metric."""
    for effect in found.effects:
        turns = checked.effect(effect.metric)
        if effect.role != "deciding" or effect.ratio is None:
            continue
        if turns is None or len(turns.log_ratios) < 2:
            return f"the duet was dropped: {effect.metric} could not be measured in turn"
        if not _agree(turns.log_ratios, effect.log_ratios, found.margin_share):
            return f"the duet was dropped: side by side {effect.metric} differs from what it is in turn"
    return ""


def _agree(turns: Sequence[float], at_once: Sequence[float], margin: float) -> bool:
    allowed = 3 * max(spread(turns), spread(at_once)) / math.sqrt(len(turns)) + margin
    return abs(hodges_lehmann(turns) - hodges_lehmann(at_once)) <= allowed
