"""Both commands at once, so that every disturbance hits both: on one core that they share, or on an idle core each.

On one core the kernel hands it to one and the other every few milliseconds. Processor time is each side's own all the
same, and on a machine that others use it then differs many times less from pair to pair than where one runs after the
other, or each on a core of its own: cores of a virtual machine differ in what they give, and change it by the second.
Two programs at once share caches and memory, which may slow one more than the other. So a few pairs in turn are
measured too: where they disagree, the comparison is made in turn. So it is where a core can't be shared.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

from perfcrew.core.comparison import Comparison, Side
from perfcrew.core.errors import CommandError, Unmeasurable
from perfcrew.experiment.commands import WALL, Commands
from perfcrew.experiment.engine import Rules, Tell, compare
from perfcrew.stats.location import hodges_lehmann, spread

CHECKED, AGAIN = 4, 12
"""Pairs in turn that pairs at once are held against; more of them where they seem to disagree."""


async def compare_at_once(sampler: Commands, a: Side, b: Side, rules: Rules, tell: Tell) -> Comparison:
    """The comparison by pairs at once where some in turn agree, else one in turn with the rest of the budget."""
    in_turn = replace(sampler, design="interleaved")
    against = "" if sampler.design == "duet" else await _apart(in_turn)
    if sampler.design == "interleaved" or against:
        found = (await compare(in_turn, a, b, rules, tell))[0]
        return _with(found, f"in turn: {against}") if against and not found.refused else found
    checked = await _checked(in_turn, a, b, rules, tell, CHECKED)
    found = (await compare(sampler, a, b, _left(rules, checked.spent_s), tell))[0]
    if found.refused:
        return found
    if disagreement(found, checked):
        checked = await _checked(in_turn, a, b, rules, tell, AGAIN)
    against = disagreement(found, checked)
    if not against:
        passed = checked.effect(WALL.name)
        shown = () if passed is None or found.effect(WALL.name) else (passed.model_copy(update={"role": "shown"}),)
        spent = {"spent_s": round(found.spent_s + checked.spent_s, 3), "budget_s": rules.budget_s}
        told = found.model_copy(update={"effects": (*found.effects, *shown), **spent})
        return _with(told, f"{checked.pairs_count} pairs in turn agree with those at once")
    tell(against)
    return _with((await compare(in_turn, a, b, _left(rules, found.spent_s), tell))[0], against)


def _left(rules: Rules, spent_s: float) -> Rules:
    """The same for what is left of the budget, a quarter of it at least."""
    return replace(rules, budget_s=max(rules.budget_s - spent_s, rules.budget_s / 4))


async def _apart(in_turn: Commands) -> str:
    try:
        await in_turn.warm()
    except (CommandError, Unmeasurable):
        return "a side failed"  # the comparison in turn meets it again, and tells of it
    return in_turn.apart()


async def _checked(in_turn: Commands, a: Side, b: Side, rules: Rules, tell: Tell, most: int) -> Comparison:
    return (await compare(in_turn, a, b, replace(rules, most=most, seed=rules.seed + most), tell))[0]


def _with(found: Comparison, note: str) -> Comparison:
    return found.model_copy(update={"notes": (*found.notes, note)})


def disagreement(found: Comparison, checked: Comparison) -> str:
    """Why pairs at once can't be trusted; empty where those in turn lie where they say, by every deciding metric."""
    for effect in found.effects:
        turns = checked.effect(effect.metric) or checked.effect(WALL.name)
        if effect.role != "deciding" or effect.ratio is None:
            continue
        if turns is None or len(turns.log_ratios) < 2:
            return f"what both took at once was dropped: {effect.metric} could not be measured in turn"
        if not _agree(turns.log_ratios, effect.log_ratios, found.margin_share):
            return f"what both took at once was dropped: {effect.metric} differs from what it is in turn"
    return ""


def _agree(turns: Sequence[float], at_once: Sequence[float], margin: float) -> bool:
    deviation = max(statistics.stdev(turns), spread(at_once))
    allowed = 3 * deviation / math.sqrt(len(turns)) + margin
    return abs(hodges_lehmann(turns) - hodges_lehmann(at_once)) <= allowed
