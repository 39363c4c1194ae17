"""DB101: one query shape, again and again from one line of code.

What it costs: every repeat pays a round trip, so the time grows with the rows of the page.
Seen as: at least `repeats` statements of one shape from one call site within one request, their parameters
differing; other statements may lie between them, and they may run at the same time. Where
the data was measured at several sizes, a count that grows with it makes sure of it. An N+1 that shows only in the
first request, before a cache is filled, is reported one level lower.
Not this: writes (DB110), the same parameters again (DB102), pages of one listing (bounded statements that each fetch
many rows), batches (a long `IN (…)` or an executemany), one statement each from several lines.
Instead: fetch the set in one statement, with `selectinload` or `prefetch_related`, or one `IN` over the keys.
Confidence: 0.7; more where the count grows with the data or is high, less where it stays the same and is low.
Limits: sees what the traced requests did on the data at hand; a loop over two rows is below the bound. Does not look
at caches or documents: an N+1 over HTTP is HT401.
"""

from __future__ import annotations

from perfcrew.core.findings import Finding, Hypothesis, Level
from perfcrew.core.prose import Prose, join
from perfcrew.core.scene import Scene, Traced
from perfcrew.core.sql import is_read
from perfcrew.rules import repeats, rows, statements
from perfcrew.rules.costs import latency_ms, latency_share, level, middle, observed, raised, scores
from perfcrew.rules.limits import Limits
from perfcrew.rules.places import Site
from perfcrew.rules.recipes import fetch_the_set, flavour
from perfcrew.rules.statements import Seen
from perfcrew.rules.write import Case, code, finding, growth, sentences, traced_values

ID = "DB101"


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """One finding a line that repeats statements."""
    traced = observed(scene)
    if traced is None:
        return []
    warm = _by_line(scene, traced, limits, warm=True)
    cold = {line: s for line, s in _by_line(scene, traced, limits, warm=False).items() if line not in warm}
    found = [_finding(scene, traced, seen, limits, cold=False) for seen in warm.values()]
    return found + [_finding(scene, traced, seen, limits, cold=True) for seen in cold.values()]


def _by_line(scene: Scene, traced: Traced, limits: Limits, warm: bool) -> dict[tuple[str, int], Seen]:
    """The costliest repeated shape of each line: one line that loads two relations is one N+1."""
    found: dict[tuple[str, int], Seen] = {}
    for seen in statements.seen(scene, traced, warm):
        line = seen.group.site.on_line
        if _repeats(seen, limits) and (line not in found or seen.busy_ms > found[line].busy_ms):
            found[line] = seen
    return found


def _repeats(seen: Seen, limits: Limits) -> bool:
    """Parameters that mostly differ; what mostly repeats them is DB102."""
    enough = (
        min(seen.repeats, seen.distinct) >= limits.repeats and seen.distinct >= seen.repeats * limits.distinct_share
    )
    return enough and is_read(seen.group.text) and not _in_batches(seen, limits)


def _in_batches(seen: Seen, limits: Limits) -> bool:
    text = seen.group.text
    pages = statements.is_bounded(text) and middle(seen.group.rows) >= limits.page_rows
    return rows.in_batches(seen) or pages or statements.listed(text) >= limits.batch_values


def _finding(scene: Scene, traced: Traced, seen: Seen, limits: Limits, cold: bool) -> Finding:
    growing = rows.growing(scene, seen)
    site = statements.with_loop(scene, seen.group)
    confidence = rows.confidence(seen, growing, limits) - (0.1 if cold else 0.0)
    basis = "time from the first to the last of these statements, with the work a row, over the traced request"
    share = latency_share(seen.window_share, 1.0, basis)
    whole = seen.group.request_ms if cold else latency_ms(scene)
    at = _level(share.fraction, share.fraction * whole, growing, cold, limits)
    case = Case(
        f"N+1 statements in {code(site.place.function or site.place.file)}",
        at,
        site,
        share,
        confidence,
        seen.group.shape,
    )
    grown, scaling = growth(scene, "db.statements")
    prose = _prose(scene, traced, seen, site, cold, grown)
    return finding(
        ID, scene.endpoint.key, case, prose, [traced.seen.evidence, scaling], _hypotheses(scene, seen, site, confidence)
    )


def _level(share: float, cost_ms: float, growing: bool | None, cold: bool, limits: Limits) -> Level:
    return raised(level(share, cost_ms, limits), (1 if growing else 0) - (1 if cold else 0))


def _prose(scene: Scene, traced: Traced, seen: Seen, site: Site, cold: bool, grown: Prose) -> Prose:
    repeated = repeats.values(scene, traced, seen.group.spans, cold)
    values = {
        **traced_values(scene, traced, cold),
        **repeated,
        "line": code(str(site.place)),
        "loop": code(str(site.trigger)) if site.trigger else None,
        "shape": statements.brief(seen.group.shape),
    }
    said = sentences(
        values,
        "{line} sends {shape} once a row, each time with other parameters."
        if any(s.attributes.get("perfcrew.db.parameters_digest") for s in seen.group.spans)
        else "{line} sends {shape} once a row.",
        "It is reached from {loop}.",
        "It does so {repeats} times a request, for {own} of the {request} as traced, which is {own_share}.",
        "A request to {endpoint} sends {statements} statements in all and fetches {rows} with them"
        + (" until its caches are filled." if cold else "."),
        *(() if repeated["own"] else ("Statements take {spent} of its {request} as traced, which is {share}.",)),
    )
    return join([said, grown])


def _hypotheses(scene: Scene, seen: Seen, site: Site, confidence: float) -> list[Hypothesis]:
    kind = flavour(scene.root, site.place, seen.group.spans[0].stack)
    improvement = round(seen.window_share * (1 - 1 / max(seen.repeats, 1)), 3)
    return [
        Hypothesis(
            id=f"{ID}-set",
            change=f"fetching the set in one statement rather than one row at a time in {code(str(site.place))}",
            metric="latency",
            improvement=improvement,
            because="all round trips but one go away; at most their share, since some work a row remains",
            kind="code",
            recipe=fetch_the_set(kind, seen.group.spans[0]),
            scores=scores(seen.window_share, confidence, effort=4, risk=4, reversibility=5),
            alternatives=(
                "join the relation into the first statement, where each row has one of it",
                "a data loader that batches by tick",
            ),
            trade_offs="One larger result is held in memory at once: bound the page.",
            rollback="Revert the commit; no data changes.",
        )
    ]
