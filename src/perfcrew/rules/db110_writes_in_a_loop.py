"""DB110: rows written one at a time from one line of code.

What it costs: every row pays a round trip, and where each is committed by itself, a write to the disk that the
database waits for.
Seen as: at least `repeats` INSERT, UPDATE or DELETE statements of one shape from one call site within one request,
whatever their parameters. Where the data was measured at several sizes, a count that grows with it makes sure of it.
Not this: reads (DB101), an executemany or an INSERT of many rows, a few writes of one request, one write each from
several lines; rows that each need what the database gave the one before (RETURNING), where its loop shows that.
Instead: `executemany`, an INSERT of many rows, `session.execute(insert(Model), rows)`, `bulk_create` and
`bulk_update`, one UPDATE or DELETE with a condition; and one commit for all.
Confidence: 0.7; more where the count grows with the data or is high, less where it stays the same and is low.
Limits: whether the rows must be written one by one (each needs what the database gave the one before, by way of a
function, or each must stand when a later one fails) is not visible in the statements; where a person asked them for
what the database gave (RETURNING), it is less sure.
"""

from __future__ import annotations

import ast
import re

from perfcrew.core.findings import Finding, Hypothesis
from perfcrew.core.prose import Cited, Prose, join
from perfcrew.core.scene import Scene, Traced
from perfcrew.core.sql import is_read
from perfcrew.core.trace import Trace
from perfcrew.rules import repeats, rows, source, statements
from perfcrew.rules.costs import latency_ms, latency_share, level, middle, observed, raised, scores, typical
from perfcrew.rules.limits import Limits
from perfcrew.rules.places import Site
from perfcrew.rules.recipes import COMMIT_ONCE, flavour, write_the_set
from perfcrew.rules.statements import Seen
from perfcrew.rules.write import Case, code, finding, growth, sentences, traced_values

ID = "DB110"
_LOOPS = (ast.For, ast.AsyncFor, ast.While)


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """One finding a line: of the shapes that it writes, the costliest."""
    traced = observed(scene)
    if traced is None:
        return []
    found: dict[tuple[str, int], Seen] = {}
    for seen in statements.seen(scene, traced):
        line = seen.group.site.on_line
        dearer = line not in found or seen.busy_ms > found[line].busy_ms
        if _repeats(seen, limits) and dearer and not _fed_back(scene, seen):
            found[line] = seen
    return [_finding(scene, traced, seen, limits) for seen in found.values()]


def _repeats(seen: Seen, limits: Limits) -> bool:
    return not is_read(seen.group.text) and seen.repeats >= limits.repeats and not rows.in_batches(seen)


def _gives_back(scene: Scene, seen: Seen) -> bool:
    """Whether each row gives something back that was asked for by hand: an ORM asks for keys whether needed or not."""
    kind = flavour(scene.root, seen.group.site.place, seen.group.spans[0].stack)
    return kind == "sql" and re.search(r"\bRETURNING\b", seen.group.shape) is not None


def _fed_back(scene: Scene, seen: Seen) -> bool:
    """Whether a row is written with what the row before gave back, as in a chain of parents."""
    place = seen.group.site.place
    text = source.read(scene.root / place.file) if _gives_back(scene, seen) else None
    loops = [n for n in ast.walk(text.tree) if isinstance(n, _LOOPS) and source.covers(n, place.line)] if text else []
    if not loops:
        return False
    loop = max(loops, key=lambda n: n.lineno)
    steps = [n for n in ast.walk(loop) if isinstance(n, ast.stmt) and not hasattr(n, "body")]
    own = next((s for s in steps if source.covers(s, place.line)), None)
    return own is not None and bool(source.names(own, ast.Load) & _carried(own, steps))


def _carried(own: ast.stmt, steps: list[ast.stmt]) -> frozenset[str]:
    """The names that hold what the write gave back, or what was made of it."""
    found = source.names(own, ast.Store)
    for _ in steps:
        more = [source.names(s, ast.Store) for s in steps if source.names(s, ast.Load) & found]
        found = found.union(*more)
    return found


def committed(trace: Trace) -> int:
    """Commits that were sent in a request, as an operation or as a statement."""
    return sum(s.kind == "database" and s.attributes.get("db.operation.name") == "COMMIT" for s in trace.spans)


def _each_by_itself(traced: Traced, seen: Seen) -> bool:
    """Whether there is a commit for about each row."""
    return middle([committed(t) for t in typical(traced)]) >= seen.repeats * 0.8


def _finding(scene: Scene, traced: Traced, seen: Seen, limits: Limits) -> Finding:
    growing = rows.growing(scene, seen)
    site = statements.with_loop(scene, seen.group)
    sure = rows.confidence(seen, growing, limits) - (0.2 if _gives_back(scene, seen) else 0.0)
    basis = "time from the first to the last of these statements, with the work a row, over the traced request"
    share = latency_share(seen.window_share, 1.0, basis)
    at = raised(level(share.fraction, share.fraction * latency_ms(scene), limits), 1 if growing else 0)
    title = f"Rows written one at a time in {code(site.place.function or site.place.file)}"
    case = Case(title, at, site, share, sure, seen.group.shape)
    grown, scaling = growth(scene, "db.statements")
    single = _each_by_itself(traced, seen)
    prose = join([_prose(scene, traced, seen, site, single), grown])
    evidence = [traced.seen.evidence, scaling]
    return finding(ID, scene.endpoint.key, case, prose, evidence, _hypotheses(scene, seen, site, sure, single))


def _prose(scene: Scene, traced: Traced, seen: Seen, site: Site, single: bool) -> Prose:
    repeated = repeats.values(scene, traced, seen.group.spans)
    values: dict[str, Cited | str | None] = {
        **traced_values(scene, traced),
        **repeated,
        "line": code(str(site.place)),
        "loop": code(str(site.trigger)) if site.trigger else None,
        "shape": statements.brief(seen.group.shape),
    }
    return sentences(
        values,
        "{line} sends {shape} once a row" + (" and commits each by itself." if single else "."),
        "It is reached from {loop}.",
        "It does so {repeats} times a request, for {own} of the {request} as traced, which is {own_share}.",
        "A request to {endpoint} sends {statements} statements in all.",
        *(() if repeated["own"] else ("Statements take {spent} of its {request} as traced, which is {share}.",)),
    )


def _hypotheses(scene: Scene, seen: Seen, site: Site, sure: float, single: bool) -> list[Hypothesis]:
    kind = flavour(scene.root, site.place, seen.group.spans[0].stack)
    at = code(str(site.place))
    together = Hypothesis(
        id=f"{ID}-bulk",
        change=f"writing the rows of {at} in one statement",
        metric="latency",
        improvement=round(seen.window_share * (1 - 1 / max(seen.repeats, 1)), 3),
        because="all round trips but one go away; at most their share, since some work a row remains",
        kind="code",
        recipe=write_the_set(kind, seen.group.spans[0]),
        scores=scores(seen.window_share, sure, effort=4, risk=3, reversibility=5),
        alternatives=("COPY, for many thousands of rows", "one UPDATE or DELETE with a condition"),
        trade_offs="All rows stand or fall together; hooks that an ORM runs a row (signals, defaults that the database "
        "gives) may not run for a bulk.",
        rollback="Revert the commit; no data changes.",
    )
    if not single:
        return [together]
    once = Hypothesis(
        id=f"{ID}-commit",
        change=f"one commit after the rows of {at}",
        metric="latency",
        improvement=None,
        because="each commit waits until the database has written to its disk; how much of the time that is depends on "
        "the disk",
        kind="code",
        recipe=COMMIT_ONCE[kind],
        scores=scores(seen.window_share, sure, effort=5, risk=3, reversibility=5),
        trade_offs="All rows stand or fall together, and locks are held until the commit.",
        rollback="Revert the commit; no data changes.",
    )
    return [together, once]
