"""DB113: a large table is counted for every page that is shown.

What it costs: a count reads all rows that match, however few the page shows, and grows with the table.
Seen as: a statement that gives nothing but `count(…)`, sent in a request that also fetches a page of the same rows: the
same table under the same conditions, with an OFFSET, a key that it begins behind, or a LIMIT above one; the largest
table holds at least `min_rows`, and the count takes at least `min_ms` and `min_share` of the request.
Not this: a count that is itself the answer, one of other rows than those that are shown, counts of small tables, counts
by group, a count that an index would make cheap (DB103), a count that is slow beside no page (DB104).
Instead: fetch one row more than the page holds, and show "next" in place of the number of pages; count on the first
page only; show an estimate, or a total that is kept.
Confidence: 0.85; 0.75 where the table's size is known from the clone's data alone.
Limits: `count(*) OVER ()` within the page's own statement is not told from the page.
"""

from __future__ import annotations

from typing import NamedTuple

from perfcrew.core import sql_pages
from perfcrew.core.findings import Finding, Hypothesis
from perfcrew.core.prose import Cited, Prose
from perfcrew.core.scene import Scene, Traced
from perfcrew.core.sql import shape, tables
from perfcrew.core.trace import Span
from perfcrew.rules import statements
from perfcrew.rules.costs import latency_ms, latency_share, level, observed, scores, typical
from perfcrew.rules.limits import Limits
from perfcrew.rules.recipes import ESTIMATE, flavour
from perfcrew.rules.statements import Seen
from perfcrew.rules.write import Case, code, finding, sentences, traced_values

ID = "DB113"
NEEDS_ROWS = "min_rows"


class _Size(NamedTuple):
    """The largest table that is counted."""

    table: str
    rows: int
    cited: Cited | None
    evidence: str
    planned: bool


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """One finding a count."""
    traced = observed(scene)
    if traced is None:
        return []
    found = []
    for seen in statements.seen(scene, traced):
        size = _size(scene, seen) if sql_pages.counted(seen.group.text) and _costs(seen, limits) else None
        if size and size.rows >= limits.min_rows and _beside_a_page(traced, seen):
            found.append(_finding(scene, traced, seen, size, limits))
    return found


def _costs(seen: Seen, limits: Limits) -> bool:
    return seen.share >= limits.min_share and seen.busy_ms >= limits.min_ms and seen.repeats <= limits.most_repeats


def _beside_a_page(traced: Traced, seen: Seen) -> bool:
    """Whether a request that counts fetches a page of the same rows."""
    for trace in typical(traced):
        spans = statements.sent(trace)
        if any(shape(statements.text_of(s)) == seen.group.shape for s in spans) and any(
            sql_pages.is_page_of(statements.text_of(s), seen.group.text, _returned(s)) for s in spans
        ):
            return True
    return False


def _returned(span: Span) -> int | None:
    given = span.attributes.get("db.response.returned_rows")
    return given if isinstance(given, int) else None


def _size(scene: Scene, seen: Seen) -> _Size | None:
    named = tables(seen.group.text)
    plan = next((p for p in scene.plans if seen.group.shape in (p.body.shape, shape(p.body.statement))), None)
    if plan and plan.body.table_rows:
        table, rows = max(plan.body.table_rows.items(), key=lambda item: item[1])
        cited = plan.cite(f"table_rows.{table}") if "." not in table else None
        return _Size(table, rows, cited, plan.evidence, True)
    held = {t: n for t, n in (scene.data.body.after if scene.data else {}).items() if t.lower() in named}
    if not held or scene.data is None:
        return None
    table = max(held, key=lambda t: held[t])
    return _Size(table, held[table], scene.data.cite(f"after.{table}"), scene.data.evidence, False)


def _finding(scene: Scene, traced: Traced, seen: Seen, size: _Size, limits: Limits) -> Finding:
    share = latency_share(seen.share, 1.0, "time of the count over the traced request")
    site = seen.group.site
    title = f"{code(size.table)} is counted for every page in {code(site.place.function or site.place.file)}"
    sure = 0.85 if size.planned else 0.75
    case = Case(title, level(seen.share, seen.share * latency_ms(scene), limits), site, share, sure, seen.group.shape)
    evidence = [traced.seen.evidence, size.evidence]
    return finding(
        ID, scene.endpoint.key, case, _prose(scene, traced, seen, size), evidence, [_hypothesis(scene, seen)]
    )


def _prose(scene: Scene, traced: Traced, seen: Seen, size: _Size) -> Prose:
    values: dict[str, Cited | str | None] = {
        **traced_values(scene, traced),
        "line": code(str(seen.group.site.place)),
        "shape": statements.brief(seen.group.shape),
        "table": code(size.table),
        "size": size.cited,
    }
    return sentences(
        values,
        "{line} sends {shape} beside the page that is shown.",
        "The table {table} held {size} when it was measured, and all that match are read for one number.",
        "Statements take {spent} of the {request} of a traced request to {endpoint}, which is {share}.",
    )


def _hypothesis(scene: Scene, seen: Seen) -> Hypothesis:
    kind = flavour(scene.root, seen.group.site.place, seen.group.spans[0].stack)
    return Hypothesis(
        id=f"{ID}-next",
        change=f"a page without the count at {code(str(seen.group.site.place))}",
        metric="latency",
        improvement=round(seen.share, 3),
        because="without the count its time goes away; the page alone says whether there is more",
        kind="code",
        recipe=ESTIMATE[kind],
        scores=scores(seen.share, 0.85, effort=4, risk=3, reversibility=5),
        alternatives=("count on the first page only, and hand the number on", "a total kept by the writes"),
        trade_offs="The answer no longer says how many pages there are, or says it by estimate: the front end must do "
        "without.",
        rollback="Revert the commit; no data changes.",
    )
