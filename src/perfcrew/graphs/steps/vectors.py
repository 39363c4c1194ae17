"""The searches for nearest neighbours that were traced, swept on a clone: recall and time over indexes and settings."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from perfcrew.core.errors import PerfcrewError
from perfcrew.core.scene import Scene
from perfcrew.core.sql import is_read, shape
from perfcrew.core.trace import Span
from perfcrew.core.vector_sql import nearest
from perfcrew.core.vectors import VectorSearch
from perfcrew.core.web import Plan
from perfcrew.graphs import scenes
from perfcrew.graphs.context import Context
from perfcrew.graphs.steps.each import out_of_time
from perfcrew.instruments import vectors as instrument
from perfcrew.instruments.vector_catalog import said_settings
from perfcrew.target.clone import Clone
from perfcrew.target.clones import urls
from perfcrew.target.clones.instance import DEFAULT

LONGEST_S = 240.0
"""Of one sweep, however much time there is."""
ASKED_S = 60.0
"""Of one that a specialist waits for."""
MOST = 3
"""Searches swept for each endpoint, the costliest first."""


@dataclass
class _Search:
    """One shape of one endpoint: the slowest execution, and the parameters of all."""

    scene: Scene
    text: str
    example: Span
    parameters: list[object] = field(default_factory=list)
    total_ms: float = 0.0


async def vectors(context: Context, asked: Sequence[Plan] | None = None) -> None:
    """Sweep each search once, whichever endpoints send it, or those of the endpoints `asked` for; what there was no
    time for is told."""
    application = scenes.application(context.ledger, context.run)
    keys = None if asked is None else {plan.endpoint.key for plan in asked}
    traced = (s for s in application.scenes if s.traced and (keys is None or s.endpoint.key in keys))
    found = [s for scene in traced for s in _searches(scene) if not context.has(_slot(s))]
    longest_s = LONGEST_S if asked is None else ASKED_S
    if not found:
        return
    clone, progress = await context.data.clone("vectors"), context.progress("vectors")
    progress.until = context.budget.until("vectors")
    late, done = [], dict[str, VectorSearch | str]()
    with ExitStack() as held:
        held.callback(clone.drop)
        held.enter_context(context.measuring())
        for number, search in enumerate(found):
            left_s = (progress.until - time.monotonic()) / (len(found) - number)
            if left_s <= 0 and search.text not in done:
                late.append(search.scene.plan)
                continue
            progress.note(search.scene.endpoint.key, number, len(found))
            await asyncio.to_thread(_swept, context, clone, search, min(left_s, longest_s), done)
    if late:
        out_of_time(context, "vectors", late, len(found))


def _searches(scene: Scene) -> list[_Search]:
    found: dict[str, _Search] = {}
    for span in _spans(scene):
        statement = str(span.attributes.get("db.query.text") or "")
        if statement and is_read(statement) and nearest(statement) is not None:
            text = shape(statement)
            search = found.setdefault(text, _Search(scene, text, span))
            search.parameters.append(_parameters(span))
            search.total_ms += span.duration_ms
            if span.duration_ms > search.example.duration_ms:
                search.example = span
    return sorted(found.values(), key=lambda s: -s.total_ms)[:MOST]


def _spans(scene: Scene) -> Iterable[Span]:
    largest = scene.traced[-1]
    return (s for trace in largest.warm for s in trace.of("database"))


def _swept(
    context: Context, clone: Clone, search: _Search, budget_s: float, done: dict[str, VectorSearch | str]
) -> None:
    key = search.scene.endpoint.key
    slot = _slot(search)
    try:
        if search.text not in done:
            statement = str(search.example.attributes["db.query.text"])
            asked = _asked(context, clone, search, budget_s)
            done[search.text] = instrument.sweep(clone, statement, _parameters(search.example), asked)
    except PerfcrewError as error:
        context.failed("vectors", f"{key} {slot[-12:]}", error, key)
        return
    body = done[search.text]
    if isinstance(body, VectorSearch):
        context.put(slot, body, context.method("pgvector sweep", budget_s=round(budget_s)), key)
    else:
        context.progress("vectors").note(f"{key}: {body}")


def _slot(search: _Search) -> str:
    return f"vectors/{search.scene.endpoint.key}/{hashlib.sha256(search.text.encode()).hexdigest()[:12]}"


def _asked(context: Context, clone: Clone, search: _Search, budget_s: float) -> instrument.Asked:
    source = next((s.url for s in clone.sources if s.alias == DEFAULT), "")
    recall = context.settings.rules.get("DB109", {}).get("recall", instrument.Asked.recall)
    return instrument.Asked(
        recall=recall,
        budget_s=budget_s,
        session=said_settings(list(_said(search.scene))),
        database=urls.database_name(source) if source else "",
        captured=search.parameters,
    )


def _said(scene: Scene) -> Iterable[str]:
    """All that was sent, the drivers' and frameworks' own statements too: SET counts among them."""
    spans = (s for trace in scene.traced[-1].traces for s in trace.spans if s.kind == "database")
    return (str(s.attributes.get("db.query.text") or "") for s in spans)


def _parameters(span: Span) -> object:
    given = span.attributes.get("perfcrew.db.parameters")
    return json.loads(given) if isinstance(given, str) else given
