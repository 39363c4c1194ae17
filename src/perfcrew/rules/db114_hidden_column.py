"""DB114: a function or a cast around a column, which keeps its index from being used.

What it costs: every row is read and the expression computed for it, where an index would go straight to the rows.
Seen as: the statement compares a column only through a function, a cast (one that the server puts in, since the value
has another type, counts too) or arithmetic, and on a clone either an index on that expression was used and saved
`min_gain` of the statement's time, or the plan uses an existing index once the column stands alone, and it takes at
least `min_ms`.
Not this: expressions of the value alone, of several columns, or in the list of what is selected; small tables;
statements below `min_share` of the request; an index on the expression that is there already.
Instead: compare the bare column (a range in place of `date(created) = …`, a value of the column's type in place of a
cast), or an index on the expression, or a column that holds its value.
Confidence: 0.95 where the index was built and used, 0.85 where the plan alone shows that an index is defeated.
Limits: expressions that hold a value of the statement are not tried; an expression that the engine does not call
immutable can have no index.
"""

from __future__ import annotations

from perfcrew.core.evidence import ExpressionTrial, QueryPlan
from perfcrew.core.findings import Finding, Hypothesis
from perfcrew.core.prose import Cited, Prose, cite
from perfcrew.core.scene import Scene, Seen, Traced
from perfcrew.core.sql import shape
from perfcrew.rules import statements
from perfcrew.rules.costs import latency_ms, latency_share, level, observed, scores
from perfcrew.rules.limits import Limits
from perfcrew.rules.recipes import python, sql
from perfcrew.rules.write import Case, code, finding, sentences, traced_values

ID = "DB114"


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """One finding an expression."""
    traced = observed(scene)
    if traced is None:
        return []
    found: dict[tuple[str, str], Finding] = {}
    seen = statements.seen(scene, traced)
    for plan in scene.plans:
        trial = plan.body.expression
        if trial is None or not (_helped(trial, limits) or _defeated(trial, limits)):
            continue
        for group in (s for s in seen if s.group.shape in (plan.body.shape, shape(plan.body.statement))):
            if group.share >= limits.min_share:
                found.setdefault((trial.table, trial.expression), _finding(scene, traced, plan, trial, group, limits))
    return list(found.values())


def _helped(trial: ExpressionTrial, limits: Limits) -> bool:
    if not trial.used or not trial.before_ms or not trial.after_ms:
        return False
    saved = trial.before_median_ms - trial.after_median_ms
    apart = max(trial.after_ms) < trial.before_median_ms and min(trial.before_ms) > trial.after_median_ms
    return apart and saved >= limits.min_ms and saved >= limits.min_gain * trial.before_median_ms


def _defeated(trial: ExpressionTrial, limits: Limits) -> bool:
    """What the bare column would save was not timed, so the whole of it must be worth it."""
    return trial.defeated is not None and trial.before_median_ms >= limits.min_ms


def _finding(
    scene: Scene,
    traced: Traced,
    plan: Seen[QueryPlan],
    trial: ExpressionTrial,
    group: statements.Seen,
    limits: Limits,
) -> Finding:
    proven = _helped(trial, limits)
    gain = 1 - trial.after_median_ms / trial.before_median_ms if proven else 1.0
    share = latency_share(
        group.share * gain,
        1.0,
        "time of the statement over the traced request, times what the index saved on the clone"
        if proven
        else "time of the statement over the traced request",
    )
    sure = 0.95 if proven else 0.85
    site = statements.with_loop(scene, group.group)
    what = "A cast" if trial.implicit else "An expression"
    title = f"{what} hides {code(f'{trial.table}.{trial.column}')} from an index"
    case = Case(
        title, level(group.share, group.share * latency_ms(scene), limits), site, share, sure, group.group.shape
    )
    evidence = [plan.evidence, traced.seen.evidence]
    hypotheses = _hypotheses(trial, share.fraction, sure, proven)
    return finding(
        ID, scene.endpoint.key, case, _prose(scene, traced, plan, trial, group, proven), evidence, hypotheses
    )


def _prose(
    scene: Scene,
    traced: Traced,
    plan: Seen[QueryPlan],
    trial: ExpressionTrial,
    group: statements.Seen,
    proven: bool,
) -> Prose:
    before, after = plan.ref("expression.before_median_ms"), plan.ref("expression.after_median_ms")
    times = trial.before_median_ms / trial.after_median_ms if proven and trial.after_median_ms > 0 else None
    values: dict[str, Cited | str | None] = {
        **traced_values(scene, traced),
        "line": code(str(group.group.site.place)),
        "shape": statements.brief(group.group.shape),
        "expression": code(trial.expression),
        "table": code(trial.table),
        "column": code(trial.column),
        "size": plan.cite(f"table_rows.{trial.table}") if trial.table in plan.body.table_rows else None,
        "index": code(trial.defeated) if trial.defeated else None,
        "before": plan.cite("expression.before_median_ms"),
        "after": plan.cite("expression.after_median_ms") if proven else None,
        "bytes": plan.cite("expression.size_bytes") if proven and trial.size_bytes is not None else None,
        "times": cite(times, "ratio", before, after, derivation="ratio") if times else None,
    }
    return sentences(
        values,
        "{line} sends {shape}, which compares {expression} of {table} rather than {column} itself"
        + (": the server casts the column, since the value has another type." if trial.implicit else "."),
        "The table held {size} when it was planned.",
        "Once the column stands alone, the plan uses the index {index}; as it is sent, the statement took {before}.",
        "With an index on the expression, built on a clone, the statement went from {before} to {after}.",
        "That is {times} as fast.",
        "The index takes {bytes}.",
        "Statements take {spent} of the {request} of a traced request to {endpoint}.",
    )


def _hypotheses(trial: ExpressionTrial, saved: float, sure: float, proven: bool) -> list[Hypothesis]:
    found = [_bare(trial, saved, sure, proven)]
    if proven:
        found.append(_index(trial, saved, sure))
    return found if trial.defeated or trial.implicit else found[::-1]


def _bare(trial: ExpressionTrial, saved: float, sure: float, proven: bool) -> Hypothesis:
    example = (
        "session.scalars(select(Item).where(Item.number == int(number)))      # the value in the column's own type"
        if trial.implicit
        else "start = datetime.combine(day, time.min)\n"
        "statement = select(Item).where(Item.created >= start, Item.created < start + timedelta(days=1))"
    )
    return Hypothesis(
        id=f"{ID}-bare",
        change=f"comparing {code(f'{trial.table}.{trial.column}')} by itself",
        metric="latency",
        improvement=round(saved, 3) if trial.defeated and proven else None,
        because="a bare column can be looked up in an index that begins with it",
        kind="code",
        recipe="Turn the function over to the value:\n\n" + python(example),
        scores=scores(saved, sure, effort=4, risk=3, reversibility=5),
        trade_offs="The condition must mean the same at its edges: time zones, case, trailing blanks.",
        rollback="Revert the commit; no data changes.",
    )


def _index(trial: ExpressionTrial, saved: float, sure: float) -> Hypothesis:
    return Hypothesis(
        id=f"{ID}-index",
        change=f"an index on {code(trial.expression)} of {code(trial.table)}",
        metric="latency",
        improvement=round(saved, 3),
        because="the index was built on a clone, the plan used it, and every run was faster than before",
        kind="schema",
        recipe=f"As tried on the clone:\n\n{sql(trial.ddl)}\n\nOn a busy PostgreSQL build it with `CONCURRENTLY`, "
        "outside of a transaction, and `ANALYZE` the table afterwards: an expression has statistics of its own.",
        scores=scores(saved, sure, effort=5, risk=4, reversibility=5),
        alternatives=("a generated column with a plain index",),
        trade_offs="Every write to the table computes the expression and keeps the index too.",
        rollback=f"DROP INDEX of that name on {code(trial.table)}.",
    )
