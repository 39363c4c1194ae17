"""Keep, iterate or discard: what an experiment's measurements come to, by the criteria written down before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perfcrew.core.comparison import Comparison, Effect, moved_from_start, paid
from perfcrew.core.experiments import Decision
from perfcrew.experiment.servers import APPLICATION


@dataclass(frozen=True)
class Ruling:
    """The decision, why, and what was traded for what."""

    decision: Decision
    why: str
    trade_offs: tuple[str, ...] = ()


def ruling(found: Sequence[Comparison], endpoint: str, metric: str, pays: Sequence[str] = ()) -> Ruling:
    """Keep only where the metric aimed at improved, nothing regressed anywhere, and that much is proven.

    `pays`: exact counts that the change said beforehand to cost its endpoint; they are told, and don't count.
    """
    refused = [f"{c.subject}: {c.refused}" for c in found if c.refused]
    if refused or not found:
        return Ruling("discard", f"no verdict: {'; '.join(refused[:3]) or 'nothing was measured'}")
    regressed = [(c, e) for c in found for e in c.effects if e.verdict == "regressed"]
    moved = [(c, e) for c, e in regressed if moved_from_start(found, e)]
    price = [(c, e) for c, e in regressed if paid(c, e, endpoint, pays)]
    worse = [(c, e) for c, e in regressed if c.material(e) and (c, e) not in (*moved, *price)]
    small = (
        *(f"{e.metric} of {c.subject} {change(e)}, less than matters" for c, e in regressed if not c.material(e)),
        *(_moved(c, e) for c, e in moved),
        *(_paid(c, e) for c, e in price),
    )
    aimed = aimed_at(found, endpoint, metric)
    gained = aimed is not None and aimed.verdict == "improved"
    if worse:
        told = tuple(f"{e.metric} of {c.subject} {change(e)}" for c, e in worse)
        gain = f"{metric} {change(aimed)}" if gained and aimed is not None else f"no gain of {metric}"
        return Ruling("discard", f"a regression: {', '.join(told[:3])} (against {gain})", told)
    if not gained:
        state = aimed.verdict if aimed is not None and aimed.verdict else "not measured"
        return Ruling("iterate", f"{metric} of {endpoint} did not improve: {state}{_seen(aimed)}")
    doubts = [doubt for c in found for doubt in c.doubts()]
    if doubts:
        return Ruling("iterate", f"{metric} improved, but that nothing else is worse was not proven: {doubts[0]}")
    assert aimed is not None
    beside = f"; {'; '.join(small)}" if small else ", and nothing else became worse"
    return Ruling("keep", f"{metric} of {endpoint} {change(aimed)}{beside}", small)


def _moved(comparison: Comparison, effect: Effect) -> str:
    return f"the first request of {comparison.subject} pays what the start no longer does ({change(effect)})"


def _paid(comparison: Comparison, effect: Effect) -> str:
    return f"it pays with {effect.metric} of {comparison.subject} ({change(effect)}), as was said before"


Pays = Mapping[str, Sequence[str]]
"""By endpoint, the counts that the changes of it were said to pay with."""


def against_whole(found: Sequence[Comparison], aims: Mapping[str, Sequence[str]], pays: Pays | None = None) -> str:
    """Why all that was kept does not hold as a whole, empty where it does. `aims`: by subject, the metrics aimed at."""
    pays = pays or {}
    refused = [f"{c.subject}: {c.refused}" for c in found if c.verdict is None]
    if refused or not found:
        return f"no verdict on the whole: {'; '.join(refused[:3]) or 'nothing was measured'}"
    regressed = [(c, e) for c in found for e in c.effects if e.verdict == "regressed" and c.material(e)]
    unpaid = [(c, e) for c, e in regressed if not paid(c, e, c.subject, pays.get(c.subject, ()))]
    worse = [f"{e.metric} of {c.subject}" for c, e in unpaid if not moved_from_start(found, e)]
    if worse:
        return f"a regression of {', '.join(worse[:4])}"
    aimed = [aimed_at(found, subject, metric) for subject, metrics in aims.items() for metric in metrics]
    gained = any(e is not None and e.verdict == "improved" for e in aimed)
    return "" if gained else "nothing that was aimed at improved as a whole"


def seen_of_whole(found: Sequence[Comparison], pays: Pays | None = None) -> str:
    """That nothing became worse is said as far as it was proven."""
    regressed = [(c, e) for c in found for e in c.effects if e.verdict == "regressed"]
    moved = [_moved(c, e) for c, e in regressed if moved_from_start(found, e)]
    moved += [_paid(c, e) for c, e in regressed if paid(c, e, c.subject, (pays or {}).get(c.subject, ()))]
    open_ = [c.subject for c in found if c.verdict == "inconclusive"]
    seen = f"no regression seen; not certain within the time: {', '.join(open_)}" if open_ else "nothing became worse"
    return "; ".join([seen, *moved])


def aimed_at(found: Sequence[Comparison], endpoint: str, metric: str) -> Effect | None:
    """The effect on the metric aimed at: of the endpoint, or else of the application as a whole."""
    effects = (c.effect(metric) for subject in (endpoint, APPLICATION) for c in found if c.subject == subject)
    return next((e for e in effects if e is not None), None)


def change(effect: Effect | None) -> str:
    """`-31.0 % (-33.1 to -28.9)`, or from one exact figure to the other."""
    if effect is None:
        return "not measured"
    if effect.ratio is None:
        return f"{effect.a:g} → {effect.b:g}" if effect.a is not None and effect.b is not None else "unknown"
    shares = [(x - 1) * 100 for x in (effect.ratio.value, effect.ratio.low, effect.ratio.high)]
    interval = f"{shares[1]:+.1f} to {shares[2]:+.1f}" if effect.ratio.bounded else "no bound yet"
    return f"{shares[0]:+.1f} % ({interval})"


def _seen(effect: Effect | None) -> str:
    return f", {change(effect)}" if effect is not None and effect.ratio is not None else ""
