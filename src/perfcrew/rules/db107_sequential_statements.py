"""DB107: statements that follow one another though neither needs the other's answer.

What it costs: the request waits for each of them in turn, a round trip and the server's work at a time.
Seen as: at least two lines of one function that each only read from the database, one after the other, and the source
proves them independent: no value, no object and no early return flows from one to the other. All but the longest
chain of them takes at least `min_saving_ms` and `min_share` of the request. In sync code, or on one session.
Not this: statements that lock rows, take an advisory lock, draw a number or set something for the session; awaits on
connections of their own (RT302: those can be gathered as they are), loops (DB101), writes, statements of which one uses
the other's rows, statements that already overlap.
Instead: one statement that brings both, a pipeline, or sessions of their own that wait together. Never two tasks on
one session or connection.
Confidence: 0.8: independence is proven by the flow of data, that one statement can bring both is not.
Limits: what can't be shown independent counts as dependent. Statements of one transaction see one state of the data
(at REPEATABLE READ); on several sessions each sees its own.
"""

from __future__ import annotations

import ast
from typing import NamedTuple

from perfcrew.core.findings import Finding, Hypothesis
from perfcrew.core.prose import Prose
from perfcrew.core.scene import Scene, Traced
from perfcrew.core.sql import binds, is_read
from perfcrew.core.trace import Span, Trace
from perfcrew.rules import calls, flow, source, statements
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
from perfcrew.rules.recipes import TOGETHER, Flavour, flavour
from perfcrew.rules.rt302_sequential_awaits import proven
from perfcrew.rules.write import Case, code, finding, sentences, traced_values

ID = "DB107"


class Chain(NamedTuple):
    """Independent statements of one function in one request."""

    site: Site
    lines: tuple[int, ...]
    spared_ms: float
    share: float
    spans: tuple[Span, ...]


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """One finding a function; of those that call each other, the one that would spare most."""
    traced = observed(scene)
    if traced is None:
        return []
    usual = in_most(traced, limits, lambda trace: _chains(scene, trace), lambda c: c.site.in_function)
    worth = [
        c
        for c in usual
        if middle([x.spared_ms for x in c]) >= limits.min_saving_ms and middle([x.share for x in c]) >= limits.min_share
    ]
    return [_finding(scene, traced, c, limits) for c in worth]


def _chains(scene: Scene, trace: Trace) -> list[Chain]:
    """The most sparing first; one that shares statements with it is left out, and what RT302 proves is RT302's."""
    gathered = {p.site.in_function for p in proven(scene, trace)}
    branches = calls.branches(scene.root, statements.sent(trace))
    found = [c for c in (_chain(scene, trace, b) for b in branches) if c]
    taken: set[str] = set()
    kept = []
    for chain in sorted(found, key=lambda c: -c.spared_ms):
        spans = {s.span for s in chain.spans}
        if not spans & taken and chain.site.in_function not in gathered:
            kept.append(chain)
            taken |= spans
    return kept


def _chain(scene: Scene, trace: Trace, branch: Branch) -> Chain | None:
    order = _steps(branch)
    if len(order) < 2 or not calls.sequential(branch.lines[s.line] for s in order):
        return None
    depends = [[not flow.independent(first, later) for later in order] for first in order]
    spared = flow.spared_ms(order, [busy_ms(branch.lines[s.line]) for s in order], depends)
    free = [i for i in range(len(order)) if any(not depends[min(i, j)][max(i, j)] for j in range(len(order)) if j != i)]
    if spared <= 0 or len(free) < 2:
        return None
    where = branch.place(scene.root, order[free[1]].line)
    spans = tuple(s for i in free for s in branch.lines[order[i].line])
    lines = tuple(order[i].line for i in free)
    return Chain(Site(where, None), lines, spared, fraction(spared, request_ms(trace)), spans)


def _steps(branch: Branch) -> list[flow.Step]:
    """The function's lines that only read, in the order of the source; none where one of them writes or locks."""
    texts = [statements.text_of(s) for s in branch.spans]
    if not all(is_read(text) and not binds(text) for text in texts):
        return []
    text = source.read(branch.file)
    functions = {text.function_at(line) for line in branch.lines} if text else set()
    only = functions.pop() if len(functions) == 1 else None
    if only is None:
        return []
    return list({s.line: s for s in flow.steps(only, sorted(branch.lines))}.values())


def _finding(scene: Scene, traced: Traced, chains: list[Chain], limits: Limits) -> Finding:
    best = max(chains, key=lambda c: c.spared_ms)
    part = middle([c.share for c in chains])
    share = latency_share(
        part, 1.0, "sum of the statements less their longest dependent chain, over the traced request"
    )
    name = best.site.place.function
    at = level(part, part * latency_ms(scene), limits)
    case = Case(f"Independent statements one after another in {code(name)}", at, best.site, share, 0.8, name)
    hypotheses = [_hypothesis(scene, best, part)]
    return finding(ID, scene.endpoint.key, case, _prose(scene, traced, best), [traced.seen.evidence], hypotheses)


def _prose(scene: Scene, traced: Traced, best: Chain) -> Prose:
    values = {
        **traced_values(scene, traced),
        "function": code(best.site.place.function),
        "lines": ", ".join(code(f"{best.site.place.file}:{line}") for line in best.lines),
    }
    return sentences(
        values,
        "{function} sends one statement after another at {lines}, and nothing flows from one to the next.",
        "A request to {endpoint} sends {statements} statements, which take {spent} of its {request} as traced.",
    )


def _may_have_sessions(scene: Scene, best: Chain, kind: Flavour) -> bool:
    """Whether they can wait together: one statement for all spares the round trips, and does the same work."""
    text = source.read(scene.root / best.site.place.file)
    function = text.function_at(best.site.place.line) if text else None
    return kind == "sqlalchemy" and isinstance(function, ast.AsyncFunctionDef)


def _hypothesis(scene: Scene, best: Chain, part: float) -> Hypothesis:
    kind = flavour(scene.root, best.site.place, best.spans[0].stack)
    return Hypothesis(
        id=f"{ID}-together",
        change=f"one round trip for the independent statements of {code(best.site.place.function)}",
        metric="latency",
        improvement=round(part, 3) if _may_have_sessions(scene, best, kind) else None,
        because="the source shows no flow from one to the other, so the request need only wait for the longest chain",
        kind="code",
        recipe=TOGETHER[kind],
        scores=scores(part, 0.8, effort=3, risk=3, reversibility=5),
        alternatives=("a pipeline on one connection, where the driver has it", "keep what seldom changes"),
        trade_offs="One statement is harder to read than two; sessions of their own take a connection each for as long "
        "and don't see one state of the data.",
        rollback="Revert the commit; no data changes.",
    )
