"""SQL statements of the traces, grouped by shape and by the line that sent them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from perfcrew.core.scene import Scene, Traced
from perfcrew.core.sql import is_read, shape, tables
from perfcrew.core.trace import Span, Trace
from perfcrew.core.web import Place
from perfcrew.rules.costs import busy_ms, fraction, middle, request_ms, typical
from perfcrew.rules.places import Site, loop_above, site

_LIST = re.compile(r"\bIN\s*\(([^()]*)\)", re.IGNORECASE)
_BOUND = re.compile(r"\b(LIMIT|FETCH\s+(FIRST|NEXT)|TOP\s*\(?\s*[\d$?:@%])", re.IGNORECASE)


class Group(NamedTuple):
    """Statements of one shape from one call site within one request."""

    shape: str
    site: Site
    spans: tuple[Span, ...]
    request_ms: float
    window_ms: float
    """From the first to the last of them, what else was waited for meanwhile left out: the work a row is in it."""

    @property
    def repeats(self) -> int:
        return len(self.spans)

    @property
    def distinct(self) -> int:
        """Different parameters. Where the probe could not tell them, each statement counts as different."""
        digests = [s.attributes.get("perfcrew.db.parameters_digest") for s in self.spans]
        known = {d for d in digests if d}
        return len(known) + digests.count(None)

    @property
    def busy_ms(self) -> float:
        return busy_ms(self.spans)

    @property
    def share(self) -> float:
        return fraction(self.busy_ms, self.request_ms)

    @property
    def rows(self) -> list[float]:
        return [float(s.attributes.get("db.response.returned_rows") or 0) for s in self.spans]

    @property
    def text(self) -> str:
        return text_of(self.spans[0])


class Seen(NamedTuple):
    """A group over several requests: medians, and one request's statements as the example."""

    group: Group
    repeats: float
    distinct: float
    busy_ms: float
    share: float
    window_share: float
    traces: int


def text_of(span: Span) -> str:
    return str(span.attributes.get("db.query.text") or "")


def sent(trace: Trace) -> list[Span]:
    """The application's statements in order, without connecting, committing and the framework's own."""
    return [s for s in trace.of("database") if text_of(s)]


def groups(root: Path, trace: Trace, handler: Place | None) -> list[Group]:
    """The statements of one request by shape and line. Statements without a call site go to the handler."""
    found: dict[tuple[str, str, int], tuple[Site, list[Span]]] = {}
    for span in sent(trace):
        where = site(root, span.stack, handler)
        if where is None:
            continue
        key = (shape(text_of(span)), where.place.file, where.place.line)
        found.setdefault(key, (where, []))[1].append(span)
    total = request_ms(trace)
    return [Group(key[0], where, tuple(spans), total, window_ms(trace, spans)) for key, (where, spans) in found.items()]


def window_ms(trace: Trace, spans: Sequence[Span]) -> float:
    """Time from the first to the last of these spans, without what other spans took of it."""
    start, end = min(s.start_ns for s in spans), max(s.end_ns for s in spans)
    ours = {s.span for s in spans}
    others = [s for s in trace.of("database", "cache", "http", "model") if s.span not in ours]
    clipped = [
        s.model_copy(update={"start_ns": max(s.start_ns, start), "end_ns": min(s.end_ns, end)})
        for s in others
        if s.start_ns < end and s.end_ns > start
    ]
    return max(busy_ms(spans), (end - start) / 1e6 - busy_ms(clipped))


def seen(scene: Scene, traced: Traced, warm: bool = True) -> list[Seen]:
    """Groups over the warm (or the cold) traces, medians over the requests in which they occur."""
    traces = typical(traced) if warm else tuple(t for t in traced.traces if t.repeat == 0)
    byplace: dict[tuple[str, str, int], list[Group]] = {}
    for trace in traces:
        for group in groups(scene.root, trace, scene.endpoint.handler):
            byplace.setdefault((group.shape, group.site.place.file, group.site.place.line), []).append(group)
    return [over(found) for found in byplace.values()]


def over(found: list[Group]) -> Seen:
    """Medians of one group over several requests; the example is the request with the most statements."""
    return Seen(
        group=max(found, key=lambda g: g.repeats),
        repeats=middle([g.repeats for g in found]),
        distinct=middle([g.distinct for g in found]),
        busy_ms=middle([g.busy_ms for g in found]),
        share=middle([g.share for g in found]),
        window_share=middle([fraction(g.window_ms, g.request_ms) for g in found]),
        traces=len(found),
    )


def with_loop(scene: Scene, group: Group) -> Site:
    """The group's site; its trigger is the line of the loop above it, where the culprit isn't in the loop itself."""
    if group.site.trigger:
        return group.site
    return Site(group.site.place, loop_above(scene.root, group.spans[0].stack))


def is_bounded(statement: str) -> bool:
    """Whether the statement itself limits its rows."""
    return bool(_BOUND.search(statement))


def listed(statement: str) -> int:
    """Values in the statement's longest `IN (…)`: a batch has many."""
    return max((inner.count(",") + 1 for inner in _LIST.findall(statement)), default=0)


def writes_between(trace: Trace, first: Span, second: Span) -> bool:
    """Whether a statement between the two writes to a table that the first reads."""
    read = tables(text_of(first))
    between = (s for s in sent(trace) if first.start_ns < s.start_ns < second.start_ns)
    return any(not is_read(text_of(s)) and tables(text_of(s)) & read for s in between)


def by_size(scene: Scene, of: Group) -> list[tuple[int, Seen]]:
    """The same group at each size of data that was traced, smallest first."""
    points = []
    for traced in scene.traced:
        same = [s for s in seen(scene, traced) if s.group.shape == of.shape and s.group.site.place == of.site.place]
        if traced.seen.body.size is not None and same:
            points.append((traced.seen.body.size, same[0]))
    return points


def brief(statement: str, most: int = 140) -> str:
    """A statement as inline code, cut to length."""
    flat = " ".join(statement.replace("`", "'").split())
    return f"`{flat if len(flat) <= most else flat[: most - 1] + '…'}`"
