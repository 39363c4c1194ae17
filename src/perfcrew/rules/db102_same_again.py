"""DB102: the same statement with the same parameters, again within one request.

What it costs: a round trip for an answer that the request already holds.
Seen as: one read with equal parameters at least `repeats` times in a request, from one line or several, with no
write to its tables in between. The N+1 that asks for the same row a hundred times is one of these.
Not this: parameters that mostly differ (DB101), a retry (`repeats` leaves room for one), reads around a write,
polling that waits between its statements for longer than `wait_ms`.
Instead: read once and hand the value down, or keep it on the request.
Confidence: 0.9, since parameters are compared exactly; 0.7 where the line is not known.
Limits: parameters that the probe can't represent are not compared. Across requests the same waste is CA201.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

from perfcrew.core.findings import Finding, Hypothesis
from perfcrew.core.scene import Scene, Traced
from perfcrew.core.sql import is_read, shape
from perfcrew.core.trace import Span, Trace
from perfcrew.rules import repeats, statements
from perfcrew.rules.costs import (
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
from perfcrew.rules.places import Site, loop_above, site
from perfcrew.rules.recipes import ASK_ONCE, flavour
from perfcrew.rules.write import Case, code, finding, sentences, traced_values

ID = "DB102"


class Repeated(NamedTuple):
    """A statement's repeats in one request; `site` is the line that sends most of them."""

    shape: str
    site: Site
    spans: tuple[Span, ...]
    wasted_ms: float
    share: float


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """One finding a shape and line."""
    traced = observed(scene)
    if traced is None:
        return []
    usual = in_most(traced, limits, lambda trace: _repeated(scene, trace, limits), lambda r: (r.shape, *r.site.on_line))
    return [_finding(scene, traced, f, limits) for f in usual]


def _repeated(scene: Scene, trace: Trace, limits: Limits) -> list[Repeated]:
    """By shape: parameters that mostly repeat. Several values that each repeat (three currencies) count together."""
    equal: dict[str, dict[str, list[Span]]] = {}
    for span in statements.sent(trace):
        digest = span.attributes.get("perfcrew.db.parameters_digest")
        if digest and is_read(statements.text_of(span)):
            equal.setdefault(shape(statements.text_of(span)), {}).setdefault(str(digest), []).append(span)
    found = [_wasted(scene, trace, name, by_value, limits) for name, by_value in equal.items()]
    return [r for r in found if r]


def _wasted(scene: Scene, trace: Trace, name: str, by_value: dict[str, list[Span]], limits: Limits) -> Repeated | None:
    again = {
        value: spans
        for value, spans in by_value.items()
        if len(spans) >= limits.repeats and not _renewed(trace, spans, limits)
    }
    if not again or len(again) > sum(map(len, again.values())) * (1 - limits.duplicate_share):
        return None
    spans = [s for group in again.values() for s in group]
    where = _main_site(scene, spans)
    if where is None:
        return None
    wasted = statements.window_ms(trace, spans) * (1 - len(again) / len(spans))
    return Repeated(name, where, tuple(spans), wasted, fraction(wasted, request_ms(trace)))


def _renewed(trace: Trace, spans: list[Span], limits: Limits) -> bool:
    """Whether something in between was a reason to ask again: a write, or waiting."""
    pairs = list(itertools.pairwise(spans))
    waited = [(b.start_ns - a.end_ns) / 1e6 for a, b in pairs]
    return any(statements.writes_between(trace, a, b) for a, b in pairs) or middle(waited) > limits.wait_ms


def _main_site(scene: Scene, spans: list[Span]) -> Site | None:
    sites: dict[tuple[str, int], list[Span]] = {}
    for span in spans:
        where = site(scene.root, span.stack, scene.endpoint.handler)
        if where:
            sites.setdefault((where.place.file, where.place.line), []).append(span)
    if not sites:
        return None
    most = max(sites.values(), key=len)
    where = site(scene.root, most[0].stack, scene.endpoint.handler)
    return where if where is None or where.trigger else Site(where.place, loop_above(scene.root, most[0].stack))


def _finding(scene: Scene, traced: Traced, found: list[Repeated], limits: Limits) -> Finding:
    example = max(found, key=lambda r: len(r.spans))
    part = middle([r.share for r in found])
    share = latency_share(
        part, 1.0, "time from the first to the last of them, the first of each left out, over the traced request"
    )
    place = example.site.place
    title = f"The same read again and again in {code(place.function or place.file)}"
    confidence = 0.9 if example.spans[0].stack else 0.7
    case = Case(title, level(part, part * latency_ms(scene), limits), example.site, share, confidence, example.shape)
    values = {
        **traced_values(scene, traced),
        **repeats.values(scene, traced, example.spans),
        "line": code(str(place)),
        "loop": code(str(example.site.trigger)) if example.site.trigger else None,
        "shape": statements.brief(example.shape),
    }
    prose = sentences(
        values,
        "{line} sends {shape} several times within one request with equal parameters, and no write lies in between.",
        "It is reached from {loop}.",
        "It does so {repeats} times a request with {different} different {sets} of parameters, which takes {own}.",
        "A request to {endpoint} sends {statements} statements, which take {spent} of its {request} as traced.",
    )
    return finding(
        ID, scene.endpoint.key, case, prose, [traced.seen.evidence], _hypotheses(scene, example, part, confidence)
    )


def _hypotheses(scene: Scene, example: Repeated, part: float, confidence: float) -> list[Hypothesis]:
    kind = flavour(scene.root, example.site.place, example.spans[0].stack)
    return [
        Hypothesis(
            id=f"{ID}-once",
            change=f"reading once a request what {code(str(example.site.place))} asks for again",
            metric="latency",
            improvement=round(part, 3),
            because="the parameters are equal and nothing was written in between, so every later answer is the first "
            "one",
            kind="code",
            recipe=ASK_ONCE[kind],
            scores=scores(part, confidence, effort=5, risk=5, reversibility=5),
            alternatives=("a cached dependency of the request", "a join that brings the value with the rows"),
            trade_offs="The value is as old as the request.",
            rollback="Revert the commit; no data changes.",
        )
    ]
