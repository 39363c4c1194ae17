"""HT401: one HTTP call a row.

What it costs: every row pays a round trip to another service, and its limits on requests.
Seen as: at least `repeats` calls to one URL template (parts that look like ids replaced) from one line of the
application within one request, or as many calls of a model. They may run at the same time.
Not this: calls of different templates (HT402, RT302), pages of one listing (the path stays the same, only the query
changes, each answer is needed to ask the next) below `repeats`, retries after an error.
Instead: ask for the batch (`/stock?ids=1,2,3`), or keep the answers; failing that, a bounded gather.
Confidence: 0.9; 0.75 for calls of a model, which may differ in what they ask.
Limits: query values are not seen, so repeated calls of one path count too. A shared client's own line is everybody's:
the line that asks the client is reported, and the loop's line where that is another one.
"""

from __future__ import annotations

from typing import NamedTuple

from perfcrew.core.findings import Finding, Hypothesis
from perfcrew.core.prose import Cited, Prose
from perfcrew.core.repeats import template
from perfcrew.core.scene import Scene, Traced
from perfcrew.core.trace import Span, Trace
from perfcrew.rules import calls, repeats
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
from perfcrew.rules.write import Case, code, finding, sentences, traced_values

ID = "HT401"


class Calls(NamedTuple):
    """Calls to one template from one line within one request."""

    template: str
    site: Site
    spans: tuple[Span, ...]
    share: float


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """One finding a template and line."""
    traced = observed(scene)
    if traced is None:
        return []
    usual = in_most(
        traced, limits, lambda trace: repeated(scene, trace, limits), lambda g: (g.template, *g.site.on_line)
    )
    return [_finding(scene, traced, g, limits) for g in usual]


def repeated(scene: Scene, trace: Trace, limits: Limits) -> list[Calls]:
    """The groups of one request that reach the bound, failed calls (which are retried) left out."""
    found: dict[tuple[str, str, int], tuple[Site, list[Span]]] = {}
    for span in calls.outgoing(trace):
        where = calls.asking(scene.root, span, scene.endpoint.handler)
        if where and not failed(span):
            key = (template(span), where.place.file, where.place.line)
            found.setdefault(key, (where, []))[1].append(span)
    whole = request_ms(trace)
    return [
        Calls(key[0], where, tuple(spans), fraction(busy_ms(spans), whole))
        for key, (where, spans) in found.items()
        if len(spans) >= limits.repeats
    ]


def failed(span: Span) -> bool:
    """Whether the call ended in an error or an answer that asks to try again."""
    status = span.attributes.get("http.response.status_code")
    return bool(span.attributes.get("error.type")) or (isinstance(status, int) and (status >= 500 or status == 429))


def _finding(scene: Scene, traced: Traced, found: list[Calls], limits: Limits) -> Finding:
    example = max(found, key=lambda c: len(c.spans))
    part = middle([c.share for c in found])
    share = latency_share(part, 1.0, "time in which these calls were running over the traced request")
    at = level(part, part * latency_ms(scene), limits)
    confidence = 0.75 if example.spans[0].kind == "model" else 0.9
    place = example.site.place
    case = Case(
        f"One HTTP call a row in {code(place.function or place.file)}",
        at,
        example.site,
        share,
        confidence,
        example.template,
    )
    prose = _prose(scene, traced, example)
    return finding(ID, scene.endpoint.key, case, prose, [traced.seen.evidence], _hypotheses(example, part, confidence))


def _prose(scene: Scene, traced: Traced, example: Calls) -> Prose:
    body = traced.seen.body
    which = "counts.model_count" if example.spans[0].kind == "model" else "counts.http_count"
    values: dict[str, Cited | str | None] = {
        **traced_values(scene, traced),
        **repeats.values_of_all(scene, traced, example.spans),
        "line": code(str(example.site.place)),
        "loop": code(str(example.site.trigger)) if example.site.trigger else None,
        "template": code(example.template),
        "outgoing": traced.seen.cite(which) if body.counts.http_count or body.counts.model_count else None,
    }
    return sentences(
        values,
        "{line} calls {template} once a row.",
        "It is reached from {loop}.",
        "It does so {repeats} times a request, and for {own} of it one of these calls or more is under way.",
        "A request to {endpoint} makes {outgoing} outgoing calls and takes {request} as traced.",
    )


def _hypotheses(example: Calls, part: float, confidence: float) -> list[Hypothesis]:
    number = len(example.spans)
    together = calls.sequential([s] for s in example.spans)
    batch = Hypothesis(
        id=f"{ID}-batch",
        change=f"one call for the whole set rather than one a row at {code(str(example.site.place))}",
        metric="latency",
        improvement=round(part * (1 - 1 / number), 3),
        because="all round trips but one go away; the share is the traced time of those calls",
        kind="code",
        recipe=python(
            'answers = await client.get("/stock", params={"ids": ",".join(map(str, keys))})\n'
            'by_key = {a["id"]: a for a in answers.json()}'
        )
        + "\n\nNeeds a batch endpoint on the other side; where there is none, ask for one.",
        scores=scores(part, confidence, effort=4, risk=4, reversibility=5),
        trade_offs="One failing call fails the whole set; keep batches within the other side's limit.",
        rollback="Revert the commit.",
    )
    limit = """
limit = asyncio.Semaphore(8)

async def ask(key):
    async with limit:
        return await client.get(f"/stock/{key}")

answers = await asyncio.gather(*(ask(key) for key in keys))
"""
    gather = Hypothesis(
        id=f"{ID}-gather",
        change=f"a bounded gather of the calls at {code(str(example.site.place))}, where the other side has no batch",
        metric="latency",
        improvement=round(part * 0.75, 3),
        because="the calls follow one another now; with a bound on how many run at once they overlap",
        kind="code",
        recipe=python(limit),
        scores=scores(part * 0.75, confidence, effort=4, risk=3, reversibility=5),
        alternatives=("keep answers for a bounded time, where they may be as old as that",),
        trade_offs="The other side bears the same number of calls in less time.",
        rollback="Revert the commit.",
    )
    return [batch, gather] if together else [batch]
