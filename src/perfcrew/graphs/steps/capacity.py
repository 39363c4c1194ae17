"""How many requests a second of the mix the application could bear, by what was measured of each endpoint."""

from __future__ import annotations

from perfcrew.graphs.context import Context
from perfcrew.instruments.workload import capacity_of, weights_of

ASSUMED_SHARE = 0.5
"""Of the measured capacity, where nobody said what the peak is."""


def capacity(context: Context) -> float:
    """Requests a second that the mix could reach, from each endpoint's own throughput and its share; 0: not known."""
    rates = {p.endpoint.key: context.baseline(p.endpoint.key, "throughput") or 0.0 for p in context.plans}
    return capacity_of(weights_of(context.plans, context.shares), rates) if any(rates.values()) else 0.0
