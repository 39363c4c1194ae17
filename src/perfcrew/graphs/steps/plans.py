"""The plans of the statements that cost, and the indexes tried for them on a clone."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass

from perfcrew.core.engines import is_elsewhere
from perfcrew.core.errors import PerfcrewError
from perfcrew.core.evidence import IndexTrial
from perfcrew.core.scene import Scene
from perfcrew.core.sql import is_read, shape
from perfcrew.core.trace import Span
from perfcrew.core.vector_sql import nearest
from perfcrew.graphs import scenes
from perfcrew.graphs.context import Context
from perfcrew.graphs.steps.each import out_of_time
from perfcrew.instruments import index_trial, rewrites
from perfcrew.instruments import plans as instrument
from perfcrew.instruments.binding import bind
from perfcrew.target.clone import Clone

LEAST_MS = 0.3
"""Statements that take less than this in all are not explained: no index would be felt."""
MOST = 4
"""Statements explained for each endpoint, the costliest first."""
_WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE)\b", re.IGNORECASE)


@dataclass
class _Cost:
    """All executions of one shape within the traced requests of an endpoint."""

    example: Span
    total_ms: float = 0.0
    times: int = 0


async def plans(context: Context) -> None:
    """Explain the costly statements of each endpoint with their real parameters, and try indexes for the reads."""
    application = scenes.application(context.ledger, context.run)
    if not any(t.seen.body.counts.statements_count for s in application.scenes for t in s.traced):
        return
    clone, progress = await context.data.clone("plans"), context.progress("plans")
    progress.until = context.budget.until("plans")
    traced, late = [s for s in application.scenes if s.traced], []
    try:
        for scene in progress.over(traced, lambda s: s.endpoint.key):
            for text, cost in _costly(scene):
                if time.monotonic() > progress.until:
                    late.append(scene.plan)
                    break
                await asyncio.to_thread(_explained, context, clone, scene.endpoint.key, text, cost)
    finally:
        clone.drop()
    if late:
        out_of_time(context, "plans", late, len(traced))


def _costly(scene: Scene) -> Iterable[tuple[str, _Cost]]:
    costs: dict[str, _Cost] = {}
    largest = scene.traced[-1] if scene.traced else None
    requests = largest.warm if largest else ()
    for span in (s for trace in requests for s in trace.of("database")):
        statement = str(span.attributes.get("db.query.text") or "")
        if statement and _explainable(span, statement):
            cost = costs.setdefault(shape(statement), _Cost(span))
            cost.total_ms += span.duration_ms / len(requests)
            cost.times += 1
            if span.duration_ms > cost.example.duration_ms:
                cost.example = span
    ranked = sorted(costs.items(), key=lambda item: item[1].total_ms, reverse=True)
    return [item for item in ranked if item[1].total_ms >= LEAST_MS][:MOST]


def _explainable(span: Span, statement: str) -> bool:
    """Reads, and writes of one row's values: an executemany's are not all recorded. SQL alone has a plan."""
    if is_elsewhere(statement):
        return False
    many = span.attributes.get("perfcrew.db.executemany") is not None
    return is_read(statement) or (not many and _WRITES.match(statement) is not None)


def _explained(context: Context, clone: Clone, key: str, text: str, cost: _Cost) -> None:
    slot = f"plan/{key}/{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    if context.has(slot):
        return
    statement = str(cost.example.attributes["db.query.text"])
    parameters = _parameters(cost.example)
    try:
        if _cut(statement, parameters):
            return
        body = instrument.explain(clone, statement, parameters)
        tried = index_trial.try_index(clone, statement, parameters, body)
        pages = rewrites.try_pages(clone, statement, parameters)
        expression = rewrites.try_expression(clone, statement, parameters, body)
    except PerfcrewError as error:
        context.failed("plans", f"{key} {slot[-12:]}", error, key)
        return
    told = {"trial": tried} if isinstance(tried, IndexTrial) else {"trial_refused": tried}
    body = body.model_copy(update={**told, "pages": pages, "expression": expression})
    context.put(slot, body, context.method(f"EXPLAIN on {clone.engine}"), key)


def _cut(statement: str, parameters: object) -> bool:
    """A search whose vector was not recorded whole is no statement that could be planned; `vectors` sweeps it."""
    return nearest(statement) is not None and bool(bind(statement, parameters, "postgresql").doubt)


def _parameters(span: Span) -> object:
    given = span.attributes.get("perfcrew.db.parameters")
    return json.loads(given) if isinstance(given, str) else given
