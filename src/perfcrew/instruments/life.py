"""The life of a request: counts by kind, and the time of each stage without what lies inside it.

Every moment of the server span belongs to one stage: to the innermost span that is open at that moment, the earliest
of them where several run at once. So own times never overlap and shares sum to one at most.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import median

from perfcrew.core.evidence import Counts, Stage
from perfcrew.core.trace import Span, Trace

WAITING = "waiting"
CONNECTING = "connections"
"""Opening them, and waiting for a pool to give one."""
_OUTSIDE = {"database": "SQL", "cache": "cache", "http": "HTTP", "model": "model calls"}
_STAGES = {
    "fastapi.dependencies": "dependencies",
    "fastapi.endpoint": "endpoint code",
    "fastapi.serialization": "serialization",
    "django.view": "endpoint code",
    "flask.view": "endpoint code",
    "django.template": "template",
    "flask.render": "template",
}


def statements(trace: Trace) -> tuple[Span, ...]:
    """The SQL statements of a request: no connecting, no commits, none of the framework's own."""
    return tuple(s for s in trace.of("database") if s.attributes.get("db.query.text"))


def counts_of(trace: Trace) -> Counts:
    """The exact metrics of one request, and its times as traced."""
    sql = statements(trace)
    server = trace.server
    return Counts(
        statements_count=len(sql),
        rows=sum(_number(s.attributes.get("db.response.returned_rows")) for s in sql),
        cache_count=len(trace.of("cache")),
        http_count=len(trace.of("http")),
        model_count=len(trace.of("model")),
        response_bytes=_number(server.attributes.get("http.response.body.size")) if server else 0,
        statements_ms=covered_ms(sql),
        request_ms=server.duration_ms if server else 0,
    )


def median_counts(traces: Sequence[Trace]) -> Counts:
    """Each metric's median, since counts jitter by writes that come now and then."""
    each = [counts_of(t) for t in traces if t.server]
    if not each:
        return Counts()
    return Counts(**{name: median(getattr(c, name) for c in each) for name in Counts.model_fields})


def covered_ms(spans: Iterable[Span]) -> float:
    """The time in which at least one of them was open."""
    total, end = 0, None
    for span in sorted(spans, key=lambda s: s.start_ns):
        start = span.start_ns if end is None else max(span.start_ns, end)
        if span.end_ns > start:
            total += span.end_ns - start
            end = span.end_ns
    return total / 1e6


def stages(traces: Sequence[Trace]) -> tuple[Stage, ...]:
    """Mean own time, share of the whole time and number of spans by stage, the largest first.

    Means, not medians, so that the stages of a request sum to it. Time in which the application's own stages took no
    processor time is `waiting`, where the probe could tell the two apart. Of each request the faster half of its
    repeats counts, since on a busy machine the rest shows the wait for a core.
    """
    served = _undisturbed(traces)
    if not served:
        return ()
    own: dict[str, list[float]] = defaultdict(list)
    number: Counter[str] = Counter()
    for trace in served:
        for name, ms in _without_waiting(trace, own_times(trace)).items():
            own[name].append(ms)
        number.update(_name(s, trace) for s in (trace.server, *trace.spans) if s)
    whole_ms = sum(t.server.duration_ms for t in served if t.server)
    found = [
        Stage(
            name=name,
            own_ms=sum(ms) / len(served),
            own_share=min(1.0, sum(ms) / whole_ms),
            spans_count=number[name] / len(served),
        )
        for name, ms in own.items()
    ]
    return tuple(sorted((s for s in found if s.own_ms > 0), key=lambda s: -s.own_ms))


def _undisturbed(traces: Sequence[Trace]) -> list[Trace]:
    by_request: dict[int, list[tuple[float, Trace]]] = defaultdict(list)
    for trace in traces:
        if trace.server and trace.server.end_ns > trace.server.start_ns:
            by_request[trace.request].append((trace.server.duration_ms, trace))
    ordered = [sorted(group, key=lambda pair: pair[0]) for group in by_request.values()]
    return [trace for group in ordered for _, trace in group[: (len(group) + 1) // 2]]


def own_times(trace: Trace) -> dict[str, float]:
    """Milliseconds of the server span by stage, each moment counted once."""
    server = trace.server
    if server is None:
        return {}
    spans = [s for s in trace.spans if s.end_ns > server.start_ns and s.start_ns < server.end_ns]
    depth = _depths(server, spans)
    edges = sorted({e for s in (server, *spans) for e in (s.start_ns, s.end_ns)})
    moments = [e for e in edges if server.start_ns <= e <= server.end_ns]
    starts = sorted(spans, key=lambda s: s.start_ns)
    own: dict[str, float] = defaultdict(float)
    active: list[Span] = []
    at = 0
    for begin, end in pairwise(moments):
        while at < len(starts) and starts[at].start_ns <= begin:
            active.append(starts[at])
            at += 1
        active = [s for s in active if s.end_ns > begin]
        innermost = max(active, key=lambda s: (depth[s.span], -s.start_ns), default=server)
        own[_name(innermost, trace)] += (end - begin) / 1e6
    return dict(own)


def _depths(server: Span, spans: Sequence[Span]) -> dict[str, int]:
    """How deep each span lies; calls to the outside lie deeper than any stage, whatever their parent is said to be."""
    parents: dict[str, str | None] = {s.span: s.parent for s in spans}
    depths: dict[str, int] = {server.span: 0}
    for span in spans:
        chain: list[str] = []
        at: str | None = span.span
        while at is not None and at not in depths and at not in chain:
            chain.append(at)
            at = parents.get(at)
        base = depths.get(at, 0) if at is not None else 0
        for number, one in enumerate(reversed(chain), start=1):
            depths[one] = base + number
    outside = {s.span for s in spans if s.kind in _OUTSIDE}
    deepest = max(depths.values())
    return {span: depth + (deepest if span in outside else 0) for span, depth in depths.items()}


_CONNECTING = frozenset({"CONNECT", "CHECKOUT", "CHECKIN"})


def _name(span: Span, trace: Trace) -> str:
    if span.kind == "database" and span.attributes.get("db.operation.name") in _CONNECTING:
        return CONNECTING
    if span.kind in _OUTSIDE:
        return _OUTSIDE[span.kind]
    if span.kind == "server":
        return "framework" if any(s.kind == "stage" for s in trace.spans) else "application code"
    return _STAGES.get(span.name, span.name if span.kind == "stage" else "endpoint code")


def _without_waiting(trace: Trace, own: Mapping[str, float]) -> dict[str, float]:
    """The own times with the waiting in them taken out of the inner stages, largest first."""
    cpu_ns = trace.server.attributes.get("perfcrew.cpu_ns") if trace.server else None
    left = dict(own)
    if not isinstance(cpu_ns, int | float):
        return left
    inside = [name for name in left if name not in _OUTSIDE.values()]
    waiting = max(0.0, sum(left[name] for name in inside) - cpu_ns / 1e6)
    still = waiting
    for name in sorted(inside, key=lambda n: -left[n]):
        taken = min(left[name], still)
        left[name] -= taken
        still -= taken
    left[WAITING] = left.get(WAITING, 0.0) + waiting
    return left


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
