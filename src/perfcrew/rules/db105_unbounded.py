"""DB105: a result without a bound, that grows with the table.

What it costs: time, memory and bytes grow with the data, until one request hurts the whole service.
Seen as: the rows that a request fetches grow linearly with the table (measured at several sizes), and one statement
without a `LIMIT` of its own brings at least `min_rows` of them; its rows grow with the size too.
Not this: a listing whose page has a bound, rows of one parent whose number stays the same, streams by design,
aggregates that fetch few rows, lookup tables that don't grow, many statements of few rows (DB101).
Instead: a page with a bound and a default, best by the last key; aggregates in the statement, not in Python.
Confidence: 0.9; 0.75 where only two sizes were seen. 0.4, and of low level, where the statement's tables are tiny in
the project's own data beside large ones, and only rows that were generated for the review made them grow: sites,
settings and the like may well stay a handful.
Limits: needs data at two sizes or more, and a statement that was caught. A bound that the parameters could lift
(`limit=1000000`) isn't tried.
"""

from __future__ import annotations

from collections.abc import Sequence

from perfcrew.core.findings import Finding, Hypothesis, Level, Share
from perfcrew.core.prose import Cited, Prose, join, write
from perfcrew.core.scene import Scene, Traced
from perfcrew.core.sql import is_read, tables
from perfcrew.rules import statements
from perfcrew.rules.costs import latency_ms, latency_share, level, middle, observed, raised, scores, streams
from perfcrew.rules.limits import Limits
from perfcrew.rules.recipes import BOUND, flavour
from perfcrew.rules.write import Case, code, finding, growth, sentences, traced_values

ID = "DB105"
NEEDS_ROWS = "min_rows"


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """The statements that bring the rows which grow."""
    traced = observed(scene)
    if traced is None or streams(scene):
        return []
    sizes = _sizes(scene, limits)
    if sizes < 2:
        return []
    groups = [g for g in statements.seen(scene, traced) if _unbounded(g, limits) and _grows(scene, g, limits)]
    return [_finding(scene, traced, group, sizes, limits) for group in groups]


def _sizes(scene: Scene, limits: Limits) -> int:
    """Sizes at which the fetched rows were seen to grow linearly with the table; zero where they don't."""
    scaled = scene.scaled("db.rows")
    if scaled:
        body = scaled.body
        linear = body.by == "rows" and body.growth in ("linear", "quadratic") and body.fit_share >= limits.fit_share
        return len(body.sizes) if linear else 0
    points = [t for t in scene.traced if t.seen.body.size and t.seen.body.instrumented]
    if len(points) < 2 or not points[0].seen.body.counts.rows:
        return 0
    grown = points[-1].seen.body.counts.rows / points[0].seen.body.counts.rows
    return len(points) if grown >= _needed(points[0], points[-1], limits) else 0


def _needed(first: Traced, last: Traced, limits: Limits) -> float:
    return 1 + ((last.seen.body.size or 0) / (first.seen.body.size or 1) - 1) * limits.growth_part


def _unbounded(group: statements.Seen, limits: Limits) -> bool:
    text = group.group.text
    few = group.repeats <= limits.most_repeats
    return (
        few
        and is_read(text)
        and not statements.is_bounded(text)
        and max(group.group.rows, default=0) >= limits.min_rows
    )


def _grows(scene: Scene, group: statements.Seen, limits: Limits) -> bool:
    """The statement's own rows, where it was traced at several sizes; True where the probe kept one size only."""
    points = statements.by_size(scene, group.group)
    if len(points) < 2:
        return True
    (small, first), (large, last) = points[0], points[-1]
    low, high = middle(first.group.rows), middle(last.group.rows)
    return high >= max(low, 1.0) * (1 + (large / small - 1) * limits.growth_part)


def _finding(scene: Scene, traced: Traced, group: statements.Seen, sizes: int, limits: Limits) -> Finding:
    few = _few(scene, group, limits)
    confidence = 0.4 if few else 0.9 if sizes >= 3 else 0.75
    share = _share(scene, group)
    at: Level = "low" if few else raised(level(share.fraction, share.fraction * latency_ms(scene), limits))
    site = group.group.site
    grown, scaling = growth(scene, "db.rows")
    prose = join([_prose(scene, traced, group), grown, _doubt(scene, few)])
    title = f"A result without a bound in {code(site.place.function or site.place.file)}"
    case = Case(title, at, site, share, confidence, group.group.shape)
    return finding(
        ID,
        scene.endpoint.key,
        case,
        prose,
        [
            traced.seen.evidence,
            scaling,
            scene.payload.evidence if scene.payload else None,
            scene.data.evidence if scene.data and few else None,
        ],
        [_hypothesis(scene, group, share.fraction, confidence)],
    )


def _few(scene: Scene, group: statements.Seen, limits: Limits) -> tuple[str, ...]:
    """The tables that made it grow, where the project's own data holds a handful of rows in each beside large ones."""
    data = scene.data.body if scene.data else None
    if data is None or max(data.before.values(), default=0) < limits.own_rows:
        return ()  # an empty database, or one that the project seeds to size, says nothing about what is few
    named = {t.lower() for t in tables(group.group.text)}
    grown = [
        name
        for name, rows in data.after.items()
        if name.rpartition(".")[2].lower() in named and rows > data.before.get(name, 0)
    ]
    return tuple(grown) if all(data.before.get(name, 0) in range(1, int(limits.few_rows) + 1) for name in grown) else ()


def _doubt(scene: Scene, few: Sequence[str]) -> Prose:
    if not few or scene.data is None:
        return Prose(text="")
    citable = next((name for name in few if "." not in name), None)
    if citable is None:
        return Prose(text="Only generated rows made it grow: the project's own data holds a handful.")
    return write(
        "Only generated rows made it grow: the project's own data holds {own} of {table}, and {made} were measured. "
        "If it stays that small, this costs nothing.",
        own=scene.data.cite(f"before.{citable}"),
        table=code(citable),
        made=scene.data.cite(f"after.{citable}"),
    )


def _share(scene: Scene, group: statements.Seen) -> Share:
    """Growing rows cost their statement and all that is made of them: what grew is the part that a bound spares."""
    scaled = scene.scaled("db.rows")
    if scaled and scaled.body.values[-1] > 0:
        part = 1 - scaled.body.values[0] / scaled.body.values[-1]
        return latency_share(
            part,
            1.0,
            "rows beyond those of the smallest size over the rows fetched: what a page of that size would spare",
        )
    return latency_share(group.share, 1.0, "time of the statement over the traced request")


def _prose(scene: Scene, traced: Traced, group: statements.Seen) -> Prose:
    values: dict[str, Cited | str | None] = {
        **traced_values(scene, traced),
        "line": code(str(group.group.site.place)),
        "shape": statements.brief(group.group.shape),
        "bytes": scene.payload.cite("sent_bytes") if scene.payload else None,
        "items": scene.payload.cite("items_count")
        if scene.payload and scene.payload.body.items_count is not None
        else None,
    }
    return sentences(
        values,
        "{line} sends {shape}, which has no limit of its own.",
        "A request to {endpoint} fetches {rows} and takes {request} as traced.",
        "The answer holds {items} items in {bytes}.",
    )


def _hypothesis(scene: Scene, group: statements.Seen, part: float, confidence: float) -> Hypothesis:
    kind = flavour(scene.root, group.group.site.place, group.group.spans[0].stack)
    return Hypothesis(
        id=f"{ID}-page",
        change=f"a page with a bound for the rows that {code(str(group.group.site.place))} fetches",
        metric="db.rows",
        improvement=round(part, 3),
        because="rows beyond the page are not fetched, built and sent any more, and their number stops growing with "
        "the table",
        kind="code",
        recipe=BOUND[kind],
        scores=scores(part, confidence, effort=3, risk=2, reversibility=4),
        alternatives=(
            "a streamed answer, where all rows are really wanted",
            "an aggregate in the statement, where they are only summed up",
        ),
        trade_offs="Clients that expect all rows must learn to page: give the bound a default that suits them, and "
        "announce it.",
        rollback="Revert the commit, or lift the default bound by configuration.",
    )
