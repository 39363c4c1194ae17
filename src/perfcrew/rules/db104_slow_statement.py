"""DB104: one statement that is slow by itself, and that no index mends.

What it costs: the time of the statement, which is most of the request's, and often grows with the data.
Seen as: one statement a request whose median time is at least `slow_ms` and `min_share` of the traced request; or,
from `growing_ms` on, one whose time grows with the size of the data at least by `growth_ratio` a doubling.
Not this: a statement that an index mends (DB103), one that is read again and again with equal parameters (CA201
comes first: then keeping its answer is cheaper), many small ones (DB101), a large result (DB105), streams.
Told with it, where its plan was taken: a table that is read from end to end and how much of it is kept, an estimate
that is wrong `estimate_ratio` times, sorts and hashes that spill to disk, a nested loop of `plan_loops` turns, an index
that finds rows of which at most `kept_share` are kept, heap fetches, triggers; nodes of fewer than `plan_rows` rows, or
of less than `node_share` of the plan's time, are left out.
Instead: let it touch fewer rows: aggregate before joining, replace correlated subqueries, keep totals in a table or
a materialized view, move the report off the request.
Confidence: 0.85 from `slow_ms` on; 0.7 where growth alone speaks.
Limits: judged on the data at hand. A statement that waits for a lock looks the same.
"""

from __future__ import annotations

from perfcrew.core.evidence import QueryPlan
from perfcrew.core.findings import Finding, Hypothesis
from perfcrew.core.prose import Cited, Prose, join
from perfcrew.core.scene import Scene, Seen, Traced
from perfcrew.core.sql import shape
from perfcrew.rules import plan_reading, statements
from perfcrew.rules.costs import latency_ms, latency_share, level, middle, observed, raised, scores, streams
from perfcrew.rules.limits import Limits
from perfcrew.rules.recipes import SLOW_ELSEWHERE, engine, sql
from perfcrew.rules.write import Case, code, finding, sentences, traced_values

ID = "DB104"


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """One finding a slow statement and line."""
    traced = observed(scene)
    if traced is None or streams(scene):
        return []
    groups = [
        g for g in statements.seen(scene, traced) if g.repeats <= limits.most_repeats and g.share >= limits.min_share
    ]
    found = [(g, _each_ms(g), _growing(scene, g, limits)) for g in groups if middle(g.group.rows) < limits.many_rows]
    return [
        _finding(scene, traced, group, growing, limits)
        for group, each, growing in found
        if each >= limits.slow_ms or (growing and each >= limits.growing_ms)
    ]


def _each_ms(group: statements.Seen) -> float:
    return group.busy_ms / max(group.repeats, 1.0)


def _growing(scene: Scene, group: statements.Seen, limits: Limits) -> bool:
    """At three sizes or more: time grows with each of them, and by its ratio a doubling from the first to the last."""
    points = statements.by_size(scene, group.group)
    if len(points) < 3 or points[0][0] <= 0:
        return False
    times = [_each_ms(seen) for _, seen in points]
    doublings = points[-1][0] / points[0][0] / 2
    return times == sorted(times) and times[-1] >= times[0] * (1 + (limits.growth_ratio - 1) * doublings)


def _finding(scene: Scene, traced: Traced, group: statements.Seen, growing: bool, limits: Limits) -> Finding:
    slow = _each_ms(group) >= limits.slow_ms
    share = latency_share(group.share, 1.0, "time of the statement over the traced request")
    at = level(group.share, group.share * latency_ms(scene), limits)
    site = group.group.site
    title = f"A slow statement in {code(site.place.function or site.place.file)}"
    confidence = 0.85 if slow else 0.7
    case = Case(title, raised(at) if growing else at, site, share, confidence, group.group.shape)
    plan = next((p for p in scene.plans if group.group.shape in (p.body.shape, shape(p.body.statement))), None)
    prose = _prose(scene, traced, group, plan, growing, limits)
    evidence = [traced.seen.evidence, plan.evidence if plan else None]
    mends = plan_reading.remedies(plan, limits) if plan else []
    elsewhere = SLOW_ELSEWHERE.get(engine(group.group.spans[0]))
    hypotheses = [*([_mending(group, mends)] if mends else []), *_hypotheses(group, confidence)]
    if elsewhere:
        hypotheses = [_elsewhere(group, elsewhere)]
    return finding(ID, scene.endpoint.key, case, prose, evidence, hypotheses)


def _prose(
    scene: Scene,
    traced: Traced,
    group: statements.Seen,
    plan: Seen[QueryPlan] | None,
    growing: bool,
    limits: Limits,
) -> Prose:
    values: dict[str, Cited | str | None] = {
        **traced_values(scene, traced),
        "line": code(str(group.group.site.place)),
        "shape": statements.brief(group.group.shape, 300),
        "planned": plan.cite("execution_ms") if plan and plan.body.execution_ms is not None else None,
        "refused": plan.body.trial_refused and code(plan.body.trial_refused)
        if plan and plan.body.trial_refused
        else None,
    }
    said = sentences(
        values,
        "{line} sends {shape}.",
        "Statements take {spent} of the {request} of a traced request to {endpoint}, which is {share}.",
        "By itself the statement ran {planned} on the clone.",
    )
    rest = sentences(
        values,
        "No index was found that mends it: {refused}.",
        "Its time grows with the data." if growing else "",
    )
    return join([said, plan_reading.told(plan, limits) if plan else Prose(text=""), rest])


def _elsewhere(group: statements.Seen, recipe: str) -> Hypothesis:
    return Hypothesis(
        id=f"{ID}-explain",
        change=f"what the engine's own plan shows for {code(str(group.group.site.place))}",
        metric="latency",
        improvement=None,
        because="the request is most of the time; what it spends on, only the engine's own plan tells",
        kind="schema",
        recipe=recipe,
        scores=scores(group.share, 0.5, effort=3, risk=3, reversibility=5),
        trade_offs="An index costs its writes and its memory.",
        rollback="Drop the index.",
    )


def _mending(group: statements.Seen, mends: list[str]) -> Hypothesis:
    return Hypothesis(
        id=f"{ID}-plan",
        change=f"what the plan of {code(str(group.group.site.place))} spends on",
        metric="latency",
        improvement=None,
        because="the plan names where its time goes; how much of it each of these saves is to be measured on a copy",
        kind="schema",
        recipe="By what the plan spends on:\n\n" + "\n".join(f"- {mend}" for mend in mends),
        scores=scores(group.share, 0.5, effort=4, risk=4, reversibility=5),
        trade_offs="Indexes cost writes and disk; memory is taken by each sort of each connection.",
        rollback="Undo the one setting or drop the one index.",
    )


def _hypotheses(group: statements.Seen, confidence: float) -> list[Hypothesis]:
    part = group.share
    rewrite = Hypothesis(
        id=f"{ID}-rewrite",
        change=f"a statement at {code(str(group.group.site.place))} that touches fewer rows",
        metric="latency",
        improvement=None,
        because="the statement is most of the request, and no single index serves it; how much a rewrite saves is to "
        "be measured",
        kind="code",
        recipe="Aggregate before joining, so that the join sees one row a key:\n\n"
        + sql(
            "WITH totals AS (\n  SELECT parent_id, count(*) AS n FROM child WHERE created_at >= :since GROUP BY "
            "parent_id\n)\n"
            "SELECT p.id, t.n FROM parent AS p JOIN totals AS t ON t.parent_id = p.id ORDER BY t.n DESC LIMIT :limit"
        )
        + "\n\nReplace a correlated subquery by a join on its grouped result, and bound the period that is read.",
        scores=scores(part, confidence, effort=3, risk=3, reversibility=5),
        trade_offs="The statement becomes longer; a test must hold its result.",
        rollback="Revert the commit; no data changes.",
    )
    keep = Hypothesis(
        id=f"{ID}-keep",
        change="totals that are kept as the data changes, or refreshed on a schedule",
        metric="latency",
        improvement=round(part * 0.9, 3),
        because="reading kept totals leaves little of the statement's time",
        kind="schema",
        recipe=sql(
            "CREATE MATERIALIZED VIEW report AS SELECT …;\nREFRESH MATERIALIZED VIEW CONCURRENTLY report;  -- on a "
            "schedule"
        ),
        scores=scores(part, confidence, effort=2, risk=3, reversibility=4),
        alternatives=("compute it in a background job, and answer with the last result",),
        trade_offs="The answer is as old as the last refresh.",
        rollback="Drop the view, and read the tables again.",
    )
    return [rewrite, keep]
