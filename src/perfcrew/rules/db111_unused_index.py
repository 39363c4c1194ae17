"""DB111: an index that nothing uses, or that another one makes needless.

What it costs: every insert and delete, and most updates, keep it too; it takes disk, memory and time to back up.
Seen as: in the statistics of your own PostgreSQL, read there in a read-only transaction, no scan in at least
`min_days` days while its table was read at least `min_table_scans` times, with `min_rows` rows and `min_bytes` bytes;
or, by definition, another index of the table is the same or begins with the same keys, conditions and classes alike
(in SQLite too, which counts no scans).
Not this: unique ones, those that a constraint stands on, that the table is clustered or replicated by, or that belong
to an extension; young statistics; a table that nobody reads; one that a plan of this run uses; one of another kind,
condition, direction or collation than the one that would serve instead.
Instead: drop it, CONCURRENTLY on PostgreSQL, in a migration whose downgrade makes it again.
Confidence: 0.95 for what is the same, 0.9 for what another one begins with, 0.7 for what is not used.
Limits: statistics are of one server: a replica may use what the primary does not. A report that runs once a quarter
needs longer statistics. Their age counts from the last start of the server at most, since a crash loses them. When an
index was made is not known: one that is younger than the statistics looks unused.
MySQL and MariaDB are not looked at.
"""

from __future__ import annotations

from collections.abc import Collection

from perfcrew.core.advice import IndexUsage, KnownIndex
from perfcrew.core.findings import Finding, Hypothesis, Level, Share
from perfcrew.core.prose import Cited, Prose
from perfcrew.core.scene import ApplicationScene, Seen
from perfcrew.core.web import Place
from perfcrew.rules.costs import scores
from perfcrew.rules.fixes import models, project
from perfcrew.rules.fixes.wanted_index import quoted
from perfcrew.rules.limits import Limits
from perfcrew.rules.places import Site
from perfcrew.rules.recipes import sql
from perfcrew.rules.write import Case, code, finding, sentences

ID = "DB111"
_DAY_S = 86400.0


def recognise_application(app: ApplicationScene, limits: Limits) -> list[Finding]:
    """One finding an index."""
    seen = app.index_usage
    if seen is None:
        return []
    planned = {(n.index, n.relation) for scene in app.scenes for plan in scene.plans for n in plan.body.nodes}
    found = []
    for place, index in enumerate(seen.body.indexes):
        if index.same_as or (_unused(seen.body, index, limits) and not _planned(index, planned)):
            found.append(_finding(app, seen, place, limits))
    return found


def _planned(index: KnownIndex, planned: Collection[tuple[str | None, str | None]]) -> bool:
    """By a plan of this run; plans name no schema, and some nodes no table."""
    table = index.table.rpartition(".")[2].strip('"')
    return any(name == index.name and relation in (None, "", table) for name, relation in planned)


def _unused(usage: IndexUsage, index: KnownIndex, limits: Limits) -> bool:
    if index.needed or index.scans_count != 0 or usage.since_s is None:
        return False
    return (
        usage.since_s >= limits.min_days * _DAY_S
        and (index.table_scans_count or 0) >= limits.min_table_scans
        and usage.tables_rows.get(index.table, 0) >= limits.min_rows
        and (index.size_bytes or 0) >= limits.min_bytes
    )


def _finding(app: ApplicationScene, seen: Seen[IndexUsage], place: int, limits: Limits) -> Finding:
    index = seen.body.indexes[place]
    at: Level = "medium" if (index.size_bytes or 0) >= limits.medium_bytes else "low"
    sure = (0.95 if index.equal else 0.9) if index.same_as else 0.7
    what = "A needless" if index.same_as else "An unused"
    title = f"{what} index: {code(index.name)} of {code(index.table)}"
    case = Case(title, at, Site(_declared(app, index), None), _share(seen.body, index), sure, index.name)
    return finding(ID, None, case, _prose(seen, place), [seen.evidence], [_hypothesis(seen.body, index, sure)])


def _share(usage: IndexUsage, index: KnownIndex) -> Share:
    """Of all its table's indexes: by size, by number where sizes are not known."""
    mine = [i for i in usage.indexes if i.table == index.table]
    total = sum(i.size_bytes or 0 for i in mine)
    part = (index.size_bytes or 0) / total if total else 1 / len(mine)
    return Share(fraction=round(max(part, 0.0001), 4), of="bytes", basis="its part of the indexes of its table")


def _declared(app: ApplicationScene, index: KnownIndex) -> Place:
    """The line that names the index, the class of its table, or the database where neither is in the source."""
    for text in project.sources(app.root):
        if index.name in text.text:
            line = next(n for n, one in enumerate(text.lines, 1) if index.name in one)
            return Place(file=text.path.relative_to(app.root).as_posix(), line=line)
    model = models.read(app.root).of_table(index.table)
    if model is None:
        return Place(file="database", line=1, function=index.table)
    file = model.text.path.relative_to(app.root).as_posix()
    return Place(file=file, line=model.node.lineno, function=model.name)


def _prose(seen: Seen[IndexUsage], place: int) -> Prose:
    index, at = seen.body.indexes[place], f"indexes.{place}"
    unused = not index.same_as
    values: dict[str, Cited | str | None] = {
        "index": code(index.name),
        "table": code(index.table),
        "other": code(index.same_as) if index.same_as else None,
        "scans": seen.cite(f"{at}.scans_count") if unused else None,
        "reads": seen.cite(f"{at}.table_scans_count") if unused else None,
        "since": seen.cite("days_count") if unused else None,
        "parent": code(index.refers_to) if index.refers_to and unused else None,
        "siblings": seen.cite(f"{at}.siblings_count"),
        "bytes": seen.cite(f"{at}.size_bytes") if index.size_bytes is not None else None,
    }
    how = "is the same as" if index.equal else "does nothing that is not done by"
    return sentences(
        values,
        f"{{index}} of {{table}} {how} {{other}}.",
        "{index} of {table} was used {scans} times in {since} days, while the table was read {reads} times.",
        "It takes {bytes}.",
        "Its keys begin with the foreign key to {parent}: deleting rows there would read the whole table without it.",
        "It is one of {siblings} that writes to the table keep up to date.",
    )


def _hypothesis(usage: IndexUsage, index: KnownIndex, sure: float) -> Hypothesis:
    safe = " CONCURRENTLY" if usage.engine == "postgresql" else ""
    name = index.path or quoted(index.name)
    again = index.ddl.replace("CREATE INDEX ", f"CREATE INDEX{safe} ", 1)
    return Hypothesis(
        id=f"{ID}-drop",
        change=f"dropping {code(index.name)} of {code(index.table)}",
        metric="latency",
        improvement=None,
        because="writes no longer keep what no statement reads; how much they gain is to be measured",
        kind="schema",
        recipe=f"Forth:\n\n{sql(f'DROP INDEX{safe} {name};')}\n\nAnd back:\n\n{sql(again + ';')}"
        "\n\nTake it out of the model or the schema file too, so that no migration makes it again.",
        scores=scores(0.1, sure, effort=5, risk=4 if index.same_as else 3, reversibility=5),
        trade_offs=f"Deleting rows of {code(index.refers_to)} looks here for those that refer to them."
        if index.refers_to and not index.same_as
        else "A statement that this database did not see may need it: look at the replicas first."
        if not index.same_as
        else "A statement that only the narrower index made quick enough reads a somewhat wider one.",
        rollback="Run the migration's downgrade: the index is made again.",
    )
