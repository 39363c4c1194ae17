"""HT402: HTTP calls one after another from one function.

What it costs: the request waits for the sum of the calls.
Seen as: at least `calls` HTTP or model calls from one function that don't overlap, taking together `min_total_ms` and
`min_share` of the request, of which all but the longest is at least `min_saving_ms`.
Not this: one call a row (HT401), awaits on different lines of an async function that the source proves independent
(RT302: that one can be gathered as it is), calls of which a later one reads the answer of an earlier one by name.
Instead: one call that answers all, a pool of threads or an async client; after looking whether the calls need each
other, which is not proven here.
Confidence: 0.7: that they are sequential is measured, that they could run together is not proven.
Limits: an order that the other side needs is not visible.
"""

from __future__ import annotations

import ast
from typing import NamedTuple

from perfcrew.core.findings import Finding, Hypothesis
from perfcrew.core.prose import Cited, Prose
from perfcrew.core.repeats import template
from perfcrew.core.scene import Scene, Traced
from perfcrew.core.trace import Span, Trace
from perfcrew.rules import calls, source
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
from perfcrew.rules.ht401_n_plus_one_http import failed
from perfcrew.rules.limits import Limits
from perfcrew.rules.places import Site
from perfcrew.rules.recipes import python
from perfcrew.rules.rt302_sequential_awaits import proven
from perfcrew.rules.write import Case, code, finding, sentences, traced_values

ID = "HT402"


class Chain(NamedTuple):
    """Sequential calls of one function in one request."""

    site: Site
    spans: tuple[Span, ...]
    share: float
    spared: float
    """Fraction of the request that all calls but the longest take."""


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """One finding a function: the innermost that makes the calls."""
    traced = observed(scene)
    if traced is None:
        return []
    usual = in_most(traced, limits, lambda trace: _chains(scene, trace, limits), lambda c: c.site.in_function)
    return [_finding(scene, traced, chains, limits) for chains in usual]


def _chains(scene: Scene, trace: Trace, limits: Limits) -> list[Chain]:
    taken = {s.span for p in proven(scene, trace) for s in p.spans}
    spans = [s for s in calls.outgoing(trace) if s.span not in taken and not failed(s)]
    found: list[Chain] = []
    # The innermost functions come first: what one of them claims, its callers don't claim again.
    for branch in calls.branches(scene.root, spans):
        left = Branch(
            branch.file, branch.name, {n: [s for s in g if s.span not in taken] for n, g in branch.lines.items()}
        )
        chain = _chain(scene, trace, left, limits)
        if chain:
            found.append(chain)
            taken |= {s.span for s in chain.spans}
    return found


def _chain(scene: Scene, trace: Trace, branch: Branch, limits: Limits) -> Chain | None:
    spans = branch.spans
    lines = [n for n, group in branch.lines.items() if group]
    if len(spans) < limits.calls or not calls.sequential([s] for s in spans) or _shared_client(branch, lines):
        return None
    total, longest = busy_ms(spans), max(s.duration_ms for s in spans)
    whole = request_ms(trace)
    if (
        total < limits.min_total_ms
        or total - longest < limits.min_saving_ms
        or fraction(total, whole) < limits.min_share
    ):
        return None
    if _reads_earlier(branch, lines):
        return None
    first = next(line for line in lines if spans[0] in branch.lines[line])
    return Chain(
        Site(branch.place(scene.root, first), None),
        tuple(spans),
        fraction(total, whole),
        fraction(total - longest, whole),
    )


def _shared_client(branch: Branch, lines: list[int]) -> bool:
    """One line outside of a loop that different callers go through is a client's: its callers make the chain."""
    code_ = source.read(branch.file)
    return len(lines) == 1 and not (code_ and code_.in_loop(lines[0]))


def _reads_earlier(branch: Branch, lines: list[int]) -> bool:
    """Whether every call after the first reads a name that an earlier one stored: then there is nothing to overlap."""
    code_ = source.read(branch.file)
    function = code_.function_at(lines[0]) if code_ else None
    if function is None or len(lines) < 2:
        return False
    statements = [s for s in (_statement(function, line) for line in sorted(lines)) if s]
    later = [(a, b) for i, b in enumerate(statements) for a in statements[:i]]
    reading = {id(b) for a, b in later if source.names(a, ast.Store) & source.names(b, ast.Load)}
    return len(statements) > 1 and len(reading) == len(statements) - 1


def _statement(function: ast.AST, line: int) -> ast.stmt | None:
    holding = [
        n for n in ast.walk(function) if isinstance(n, ast.stmt) and n is not function and source.covers(n, line)
    ]
    return max(holding, key=lambda n: (n.lineno, -(n.end_lineno or n.lineno)), default=None)


def _finding(scene: Scene, traced: Traced, chains: list[Chain], limits: Limits) -> Finding:
    example = max(chains, key=lambda c: len(c.spans))
    part, spared = middle([c.share for c in chains]), middle([c.spared for c in chains])
    share = latency_share(spared, 1.0, "time of the calls less the longest of them, over the traced request")
    at = level(part, part * latency_ms(scene), limits)
    where = example.site.place
    case = Case(f"HTTP calls one after another in {code(where.function)}", at, example.site, share, 0.7, where.function)
    prose = _prose(scene, traced, example)
    return finding(ID, scene.endpoint.key, case, prose, [traced.seen.evidence], [_hypothesis(example, spared)])


def _prose(scene: Scene, traced: Traced, example: Chain) -> Prose:
    count = traced.seen.body.counts.http_count
    values: dict[str, Cited | str | None] = {
        **traced_values(scene, traced),
        "function": code(example.site.place.function),
        "line": code(str(example.site.place)),
        "templates": ", ".join(code(t) for t in list(dict.fromkeys(template(s) for s in example.spans))[:5]),
        "outgoing": traced.seen.cite("counts.http_count") if count else None,
    }
    return sentences(
        values,
        "{function} calls {templates} one after another, beginning at {line}.",
        "A request to {endpoint} takes {request} as traced.",
        "It makes {outgoing} outgoing calls.",
    )


def _hypothesis(example: Chain, spared: float) -> Hypothesis:
    pool = """
with ThreadPoolExecutor(max_workers=4) as pool:          # or asyncio.gather with an async client
    arrivals, carriers = pool.map(fetch, ["/arrivals", "/carriers"])
"""
    return Hypothesis(
        id=f"{ID}-together",
        change=f"running the calls of {code(example.site.place.function)} at the same time, or as one",
        metric="latency",
        improvement=round(spared, 3),
        because="they never overlap now; where none needs the other's answer, the request waits for the longest only",
        kind="code",
        recipe="First make sure that no call needs another's answer or effect.\n\n" + python(pool),
        scores=scores(spared, 0.7, effort=4, risk=3, reversibility=5),
        alternatives=("one call that answers all, where the other side offers it", "keep answers that seldom change"),
        trade_offs="The other side sees the calls at once.",
        rollback="Revert the commit.",
    )
