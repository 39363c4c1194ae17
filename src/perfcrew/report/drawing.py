"""What a report draws, read from samples and blobs: distributions, waterfalls, flame graphs, scaling."""

from __future__ import annotations

import gzip
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from perfcrew.core.charts import Bar, Charts, Distribution, Flame, FlameFrame, Frontier, ScalingPlot, TtlPlot, Waterfall
from perfcrew.core.errors import LedgerError
from perfcrew.core.evidence import Evidence, Measurement, Scaling, TtlCurve
from perfcrew.core.sql import shape
from perfcrew.core.trace import Span, Trace
from perfcrew.core.vectors import VectorSearch
from perfcrew.report.book import Book
from perfcrew.stats import decode

BARS = 400
LEAST = 5
"""Requests that make a distribution worth drawing."""
SMALLEST_SHARE = 0.004
DEEPEST = 60


def charts(book: Book, endpoints: Sequence[str], with_findings: Sequence[str]) -> Charts:
    """Distributions and scaling of all endpoints; waterfalls and flame graphs of those with findings."""
    return Charts(
        distributions=tuple(d for key in endpoints if (d := _distribution(book, key))),
        waterfalls=tuple(w for key in with_findings if (w := _waterfall(book, key))),
        flames=tuple(f for key in with_findings if (f := _flame(book, key))),
        scaling=tuple(_scaling(e, e.body) for e in book.of("scaling") if isinstance(e.body, Scaling)),
        frontiers=tuple(frontier(e, e.body) for e in book.of("vectors") if isinstance(e.body, VectorSearch)),
        ttl=tuple(_ttl(e, e.body) for e in book.of("ttl curve") if isinstance(e.body, TtlCurve)),
    )


def _distribution(book: Book, endpoint: str) -> Distribution | None:
    item = book.baseline(endpoint, "latency")
    found = _recorded(book, item) if item else {}
    if item is None or sum(found.values()) < LEAST:
        return None
    values = tuple(sorted(found))
    counts = tuple(found[v] for v in values)
    return Distribution(endpoint=endpoint, evidence=item.id, values_ms=values, counts=counts)


def _recorded(book: Book, item: Evidence) -> Mapping[float, int]:
    """Times with their counts, to three digits: of the histogram where there is one, of the samples otherwise."""
    found: Counter[float] = Counter()
    if "histogram" in item.blobs:
        for bucket in decode(book.ledger.blob(item.blobs["histogram"])):
            found[float(f"{bucket.value_ms:.3g}")] += bucket.count
    elif isinstance(item.body, Measurement):
        found.update(float(f"{sample:.3g}") for sample in item.body.samples)
    return found


def _scaling(item: Evidence, body: Scaling) -> ScalingPlot:
    return ScalingPlot(
        endpoint=item.subject,
        evidence=item.id,
        metric=body.metric,
        by=body.by,
        sizes=body.sizes,
        values=body.values,
        growth=body.growth,
    )


def frontier(item: Evidence, body: VectorSearch) -> Frontier:
    """All that a sweep measured, the quickest first."""
    return Frontier(
        endpoint=item.subject,
        evidence=item.id,
        search=f"{body.table}.{body.column} {body.operator}",
        asked_share=body.asked_share,
        settings=tuple(sorted(body.settings, key=lambda s: -s.exact_ratio)),
        recommended=body.recommended,
    )


def _ttl(item: Evidence, body: TtlCurve) -> TtlPlot:
    return TtlPlot(
        endpoint=item.subject,
        evidence=item.id,
        group=body.group,
        ttls_s=tuple(p.ttl_s for p in body.points),
        hits=tuple(p.hit_share for p in body.points),
        stale=tuple(p.stale_share for p in body.points if p.stale_share is not None),
        target=body.target_share,
        advised=body.advised,
    )


def _waterfall(book: Book, endpoint: str) -> Waterfall | None:
    item = book.traces(endpoint)
    if item is None or "traces" not in item.blobs:
        return None
    typical = _typical(_parsed(book, item))
    if typical is None or typical.server is None:
        return None
    spans = [s for s in sorted(typical.spans, key=lambda s: s.start_ns) if not s.attributes.get("perfcrew.framework")]
    return Waterfall(
        endpoint=endpoint,
        evidence=item.id,
        trace=typical.id,
        total_ms=typical.server.duration_ms,
        bars=tuple(_bars(spans[:BARS], typical.server, book.run.root)),
        left_out=max(0, len(spans) - BARS),
    )


def _parsed(book: Book, item: Evidence) -> list[Trace]:
    try:
        lines = gzip.decompress(book.ledger.blob(item.blobs["traces"])).decode().splitlines()
        return [Trace.model_validate_json(line) for line in lines if line.strip()]
    except (OSError, EOFError, UnicodeDecodeError, ValidationError) as error:
        raise LedgerError(f"the traces of {item.id} can't be read: {error}", do="measure again") from error


def _typical(traces: Sequence[Trace]) -> Trace | None:
    """The warm trace of median duration; a cold one where there is no other."""
    whole = [t for t in traces if t.server is not None]
    warm = [t for t in whole if t.repeat > 0] or whole
    ordered = sorted(warm, key=lambda t: t.server.duration_ms if t.server else 0.0)
    return ordered[len(ordered) // 2] if ordered else None


def _bars(spans: Sequence[Span], server: Span, root: str) -> Iterable[Bar]:
    depths: dict[str, int] = {server.span: 0}
    seen: set[tuple[str, str]] = set()
    for span in spans:
        depths[span.span] = depths.get(span.parent or "", 0) + 1
        name, place = _label(span), _place(span, root)
        yield Bar(
            name=name,
            kind=span.kind,
            start_ms=(span.start_ns - server.start_ns) / 1e6,
            duration_ms=span.duration_ms,
            depth=depths[span.span],
            place=place,
            repeated=(name, place) in seen,
        )
        seen.add((name, place))


def _label(span: Span) -> str:
    statement = span.attributes.get("db.query.text")  # may carry values of the user's data, so only its shape is shown
    words = shape(str(statement)) if statement else span.attributes.get("url.full") or span.name
    text = " ".join(str(words).split())
    return text if len(text) <= 160 else text[:159] + "…"


def _place(span: Span, root: str) -> str:
    for frame in span.stack:
        path = Path(frame.file)
        if path.is_relative_to(root) and "site-packages" not in path.parts:
            return f"{path.relative_to(root).as_posix()}:{frame.line}"
    return ""


def _flame(book: Book, endpoint: str) -> Flame | None:
    item = next((e for e in book.of("profile", endpoint) if "raw" in e.blobs), None)
    if item is None:
        return None
    root = flame_of(book.ledger.blob(item.blobs["raw"]).decode(errors="replace").splitlines())
    return Flame(endpoint=endpoint, evidence=item.id, root=root) if root.samples else None


class _Grown:
    """A frame while it is counted."""

    def __init__(self) -> None:
        self.samples = 0
        self.children: dict[str, _Grown] = defaultdict(_Grown)


def flame_of(lines: Iterable[str]) -> FlameFrame:
    """The tree of collapsed stacks (`a;b;c 12`), without what is too narrow to see."""
    root = _Grown()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        if not stack or not count.isdigit():
            continue
        at = root
        at.samples += int(count)
        for name in stack.split(";")[:DEEPEST]:
            at = at.children[name]
            at.samples += int(count)
    return _frozen("all", root, root.samples * SMALLEST_SHARE)


def _frozen(name: str, grown: _Grown, least: float) -> FlameFrame:
    wide = [(n, c) for n, c in grown.children.items() if c.samples >= least]
    children = tuple(_frozen(n, c, least) for n, c in sorted(wide, key=lambda pair: -pair[1].samples))
    return FlameFrame(name=name, samples=grown.samples, children=children)
