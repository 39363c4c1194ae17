"""The plans of the statements that cost, the indexes that serve all of them together, and how those that are there
are used."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import NamedTuple

from perfcrew.core.advice import IndexUsage
from perfcrew.core.engines import is_elsewhere
from perfcrew.core.errors import PerfcrewError
from perfcrew.core.evidence import IndexTrial, QueryPlan
from perfcrew.core.scene import Scene
from perfcrew.core.sql import is_read, shape
from perfcrew.core.sql_constants import MOST_TEXTS
from perfcrew.core.trace import Span
from perfcrew.core.vector_sql import nearest
from perfcrew.core.web import Plan
from perfcrew.graphs import scenes
from perfcrew.graphs.context import Context
from perfcrew.graphs.steps import connections
from perfcrew.graphs.steps.each import out_of_time
from perfcrew.instruments import index_advice, index_usage, rewrites
from perfcrew.instruments import plans as instrument
from perfcrew.instruments.binding import bind
from perfcrew.instruments.index_advice import Asked
from perfcrew.target.clone import Clone, Source

LEAST_MS = 0.3
"""Statements that take less than this in all are not explained: no index would be felt."""
MOST = 4
"""Statements explained for each endpoint, the costliest first."""
_WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
MOST_WEIGHED = 40
"""Statements of the workload that indexes are advised for, the costliest first; writes do not count."""
LEAST_ADVICE_S = 30.0
"""Given to the advice even where explaining took the stage's time."""
ADVICE, USAGE = "indexes", "index usage"


@dataclass
class _Cost:
    """All executions of one shape within the traced requests of an endpoint."""

    example: Span
    total_ms: float = 0.0
    times: int = 0
    spans: list[Span] = field(default_factory=list)
    requests: int = 1


class _Explained(NamedTuple):
    slot: str
    key: str
    text: str
    body: QueryPlan


async def plans(context: Context, asked: Sequence[Plan] | None = None) -> None:
    """Explain the costly statements of each endpoint with their real values, and advise indexes for all together.

    Of those `asked` for every statement is explained, however quick it was.
    """
    application = scenes.application(context.ledger, context.run)
    if not any(t.seen.body.counts.statements_count for s in application.scenes for t in s.traced):
        return
    clone, progress = await context.data.clone("plans"), context.progress("plans")
    progress.until = context.budget.until("plans")
    keys = None if asked is None else {plan.endpoint.key for plan in asked}
    traced, late = [s for s in application.scenes if s.traced and (keys is None or s.endpoint.key in keys)], []
    found: list[_Explained] = []
    with ExitStack() as held:
        held.callback(clone.drop)
        held.enter_context(context.measuring())
        for scene in progress.over(traced, lambda s: s.endpoint.key):
            for text, cost in _costly(scene, LEAST_MS if keys is None else 0.0):
                if time.monotonic() > progress.until:
                    late.append(scene.plan)
                    break
                found += await asyncio.to_thread(_explained, context, clone, scene.endpoint.key, text, cost)
        await asyncio.to_thread(_advised, context, clone, traced, found, progress.until)
        await asyncio.to_thread(_used, context, clone)
        await asyncio.to_thread(connections.need, context, clone)
    if late:
        out_of_time(context, "plans", late, len(traced))


def _costs(scene: Scene) -> dict[str, _Cost]:
    """By shape, reads and writes, each request's share of them."""
    costs: dict[str, _Cost] = {}
    largest = scene.traced[-1] if scene.traced else None
    requests = largest.warm if largest else ()
    for span in (s for trace in requests for s in trace.of("database")):
        statement = str(span.attributes.get("db.query.text") or "")
        if statement and not is_elsewhere(statement):
            cost = costs.setdefault(shape(statement), _Cost(span, requests=len(requests)))
            cost.total_ms += span.duration_ms / len(requests)
            cost.times += 1
            cost.spans.append(span)
            if span.duration_ms > cost.example.duration_ms:
                cost.example = span
    return costs


def _costly(scene: Scene, least_ms: float) -> Iterable[tuple[str, _Cost]]:
    there = [(text, cost) for text, cost in _costs(scene).items() if _explainable(cost.example)]
    ranked = sorted(there, key=lambda item: item[1].total_ms, reverse=True)
    return [item for item in ranked if item[1].total_ms >= least_ms][:MOST]


def _explainable(span: Span) -> bool:
    """Reads, and writes of one row's values: an executemany's are not all recorded."""
    statement = str(span.attributes["db.query.text"])
    many = span.attributes.get("perfcrew.db.executemany") is not None
    return is_read(statement) or (not many and _WRITES.match(statement) is not None)


def _explained(context: Context, clone: Clone, key: str, text: str, cost: _Cost) -> Iterator[_Explained]:
    slot = f"plan/{key}/{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    statement, parameters = str(cost.example.attributes["db.query.text"]), _parameters(cost.example)
    if context.has(slot) or _cut(statement, parameters):
        return iter(())
    try:
        body = instrument.explain(clone, statement, parameters)
        pages = rewrites.try_pages(clone, statement, parameters)
        expression = rewrites.try_expression(clone, statement, parameters, body)
    except PerfcrewError as error:
        context.failed("plans", f"{key} {slot[-12:]}", error, key)
        return iter(())
    return iter([_Explained(slot, key, text, body.model_copy(update={"pages": pages, "expression": expression}))])


def _cut(statement: str, parameters: object) -> bool:
    """A search whose vector was not recorded whole is no statement that could be planned; `vectors` sweeps it."""
    return nearest(statement) is not None and bool(bind(statement, parameters, "postgresql").doubt)


def _advised(
    context: Context, clone: Clone, traced: Sequence[Scene], explained: Sequence[_Explained], until: float
) -> None:
    """Advice on the whole workload, kept by itself; and with each plan what it does for that statement."""
    trials: dict[str, IndexTrial | str] = {}
    beside: dict[str, tuple[IndexTrial, ...]] = {}
    asked = workload(traced)
    if explained and not context.has(ADVICE):
        context.progress("plans").note("trying indexes for all statements together")
        try:
            made = index_advice.advise(clone, asked, budget_s=max(LEAST_ADVICE_S, until - time.monotonic()))
        except PerfcrewError as error:
            context.failed("plans", "indexes for the workload", error)
        else:
            context.put(ADVICE, made.advice, context.method(f"indexes built on {clone.engine}, in paired blocks"))
            trials = {shape(asked[place].statement): trial for place, trial in made.trials.items()}
            beside = {shape(asked[place].statement): more for place, more in made.beside.items()}
    for one in explained:
        tried = trials.get(one.text, "no index was tried for it")
        update: dict[str, object] = {"trials_beside": beside.get(one.text, ())}
        update |= {"trial": tried} if isinstance(tried, IndexTrial) else {"trial_refused": tried}
        method = context.method(f"EXPLAIN on {clone.engine}")
        context.put(one.slot, one.body.model_copy(update=update), method, one.key)


def workload(traced: Iterable[Scene]) -> list[Asked]:
    """All statements of the run by shape: how often a request of each endpoint sends them, and some examples."""
    found: dict[str, list[tuple[str, _Cost]]] = {}
    for scene in traced:
        for text, cost in _costs(scene).items():
            found.setdefault(text, []).append((scene.endpoint.key, cost))
    ranked = sorted(found.values(), key=lambda costs: -sum(c.total_ms for _, c in costs))
    asked = [_asked(costs) for costs in ranked]
    reads = [a for a in asked if is_read(a.statement)]
    return [*reads[:MOST_WEIGHED], *(a for a in asked if not is_read(a.statement))]


def _asked(costs: Sequence[tuple[str, _Cost]]) -> Asked:
    """The slowest execution, and the middle one where it has other values."""
    spans = sorted((s for _, c in costs for s in c.spans), key=lambda s: s.duration_ms)
    given = [_parameters(s) for s in (spans[-1], spans[len(spans) // 2])]
    sent = sum(c.times / c.requests for _, c in costs)
    statement = str(spans[-1].attributes["db.query.text"])
    same = given[0] == given[1] or str(spans[len(spans) // 2].attributes["db.query.text"]) != statement
    texts = tuple(dict.fromkeys(str(s.attributes["db.query.text"]) for s in spans))[:MOST_TEXTS]
    written = sum(_written_rows(s) for s in spans) / len(spans)
    return Asked(statement, given[: 1 if same else 2], sent, tuple(key for key, _ in costs), texts, written)


def _written_rows(span: Span) -> float:
    """An executemany's, the driver's count, or what came back of them (RETURNING); one where nobody told."""
    many, written = (span.attributes.get(f"perfcrew.db.{name}") for name in ("executemany", "written_rows"))
    returned = span.attributes.get("db.response.returned_rows")
    return float(many or (written if written is not None else returned or 1))


def _parameters(span: Span) -> object:
    given = span.attributes.get("perfcrew.db.parameters")
    return json.loads(given) if isinstance(given, str) else given


def _used(context: Context, clone: Clone) -> None:
    """How the indexes that are there are used: asked of the user's own PostgreSQL, a clone has no statistics."""
    if context.has(USAGE) or clone.engine == "mysql":  # whose statistics begin with each start of the server
        return
    try:
        original = context.data.original()
        body = _usage(clone, original)
    except PerfcrewError as error:
        context.failed("plans", "the use of the indexes that are there", error)
        return
    where = "your database, read-only" if original else "the clone"
    context.put(USAGE, body, context.method(f"catalogue and statistics of {where}"))


def _usage(clone: Clone, original: Source | None) -> IndexUsage:
    if clone.engine == "sqlite":
        return index_usage.of_sqlite(clone.connect)
    if original is None:
        return index_usage.of_postgres(clone.connect, statistics=False)
    return index_usage.of_postgres(original.connect)
