"""Both commands at once, on an idle core each: every disturbance hits both, so that it decides soonest.

Two programs side by side share caches, memory and perhaps a core's halves, which may slow one more than the other.
So a few pairs in turn are measured too. A duet that disagrees with them is dropped, and the comparison made in turn.
"""

from __future__ import annotations

import random
from dataclasses import replace

from perfcrew.core.comparison import Comparison, Side
from perfcrew.experiment.commands import Commands
from perfcrew.experiment.engine import Pair, Rules, Tell, compare, log_ratios
from perfcrew.stats.location import hodges_lehmann, spread

CHECKED = 4
"""Pairs in turn that a duet is held against."""


async def compare_duet(sampler: Commands, a: Side, b: Side, rules: Rules, tell: Tell) -> Comparison:
    """The duet's comparison where some pairs in turn agree with it, else one in turn with the rest of the budget."""
    in_turn = replace(sampler, design="interleaved")
    draw = random.Random(rules.seed + 1)
    checked = [(await in_turn.pair(draw.random() < 0.5))[sampler.subject] for _ in range(CHECKED)]
    found = (await compare(sampler, a, b, rules, tell))[0]
    against = _disagreement(found, checked)
    if not against:
        note = f"{CHECKED} pairs in turn agree with the duet"
        return found.model_copy(update={"notes": (*found.notes, note)})
    tell(against)
    left = replace(rules, budget_s=max(rules.budget_s - found.spent_s, rules.budget_s / 4))
    again = (await compare(in_turn, a, b, left, tell))[0]
    return again.model_copy(update={"notes": (*again.notes, against)})


def _disagreement(found: Comparison, checked: list[Pair]) -> str:
    """Why the duet can't be trusted; empty where the pairs in turn lie where it says."""
    effect = next((e for e in found.effects if e.role == "deciding" and e.ratio), None)
    if effect is None or effect.ratio is None:
        return ""
    turns = log_ratios(checked, effect.metric)
    apart = abs(hodges_lehmann(turns) - hodges_lehmann(effect.log_ratios))
    if apart <= 3 * max(spread(turns), spread(effect.log_ratios)) / len(turns) ** 0.5 + found.margin_share:
        return ""
    return f"the duet was dropped: side by side {effect.metric} differs from what it is in turn"
