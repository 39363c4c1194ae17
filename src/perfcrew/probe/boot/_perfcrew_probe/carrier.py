"""What gives spans identity, parents and an end: the interface, and the standard library's implementation."""

from __future__ import annotations

import threading
from contextvars import ContextVar, Token
from typing import Any, NamedTuple

from . import callsite, clock, writer

_WITHOUT_CALL_SITE = frozenset({"server", "stage"})


class Identity(NamedTuple):
    trace: int
    span: int


class Span:
    """One piece of work under way. `attributes` may be changed until the end."""

    __slots__ = (
        *("attributes", "carrier", "ended", "identity", "kept", "kind", "name", "native", "parent", "stack"),
        "start_ns",
    )

    def __init__(self, carrier: Carrier, kind: str, name: str, attributes: dict[str, Any], start_ns: int) -> None:
        self.carrier, self.kind, self.name, self.attributes = carrier, kind, name, attributes
        self.start_ns = start_ns
        self.identity = Identity(0, 0)
        self.parent: int | None = None
        self.stack: callsite.Stack = []
        self.native: Any = None
        # What a hook needs again at the end, such as the commands of a pipeline.
        self.kept: Any = None
        self.ended = False

    def fail(self, error: BaseException) -> None:
        self.attributes["error.type"] = type(error).__qualname__

    def end(self, end_ns: int | None = None) -> None:
        """End it, now or at `end_ns`; a second call does nothing."""
        if not self.ended:
            self.ended = True
            self.carrier.end(self, clock.now_ns() if end_ns is None else end_ns)


class Carrier:
    """Spans kept by context variables of our own."""

    name = "stdlib"

    def __init__(self) -> None:
        self._current: ContextVar[Identity | None] = ContextVar("perfcrew_span", default=None)

    def start(self, kind: str, name: str, attributes: dict[str, Any], remote: Identity | None = None) -> Span:
        """Begin a span below the current one, or below `remote`, a parent in another process."""
        span = Span(self, kind, name, attributes, clock.now_ns())
        above = remote or self._current.get()
        span.identity = Identity(above.trace if above else clock.trace_id(), clock.span_id())
        span.parent = above.span if above else None
        span.stack = stack_for(kind)
        return span

    def end(self, span: Span, end_ns: int) -> None:
        record(span.identity, span.parent, span.kind, span.name, (span.start_ns, end_ns), span.attributes, span.stack)

    def enter(self, span: Span) -> Token[Any]:
        """Make it the parent of what starts from here on in this context."""
        return self._current.set(span.identity)

    def leave(self, token: Token[Any]) -> None:
        self._current.reset(token)


def stack_for(kind: str) -> callsite.Stack:
    return [] if kind in _WITHOUT_CALL_SITE else callsite.stack()


def record(
    identity: Identity,
    parent: int | None,
    kind: str,
    name: str,
    times_ns: tuple[int, int],
    attributes: dict[str, Any],
    stack: callsite.Stack,
) -> None:
    writer.emit(
        {
            "type": "span",
            "trace": format(identity.trace, "032x"),
            "span": format(identity.span, "016x"),
            "parent": None if parent is None else format(parent, "016x"),
            "kind": kind,
            "name": name,
            "start_ns": times_ns[0],
            "end_ns": max(times_ns),
            "attributes": {key: value for key, value in attributes.items() if value is not None},
            "stack": stack,
        }
    )


_stdlib = Carrier()
_chosen: Carrier | None = None
_choosing = threading.RLock()
_wanted_deps: str | None = None


def choose(mode: str, deps: str) -> None:
    """Say which carrier to use; OpenTelemetry is imported when the first span begins, not before."""
    global _chosen, _wanted_deps
    _chosen = None if mode == "otel" else _stdlib
    _wanted_deps = deps


def current() -> Carrier:
    global _chosen
    if _chosen is None:
        # Two threads may begin the first two spans at once.
        with _choosing:
            if _chosen is None:
                _chosen = _opentelemetry() or _stdlib
                writer.mode(_chosen.name)
    return _chosen


def fall_back(reason: str) -> None:
    """From the next span on use the standard library's carrier, and say why."""
    global _chosen
    _chosen = _stdlib
    writer.note("fell back to stdlib mode: " + reason)
    writer.mode(_stdlib.name)


def _opentelemetry() -> Carrier | None:
    from . import otel

    return otel.make(_wanted_deps or "")
