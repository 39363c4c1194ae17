"""What a rule looks at: everything that was observed of one endpoint, or of the application, with evidence ids."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as default
from pathlib import Path
from typing import Generic, TypeVar

from perfcrew.core.advice import IndexAdvice, IndexUsage
from perfcrew.core.evidence import (
    CacheServer,
    CpuProfile,
    Data,
    Measurement,
    Memory,
    Neighbour,
    Payload,
    QueryPlan,
    Scaling,
    Startup,
    Traces,
    TtlCurve,
    unit_of,
)
from perfcrew.core.evidence import field as read_field
from perfcrew.core.pooling import ConnectionNeed
from perfcrew.core.project import Project
from perfcrew.core.prose import Cited, Ref, cite
from perfcrew.core.trace import Trace
from perfcrew.core.vectors import VectorSearch
from perfcrew.core.web import Endpoint, Plan

B = TypeVar("B")


@dataclass(frozen=True)
class Seen(Generic[B]):
    """A body with the id of its evidence."""

    evidence: str
    body: B

    def cite(self, path: str) -> Cited:
        """The number at a dotted path of the body, ready for a text."""
        return cite(read_field(self.body, path), unit_of(self.body, path), Ref(evidence=self.evidence, field=path))

    def ref(self, path: str) -> Ref:
        """A reference to the number at that path, for derivations."""
        return Ref(evidence=self.evidence, field=path)


@dataclass(frozen=True)
class Traced:
    """The traces of one endpoint at one size of data (None: as measured), request by request."""

    seen: Seen[Traces]
    traces: tuple[Trace, ...]

    @property
    def warm(self) -> tuple[Trace, ...]:
        """Without the first time each request was sent."""
        return tuple(t for t in self.traces if t.repeat > 0)


@dataclass(frozen=True)
class Scene:
    """All that was observed of one endpoint. What was not measured is None or empty, never zero."""

    root: Path
    endpoint: Endpoint
    plan: Plan
    traced: tuple[Traced, ...] = ()
    """By size, smallest first; the last one is the size the baseline was measured at."""
    measurements: tuple[Seen[Measurement], ...] = ()
    scaling: tuple[Seen[Scaling], ...] = ()
    plans: tuple[Seen[QueryPlan], ...] = ()
    vectors: tuple[Seen[VectorSearch], ...] = ()
    profile: Seen[CpuProfile] | None = None
    memory: Seen[Memory] | None = None
    neighbour: Seen[Neighbour] | None = None
    payload: Seen[Payload] | None = None
    ttl: tuple[Seen[TtlCurve], ...] = ()
    """What times to live would give, for groups of reads that this endpoint sends most of."""
    at_once: Traced | None = None
    """The same request several times at once on an empty cache, where the endpoint fills one."""
    data: Seen[Data] | None = None
    """The rows that it was measured on, None where the application has no database."""
    advice: Seen[IndexAdvice] | None = None
    """Indexes for all statements of the run together, None where none were tried."""
    need: Seen[ConnectionNeed] | None = None
    """How many connections the application needs, and how many its server gives; None where it has no server."""

    def measured(self, metric: str, phase: str = "warm") -> Seen[Measurement] | None:
        """The measurement of a metric, None where it was not measured."""
        return next((m for m in self.measurements if m.body.metric == metric and m.body.phase in (phase, "any")), None)

    def scaled(self, metric: str) -> Seen[Scaling] | None:
        """How a metric grows with the data, None where it was not probed."""
        return next((s for s in self.scaling if s.body.metric == metric), None)


@dataclass(frozen=True)
class ApplicationScene:
    """The whole application: its scenes, and what is observed of no endpoint alone."""

    root: Path
    project: Project
    scenes: tuple[Scene, ...]
    startup: Seen[Startup] | None = None
    caches: tuple[Seen[CacheServer], ...] = ()
    """The target's own Redis, after each stage that it was looked at."""
    environment: str | None = None
    advice: Seen[IndexAdvice] | None = None
    index_usage: Seen[IndexUsage] | None = None
    notes: tuple[str, ...] = default(default=())
