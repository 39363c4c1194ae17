"""How many requests a second of the mix are expected, and how many the application could bear."""

from __future__ import annotations

from collections.abc import Sequence

from perfcrew.core.evidence import Peak
from perfcrew.core.project import Workload
from perfcrew.core.targets import Profile
from perfcrew.graphs.context import Context
from perfcrew.instruments.workload import capacity_of, weights_of

ASSUMED_SHARE = 0.5
"""Of the measured capacity, where nobody said what the peak is."""
ASSUMED_EACH_S = 10.0
"""From one request of a user to the next, where nobody said how often users ask."""
OVERLOAD = 2.0
"""Times the capacity: what is asked for beyond it would show a queue alone."""


def capacity(context: Context) -> float:
    """Requests a second that the mix could reach, from each endpoint's own throughput and its share; 0: not known."""
    rates = {p.endpoint.key: context.baseline(p.endpoint.key, "throughput") or 0.0 for p in context.plans}
    return capacity_of(weights_of(context.plans, context.shares), rates) if any(rates.values()) else 0.0


def peak(context: Context) -> Peak | None:
    """The load that is expected: as given, by the users, or a part of the capacity; None where nothing tells."""
    workload, profile = context.project.workload, context.settings.profile
    return expected(workload, profile, capacity(context), whole=not context.survey.out_of_scope)


def expected(workload: Workload, profile: Profile, capacity_per_s: float, *, whole: bool) -> Peak | None:
    """The peak by what is known best. The users are those of the whole: they are not laid on a part of it."""
    users = (workload.users or profile.users) if whole else None
    told: dict[str, object] = {"source": "given"}
    rate = workload.peak_rps or 0.0
    if not rate and users:
        each_s = workload.request_every_s or ASSUMED_EACH_S
        source = "users" if workload.users else "profile"
        rate = users / each_s
        told = {"source": source, "users": users, "each_s": each_s, "each_assumed": workload.request_every_s is None}
    elif not rate:
        rate, told = ASSUMED_SHARE * capacity_per_s, {"source": "capacity"}
    if rate <= 0:
        return None
    reach = {"capacity_per_s": capacity_per_s, "headroom_ratio": capacity_per_s / rate} if capacity_per_s else {}
    return Peak.model_validate({"expected_per_s": rate, "whole": whole, **told, **reach})


def bearable(steps: Sequence[float], peak: Peak) -> tuple[float, ...]:
    """The steps that are asked for: those not far beyond the capacity, or the capacity itself where all are."""
    if peak.headroom_ratio is None:
        return tuple(steps)
    kept = tuple(s for s in steps if s <= OVERLOAD * peak.headroom_ratio * (1 + 1e-9))
    return kept or (float(f"{peak.headroom_ratio:.2g}"),)
