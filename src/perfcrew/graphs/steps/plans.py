"""The plans of the statements that cost, and the indexes tried for them on a clone."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from perfcrew.core.errors import PerfcrewError
from perfcrew.core.evidence import IndexTrial
from perfcrew.core.scene import Scene
from perfcrew.core.sql import is_read, shape
from perfcrew.core.trace import Span
from perfcrew.core.web import Plan
from perfcrew.graphs import scenes
from perfcrew.graphs.context import Context
from perfcrew.graphs.steps.each import out_of_time
from perfcrew.instruments import index_trial
from perfcrew.instruments import plans as instrument
from perfcrew.target.clone import Clone

LEAST_MS = 0.3
"""Statements that take less than this in all are not explained: no index would be felt."""
MOST = 4
"""Statements explained for each endpoint, the costliest first."""


@dataclass
class _Cost:
    """All executions of one shape within the traced requests of an endpoint."""

    example: Span
    total_ms: float = 0.0
    times: int = 0


async def plans(context: Context, asked: Sequence[Plan] | None = None) -> None:
    """Explain the costly reads of each endpoint with their real parameters, and try indexes where they scan.

    Of those `asked` for every read is explained, however quick it was.
    """
    application = scenes.application(context.ledger, context.run)
    if not any(t.seen.body.counts.statements_count for s in application.scenes for t in s.traced):
        return
    clone, progress = await context.data.clone("plans"), context.progress("plans")
    progress.until = context.budget.until("plans")
    keys = None if asked is None else {plan.endpoint.key for plan in asked}
    traced, late = [s for s in application.scenes if s.traced and (keys is None or s.endpoint.key in keys)], []
    try:
        for scene in progress.over(traced, lambda s: s.endpoint.key):
            for text, cost in _costly(scene, LEAST_MS if keys is None else 0.0):
                if time.monotonic() > progress.until:
                    late.append(scene.plan)
                    break
                await asyncio.to_thread(_explained, context, clone, scene.endpoint.key, text, cost)
    finally:
        clone.drop()
    if late:
        out_of_time(context, "plans", late, len(traced))


def _costly(scene: Scene, least_ms: float) -> Iterable[tuple[str, _Cost]]:
    costs: dict[str, _Cost] = {}
    largest = scene.traced[-1] if scene.traced else None
    requests = largest.warm if largest else ()
    for span in (s for trace in requests for s in trace.of("database")):
        statement = str(span.attributes.get("db.query.text") or "")
        if statement and is_read(statement):
            cost = costs.setdefault(shape(statement), _Cost(span))
            cost.total_ms += span.duration_ms / len(requests)
            cost.times += 1
            if span.duration_ms > cost.example.duration_ms:
                cost.example = span
    ranked = sorted(costs.items(), key=lambda item: item[1].total_ms, reverse=True)
    return [item for item in ranked if item[1].total_ms >= least_ms][:MOST]


def _explained(context: Context, clone: Clone, key: str, text: str, cost: _Cost) -> None:
    slot = f"plan/{key}/{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    if context.has(slot):
        return
    statement = str(cost.example.attributes["db.query.text"])
    parameters = _parameters(cost.example)
    try:
        body = instrument.explain(clone, statement, parameters)
        tried = index_trial.try_index(clone, statement, parameters, body)
    except PerfcrewError as error:
        context.failed("plans", f"{key} {slot[-12:]}", error, key)
        return
    update = {"trial": tried} if isinstance(tried, IndexTrial) else {"trial_refused": tried}
    context.put(slot, body.model_copy(update=update), context.method(f"EXPLAIN on {clone.engine}"), key)


def _parameters(span: Span) -> object:
    given = span.attributes.get("perfcrew.db.parameters")
    return json.loads(given) if isinstance(given, str) else given
