"""DB103: a statement reads a whole table, and an index that was built on a clone mends it.

What it costs: the time grows with the table, whatever the size of the answer.
Seen as: the plan with the real parameters scans a table of at least `min_rows` rows; the index is one of the set that
serves all statements of the run best: built on a clone, timed with and without it in turns, proven by those pairs,
for the workload and as part of the whole set. The plan of this statement uses it, and every run with the set was
faster than without (of ten proven pairs one may have been held up), by at least `min_gain` of the time and `min_ms`; it
takes at least `min_share` of the request.
Not this: small tables, statements that need most of the table, an index that the planner leaves aside, a gain
within the noise, one that adds more to the writes that are sent than it saves, one that is there already.
Instead: the index that was tried, in a reversible migration: several columns, partial, covering, over an expression,
GIN or trigrams, whichever served best. What it adds to writes, and its size, are in the evidence.
Confidence: 0.95, since it was built and measured; 0.85 where fewer than three runs stand on either side.
Where a plan uses several of the advised ones, each is a finding with what it adds beside the others.
Limits: only as true as the clone's data are like production's. Conditions are partial only where the text of the
statement has them, since a server may plan without the values, and a value only where it is no request's own: a word
or small number that executions with differing texts share. On MySQL and MariaDB indexes are of plain columns, and what
they add to writes is not measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import NamedTuple

from perfcrew.core.evidence import IndexTrial, PlanNode, QueryPlan
from perfcrew.core.findings import Finding, Hypothesis
from perfcrew.core.indexes import IndexSpec
from perfcrew.core.prose import Cited, Prose, cite
from perfcrew.core.scene import Scene, Seen, Traced
from perfcrew.core.sql import shape
from perfcrew.rules import statements
from perfcrew.rules.costs import latency_ms, latency_share, level, observed, scores
from perfcrew.rules.limits import Limits
from perfcrew.rules.recipes import flavour, migration, parts
from perfcrew.rules.write import Case, code, finding, sentences, traced_values

ID = "DB103"
NEEDS_ROWS = "min_rows"
_SCANS = ("seq scan", "parallel seq scan", "scan")


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """One finding a plan whose trial helped and whose statement has a line."""
    traced = observed(scene)
    if traced is None:
        return []
    found: dict[IndexSpec, Finding] = {}
    seen = statements.seen(scene, traced)
    for plan, tried in ((seen_plan, one) for seen_plan in scene.plans for one in _tried(seen_plan.body)):
        if not _scans(plan.body, tried.trial, limits) or not _helped(tried.trial, limits):
            continue
        for group in (s for s in seen if s.group.shape in _shapes(plan.body)):
            if group.share >= limits.min_share:
                found.setdefault(tried.trial.spec, _finding(scene, traced, plan, tried, group, limits))
    return list(found.values())


class _Tried(NamedTuple):
    """An index of a plan, and where the plan's evidence has it."""

    trial: IndexTrial
    path: str


def _tried(plan: QueryPlan) -> Iterator[_Tried]:
    if plan.trial is not None:
        yield _Tried(plan.trial, "trial")
    yield from (_Tried(one, f"trials_beside.{n}") for n, one in enumerate(plan.trials_beside))


def _shapes(plan: QueryPlan) -> set[str]:
    return {plan.shape, shape(plan.statement)}


def scanned(node: PlanNode) -> bool:
    """Whether the node reads a table from end to end, in PostgreSQL's or SQLite's words.

    SQLite's automatic index is one that it builds anew at each run, for want of a real one.
    """
    words = node.operation.lower()
    if "automatic" in words:
        return True
    return words.startswith(_SCANS) and not node.index and "index" not in words


def _scans(plan: QueryPlan, trial: IndexTrial, limits: Limits) -> bool:
    rows = plan.table_rows.get(trial.table, 0)
    sorts = any("sort" in n.operation.lower() or "temp b-tree" in n.operation.lower() for n in plan.nodes)
    return rows >= limits.min_rows and (any(scanned(n) for n in plan.nodes) or sorts)


def _helped(trial: IndexTrial, limits: Limits) -> bool:
    if not trial.used or not trial.before_ms or not trial.after_ms or trial.verdict not in ("improved", ""):
        return False
    saved = trial.before_median_ms - trial.after_median_ms
    return _apart(trial)[0] and saved >= limits.min_ms and saved >= limits.min_gain * trial.before_median_ms


class _Apart(NamedTuple):
    apart: bool
    all: bool
    """Without leaving any run out."""


def _apart(trial: IndexTrial) -> _Apart:
    """Each run with it faster than the middle one without, and the other way round. Where pairs proved the gain, one
    in ten that something else on the machine held up proves nothing to the contrary."""
    before, after = sorted(trial.before_ms), sorted(trial.after_ms)

    def holds(spare: int) -> bool:
        return after[-1 - spare] < median(before) and before[spare] > median(after)

    spare = min(len(before), len(after)) // 10 if trial.verdict == "improved" else 0
    return _Apart(holds(spare), holds(0))


def _finding(
    scene: Scene, traced: Traced, plan: Seen[QueryPlan], tried: _Tried, group: statements.Seen, limits: Limits
) -> Finding:
    trial = tried.trial
    whole_ms = max(trial.before_median_ms, (plan.body.execution_ms or 0.0) if plan.body.trials_beside else 0.0)
    gain = (trial.before_median_ms - trial.after_median_ms) / whole_ms
    share = latency_share(
        group.share * gain,
        1.0,
        "time of the statement over the traced request, times what the index saved on the clone",
    )
    sure = 0.95 if min(len(trial.before_ms), len(trial.after_ms)) >= 3 else 0.85
    at = level(group.share, group.share * latency_ms(scene), limits)
    site = statements.with_loop(scene, group.group)
    title = f"No index serves the read of {code(trial.table)} in {code(site.place.function or site.place.file)}"
    case = Case(title, at, site, share, sure, group.group.shape + _beside(tried))
    prose = _prose(scene, traced, plan, tried, group)
    advice = scene.advice.evidence if scene.advice else None
    evidence = [plan.evidence, traced.seen.evidence, advice]
    return finding(
        ID, scene.endpoint.key, case, prose, evidence, [_hypothesis(scene, trial, group, share.fraction, sure)]
    )


def _beside(tried: _Tried) -> str:
    """What tells it from the statement's first one."""
    return "" if tried.path == "trial" else f" by {tried.trial.table} ({tried.trial.spec.said})"


def _prose(scene: Scene, traced: Traced, plan: Seen[QueryPlan], tried: _Tried, group: statements.Seen) -> Prose:
    trial, path = tried
    before, after = plan.ref(f"{path}.before_median_ms"), plan.ref(f"{path}.after_median_ms")
    values: dict[str, Cited | str | None] = {
        **traced_values(scene, traced),
        "line": code(str(group.group.site.place)),
        "shape": statements.brief(group.group.shape),
        "table": code(trial.table),
        "size": plan.cite(f"table_rows.{trial.table}") if "." not in trial.table else None,
        "columns": code(trial.spec.said),
        **_writes(scene, trial),
        "before": plan.cite(f"{path}.before_median_ms"),
        "after": plan.cite(f"{path}.after_median_ms"),
        "bytes": plan.cite(f"{path}.size_bytes") if trial.size_bytes is not None else None,
        "times": cite(trial.before_median_ms / trial.after_median_ms, "ratio", before, after, derivation="ratio")
        if trial.after_median_ms > 0
        else None,
    }
    return sentences(
        values,
        "{line} sends {shape}, and the plan reads {table} without an index for it.",
        "The table held {size} when it was planned.",
        "With an index on {columns}, built on a clone of the database, the statement went from {before} to {after}"
        + (", others that are advised for it being there." if plan.body.trials_beside else "."),
        "That is {times} as fast.",
        "The index takes {bytes}.",
        "Inserting {some} rows into the table took {insert} without it and {inserting} with it.",
        "It serves {served} statements of this run.",
        "Statements take {spent} of the {request} of a traced request to {endpoint}.",
    )


def _writes(scene: Scene, trial: IndexTrial) -> dict[str, Cited | str | None]:
    """What it adds to writes, and how many statements it serves, where the advice has it."""
    seen, at = scene.advice, _place(scene, trial)
    if seen is None or at is None:
        return dict.fromkeys(("some", "insert", "inserting", "served"))
    one, path = seen.body.advised[at], f"advised.{at}.writes"
    measured = one.writes is not None and one.writes.insert_verdict == "regressed"
    return {
        "some": seen.cite(f"{path}.rows_count") if measured else None,
        "insert": seen.cite(f"{path}.insert_before_ms") if measured else None,
        "inserting": seen.cite(f"{path}.insert_after_ms") if measured else None,
        "served": seen.cite(f"advised.{at}.serves_count") if len(one.serves) > 1 else None,
    }


def _place(scene: Scene, trial: IndexTrial) -> int | None:
    """Of the trial's index among the advised ones."""
    found = scene.advice.body.advised if scene.advice else ()
    return next((i for i, a in enumerate(found) if a.index == trial.spec), None)


def _proof(trial: IndexTrial) -> str:
    return "every run was faster than before" if _apart(trial).all else "runs with and without it in turns prove it"


def _others(scene: Scene, trial: IndexTrial) -> tuple[str, ...]:
    """What was tried for the same table, and why it is not advised."""
    found = scene.advice.body.refused if scene.advice else ()
    mine = [r for r in found if r.index.partition(" (")[0] == trial.table]
    return tuple(f"{code(r.index)}: {code(r.reason)}" for r in mine[:3])


def _hypothesis(scene: Scene, trial: IndexTrial, group: statements.Seen, saved: float, sure: float) -> Hypothesis:
    kind = flavour(scene.root, group.group.site.place, group.group.spans[0].stack)
    return Hypothesis(
        id=f"{ID}-index",
        change=f"an index on {code(trial.table)} ({code(trial.spec.said)})",
        metric="latency",
        improvement=round(saved, 3),
        because=f"the index was built on a clone, the plan used it, and {_proof(trial)}",
        kind="schema",
        recipe=parts(trial.ddl) if trial.partitioned else migration(kind, trial.ddl, trial.spec),
        scores=scores(saved, sure, effort=5, risk=4, reversibility=5),
        alternatives=_others(scene, trial),
        trade_offs="Every write to the table keeps the index too, and it takes disk and memory."
        + (" It serves without the table only while little was written since a VACUUM." if trial.spec.include else ""),
        rollback="Run the migration's downgrade: the index is dropped.",
    )
