"""RT302: awaits that follow one another though neither needs the other's answer.

What it costs: the request waits for the sum of them, where it could wait for the longest.
Seen as: at least two awaits on different lines (or in one expression) of one async function, each with HTTP, model,
database or cache spans below it that never overlap, and the source proves them independent: no value, no object and
no early return flows from one to the other. Running them together would spare `min_saving_ms` and `min_share`.
Not this: awaits in a loop (HT401, DB101), two reads on one session or connection (never gather on one connection: it
is a bug, not a gain), writes and calls other than GET to HTTP services, calls that already overlap.
Instead: `asyncio.gather` or a `TaskGroup`, each database read on a session of its own.
Confidence: 0.9, proven by data flow in the source; 0.75 where a statement is among them.
Limits: what can't be shown independent counts as dependent, so a check in between that returns or raises hides it.
An order that the other side needs (a login before a read) is not visible in the source. Calls from sync code, and
those whose independence is not proven, are HT402.
"""

from __future__ import annotations

import ast
from typing import NamedTuple

from perfcrew.core.findings import Finding, Hypothesis
from perfcrew.core.prose import Cited, Prose
from perfcrew.core.scene import Scene, Traced
from perfcrew.core.sql import is_read
from perfcrew.core.trace import Span, Trace
from perfcrew.rules import calls, flow, source
from perfcrew.rules.calls import Branch
from perfcrew.rules.costs import (
    busy_ms,
    fraction,
    in_most,
    latency_ms,
    latency_share,
    level,
    middle,
    observed,
    request_ms,
    scores,
)
from perfcrew.rules.limits import Limits
from perfcrew.rules.places import Site
from perfcrew.rules.recipes import python
from perfcrew.rules.statements import text_of
from perfcrew.rules.write import Case, code, finding, sentences, traced_values

ID = "RT302"


class Proven(NamedTuple):
    """Independent awaits of one function in one request."""

    site: Site
    lines: tuple[int, ...]
    spared_ms: float
    share: float
    statements: bool
    spans: tuple[Span, ...]


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """One finding a function: the one that would spare most, of those that call each other."""
    traced = observed(scene)
    if traced is None:
        return []
    usual = in_most(traced, limits, lambda trace: proven(scene, trace), lambda p: p.site.in_function)
    worth = [
        p for p in usual if _spared(p) >= limits.min_saving_ms and middle([x.share for x in p]) >= limits.min_share
    ]
    return [_finding(scene, traced, p, limits) for p in worth]


def _spared(proofs: list[Proven]) -> float:
    return middle([p.spared_ms for p in proofs])


def proven(scene: Scene, trace: Trace) -> list[Proven]:
    """Functions of this request in which awaits are proven independent (HT402 leaves these out)."""
    spans = [s for s in trace.of("http", "model", "database", "cache") if s.kind != "database" or text_of(s)]
    found = [_prove(scene, trace, branch) for branch in calls.branches(scene.root, spans)]
    return [p for p in found if p]


def _prove(scene: Scene, trace: Trace, branch: Branch) -> Proven | None:
    function = _async_function(branch)
    if function is None or not _safe(branch.spans):
        return None
    # Awaits on one line share its spans and can't be told apart: they count as one.
    order = list({s.line: s for s in flow.steps(function, sorted(branch.lines))}.values())
    if len(order) < 2 or not calls.sequential(branch.lines[s.line] for s in order):
        return None
    depends = [[not _free(first, later, branch) for later in order] for first in order]
    cost = [busy_ms(branch.lines[s.line]) for s in order]
    spared = flow.spared_ms(order, cost, depends)
    free = [i for i in range(len(order)) if any(not depends[min(i, j)][max(i, j)] for j in range(len(order)) if j != i)]
    if spared <= 0 or len(free) < 2:
        return None
    # The second of them is the first that need not have waited.
    where = branch.place(scene.root, order[free[1]].line)
    spans = tuple(s for i in free for s in branch.lines[order[i].line])
    lines = tuple(order[i].line for i in free)
    statements = any(s.kind == "database" for s in spans)
    return Proven(Site(where, None), lines, spared, fraction(spared, request_ms(trace)), statements, spans)


def _async_function(branch: Branch) -> ast.AsyncFunctionDef | None:
    code = source.read(branch.file)
    functions = {code.function_at(line) for line in branch.lines} if code else set()
    only = functions.pop() if len(functions) == 1 else None
    return only if isinstance(only, ast.AsyncFunctionDef) else None


def _safe(spans: list[Span]) -> bool:
    """Reads only: the order of writes may matter to the other side. Model calls change nothing."""
    return all(
        s.kind in ("model", "cache")
        or (s.kind == "database" and is_read(text_of(s)))
        or (s.kind == "http" and s.attributes.get("http.request.method", "GET") in ("GET", "HEAD"))
        for s in spans
    )


def _free(first: flow.Step, later: flow.Step, branch: Branch) -> bool:
    return flow.independent(first, later) and not _share_connection(first, later, branch)


def _share_connection(first: flow.Step, later: flow.Step, branch: Branch) -> bool:
    """Where both lines send statements, they must be known to use different connections and no common session."""
    pools = [[s for s in branch.lines[step.line] if s.kind == "database"] for step in (first, later)]
    if not all(pools):
        return False
    ids = [{s.attributes.get("perfcrew.db.connection") for s in spans} for spans in pools]
    return None in ids[0] | ids[1] or bool(ids[0] & ids[1]) or bool(first.sessions & later.sessions)


def _finding(scene: Scene, traced: Traced, proofs: list[Proven], limits: Limits) -> Finding:
    best = max(proofs, key=lambda p: p.spared_ms)
    part = middle([p.share for p in proofs])
    share = latency_share(part, 1.0, "sum of the awaits less their longest dependent chain, over the traced request")
    confidence = 0.75 if best.statements else 0.9
    case = Case(
        f"Independent awaits one after another in {code(best.site.place.function)}",
        level(part, part * latency_ms(scene), limits),
        best.site,
        share,
        confidence,
        best.site.place.function,
    )
    prose = _prose(scene, traced, best)
    return finding(ID, scene.endpoint.key, case, prose, [traced.seen.evidence], [_hypothesis(best, part, confidence)])


def _prose(scene: Scene, traced: Traced, best: Proven) -> Prose:
    count = traced.seen.body.counts.http_count
    values: dict[str, Cited | str | None] = {
        **traced_values(scene, traced),
        "function": code(best.site.place.function),
        "lines": ", ".join(code(f"{best.site.place.file}:{line}") for line in best.lines),
        "outgoing": traced.seen.cite("counts.http_count") if count else None,
    }
    return sentences(
        values,
        "{function} awaits one call after another at {lines}, and nothing flows from one to the next.",
        "A request to {endpoint} takes {request} as traced.",
        "It makes {outgoing} outgoing calls.",
    )


def _hypothesis(best: Proven, part: float, confidence: float) -> Hypothesis:
    example = """
async with asyncio.TaskGroup() as group:          # or: a, b = await asyncio.gather(first(), second())
    first = group.create_task(ask_first(key))
    second = group.create_task(ask_second(key))
return Answer(first.result(), second.result())
"""
    return Hypothesis(
        id=f"{ID}-gather",
        change=f"running the independent awaits of {code(best.site.place.function)} together",
        metric="latency",
        improvement=round(part, 3),
        because="the source shows no flow from one to the other, so the request need only wait for the longest chain",
        kind="code",
        recipe=python(example)
        + "\n\nStatements must each have a session of their own: one `AsyncSession` or connection can't be shared by "
        "tasks.",
        scores=scores(part, confidence, effort=5, risk=3, reversibility=5, learning=4),
        alternatives=("one call that answers both, where the other side offers it",),
        trade_offs="The other side sees the calls at once; when one fails, the others are cancelled or have been "
        "made in vain.",
        rollback="Revert the commit.",
    )
