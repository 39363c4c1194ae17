"""How many requests a second of the mix the application could bear, by what was measured of each endpoint."""

from __future__ import annotations

from perfcrew.graphs.context import Context

ASSUMED_SHARE = 0.5
"""Of the measured capacity, where nobody said what the peak is."""


def capacity(context: Context) -> float:
    """Requests a second that the mix could reach, from each endpoint's own throughput: its harmonic mean."""
    known = [context.baseline(p.endpoint.key, "throughput") for p in context.plans]
    rates = [rate for rate in known if rate]
    return len(rates) / sum(1 / rate for rate in rates) if rates else 0.0
