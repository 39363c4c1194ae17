"""DB106: columns or rows are loaded that the request never uses.

What it costs: the database reads them, the wire carries them, the process builds objects of them.
Seen as: columns of mapped instances that no code read in the request and whose name does not occur in the answer,
at least `min_bytes` of their values and `unread_share` of all that was loaded. Or one statement without a bound to
its batch that fetches at least `min_rows` rows and `rows_ratio` times the items of the answer.
Not this: small columns (keys, dates, numbers), columns that a serializer or template read, relations loaded for the
items of the answer, exports and streams, requests in which the probe saw no attribute read at all.
Instead: select the columns of the answer, with `load_only`, `defer` or `.only()`, or as plain columns where no object
is needed; filter and aggregate in SQL.
Confidence: 0.9 for columns, since reads of attributes are recorded; 0.55 for rows.
Limits: columns are seen for SQLAlchemy's mapped classes only. What reads an instance's `__dict__` is not noticed,
so names that occur in the answer count as used.
"""

from __future__ import annotations

from typing import NamedTuple

from perfcrew.core.findings import Finding, Hypothesis, Share
from perfcrew.core.prose import Cited, Prose
from perfcrew.core.scene import Scene, Traced
from perfcrew.core.sql import is_read, tables
from perfcrew.core.trace import Trace
from perfcrew.rules import statements
from perfcrew.rules.costs import fraction, latency_ms, latency_share, level, middle, observed, scores, streams, typical
from perfcrew.rules.limits import Limits
from perfcrew.rules.recipes import flavour, load_only, sql
from perfcrew.rules.write import Case, code, finding, sentences, traced_values

ID = "DB106"


class Unread(NamedTuple):
    """Columns of one mapped class that a request loaded and never read."""

    entity: str
    table: str
    columns: tuple[str, ...]
    share: float
    """Of the bytes of all values that the request loaded."""


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """Columns first; rows where no column was found."""
    traced = observed(scene)
    if traced is None or streams(scene):
        return []
    columns = [f for f in (_column_finding(scene, traced, u, limits) for u in _always_unread(traced, limits)) if f]
    return columns or [_row_finding(scene, traced, g, limits) for g in _rows(scene, traced, limits)]


def _always_unread(traced: Traced, limits: Limits) -> list[Unread]:
    """What every warm request that loaded the class left unread: one that reads it is a reason to load it."""
    found: dict[str, list[Unread]] = {}
    loading: dict[str, int] = {}
    for trace in (t for t in typical(traced) if t.loaded and t.read):
        for entity in trace.loaded:
            loading[entity] = loading.get(entity, 0) + 1
        for unread in _unread(trace, limits):
            found.setdefault(unread.entity, []).append(unread)
    whole = [f for entity, f in found.items() if len(f) == loading[entity]]
    return [_common(f) for f in whole if set.intersection(*(set(u.columns) for u in f))]


def _common(found: list[Unread]) -> Unread:
    columns = set.intersection(*(set(u.columns) for u in found))
    return found[0]._replace(
        columns=tuple(c for c in found[0].columns if c in columns), share=middle([u.share for u in found])
    )


def _unread(trace: Trace, limits: Limits) -> list[Unread]:
    read, answered = set(trace.read), set(trace.response_keys)
    loaded = sum(size for entity in trace.loaded.values() for size in entity.columns.values())
    found = []
    for name, entity in trace.loaded.items():
        left = {c: size for c, size in entity.columns.items() if f"{name}.{c}" not in read and c not in answered}
        heavy = sorted((c for c, size in left.items() if size >= limits.min_bytes * 0.2), key=lambda c: -left[c])
        unread = sum(left[c] for c in heavy)
        if unread >= limits.min_bytes and unread >= loaded * limits.unread_share:
            found.append(Unread(name, entity.table, tuple(heavy), fraction(unread, loaded)))
    return found


def _column_finding(scene: Scene, traced: Traced, unread: Unread, limits: Limits) -> Finding | None:
    group = _loader(scene, traced, unread)
    if group is None:
        return None
    part = group.share * unread.share
    share = Share(
        fraction=round(unread.share, 4),
        of="bytes",
        basis="bytes of the columns never read over the bytes of all loaded values",
    )
    at = level(unread.share, max(part, 0.01) * latency_ms(scene), limits)
    at = "medium" if at == "low" and unread.share >= limits.high_share else at
    listed = code(", ".join(f"{unread.entity}.{c}" for c in unread.columns))
    site = statements.with_loop(scene, group.group)
    title = f"{listed} is loaded and never read in {code(site.place.function or site.place.file)}"
    case = Case(title, at, site, share, 0.9, f"{unread.entity}.{unread.columns[0]}")
    values: dict[str, Cited | str | None] = {
        **traced_values(scene, traced),
        "line": code(str(site.place)),
        "columns": listed,
    }
    prose = sentences(
        values,
        "{line} loads {columns} with every row, and nothing in the request to {endpoint} reads it; the answer does "
        "not hold it either.",
        "These columns are most of what the request loads.",
        "It fetches {rows}, and statements take {spent} of the {request} of the traced request.",
    )
    return finding(
        ID, scene.endpoint.key, case, prose, [traced.seen.evidence], [_hypothesis(scene, group, unread, part)]
    )


def _loader(scene: Scene, traced: Traced, unread: Unread) -> statements.Seen | None:
    """The statement that brought the columns: it names the table and the column, and fetched the most rows."""
    bare = unread.table.rsplit(".", 1)[-1].lower()
    brought = [
        g
        for g in statements.seen(scene, traced)
        if any(t.rsplit(".", 1)[-1].lower() == bare for t in tables(g.group.text)) and unread.columns[0] in g.group.text
    ]
    return max(brought, key=lambda g: sum(g.group.rows), default=None)


def _rows(scene: Scene, traced: Traced, limits: Limits) -> list[statements.Seen]:
    items = [t.items for t in typical(traced) if t.items is not None]
    if not items:
        return []
    most = max(limits.min_rows, limits.rows_ratio * max(middle(items), 1.0))
    return [
        g for g in statements.seen(scene, traced) if is_read(g.group.text) and g.repeats <= 1 and _discarded(g, most)
    ]


def _discarded(group: statements.Seen, most: float) -> bool:
    # A batch over the keys of the page (`IN (…)`) loads a relation of the items: its rows are wanted.
    return max(group.group.rows, default=0) >= most and statements.listed(group.group.text) < 2


def _row_finding(scene: Scene, traced: Traced, group: statements.Seen, limits: Limits) -> Finding:
    share = latency_share(group.share, 1.0, "time of the statement over the traced request")
    at = level(group.share, group.share * latency_ms(scene), limits)
    site = group.group.site
    case = Case(
        f"Many rows for few items in {code(site.place.function or site.place.file)}",
        at,
        site,
        share,
        0.55,
        group.group.shape,
    )
    prose = _row_prose(scene, traced, group)
    evidence = [traced.seen.evidence, scene.payload.evidence if scene.payload else None]
    return finding(ID, scene.endpoint.key, case, prose, evidence, [_row_hypothesis(group)])


def _row_prose(scene: Scene, traced: Traced, group: statements.Seen) -> Prose:
    items = scene.payload.cite("items_count") if scene.payload and scene.payload.body.items_count is not None else None
    values: dict[str, Cited | str | None] = {
        **traced_values(scene, traced),
        "line": code(str(group.group.site.place)),
        "shape": statements.brief(group.group.shape),
        "items": items,
    }
    return sentences(
        values,
        "{line} sends {shape}, and most of the rows it fetches are not in the answer.",
        "A request to {endpoint} fetches {rows} in {request} as traced.",
        "The answer holds {items} items.",
    )


def _row_hypothesis(group: statements.Seen) -> Hypothesis:
    return Hypothesis(
        id=f"{ID}-rows",
        change=f"filtering or aggregating in the statement at {code(str(group.group.site.place))} rather than in "
        f"Python",
        metric="db.rows",
        improvement=None,
        because="rows that the answer does not hold need not leave the database",
        kind="code",
        recipe=sql(
            "SELECT owner_id, count(*), sum(amount) FROM item GROUP BY owner_id ORDER BY count(*) DESC LIMIT :limit"
        ),
        scores=scores(group.share, 0.55, effort=3, risk=3, reversibility=5),
        trade_offs="Logic moves from Python into the statement.",
        rollback="Revert the commit; no data changes.",
    )


def _hypothesis(scene: Scene, group: statements.Seen, unread: Unread, part: float) -> Hypothesis:
    kind = flavour(scene.root, group.group.site.place, group.group.spans[0].stack)
    return Hypothesis(
        id=f"{ID}-columns",
        change=f"leaving {code(', '.join(unread.columns))} out of the statement at {code(str(group.group.site.place))}",
        metric="latency",
        improvement=round(part, 3) or None,
        because="the bytes of these columns are neither read nor sent any more; the share is their part of the "
        "statement's time",
        kind="code",
        recipe=load_only(kind, unread.entity, list(unread.columns)),
        scores=scores(unread.share, 0.9, effort=5, risk=4, reversibility=5),
        alternatives=(
            "a separate table for the large column",
            "a query of plain columns rather than of mapped instances",
        ),
        trade_offs="Code that touches the column later pays a statement for it, or fails in async code.",
        rollback="Revert the commit; no data changes.",
    )
