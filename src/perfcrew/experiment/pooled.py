"""The tail of each side by all of its requests together, where a started instance is asked too seldom for its own.

No verdict rests on it: requests of one instance are not independent of each other. It answers how long one of twenty
waits, by which targets are judged, from the same session on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from perfcrew.core.comparison import Effect, pooled
from perfcrew.stats.summary import fewest, quantile

TAILS = {"p95": 0.95, "p99": 0.99}
NO_VERDICT = "it is of all requests together, of which no verdict is given"


@dataclass
class Taken:
    """What the requests of both sides took (ms), of how many pairs, and whether some failed."""

    a_ms: list[float] = field(default_factory=list)
    b_ms: list[float] = field(default_factory=list)
    pairs_count: int = 0
    failed: bool = False


@dataclass
class Pool:
    """The requests of a comparison, by endpoint."""

    taken: dict[str, Taken] = field(default_factory=dict)

    def add(self, endpoint: str, a_ms: Sequence[float], b_ms: Sequence[float], *, failed: bool) -> None:
        """One pair's. Where requests fail the tail is not known: nobody got an answer from the slowest."""
        one = self.taken.setdefault(endpoint, Taken())
        one.a_ms += a_ms
        one.b_ms += b_ms
        one.pairs_count += 1
        one.failed = one.failed or failed

    def effects(self) -> dict[str, tuple[Effect, ...]]:
        """The percentiles of each endpoint that its requests carry and bound from above."""
        return {key: tuple(e for name in TAILS if (e := _tail(name, one))) for key, one in self.taken.items()}


def _tail(name: str, taken: Taken) -> Effect | None:
    a, b = (_bounded(samples, TAILS[name]) for samples in (taken.a_ms, taken.b_ms))
    if a is None or b is None or taken.failed:
        return None
    return Effect(
        metric=pooled("latency", name),
        unit="ms",
        direction="lower",
        role="shown",
        verdict=None,
        refused=NO_VERDICT,
        a=a,
        b=b,
        pairs_count=taken.pairs_count,
    )


def _bounded(samples: Sequence[float], q: float) -> float | None:
    """The quantile, None where too few samples give it or an upper bound of it."""
    found = quantile(samples, q) if len(samples) >= fewest(q) else None
    return found.value if found and found.high is not None else None
