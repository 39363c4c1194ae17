"""One verdict over the metrics of a comparison, named with the metric that it rests on.

CPU time is many times less noisy than wall time on shared machines, so it mostly decides. It can't see waiting:
sleeps, locks, lost parallelism. So a second deciding metric sees time passing, and a guard may speak against a gain.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perfcrew.core.comparison import Verdict
from perfcrew.stats.decide import MATTERS, Judged, not_worse

if TYPE_CHECKING:
    from perfcrew.experiment.engine import Pair, Rules, Watched

GUARD = 0.05
"""A gain of CPU time stands only where it is proven that no more time passes than this share beyond before."""
SEEMS = 0.25
"""Sides are not called even while a guard seems worse by this share."""
CHANGED: tuple[Verdict, ...] = ("improved", "regressed")


@dataclass(frozen=True)
class Overall:
    """`final`: nothing that may still be measured would be waited for."""

    verdict: Verdict | None
    rests_on: str = ""
    why: str = ""
    refused: str = ""
    final: bool = False
    unproven: tuple[str, ...] = ()
    """Of which it was asked, and not proven, that they are no worse."""
    notes: tuple[str, ...] = ()


def overall(
    watched: Sequence[Watched], judged: Mapping[str, Judged], pairs: Sequence[Pair], rules: Rules, *, last: bool
) -> Overall:
    """The verdict over the deciding metrics; `last` where no further pair will be measured."""
    deciding = [w for w in watched if w.role == "deciding" and w.name in judged]
    absent = tuple(w.name for w in watched if w.role == "deciding" and w.name not in judged)
    refused = [f"{w.name}: {judged[w.name].refused}" for w in deciding if judged[w.name].refused]
    if refused or not deciding:
        why = "; ".join(refused) or "nothing was measured that a verdict could rest on"
        return Overall(None, refused=why, final=len(pairs) >= 2 * rules.fewest)  # more of the same does not heal it
    verdicts = {w.name: judged[w.name].verdict for w in deciding}
    changed = [name for name, verdict in verdicts.items() if verdict in CHANGED]
    if changed:
        return _changed(watched, deciding, judged, changed, pairs, rules, last)
    if absent:
        why = f"{', '.join(absent)} could not be measured in every pair"
        return Overall("inconclusive", "", why, unproven=absent)
    found = _even_or_undecided(deciding, verdicts, judged, pairs, rules, last)
    guards = [w for w in watched if w.role == "guard" and (w.exact or w.alone)]
    worse = next((w for w in guards if _regressed(judged.get(w.name))), None)
    if found.verdict == "equivalent" and worse is not None:
        why = f"{worse.name} regressed, " + ("which is counted and not timed" if worse.exact else "all else is even")
        return Overall("regressed", worse.name, why, final=True)
    longer = tuple(w.name for w in guards if w.alone and _seems_longer(judged.get(w.name)))
    if found.verdict == "equivalent" and longer:
        return Overall("inconclusive", "", f"not certain yet: {', '.join(longer)} seems worse", unproven=longer)
    return found


def _seems_longer(judged: Judged | None) -> bool:
    return judged is not None and judged.ratio is not None and judged.ratio.value > 1 + SEEMS


def held(watched: Sequence[Watched], pairs: Sequence[Pair], rules: Rules) -> Overall:
    """Whether it is proven of every deciding metric that it is not worse by its margin: non-inferiority of each."""
    open_ = tuple(
        w.name
        for w in watched
        if w.role == "deciding" and not w.exact and not _not_worse(w, pairs, w.margin or rules.margin, rules.error)
    )
    if open_:
        why = f"not proven yet: {', '.join(open_)} no worse than before"
        return Overall("inconclusive", "", why, unproven=open_)
    return Overall("equivalent", "", "none is worse than before by its margin", final=True)


def _changed(
    watched: Sequence[Watched],
    deciding: Sequence[Watched],
    judged: Mapping[str, Judged],
    changed: Sequence[str],
    pairs: Sequence[Pair],
    rules: Rules,
    last: bool,
) -> Overall:
    """What time passing says comes before what the processor says, where both say something.

    An improvement stands only where of everything else that was asked it is proven that it is no worse.
    """
    verdicts = {name: judged[name].verdict for name in changed}
    mixed = len(set(verdicts.values())) > 1
    rests_on = changed[-1] if mixed else changed[0]
    verdict = verdicts[rests_on]
    guards = [w for w in watched if w.role == "guard" and (verdict == "improved" or not w.alone)]
    against = [w.name for w in guards if _opposite(judged.get(w.name), verdict)]
    if against:
        note = f"a trade-off: {rests_on} {verdict}, {against[0]} the opposite"
        return Overall("inconclusive", rests_on, note, final=True, notes=(note,))
    others = [w for w in watched if w.role == "deciding" and w.name not in changed]
    doubted = _doubted(watched, others, judged, pairs, rules) if verdict == "improved" else {}
    if doubted:
        told = ", ".join(f"{name} is not {margin:.0%} worse" for name, margin in doubted.items())
        why = f"{rests_on} {verdict}, but that {told} is not proven"
        return Overall("inconclusive", rests_on, why, unproven=tuple(doubted))
    if mixed:
        against = [name for name in changed if verdicts[name] != verdict]
        note = f"a trade-off: {against[0]} {verdicts[against[0]]}, {rests_on} {verdict}"
        return Overall(verdict, rests_on, note, final=True, notes=(note,))
    for other in others if verdict == "regressed" and not last else ():
        ratio = judged[other.name].ratio if other.name in judged else None
        if ratio is not None and ratio.value < 1 - GUARD:
            return Overall("inconclusive", rests_on, f"{rests_on} regressed, {other.name} may have improved")
    return Overall(verdict, rests_on, f"{rests_on} {verdict}", final=True)


def _doubted(
    watched: Sequence[Watched],
    others: Sequence[Watched],
    judged: Mapping[str, Judged],
    pairs: Sequence[Pair],
    rules: Rules,
) -> dict[str, float]:
    """The margins of those that matter here and are not proven to be no worse by them."""
    open_ = [w for w in others if not _equivalent(judged.get(w.name)) and not _little(w, pairs, rules)]
    asked = [(w, w.margin or GUARD) for w in open_] + [(w, w.margin) for w in watched if w.role == "guard" and w.margin]
    return {w.name: margin for w, margin in asked if not _not_worse(w, pairs, margin, rules.error)}


def _little(watched: Watched, pairs: Sequence[Pair], rules: Rules) -> bool:
    """Whether it is processor time that grew by less than the margin of what a request takes: it does not matter."""
    if watched.name != "cpu" or any("latency" not in side.values for p in pairs for side in (p.a, p.b)):
        return False
    more = statistics.median(p.b.values["cpu"] - p.a.values["cpu"] for p in pairs)
    return more <= rules.margin * statistics.median(p.a.values["latency"] for p in pairs)


def _regressed(judged: Judged | None) -> bool:
    return judged is not None and judged.verdict == "regressed"


def _equivalent(judged: Judged | None) -> bool:
    return judged is not None and judged.verdict == "equivalent"


def _opposite(judged: Judged | None, verdict: Verdict | None) -> bool:
    return judged is not None and judged.verdict in CHANGED and judged.verdict != verdict


def _even_or_undecided(
    deciding: Sequence[Watched],
    verdicts: Mapping[str, Verdict | None],
    judged: Mapping[str, Judged],
    pairs: Sequence[Pair],
    rules: Rules,
    last: bool,
) -> Overall:
    """Where one metric is even and the noisier ones lie within the guard, with middles that do not matter, all is."""
    if all(verdict == "equivalent" for verdict in verdicts.values()):
        names = " and ".join(verdicts)
        return Overall("equivalent", deciding[0].name, f"{names} lie within the margin", final=True)
    even = [name for name, verdict in verdicts.items() if verdict == "equivalent"]
    others = [w for w in deciding if w.name not in even]
    guarded = all(_guarded(w, pairs, rules.error) and _guarded(w, pairs, rules.error, gain=True) for w in others)
    if even and guarded and (last or not any(_matters(judged[w.name], rules.margin) for w in others)):
        wide = ", ".join(w.name for w in others)
        return Overall(
            "equivalent", even[0], f"{even[0]} lies within the margin, {wide} within {GUARD:.0%}", final=True
        )
    names = ", ".join(w.name for w in others)
    unproven = tuple(w.name for w in others if not _guarded(w, pairs, rules.error) and not _little(w, pairs, rules))
    return Overall("inconclusive", "", f"not certain yet: {names}", unproven=unproven)


def _matters(judged: Judged, margin: float) -> bool:
    return judged.ratio is None or abs(math.log(judged.ratio.value)) >= MATTERS * math.log1p(margin)


def _guarded(watched: Watched, pairs: Sequence[Pair], error: float, gain: bool = False) -> bool:
    return _not_worse(watched, pairs, GUARD, error, gain)


def _not_worse(watched: Watched, pairs: Sequence[Pair], margin: float, error: float, gain: bool = False) -> bool:
    from perfcrew.experiment.engine import log_ratios

    if any(watched.name not in side.values for p in pairs for side in (p.a, p.b)):
        return False
    ratios = log_ratios(pairs, watched.name)
    return not_worse([-x for x in ratios] if gain else ratios, margin, error, watched.direction)
