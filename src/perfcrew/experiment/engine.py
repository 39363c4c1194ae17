"""The comparison's loop: pairs by lot, a look after each, and an end as soon as the answer is certain.

It knows nothing of commands or servers: a sampler measures one pair, both sides in the order that the lot says.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from perfcrew.core.comparison import Comparison, Effect, Role, Side
from perfcrew.core.errors import CommandError, Unmeasurable
from perfcrew.core.metrics import Direction, Unit
from perfcrew.experiment.verdict import Overall, overall
from perfcrew.stats.decide import Demand, Judged, judge, noise

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Watched:
    """A metric of a comparison."""

    name: str
    unit: Unit
    role: Role
    direction: Direction = "lower"
    exact: bool = False
    margin: float | None = None
    """Its own margin where the comparison's is not meant for it."""


@dataclass(frozen=True)
class Reading:
    """What one side gave in one pair: values by metric, and a digest of what it answered ('' where none is kept)."""

    values: dict[str, float]
    check: str = ""


@dataclass(frozen=True)
class Pair:
    """Both sides, measured next to each other."""

    a: Reading
    b: Reading


class Sampler(Protocol):
    """Measures one pair, and says what a pair is."""

    design: Literal["interleaved", "duet", "instances"]
    unit: str
    checks: Literal["must agree", "if constant", "none"]

    def watched(self) -> tuple[Watched, ...]: ...
    async def pair(self, a_first: bool) -> Pair: ...


@dataclass(frozen=True)
class Rules:
    """How a comparison is judged and how long it may take. Fractions and seconds."""

    margin: float = 0.02
    error: float = 0.02
    budget_s: float = 60.0
    fewest: int = 6
    most: int = 1000
    seed: int = 0


@dataclass
class Taken:
    """The pairs so far."""

    pairs: list[Pair] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @property
    def spent_s(self) -> float:
        return time.monotonic() - self.began


async def compare(sampler: Sampler, subject: str, a: Side, b: Side, rules: Rules, tell: Tell) -> Comparison:
    """Measure pairs until the verdict is certain or the budget is spent. A side that dies ends it without a verdict."""
    draw, taken = random.Random(rules.seed), Taken()
    result = Overall(None, refused="nothing was measured")
    judged: dict[str, Judged] = {}
    while len(taken.pairs) < rules.most:
        try:
            taken.pairs.append(await sampler.pair(draw.random() < 0.5))
        except (CommandError, Unmeasurable) as error:
            result = Overall(None, refused=f"a side could not be measured: {error}")
            break
        judged = _look(sampler.watched(), taken.pairs, rules)
        result = _result(sampler, taken.pairs, judged, rules, last=taken.spent_s >= rules.budget_s)
        tell(_line(taken, result, judged, rules))
        if result.final or taken.spent_s >= rules.budget_s:
            break
    return _comparison(sampler, subject, a, b, rules, taken, judged, result)


def _look(watched: Sequence[Watched], pairs: Sequence[Pair], rules: Rules) -> dict[str, Judged]:
    family = sum(w.role == "deciding" for w in watched)
    found = {}
    for metric in watched:
        if metric.exact or any(metric.name not in side.values for p in pairs for side in (p.a, p.b)):
            continue
        demand = Demand(metric.margin or rules.margin, rules.error, max(family, 1), metric.direction)
        found[metric.name] = judge(log_ratios(pairs, metric.name), demand)
    return found


def log_ratios(pairs: Sequence[Pair], metric: str) -> list[float]:
    """Natural logarithm of B over A, NaN where a value is zero and has no ratio."""
    values = [(p.a.values[metric], p.b.values[metric]) for p in pairs]
    return [math.log(b / a) if a > 0 and b > 0 else math.nan for a, b in values]


def _result(sampler: Sampler, pairs: Sequence[Pair], judged: dict[str, Judged], rules: Rules, *, last: bool) -> Overall:
    unequal = _unequal(sampler, pairs)
    if unequal:
        return Overall(None, refused=unequal, final=True)
    if len(pairs) < rules.fewest:
        return Overall(None, refused=f"{len(pairs)} pairs are too few: {rules.fewest} at least")
    return overall(sampler.watched(), judged, pairs, rules.error, last=last)


def _unequal(sampler: Sampler, pairs: Sequence[Pair]) -> str:
    """Why the two sides did not do the same work, empty where they did or it can't be told."""
    ones, others = {p.a.check for p in pairs}, {p.b.check for p in pairs}
    if sampler.checks == "none" or ones == others:
        return ""
    if sampler.checks == "if constant" and (len(ones) > 1 or len(others) > 1 or len(pairs) < 2):
        return ""  # what a side prints differs from run to run, so that it can't be held against the other's
    return f"the sides did not do the same work: what they answered differs ({min(ones)!r} and {min(others)!r})"


def _line(taken: Taken, result: Overall, judged: dict[str, Judged], rules: Rules) -> str:
    shown = [
        f"{name} {(j.ratio.value - 1) * 100:+.1f} % ({(j.ratio.low - 1) * 100:+.1f} to {(j.ratio.high - 1) * 100:+.1f})"
        for name, j in judged.items()
        if j.ratio
    ]
    state = result.verdict or "measuring"
    return f"pair {len(taken.pairs)}, {taken.spent_s:.0f} of {rules.budget_s:.0f} s: {'; '.join(shown) or state}"


def _comparison(
    sampler: Sampler,
    subject: str,
    a: Side,
    b: Side,
    rules: Rules,
    taken: Taken,
    judged: dict[str, Judged],
    result: Overall,
) -> Comparison:
    effects = tuple(_effect(w, taken.pairs, judged.get(w.name), refused=result.refused) for w in sampler.watched())
    return Comparison(
        subject=subject,
        a=a,
        b=b,
        verdict=result.verdict,
        rests_on=result.rests_on,
        why=result.why,
        refused=result.refused,
        effects=effects,
        design=sampler.design,
        unit=sampler.unit,
        pairs_count=len(taken.pairs),
        margin_share=rules.margin,
        error_share=rules.error,
        seed=rules.seed,
        spent_s=round(taken.spent_s, 3),
        budget_s=rules.budget_s,
        more_s=_more_s(taken, judged) if result.verdict == "inconclusive" else None,
        notes=result.notes,
    )


def _effect(watched: Watched, pairs: Sequence[Pair], judged: Judged | None, refused: str) -> Effect:
    there = [p for p in pairs if watched.name in p.a.values and watched.name in p.b.values]
    a, b = [p.a.values[watched.name] for p in there], [p.b.values[watched.name] for p in there]
    found = judged or exact(watched, a, b)
    return Effect(
        metric=watched.name,
        unit=watched.unit,
        direction=watched.direction,
        role=watched.role,
        exact=watched.exact,
        verdict=None if refused else found.verdict,
        refused=refused or found.refused,
        a=statistics.median(a) if a else None,
        b=statistics.median(b) if b else None,
        ratio=found.ratio,
        pairs_count=len(there),
        visible_share=found.visible_share,
        noise_share=None if watched.exact else noise(a),
        log_ratios=tuple(x for x in log_ratios(there, watched.name) if math.isfinite(x)),
        a_samples=tuple(a),
        b_samples=tuple(b),
    )


def exact(watched: Watched, a: Sequence[float], b: Sequence[float]) -> Judged:
    """Counts and bytes are compared as they are, by their medians; a side that varies by itself gets no verdict."""
    if not a or not b:
        return Judged(None, None, "not measured")
    if len(set(a)) > 1 or len(set(b)) > 1:
        return Judged(None, None, "it varies from run to run, so it is no exact figure here")
    if a[0] == b[0]:
        return Judged("equivalent", None)
    less = b[0] < a[0]
    return Judged("improved" if less == (watched.direction == "lower") else "regressed", None)


def _more_s(taken: Taken, judged: dict[str, Judged]) -> float | None:
    wanted = [j.pairs_wanted for j in judged.values() if j.pairs_wanted and j.verdict == "inconclusive"]
    if not wanted or not taken.pairs:
        return None
    each_s = taken.spent_s / len(taken.pairs)
    return round(max(min(wanted) - len(taken.pairs), 1) * each_s, 1)
