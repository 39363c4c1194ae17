"""OpenTelemetry's SDK as the carrier of spans.

Our spans come from a provider of our own, so that the target's sampler cannot drop them and the target's
exporters never send them anywhere; the context is shared, so parents fit. The global provider is ours until
the target sets its own: then that one becomes the global one, as without the probe, and our processor joins
it. What others than our hooks start is recorded too: FastAPI's request spans as "stage", what instrumentors of
`breadth.py` see by its conventions, the application's own as "internal".
"""

from __future__ import annotations

import functools
import sys
from typing import Any, Callable

from . import clock, request, writer
from .carrier import Carrier, Identity, Span, fall_back, record, stack_for
from .guard import guarded

_SCOPE = "perfcrew.probe"
_KIND = "perfcrew.kind"
_MOST_OPEN = 20_000
_FASTAPI = "fastapi"
# What it is its attributes tell, and those are often set at the end only.
_BREADTH = "breadth"
breadth_scopes: set[str] = set()
_ELSEWHERE = frozenset(
    ["mongodb", "neo4j", "memgraph", "elasticsearch", "opensearch", "couchdb", "dynamodb", "aws.dynamodb", "cosmosdb"]
)


def make(deps: str) -> Carrier | None:
    """The carrier, tried out once; None with a note where OpenTelemetry does not work in this process."""
    if deps and deps not in sys.path:
        # Behind everything: what the target has installed must win.
        sys.path.append(deps)
    try:
        carrier = OtelCarrier()
        carrier.try_out()
    # A broken or foreign OpenTelemetry may raise anything while it is imported.
    except Exception as error:  # noqa: BLE001
        writer.note(f"fell back to stdlib mode: OpenTelemetry does not work here: {type(error).__name__}: {error}")
        return None
    carrier.make_global()
    return carrier


class OtelCarrier(Carrier):
    name = "otel"

    def __init__(self) -> None:
        from opentelemetry import context, trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import SpanLimits, TracerProvider, sampling

        self._trace, self._context = trace, context
        self.processor = _processor(self)
        limits = SpanLimits(max_span_attributes=SpanLimits.UNSET, max_span_attribute_length=SpanLimits.UNSET)
        self._provider = TracerProvider(
            sampler=sampling.ALWAYS_ON,
            resource=Resource.get_empty(),
            shutdown_on_exit=False,
            id_generator=_id_generator(),
            span_limits=limits,
        )
        self._provider.add_span_processor(self.processor)
        self._tracer = self._provider.get_tracer(_SCOPE)

    def try_out(self) -> None:
        """Raises RuntimeError where a span does not come back (OTEL_SDK_DISABLED, mixed versions)."""
        self.processor.muted = True
        self._tracer.start_span("try").end()
        self.processor.muted = False
        if self.processor.seen != 1:
            raise RuntimeError("a span that was started and ended did not reach its processor (OTEL_SDK_DISABLED?)")

    def make_global(self) -> None:
        _watch_providers(self._trace, self.processor, self._provider)

    def start(self, kind: str, name: str, attributes: dict[str, Any], remote: Identity | None = None) -> Span:
        span = Span(self, kind, name, attributes, clock.now_ns())
        context = None if remote is None else self._remote(remote)
        span.native = self._tracer.start_span(name, context, attributes={_KIND: kind}, start_time=span.start_ns)
        own = span.native.get_span_context()
        span.identity = Identity(own.trace_id, own.span_id)
        return span

    def _remote(self, remote: Identity) -> Any:
        flags = self._trace.TraceFlags(self._trace.TraceFlags.SAMPLED)
        above = self._trace.SpanContext(remote.trace, remote.span, True, flags)
        return self._trace.set_span_in_context(self._trace.NonRecordingSpan(above))

    def end(self, span: Span, end_ns: int) -> None:
        span.native.update_name(span.name)
        span.native.set_attributes({key: value for key, value in span.attributes.items() if value is not None})
        # The kind can turn out at the end only: an HTTP call that proves to be a model's.
        span.native.set_attribute(_KIND, span.kind)
        span.native.end(end_time=max(end_ns, span.start_ns))

    def enter(self, span: Span) -> Any:
        return self._context.attach(self._trace.set_span_in_context(span.native))

    def leave(self, token: Any) -> None:
        self._context.detach(token)


def _id_generator() -> Any:
    from opentelemetry.sdk.trace.id_generator import IdGenerator

    class Ids(IdGenerator):
        def generate_trace_id(self) -> int:
            return clock.trace_id()

        def generate_span_id(self) -> int:
            return clock.span_id()

    return Ids()


def _processor(carrier: Carrier) -> Any:
    from opentelemetry.sdk.trace import SpanProcessor

    class Recorder(SpanProcessor):
        """Attaches the call site at a span's start and writes the record at its end."""

        def __init__(self) -> None:
            self.muted = False
            self.seen = 0
            self._open: dict[int, _Open] = {}

        @guarded
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            if len(self._open) < _MOST_OPEN:
                self._open[span.get_span_context().span_id] = _Open(span)

        @guarded
        def on_end(self, span: Any) -> None:
            opened = self._open.pop(span.get_span_context().span_id, None)
            self.seen += 1
            if opened is not None and not self.muted:
                opened.write(span)

    return Recorder()


class _Open:
    """What is remembered of a span between its start and its end."""

    __slots__ = ("kind", "parent", "stack", "trace")

    def __init__(self, span: Any) -> None:
        scope = span.instrumentation_scope.name if span.instrumentation_scope else ""
        self.kind = span.attributes.get(_KIND) if scope == _SCOPE else _foreign_kind(scope, span)
        self.stack = stack_for(self.kind)
        self.parent = span.parent.span_id if span.parent else None
        self.trace = span.get_span_context().trace_id
        under_way = request.current.get()
        if self.kind != "server" and under_way is not None:
            self._belong_to(under_way, span)

    def _belong_to(self, under_way: request.Request, span: Any) -> None:
        """A framework's own server span starts from the header alone, as if ours were not there: put it below."""
        self.trace = under_way.span.identity.trace
        if span.parent is None or span.parent.is_remote:
            self.parent = under_way.span.identity.span

    def write(self, span: Any) -> None:
        attributes = dict(span.attributes or {})
        told = self.kind == _BREADTH or _is_elsewhere(attributes)
        kind = attributes.pop(_KIND, None) or (_by_convention(attributes) if told else self.kind)
        identity = Identity(self.trace, span.get_span_context().span_id)
        record(identity, self.parent, kind, span.name, (span.start_time, span.end_time), attributes, self.stack)


def _foreign_kind(scope: str, span: Any) -> str:
    """`fastapi` names its server span by the method, its stages by `fastapi.…`."""
    if scope == _FASTAPI and span.name.startswith("fastapi."):
        return "stage"
    return _BREADTH if scope in breadth_scopes else "internal"


def _is_elsewhere(attributes: Any) -> bool:
    """A span of the target's own instrumentation, of a database that no hook of ours covers."""
    return (attributes.get("db.system.name") or attributes.get("db.system")) in _ELSEWHERE


def _by_convention(attributes: Any) -> str:
    if "gen_ai.operation.name" in attributes or "gen_ai.system" in attributes:
        return "model"
    if any(key.startswith("db.") for key in attributes):
        return "cache" if attributes.get("db.system") in ("memcached", "redis") else "database"
    return "http" if any(key in attributes for key in ("url.full", "http.url")) else "internal"


def _watch_providers(trace: Any, processor: Any, ours: Any) -> None:
    """Make ours the global provider unless the target has one, and let the target's replace it later."""
    theirs = getattr(trace, "_TRACER_PROVIDER", None)
    if theirs is None:
        trace.set_tracer_provider(ours)
    else:
        _join(theirs, processor)
    original: Callable[..., None] = trace.set_tracer_provider

    @functools.wraps(original)
    def set_tracer_provider(tracer_provider: Any) -> None:
        if getattr(trace, "_TRACER_PROVIDER", None) is ours:
            _release(trace)
        original(tracer_provider)
        if getattr(trace, "_TRACER_PROVIDER", None) is tracer_provider:
            _join(tracer_provider, processor)

    trace.set_tracer_provider = set_tracer_provider


@guarded
def _release(trace: Any) -> None:
    """OpenTelemetry allows one global provider for a process; ours must not use up the target's turn."""
    from opentelemetry.util._once import Once

    trace._TRACER_PROVIDER_SET_ONCE = Once()
    trace._TRACER_PROVIDER = None


def _join(provider: Any, processor: Any) -> None:
    add = getattr(provider, "add_span_processor", None)
    if add is None:
        name = f"{type(provider).__module__}.{type(provider).__qualname__}"
        fall_back(f"the target's tracer provider {name} takes no span processor")
        return
    add(processor)
    writer.note("joined the target's own OpenTelemetry tracer provider")
