"""Both commands at once, so that every disturbance hits both: on one core that they share, or on an idle core each.

On one core the kernel hands it to one and the other every few milliseconds. Processor time is each side's own all the
same, and on a machine that others use it then differs many times less from pair to pair than where one runs after the
other, or each on a core of its own: cores of a virtual machine differ in what they give, and change it by the second.
Two programs at once share caches and memory, which may slow one more than the other. So a few pairs in turn are
measured too: where they disagree, or both at once fail, the comparison is made in turn. So it is where a core can't be
shared.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

from perfcrew.core.comparison import Comparison, Side
from perfcrew.experiment.commands import WALL, Commands
from perfcrew.experiment.engine import Rules, Tell, compare
from perfcrew.stats.location import hodges_lehmann, spread

CHECKED, AGAIN = 4, 12
"""Pairs in turn that pairs at once are held against; more of them where they seem to disagree."""


async def compare_at_once(sampler: Commands, a: Side, b: Side, rules: Rules, tell: Tell) -> Comparison:
    """The comparison by pairs at once where some in turn agree, else one in turn with the rest of the budget."""
    in_turn = replace(sampler, design="interleaved")
    if sampler.design == "interleaved":
        return (await compare(in_turn, a, b, rules, tell))[0]
    checked = await _checked(in_turn, a, b, rules, tell, CHECKED)
    if not in_turn.runs or (checked.pairs_count < CHECKED and checked.spent_s < rules.budget_s):
        return checked  # a side failed, or answered otherwise
    spent_s = checked.spent_s
    against = in_turn.apart() if sampler.design == "one core" else ""
    if not against:
        found = (await compare(sampler, a, b, _left(rules, spent_s), tell))[0]
        spent_s += found.spent_s
        against = disagreement(found, checked)
        if against and not found.refused:
            checked = await _checked(in_turn, a, b, rules, tell, AGAIN)
            spent_s += checked.spent_s
            against = disagreement(found, checked)
        if not against:
            return _agreed(found, checked, rules, spent_s)
    tell(f"in turn: {against}")
    again = (await compare(in_turn, a, b, _left(rules, spent_s), tell))[0]
    return _with(again, f"in turn: {against}")


async def _checked(in_turn: Commands, a: Side, b: Side, rules: Rules, tell: Tell, most: int) -> Comparison:
    return (await compare(in_turn, a, b, replace(rules, most=most, seed=rules.seed + most), tell))[0]


def _agreed(found: Comparison, checked: Comparison, rules: Rules, spent_s: float) -> Comparison:
    """With the wall time of the pairs in turn, and how closely those agree."""
    passed = checked.effect(WALL.name)
    shown = () if passed is None or found.effect(WALL.name) else (passed.model_copy(update={"role": "shown"}),)
    told = found.model_copy(
        update={
            "effects": (*found.effects, *shown),
            "spent_s": round(spent_s, 3),
            "budget_s": rules.budget_s,
        }
    )
    within = max((_allowed(*both) for both in _both(found, checked).values() if both), default=0.0)
    return _with(told, f"{checked.pairs_count} pairs in turn agree with those at once within {within:.0%}")


def _left(rules: Rules, spent_s: float) -> Rules:
    """The same for what is left of the budget, a quarter of it at least."""
    return replace(rules, budget_s=max(rules.budget_s - spent_s, rules.budget_s / 4))


def _with(found: Comparison, note: str) -> Comparison:
    return found.model_copy(update={"notes": (*found.notes, note)})


def disagreement(found: Comparison, checked: Comparison) -> str:
    """Why pairs at once can't be trusted; empty where those in turn lie where they say, by every deciding metric."""
    if found.refused:
        return f"at once there was no verdict: {found.refused}"
    for metric, both in _both(found, checked).items():
        if not both:
            return f"at once was dropped: {metric} could not be measured in turn"
        if abs(hodges_lehmann(both[0]) - hodges_lehmann(both[1])) > _allowed(*both) + found.margin_share:
            return f"at once was dropped: {metric} differs from what it is in turn"
    return ""


Both = tuple[Sequence[float], Sequence[float]]


def _both(found: Comparison, checked: Comparison) -> dict[str, Both | None]:
    """By deciding metric the pairs in turn and those at once; None where none were taken in turn."""
    told: dict[str, Both | None] = {}
    for effect in found.effects:
        if effect.role == "deciding" and effect.ratio is not None:
            turns = checked.effect(effect.metric) or checked.effect(WALL.name)
            enough = turns is not None and len(turns.log_ratios) > 1
            told[effect.metric] = (turns.log_ratios, effect.log_ratios) if turns is not None and enough else None
    return told


def _allowed(turns: Sequence[float], at_once: Sequence[float]) -> float:
    """Three standard errors of their difference."""
    return 3 * math.sqrt(statistics.variance(turns) / len(turns) + spread(at_once) ** 2 / len(at_once))
