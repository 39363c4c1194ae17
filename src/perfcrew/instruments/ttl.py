"""What times to live would give: the workload's mix, with what each request was traced to read, through a model.

The record is the mix of requests as the load stage sends it, at the rate of the expected peak, each with the keys that
its trace read. Kept are reads of a cache by pattern, and statements that read, by shape: what a cache of their answers
would give. Reads of the same thing in one request count once. Nothing is measured here; the model is checked against a
real Redis by benchmarks/ttl_model.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from perfcrew.core.cache import READS, REMOVALS, WRITES
from perfcrew.core.cache_use import accesses
from perfcrew.core.evidence import TtlCurve, TtlPoint
from perfcrew.core.repeats import shape_of
from perfcrew.core.scene import Scene
from perfcrew.core.sql import is_read, tables
from perfcrew.core.trace import Span, Trace
from perfcrew.core.web import Place
from perfcrew.instruments.life import statements
from perfcrew.instruments.places import place
from perfcrew.instruments.workload import mix
from perfcrew.stats.cache_model import Access, Cache, Outcome, curve, smallest, ttls_of

SPAN_S = 3600.0
MOST_REQUESTS = 4000
MOST_CURVES = 12
FEWEST_READS = 20
_POINTS = 10
_MOST_TTL_S = 24 * 3600.0


class _Read(NamedTuple):
    """A thing that one request reads, or writes: of which endpoint and group, its key, and its bytes."""

    endpoint: str
    group: str
    of: str
    key: str
    size: int
    writes: bool
    at: Place | None


def ttl_curves(
    scenes: Sequence[Scene], shares: Mapping[str, float], rate_per_s: float, target: float, root: Path
) -> list[tuple[str, TtlCurve]]:
    """Endpoint and curve of each group that is read often enough; the endpoint is the one that reads it most.

    `rate_per_s` is of all requests together.
    """
    told = [s for s in scenes if s.traced and s.plan.requests]
    if not told or rate_per_s <= 0:
        return []
    reads = {key: found for scene in told for key, found in _by_request(scene, root).items()}
    blend = mix([s.plan for s in told], shares)
    names = [(s.endpoint.key, n) for s in told for n in range(len(s.plan.requests))]
    count = int(min(MOST_REQUESTS, max(len(blend.order), rate_per_s * SPAN_S)))
    groups: dict[tuple[str, str], list[tuple[float, _Read]]] = {}
    for number in range(count):
        for one in reads.get(names[blend.order[number % len(blend.order)]], ()):
            groups.setdefault((one.of, one.group), []).append((number / rate_per_s, one))
    made = [(_busiest(found), c) for found in groups.values() if (c := _curve(found, rate_per_s, target))]
    return sorted(made, key=lambda m: -m[1].reads_count)[:MOST_CURVES]


def _by_request(scene: Scene, root: Path) -> dict[tuple[str, int], tuple[_Read, ...]]:
    """Of each request of the plan, by its last trace."""
    last = {trace.request: trace for trace in scene.traced[-1].traces}
    key = scene.endpoint.key
    found = _cached(key, scene.traced[-1].traces, root)
    return {
        (key, number): tuple(dict.fromkeys([*found.get(number, ()), *_asked(key, trace, root)]))
        for number, trace in last.items()
    }


def _cached(endpoint: str, traces: Sequence[Trace], root: Path) -> dict[int, list[_Read]]:
    """Reads of the cache, with the largest size that the key was seen to have."""
    found = accesses(traces)
    last = {trace.request: number for number, trace in enumerate(traces)}
    sizes: dict[str, int] = {}
    for one in found:
        sizes[one.operation.key] = max(sizes.get(one.operation.key, 0), one.operation.size_bytes)
    kept: dict[int, list[_Read]] = {}
    written = {one.pattern for one in found if one.operation.command in WRITES}
    for one in found:
        request = traces[one.trace].request
        command = one.operation.command
        if one.trace == last[request] and one.pattern in written and command in READS | REMOVALS:
            size, key = sizes[one.operation.key], one.operation.key
            removes = command in REMOVALS
            at = None if removes else _line(one.span, root)
            kept.setdefault(request, []).append(_Read(endpoint, one.pattern, "cache", key, size, removes, at))
    return kept


def _asked(endpoint: str, trace: Trace, root: Path) -> Iterable[_Read]:
    """Statements that read, whose parameters are known."""
    for span in statements(trace):
        text, digest = (
            str(span.attributes.get("db.query.text") or ""),
            span.attributes.get("perfcrew.db.parameters_digest"),
        )
        if digest and text and is_read(text) and tables(text):
            yield _Read(endpoint, shape_of(span), "statement", str(digest), 0, False, _line(span, root))


def _line(span: Span, root: Path) -> Place | None:
    return place(span.stack[0], root) if span.stack else None


def _busiest(found: Sequence[tuple[float, _Read]]) -> str:
    names = [one.endpoint for _, one in found if not one.writes] or [found[0][1].endpoint]
    return max(dict.fromkeys(names), key=names.count)


def _curve(found: Sequence[tuple[float, _Read]], rate_per_s: float, target: float) -> TtlCurve | None:
    record = [Access(at, one.key, one.size, one.writes) for at, one in found]
    ttls = [ttl for ttl in ttls_of(record, _POINTS) if ttl <= _MOST_TTL_S]
    reads = sum(not access.writes for access in record)
    if not ttls or reads < FEWEST_READS:
        return None
    outcomes = curve(record, ttls, Cache(0.0))
    best = smallest(outcomes, target)
    first = next((one for _, one in found if not one.writes), found[0][1])
    return TtlCurve(
        of="cache" if first.of == "cache" else "statement",
        group=first.group,
        place=first.at,
        reads_count=reads,
        keys_count=len({access.key for access in record}),
        writes_count=len(record) - reads,
        span_s=record[-1].at_s - record[0].at_s,
        target_share=target,
        points=tuple(_point(one) for one in outcomes),
        advised=outcomes.index(best) if best else None,
    )


def _point(one: Outcome) -> TtlPoint:
    return TtlPoint(
        ttl_s=one.ttl_s,
        hit_share=one.hit_ratio or 0.0,
        stale_share=one.stale_share or 0.0,
        peak_bytes=one.peak_bytes,
    )
