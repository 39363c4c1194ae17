"""Spans of one request, as the probe saw them. Attribute names are OpenTelemetry's; ours begin with `perfcrew.`."""

from __future__ import annotations

from typing import Any, Literal

from perfcrew.core.base import Noun

SpanKind = Literal["server", "database", "cache", "http", "model", "stage", "internal"]


class Frame(Noun):
    """A frame of a Python stack: absolute file, 1-based line, qualified function name."""

    file: str
    line: int
    function: str


class Span(Noun):
    """One operation. Times are nanoseconds of one monotonic clock; `stack` is innermost first."""

    trace: str
    span: str
    parent: str | None = None
    kind: SpanKind
    name: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Any] = {}
    stack: tuple[Frame, ...] = ()

    @property
    def duration_ms(self) -> float:
        return (self.end_ns - self.start_ns) / 1e6


class Block(Noun):
    """The event loop did not turn for `duration_ms`; `stack` was seen on it meanwhile."""

    trace: str | None = None
    start_ns: int
    duration_ms: float
    stack: tuple[Frame, ...] = ()


class LoadedEntity(Noun):
    """What an ORM class loaded in one request: instances, and bytes of the values by column."""

    table: str
    instances: int
    columns: dict[str, int]


class Function(Noun):
    """A function that the request really executed."""

    file: str
    first_line: int
    last_line: int
    name: str


class Trace(Noun):
    """One request: its server span, everything below it, and what else the probe noticed meanwhile."""

    id: str
    request: int
    """Index into the plan's requests."""
    repeat: int = 0
    """0 for the first time this request was sent in this process, and so on."""
    server: Span | None = None
    spans: tuple[Span, ...] = ()
    blocks: tuple[Block, ...] = ()
    functions: tuple[Function, ...] = ()
    loaded: dict[str, LoadedEntity] = {}
    read: tuple[str, ...] = ()
    """`Entity.attribute` of what was read of the loaded instances."""
    response_keys: tuple[str, ...] = ()
    """Keys that occur anywhere in the JSON answer."""
    items: int | None = None

    def of(self, *kinds: SpanKind) -> tuple[Span, ...]:
        """The spans of these kinds in order of their start, without the framework's own statements."""
        return tuple(s for s in self.spans if s.kind in kinds and not s.attributes.get("perfcrew.framework"))
