"""Whether the application bears the load that it is expected to, decided from the ledger by report and gate alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from perfcrew.core.base import Noun
from perfcrew.core.columns import GENERAL
from perfcrew.core.evidence import Evidence, Frame, Measurement, Peak
from perfcrew.core.report import Ready, outcome_of
from perfcrew.core.targets import Target

Why = Literal[
    "the peak is assumed",
    "a part is measured",
    "no head-room",
    "requests fail",
    "no target",
    "not measured",
    "too slow",
    "no bound",
    "it is within",
]
FAILED_SHARE = 0.01
"""Of the requests at the peak; where more fail, nobody would call it ready."""
P95 = "statistics.p95.value"
ERRORS = "statistics.value.value"


class Decision(Noun):
    """The verdict with its reason, and the evidence that it rests on."""

    outcome: Ready
    why: Why
    peak: Evidence
    latency: Evidence | None = None
    """Of the mix at the peak, by p95."""
    errors: Evidence | None = None
    target: int | None = None
    """Index of the profile's target for it."""


def decide(items: Sequence[Evidence]) -> Decision | None:
    """The verdict by a run's evidence; None where no peak was written down, since no mix was borne."""
    peak = next((e for e in items if isinstance(e.body, Peak)), None)
    frame = next((e.body for e in items if isinstance(e.body, Frame)), None)
    if peak is None or frame is None or not isinstance(peak.body, Peak):
        return None
    target = target_of(frame.profile.targets)
    latency, errors = _at_peak(items, "latency"), _at_peak(items, "error.rate")
    judged = frame.profile.targets[target] if target is not None else None
    outcome, why = _decided(peak.body, judged, latency, errors)
    return Decision(outcome=outcome, why=why, peak=peak, latency=latency, errors=errors, target=target)


def target_of(targets: Sequence[Target]) -> int | None:
    """The profile's target for the p95 of every endpoint, which the mix is held to; None where it has none."""
    wanted = ("latency", "p95", "*", "ms")
    found = (n for n, t in enumerate(targets) if (t.metric, t.statistic, t.subject, t.unit) == wanted)
    return next(found, None)


def _at_peak(items: Sequence[Evidence], metric: str) -> Evidence | None:
    return next((e for e in items if e.subject == GENERAL and _is_at_peak(e.body, metric)), None)


def _is_at_peak(body: object, metric: str) -> bool:
    return isinstance(body, Measurement) and body.metric == metric and body.load.startswith("1 x peak")


def _decided(peak: Peak, target: Target | None, latency: Evidence | None, errors: Evidence | None) -> tuple[Ready, Why]:
    """What speaks against it comes first; it is ready only where everything was measured and speaks for it."""
    if peak.source == "capacity":
        return "not judged", "the peak is assumed"
    if not peak.whole:
        return "not judged", "a part is measured"
    if peak.headroom_ratio is not None and peak.headroom_ratio < 1:
        return "not ready", "no head-room"
    if _failed_share(errors) > FAILED_SHARE:
        return "not ready", "requests fail"
    if target is None:
        return "not judged", "no target"
    return _by_p95(peak, target, latency)


def _failed_share(errors: Evidence | None) -> float:
    statistics = errors.body.statistics if errors and isinstance(errors.body, Measurement) else {}
    return statistics["value"].value if "value" in statistics else 0.0


def _by_p95(peak: Peak, target: Target, latency: Evidence | None) -> tuple[Ready, Why]:
    body = latency.body if latency else None
    if not isinstance(body, Measurement) or "p95" not in body.statistics or peak.headroom_ratio is None:
        return "not judged", "not measured"
    outcome = outcome_of(target, body, P95)
    if outcome == "missed":
        return "not ready", "too slow"
    return ("ready", "it is within") if outcome == "met" else ("not judged", "no bound")
