"""From the ledger to what the rules look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

from perfcrew.core.advice import IndexAdvice, IndexUsage
from perfcrew.core.columns import GENERAL
from perfcrew.core.errors import LedgerError
from perfcrew.core.evidence import (
    CacheServer,
    CpuProfile,
    Data,
    Evidence,
    Frame,
    Measurement,
    Memory,
    Neighbour,
    Payload,
    QueryPlan,
    Scaling,
    Startup,
    Survey,
    Traces,
    TtlCurve,
)
from perfcrew.core.pooling import ConnectionNeed
from perfcrew.core.scene import ApplicationScene, Scene, Seen, Traced
from perfcrew.core.vectors import VectorSearch
from perfcrew.core.web import Plan
from perfcrew.instruments import traces
from perfcrew.ledger import Ledger

B = TypeVar("B")


def application(ledger: Ledger, run_id: str) -> ApplicationScene:
    """All that a run observed. LedgerError where it was not framed and surveyed yet."""
    frame, survey = slot_body(ledger, run_id, "frame", Frame), slot_body(ledger, run_id, "survey", Survey)
    startup = _last(_bodies(ledger.find(run_id, "startup"), Startup))
    root = frame.project.root
    data = max(_bodies(ledger.find(run_id, "data"), Data), key=lambda s: s.body.size or 0, default=None)
    advice = _last(_bodies(ledger.find(run_id, "index advice"), IndexAdvice))
    need = _last(_bodies(ledger.find(run_id, "connection need"), ConnectionNeed))
    plans = (plan for plan in in_scope(survey) if plan.measurable)
    scenes = tuple(replace(_scene(ledger, run_id, root, plan, data), advice=advice, need=need) for plan in plans)
    environment = ledger.slot(run_id, "environment")
    return ApplicationScene(
        root=root,
        project=frame.project,
        scenes=scenes,
        startup=startup,
        caches=_bodies(ledger.find(run_id, "cache server", GENERAL), CacheServer),
        environment=environment.id if environment else None,
        advice=advice,
        index_usage=_last(_bodies(ledger.find(run_id, "index usage"), IndexUsage)),
    )


def in_scope(survey: Survey) -> tuple[Plan, ...]:
    """The plans of the endpoints that this run reviews."""
    return tuple(p for p in survey.plans if p.endpoint.key not in survey.out_of_scope)


def slot_body(ledger: Ledger, run_id: str, slot: str, kind: type[B]) -> B:
    """The body in a slot. LedgerError where the run has not come that far."""
    evidence = ledger.slot(run_id, slot)
    if evidence is None or not isinstance(evidence.body, kind):
        raise LedgerError(f"run {run_id} has no {slot} yet", do=f"perfcrew resume {run_id}")
    return evidence.body


def _scene(ledger: Ledger, run_id: str, root: Path, plan: Plan, data: Seen[Data] | None) -> Scene:
    found = ledger.find(run_id, subject=plan.endpoint.key)
    traced = _traced(ledger, found)
    return Scene(
        root=root,
        endpoint=plan.endpoint,
        plan=plan,
        traced=tuple(t for t in traced if t.seen.body.at_once == 1),
        ttl=_bodies(found, TtlCurve),
        at_once=next((t for t in traced if t.seen.body.at_once > 1), None),
        measurements=_bodies(found, Measurement),
        scaling=_bodies(found, Scaling),
        plans=_bodies(found, QueryPlan),
        vectors=_bodies(found, VectorSearch),
        profile=_last(_bodies(found, CpuProfile)),
        memory=_last(_bodies(found, Memory)),
        neighbour=_last(_bodies(found, Neighbour)),
        payload=_last(_bodies(found, Payload)),
        data=data,
    )


def _traced(ledger: Ledger, found: Iterable[Evidence]) -> list[Traced]:
    items = [
        Traced(Seen(e.id, e.body), tuple(traces.load(ledger.blob(e.blobs["traces"]))) if "traces" in e.blobs else ())
        for e in found
        if isinstance(e.body, Traces)
    ]
    return sorted(items, key=lambda t: t.seen.body.size or 0)


def _bodies(found: Iterable[Evidence], kind: type[B]) -> tuple[Seen[B], ...]:
    return tuple(Seen(e.id, cast(Any, e.body)) for e in found if isinstance(e.body, kind))


def _last(seen: Sequence[Seen[B]]) -> Seen[B] | None:
    return seen[-1] if seen else None
