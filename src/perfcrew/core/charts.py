"""What a report draws: each chart names the evidence that it shows."""

from __future__ import annotations

from perfcrew.core.base import Noun
from perfcrew.core.vectors import VectorSetting


class Distribution(Noun):
    """Latencies of one endpoint: recorded values, ascending, and how many requests took each."""

    endpoint: str
    evidence: str
    values_ms: tuple[float, ...]
    counts: tuple[int, ...]


class Bar(Noun):
    """A span of a waterfall. `place` is the application's line that asked for it."""

    name: str
    kind: str
    start_ms: float
    duration_ms: float
    depth: int
    place: str = ""
    repeated: bool = False
    """The same work, from the same line, as a bar before it."""


class Waterfall(Noun):
    """One typical traced request, span by span."""

    endpoint: str
    evidence: str
    trace: str
    total_ms: float
    bars: tuple[Bar, ...]
    left_out: int


class FlameFrame(Noun):
    """A function of a flame graph with the samples in and below it."""

    name: str
    samples: int
    children: tuple[FlameFrame, ...] = ()


class Flame(Noun):
    endpoint: str
    evidence: str
    root: FlameFrame


class ScalingPlot(Noun):
    """How an exact metric grows with the data."""

    endpoint: str
    evidence: str
    metric: str
    by: str
    sizes: tuple[float, ...]
    values: tuple[float, ...]
    growth: str


class Frontier(Noun):
    """Recall against time of the ways to answer one search for nearest neighbours."""

    endpoint: str
    evidence: str
    search: str
    """`items.embedding <=>`."""
    asked_share: float
    settings: tuple[VectorSetting, ...]
    recommended: VectorSetting | None


class TtlPlot(Noun):
    """Hit ratio and staleness against the time to live, by the model; `advised` is an index of the points."""

    endpoint: str
    evidence: str
    group: str
    ttls_s: tuple[float, ...]
    hits: tuple[float, ...]
    stale: tuple[float, ...]
    target: float
    advised: int | None = None


class Charts(Noun):
    distributions: tuple[Distribution, ...] = ()
    waterfalls: tuple[Waterfall, ...] = ()
    flames: tuple[Flame, ...] = ()
    scaling: tuple[ScalingPlot, ...] = ()
    frontiers: tuple[Frontier, ...] = ()
    ttl: tuple[TtlPlot, ...] = ()
