"""The comparison's loop: pairs by lot, a look after each, and an end as soon as the answer is certain.

It knows nothing of commands or servers: a sampler measures one pair, both sides in the order that the lot says.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from perfcrew.core.comparison import Comparison, Effect, Role, Side
from perfcrew.core.errors import CommandError, Unmeasurable
from perfcrew.core.metrics import Direction, Unit
from perfcrew.experiment.verdict import Overall, held, overall
from perfcrew.stats.decide import Demand, Judged, judge, noise, too_coarse

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Watched:
    """A metric of a comparison."""

    name: str
    unit: Unit
    role: Role
    direction: Direction = "lower"
    exact: bool = False
    weight: float = 1.0
    """Its part of the comparison's error. Those of the deciding metrics add up to 1."""
    margin: float | None = None
    """Its own margin where the comparison's is not meant for it."""
    alone: bool = False
    """It is a guard, and where it got worse while all else is even, that is a regression. What is exact always is."""
    least: float | None = None
    """It is a clock, and what takes less than this can't be judged by it."""


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


OTHER_WORK = "the sides did not do the same work"
STRETCH = 4.0
TWICE = 2
"""Times the fewest pairs: what a clear change takes to be certain, where a start takes minutes."""
Design = Literal["one core", "duet", "interleaved", "instances"]
Checks = Literal["must agree", "if constant", "none"]
Goal = Literal["verdict", "not worse", "none"]
"""A verdict; the proof that nothing is worse by its margin; or whatever is known when the others are done."""


class Sampler(Protocol):
    """Measures one pair of each of its subjects (endpoints, or the one command), and says what a pair is."""

    @property
    def design(self) -> Design: ...
    @property
    def unit(self) -> str: ...
    @property
    def checks(self) -> Checks: ...
    def watched(self, subject: str) -> tuple[Watched, ...]: ...
    def goal(self, subject: str) -> Goal:
        """What is asked of this subject. The comparison goes on until all but `none` have it."""
        ...

    async def pair(self, a_first: bool) -> dict[str, Pair]: ...


@dataclass(frozen=True)
class Rules:
    """How a comparison is judged and how long it may take. Fractions and seconds."""

    margin: float = 0.02
    error: float = 0.005
    budget_s: float = 60.0
    fewest: int = 6
    most: int = 1000
    seed: int = 0
    enough: int = 0
    """Pairs for which a slow comparison may go beyond its budget, up to `STRETCH` times as long."""
    longest_s: float = 0.0
    """Until then even pairs that take minutes each are measured `TWICE` as often as a verdict needs at the least."""


@dataclass
class Taken:
    """The pairs so far."""

    pairs: dict[str, list[Pair]] = field(default_factory=dict)
    rounds: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def spent_s(self) -> float:
        return time.monotonic() - self.began


@dataclass
class Found:
    """How one subject stands after a look."""

    judged: dict[str, Judged]
    overall: Overall


async def compare(sampler: Sampler, a: Side, b: Side, rules: Rules, tell: Tell) -> list[Comparison]:
    """Measure pairs until every subject's verdict is certain or the budget is spent: one comparison a subject.

    A side that dies ends it, and no verdict is given.
    """
    draw, taken, broken = random.Random(rules.seed), Taken(), ""
    found: dict[str, Found] = {}
    while taken.rounds < rules.most:
        try:
            _add(taken, await sampler.pair(draw.random() < 0.5))
        except (CommandError, Unmeasurable) as error:
            broken = f"a side could not be measured: {error}"
            break
        last = is_over(taken, rules)
        for subject, pairs in taken.pairs.items():
            found[subject] = _look(sampler, subject, pairs, rules, last=last)
        tell(_line(taken, found, rules))
        if last or all(f.overall.final for s, f in found.items() if sampler.goal(s) != "none"):
            break
    if broken:
        found = {s: Found({}, Overall(None, refused=broken)) for s in taken.pairs or ("all",)}
    return [_comparison(sampler, s, a, b, rules, taken, f) for s, f in found.items()]


def no_verdict(sampler: Sampler, subject: str, a: Side, b: Side, rules: Rules, why: str) -> Comparison:
    """What is told of a subject that was not measured, since a verdict would mean nothing."""
    return _comparison(sampler, subject, a, b, rules, Taken(), Found({}, Overall(None, refused=why)))


def is_over(taken: Taken, rules: Rules) -> bool:
    """Whether no further pair is measured."""
    if taken.rounds >= rules.most:
        return True
    if taken.rounds < TWICE * rules.fewest and taken.spent_s < rules.longest_s:
        return False
    if taken.spent_s >= rules.budget_s * STRETCH:
        return True
    return taken.spent_s >= rules.budget_s and taken.rounds >= rules.enough


def _add(taken: Taken, measured: dict[str, Pair]) -> None:
    taken.rounds += 1
    for subject, pair in measured.items():
        taken.pairs.setdefault(subject, []).append(pair)


def _look(sampler: Sampler, subject: str, pairs: Sequence[Pair], rules: Rules, *, last: bool) -> Found:
    watched = sampler.watched(subject)
    judged = _judged(watched, pairs, rules)
    result = _result(sampler, watched, pairs, judged, rules, last=last)
    if sampler.goal(subject) == "not worse" and result.verdict in ("inconclusive", "equivalent"):
        result = held(watched, pairs, rules)
    if sampler.goal(subject) == "none":
        result = replace(result, unproven=())
    return Found(judged, result)


def _judged(watched: Sequence[Watched], pairs: Sequence[Pair], rules: Rules) -> dict[str, Judged]:
    found = {}
    for metric in watched:
        there = [p for p in pairs if metric.name in p.a.values and metric.name in p.b.values]
        if not there or (metric.role == "deciding" and len(there) < len(pairs)):
            continue
        a, b = ([getattr(p, side).values[metric.name] for p in there] for side in ("a", "b"))
        if metric.exact:
            found[metric.name] = exact(metric, a, b)
            continue
        coarse = too_coarse(a, b, metric.least) if metric.least is not None else ""
        if coarse:
            found[metric.name] = Judged(None, None, coarse)
            continue
        demand = Demand(metric.margin or rules.margin, rules.error, metric.weight, metric.direction)
        found[metric.name] = judge(log_ratios(there, metric.name), demand)
    return found


def log_ratios(pairs: Sequence[Pair], metric: str) -> list[float]:
    """Natural logarithm of B over A, NaN where a value is zero and has no ratio."""
    values = [(p.a.values[metric], p.b.values[metric]) for p in pairs]
    return [math.log(b / a) if a > 0 and b > 0 else math.nan for a, b in values]


def _result(
    sampler: Sampler,
    watched: Sequence[Watched],
    pairs: Sequence[Pair],
    judged: dict[str, Judged],
    rules: Rules,
    *,
    last: bool,
) -> Overall:
    unequal = _unequal(sampler, pairs)
    if unequal:
        return Overall(None, refused=unequal, final=True)
    if len(pairs) < rules.fewest:
        return Overall(None, refused=f"{len(pairs)} pairs are too few: {rules.fewest} at least")
    return overall(watched, judged, pairs, rules, last=last)


def _unequal(sampler: Sampler, pairs: Sequence[Pair]) -> str:
    """Why the two sides did not do the same work, empty where they did or it can't be told."""
    ones, others = {p.a.check for p in pairs}, {p.b.check for p in pairs}
    if sampler.checks == "none" or ones == others:
        return ""
    if sampler.checks == "if constant" and (len(ones) > 1 or len(others) > 1 or len(pairs) < 2):
        return ""  # what a side prints differs from run to run, so that it can't be held against the other's
    return f"{OTHER_WORK}: A answered {_several(ones)}, B {_several(others)}"


def _several(checks: set[str]) -> str:
    told = ", ".join(repr(check) for check in sorted(checks)[:3])
    return told if len(checks) == 1 else f"{told}{', …' if len(checks) > 3 else ''} (it differs from run to run)"


def _line(taken: Taken, found: dict[str, Found], rules: Rules) -> str:
    head = f"pair {taken.rounds}, {taken.spent_s:.0f} of {rules.budget_s:.0f} s"
    if len(found) > 1:
        return f"{head}: {sum(f.overall.final for f in found.values())} of {len(found)} decided"
    shown = [
        f"{name} {j.ratio.value - 1:+.1%} ({j.ratio.low - 1:+.1%} to {j.ratio.high - 1:+.1%})"
        for f in found.values()
        for name, j in f.judged.items()
        if j.ratio
    ]
    return f"{head}: {'; '.join(shown) or 'measuring'}"


def _comparison(
    sampler: Sampler, subject: str, a: Side, b: Side, rules: Rules, taken: Taken, found: Found
) -> Comparison:
    result, pairs = found.overall, taken.pairs.get(subject, [])
    deciding = {w.name for w in sampler.watched(subject) if w.role == "deciding"}
    effects = tuple(
        effect_of(w, pairs, found.judged.get(w.name), refused=result.refused) for w in sampler.watched(subject)
    )
    return Comparison(
        subject=subject,
        a=a,
        b=b,
        verdict=result.verdict,
        rests_on=result.rests_on,
        why=result.why,
        refused=result.refused,
        effects=tuple(e for e in effects if e.pairs_count),
        design=sampler.design,
        unit=sampler.unit,
        pairs_count=len(pairs),
        margin_share=rules.margin,
        error_share=rules.error,
        seed=rules.seed,
        spent_s=round(taken.spent_s, 3),
        budget_s=rules.budget_s,
        more_s=_more_s(taken, found.judged, deciding) if result.verdict == "inconclusive" else None,
        unproven=result.unproven,
        notes=result.notes,
    )


def effect_of(watched: Watched, pairs: Sequence[Pair], judged: Judged | None, refused: str) -> Effect:
    """What is told of one metric; `judged` None: it is exact, or nothing could be said."""
    there = [p for p in pairs if watched.name in p.a.values and watched.name in p.b.values]
    a, b = [p.a.values[watched.name] for p in there], [p.b.values[watched.name] for p in there]
    found = judged or (exact(watched, a, b) if watched.exact else Judged(None, None, "not measured in every pair"))
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
        weight=watched.weight,
        margin_share=watched.margin,
        visible_share=found.visible_share,
        noise_share=None if watched.exact else noise(a),
        log_ratios=tuple(x for x in log_ratios(there, watched.name) if math.isfinite(x)),
        a_samples=tuple(a),
        b_samples=tuple(b),
    )


def exact(watched: Watched, a: Sequence[float], b: Sequence[float]) -> Judged:
    """Counts and bytes are compared as they are; sides that vary and overlap get no verdict.

    Nor do figures of a command's own that vary at all: nobody said that they are counts.
    """
    if not a or not b:
        return Judged(None, None, "not measured")
    apart = max(a) < min(b) or max(b) < min(a)
    varies = len(set(a)) > 1 or len(set(b)) > 1
    if varies and (not apart or watched.role == "shown"):
        return Judged(None, None, "it varies from run to run, so it is no exact figure here")
    if not apart:
        return Judged("equivalent", None)
    less = b[0] < a[0]
    return Judged("improved" if less == (watched.direction == "lower") else "regressed", None)


def _more_s(taken: Taken, judged: dict[str, Judged], deciding: set[str]) -> float | None:
    """About the time in which the last of the deciding metrics would be certain; None where one is out of reach."""
    open_ = [j.pairs_wanted for name, j in judged.items() if name in deciding and j.verdict == "inconclusive"]
    wanted = [pairs for pairs in open_ if pairs is not None]
    if not wanted or len(wanted) < len(open_) or not taken.rounds:
        return None
    each_s = taken.spent_s / taken.rounds
    return round(max(max(wanted) - taken.rounds, 1) * each_s, 1)
