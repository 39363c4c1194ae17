"""CA201: the same expensive read in request after request, though nothing was written in between.

What it costs: the statement's time in every request, for an answer that did not change.
Seen as: one read with equal parameters in nearly every warm request to an endpoint (at least `requests`), by
different requests or by one that has no parameters at all, no write to its tables between them in any trace of the
run, at least `min_ms` a time and `min_share` of the request.
Not this: reads by key (cheap), sessions, users and tokens, an endpoint that already keeps the answer (the statement
shows in the first request only), parameters that follow the clock or the user, what an index would mend (DB103).
Instead: keep the answer for a bounded time, or until a write; in the process, or in Redis where there are several,
under a key of its name, its arguments and its shape.
Confidence: 0.9 where different requests sent it; 0.75 where the endpoint has one request only.
Limits: the run's requests are not the users': how often the answer would be asked for again is not known. Only reads
are in the run, as a rule; how old an answer may be is for the owner to say. Reads over HTTP are not compared.
"""

from __future__ import annotations

import itertools
import re
from typing import NamedTuple

from perfcrew.core.findings import Finding, Hypothesis
from perfcrew.core.prose import Cited, Prose, join
from perfcrew.core.scene import ApplicationScene, Scene, Traced
from perfcrew.core.sql import is_read, shape, tables
from perfcrew.core.trace import Span, Trace
from perfcrew.rules import statements
from perfcrew.rules.caching import ttl_advice
from perfcrew.rules.costs import (
    fraction,
    latency_ms,
    latency_share,
    level,
    middle,
    observed,
    request_ms,
    scores,
    typical,
)
from perfcrew.rules.limits import Limits
from perfcrew.rules.places import Site, caller, site
from perfcrew.rules.recipes import python
from perfcrew.rules.write import Case, code, finding, sentences, traced_values

ID = "CA201"
_PERSONAL = re.compile(r"session|token|auth|user|permission|login|account", re.IGNORECASE)


class Read(NamedTuple):
    """One read as it occurred in one request; several equal ones in a request count once, with their time."""

    trace: Trace
    span: Span
    site: Site
    spent_ms: float


def recognise_application(app: ApplicationScene, limits: Limits) -> list[Finding]:
    """Per endpoint, with the writes of all endpoints in view."""
    writes = [s for scene in app.scenes for t in scene.traced for trace in t.traces for s in _writes(trace)]
    lines = _writing(app)
    return [f for scene in app.scenes for f in _of_scene(scene, writes, lines, limits)]


def _writing(app: ApplicationScene) -> dict[str, list[str]]:
    """The lines that write to each table, in any trace: what is kept must end there."""
    found: dict[str, dict[str, None]] = {}
    for scene in app.scenes:
        for span in (s for t in scene.traced for trace in t.traces for s in _writes(trace)):
            at = site(scene.root, span.stack, scene.endpoint.handler)
            for table in tables(statements.text_of(span)) if at else ():
                found.setdefault(table, {})[str((at.trigger or at.place) if at else "")] = None
    return {table: list(lines) for table, lines in found.items()}


def _writes(trace: Trace) -> list[Span]:
    return [s for s in statements.sent(trace) if not is_read(statements.text_of(s))]


def _of_scene(scene: Scene, writes: list[Span], lines: dict[str, list[str]], limits: Limits) -> list[Finding]:
    traced = observed(scene)
    if traced is None:
        return []
    traces = typical(traced)
    found: dict[tuple[str, str], list[Read]] = {}
    for trace in traces:
        for key, read in _reads(scene, trace).items():
            found.setdefault(key, []).append(read)
    usual = [r for r in found.values() if len(r) >= max(limits.requests, limits.traces_share * len(traces))]
    return [_finding(scene, traced, reads, lines, limits) for reads in usual if _worth(scene, reads, writes, limits)]


def _reads(scene: Scene, trace: Trace) -> dict[tuple[str, str], Read]:
    """By shape and parameters."""
    found: dict[tuple[str, str], Read] = {}
    for span in statements.sent(trace):
        text, digest = statements.text_of(span), span.attributes.get("perfcrew.db.parameters_digest")
        where = site(scene.root, span.stack, scene.endpoint.handler)
        if digest and where and is_read(text):
            key = (shape(text), str(digest))
            before = found[key].spent_ms if key in found else 0.0
            found[key] = Read(trace, span, where, before + span.duration_ms)
    return found


def _worth(scene: Scene, reads: list[Read], writes: list[Span], limits: Limits) -> bool:
    names = tables(statements.text_of(reads[0].span))
    if not names or (any(_PERSONAL.search(t) for t in names) and _single(reads)):
        return False
    spent = middle([r.spent_ms for r in reads])
    part = middle([fraction(r.spent_ms, request_ms(r.trace)) for r in reads])
    costly = spent >= limits.min_ms and part >= limits.min_share
    return costly and _same_for_all(scene, reads) and not _written_between(reads, writes, names)


def _single(reads: list[Read]) -> bool:
    """A read of one row or none: a lookup of who is asking."""
    return middle([float(r.span.attributes.get("db.response.returned_rows") or 0) for r in reads]) <= 1


def _same_for_all(scene: Scene, reads: list[Read]) -> bool:
    """Different requests sent it, or the endpoint has no parameter: one request sent again proves nothing else."""
    return _by_different(scene, reads) or ("{" not in scene.endpoint.path and len(scene.plan.requests) <= 1)


def _by_different(scene: Scene, reads: list[Read]) -> bool:
    targets = {scene.plan.requests[r.trace.request].target for r in reads if r.trace.request < len(scene.plan.requests)}
    return len(targets) > 1


def _written_between(reads: list[Read], writes: list[Span], names: frozenset[str]) -> bool:
    """Whether writes to these tables lie between most of the pairs: then the answer may have changed each time."""
    moments = sorted(w.start_ns for w in writes if tables(statements.text_of(w)) & names)
    starts = sorted(r.span.start_ns for r in reads)
    pairs = list(itertools.pairwise(starts))
    renewed = sum(any(a < at < b for at in moments) for a, b in pairs)
    return bool(pairs) and renewed * 2 >= len(pairs)


def _finding(scene: Scene, traced: Traced, reads: list[Read], lines: dict[str, list[str]], limits: Limits) -> Finding:
    part = middle([fraction(r.spent_ms, request_ms(r.trace)) for r in reads])
    share = latency_share(part, 1.0, "time of the read over the traced request")
    at_line = reads[-1].site
    where = Site(at_line.place, at_line.trigger or caller(scene.root, reads[-1].span.stack))
    confidence = 0.9 if _by_different(scene, reads) else 0.75
    at = level(part, part * latency_ms(scene), limits)
    title = f"The same expensive read in every request, in {code(where.place.function or where.place.file)}"
    case = Case(title, at, where, share, confidence, shape(statements.text_of(reads[0].span)))
    advice = ttl_advice(scene, case.subject)
    prose = join([_prose(scene, traced, reads), advice.text])
    ends = _ends({line for t in tables(statements.text_of(reads[0].span)) for line in lines.get(t, ())})
    changes = _hypotheses(where, part, confidence, advice.table + ends)
    return finding(ID, scene.endpoint.key, case, prose, [traced.seen.evidence, advice.evidence], changes)


def _ends(lines: set[str]) -> str:
    """Where what is kept has to be deleted, as far as the run's requests wrote."""
    if not lines:
        return ""
    listed = "\n".join(f"- {code(line)}" for line in sorted(lines))
    return f"\n\nThese lines write to its tables; delete what is kept there:\n\n{listed}"


def _prose(scene: Scene, traced: Traced, reads: list[Read]) -> Prose:
    values: dict[str, Cited | str | None] = {
        **traced_values(scene, traced),
        "line": code(str(reads[0].site.place)),
        "shape": statements.brief(shape(statements.text_of(reads[0].span))),
        "requests": traced.seen.cite("requests_count"),
    }
    return sentences(
        values,
        "{line} sends {shape} with equal parameters in request after request.",
        "In the {requests} traced requests to {endpoint}, nothing was written to its tables in between.",
        "Statements take {spent} of its {request}, which is {share}.",
    )


def _hypotheses(where: Site, part: float, confidence: float, more: str = "") -> list[Hypothesis]:
    keep = """
class Kept:
    def __init__(self, seconds: float) -> None:
        self.seconds, self.until, self.value = seconds, 0.0, None

    async def get(self, load):
        if time.monotonic() >= self.until:
            self.value, self.until = await load(), time.monotonic() + self.seconds
        return self.value
"""
    shared = """
if (kept := await redis.get(key)) is None:
    kept = serialize(await load())
    await redis.set(key, kept, ex=60)
"""
    return [
        Hypothesis(
            id=f"{ID}-keep",
            change=f"keeping the answer of {code(str(where.place))} for a bounded time",
            metric="latency",
            improvement=round(part * 0.9, 3),
            because="the parameters are equal and nothing was written in between: all but the first read of each "
            "period go away",
            kind="code",
            recipe="In the process, one entry:\n\n"
            + python(keep)
            + "\n\nWith several processes, in Redis, with a time to live:\n\n"
            + python(shared)
            + more,
            scores=scores(part, confidence, effort=4, risk=3, reversibility=5),
            alternatives=(
                "a materialized view that is refreshed on a schedule",
                "an HTTP `Cache-Control` header with `max-age`",
            ),
            trade_offs="The answer is as old as the period; under load let one caller renew it, so that they don't "
            "all ask at once.",
            rollback="Set the period to zero, or revert the commit.",
        )
    ]
