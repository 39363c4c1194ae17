"""What times to live would give: the workload's mix, with what each request was traced to read, through a model.

The record is the mix of requests as the load stage sends it, at the rate of the expected peak, each with the keys that
its trace read. Kept are reads of a cache by pattern, and statements that read, by shape: what a cache of their answers
would give. Reads of the same thing in one request count once. Writes are the application's deletions of keys, where it
has any: the model deletes too. Else they are statements that change a table which the answer is made of, whichever its
rows: the staleness is the most that it may be, and not known where no write was seen at all.
Nothing is measured here; the model is checked against a
real Redis by benchmarks/ttl_model.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from perfcrew.core.cache import READS, REMOVALS, WRITES
from perfcrew.core.cache_use import Access as _Access
from perfcrew.core.cache_use import accesses
from perfcrew.core.evidence import TtlCurve, TtlPoint
from perfcrew.core.repeats import shape_of
from perfcrew.core.scene import Scene
from perfcrew.core.sql import is_read, tables
from perfcrew.core.trace import Span, Trace
from perfcrew.core.web import Place
from perfcrew.instruments.life import statements
from perfcrew.instruments.places import place
from perfcrew.instruments.workload import CYCLE, mix
from perfcrew.stats.cache_model import Access, Cache, Outcome, curve, smallest, ttls_of

SPAN_S = 3600.0
MOST_REQUESTS = 10_000
MOST_WRITES = 20_000
MOST_CURVES = 12
FEWEST_READS = 20
_POINTS = 10
_MOST_TTL_S = 24 * 3600.0


@dataclass(frozen=True)
class Record:
    """The mix to replay: each endpoint's share, and the rate of all requests together."""

    shares: Mapping[str, float]
    rate_per_s: float
    assumed: bool = False
    """Whether nobody named the rate."""
    synthetic: bool = False
    """Whether the requests are perfcrew's own, and no log's or recording's."""


class _Read(NamedTuple):
    """A thing that one request reads, or deletes: of which endpoint and group, its key, and its bytes."""

    endpoint: str
    group: str
    of: str
    key: str
    size: int
    deletes: bool
    at: Place | None


class _Told(NamedTuple):
    """What the traces of all endpoints say together."""

    reads: Mapping[tuple[str, int], tuple[_Read, ...]]
    changes: Mapping[tuple[str, int], frozenset[str]]
    """Tables that a request writes."""
    made_of: Mapping[tuple[str, str], frozenset[str]]
    """Tables that a group's answers are made of."""


def ttl_curves(scenes: Sequence[Scene], record: Record, target: float, root: Path) -> list[tuple[str, TtlCurve]]:
    """Endpoint and curve of each group that is read often enough; the endpoint is the one that reads it most."""
    seen = [s for s in scenes if s.traced and s.plan.requests]
    if not seen or record.rate_per_s <= 0:
        return []
    told = _told(seen, root)
    count = int(min(MOST_REQUESTS, max(CYCLE, record.rate_per_s * SPAN_S)))
    blend = mix([s.plan for s in seen], record.shares, count)
    names = [(s.endpoint.key, n) for s in seen for n in range(len(s.plan.requests))]
    order = [names[number] for number in blend.order]
    groups: dict[tuple[str, str], list[tuple[float, _Read]]] = {}
    for number, name in enumerate(order):
        for one in told.reads.get(name, ()):
            groups.setdefault((one.of, one.group), []).append((number / record.rate_per_s, one))
    changed = [(n / record.rate_per_s, told.changes[name]) for n, name in enumerate(order) if told.changes.get(name)]
    made = [
        (_busiest(found), c)
        for group, found in groups.items()
        if (c := _curve(found, [at for at, of in changed if of & told.made_of.get(group, frozenset())], record, target))
    ]
    return sorted(made, key=lambda m: -m[1].reads_count)[:MOST_CURVES]


def _told(scenes: Sequence[Scene], root: Path) -> _Told:
    every = {s.endpoint.key: accesses(s.traced[-1].traces) for s in scenes}
    written = {a.pattern for found in every.values() for a in found if a.operation.command in WRITES}
    reads: dict[tuple[str, int], tuple[_Read, ...]] = {}
    changes: dict[tuple[str, int], frozenset[str]] = {}
    made_of: dict[tuple[str, str], set[str]] = {}
    for scene in scenes:
        key, traces = scene.endpoint.key, scene.traced[-1].traces
        found = _cached(key, traces, every[key], written, root)
        for number, trace in {trace.request: trace for trace in traces}.items():
            asked = list(_asked(key, trace, root))
            reads[key, number] = tuple(dict.fromkeys([*found.get(number, ()), *asked]))
            changes[key, number] = _tables(trace, reads=False)
        for trace in traces:
            for one in _asked(key, trace, root):
                made_of.setdefault(("statement", one.group), set()).update(_tables(trace, shape=one.group))
        for access in every[key]:
            if access.operation.command in WRITES:
                made_of.setdefault(("cache", access.pattern), set()).update(_tables(traces[access.trace]))
    return _Told(reads, changes, {group: frozenset(of) for group, of in made_of.items()})


def _tables(trace: Trace, *, reads: bool = True, shape: str | None = None) -> frozenset[str]:
    """Tables that the trace's statements read, or write; with a shape those of its alone."""
    found: set[str] = set()
    for span in statements(trace):
        text = str(span.attributes.get("db.query.text") or "")
        if text and is_read(text) is reads and (shape is None or shape_of(span) == shape):
            found.update(str(table).lower() for table in tables(text))
    return frozenset(found)


def _cached(
    endpoint: str, traces: Sequence[Trace], found: Sequence[_Access], written: Collection[str], root: Path
) -> dict[int, list[_Read]]:
    """Reads of the cache, with the largest size that the key was seen to have; and deletions."""
    last = {trace.request: number for number, trace in enumerate(traces)}
    sizes: dict[str, int] = {}
    for one in found:
        sizes[one.operation.key] = max(sizes.get(one.operation.key, 0), one.operation.size_bytes)
    kept: dict[int, list[_Read]] = {}
    for one in found:
        request = traces[one.trace].request
        command = one.operation.command
        if one.trace == last[request] and one.pattern in written and command in READS | REMOVALS:
            size, key = sizes[one.operation.key], one.operation.key
            deletes = command in REMOVALS
            at = None if deletes else _line(one.span, root)
            kept.setdefault(request, []).append(_Read(endpoint, one.pattern, "cache", key, size, deletes, at))
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
    names = [one.endpoint for _, one in found if not one.deletes] or [found[0][1].endpoint]
    return max(dict.fromkeys(names), key=names.count)


def _curve(
    found: Sequence[tuple[float, _Read]], changed: Sequence[float], told: Record, target: float
) -> TtlCurve | None:
    """`changed` are the seconds at which a table was written that the answers are made of."""
    reads = [Access(at, one.key, one.size) for at, one in found if not one.deletes]
    deletions = [Access(at, one.key, writes=True) for at, one in found if one.deletes]
    keys = {access.key for access in reads}
    writes = deletions or [Access(at, key, writes=True) for at in changed for key in keys][:MOST_WRITES]
    ttls = [ttl for ttl in ttls_of(reads, _POINTS) if ttl <= _MOST_TTL_S]
    if not ttls or len(reads) < FEWEST_READS:
        return None
    outcomes = curve([*writes, *reads], ttls, Cache(0.0, deletes=bool(deletions)))
    best = smallest(outcomes, target)
    first = next(one for _, one in found if not one.deletes)
    return TtlCurve(
        of="cache" if first.of == "cache" else "statement",
        group=first.group,
        place=first.at,
        reads_count=len(reads),
        keys_count=len(keys),
        writes_count=len(deletions) or len(changed),
        span_s=reads[-1].at_s - reads[0].at_s,
        rate_per_s=told.rate_per_s,
        assumed_rate=told.assumed,
        synthetic=told.synthetic,
        deletes=bool(deletions),
        target_share=target,
        points=tuple(_point(one, known=bool(writes)) for one in outcomes),
        advised=outcomes.index(best) if best else None,
    )


def _point(one: Outcome, known: bool) -> TtlPoint:
    return TtlPoint(
        ttl_s=one.ttl_s,
        hit_share=one.hit_ratio or 0.0,
        stale_share=(one.stale_share or 0.0) if known else None,
        peak_bytes=one.peak_bytes,
    )
