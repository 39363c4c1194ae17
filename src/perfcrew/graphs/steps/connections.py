"""How many connections the application needs at its peak, held against what its server and its deployment allow."""

from __future__ import annotations

from collections.abc import Mapping

from perfcrew.core.errors import PerfcrewError
from perfcrew.core.evidence import Connections
from perfcrew.core.pooling import ConnectionNeed
from perfcrew.graphs import scenes
from perfcrew.graphs.context import Context
from perfcrew.graphs.steps.capacity import peak
from perfcrew.instruments import pooling
from perfcrew.instruments.workload import weights_of
from perfcrew.target.clone import Clone
from perfcrew.target.workers import workers

SLOT = "connection need"
_SERVERS = ("postgresql", "mysql")


def need(context: Context, clone: Clone) -> None:
    """Keep it, where the database is a server and anything was traced to use it."""
    held = _held(context)
    if context.has(SLOT) or clone.engine not in _SERVERS or not held:
        return
    try:
        body = _needed(context, clone, held)
    except PerfcrewError as error:
        context.failed("plans", "what connections are needed", error)
        return
    context.put(SLOT, body, context.method("Little's law, and the server's settings", shares=context.shares))


def _needed(context: Context, clone: Clone, held: Mapping[str, Connections]) -> ConnectionNeed:
    expected = peak(context)
    mix = pooling.Mix(
        rate_per_s=expected.expected_per_s if expected else 0.0,
        assumed=expected is None or expected.assumed,
        shares=weights_of(context.plans, context.shares),
        held=held,
    )
    allowed = pooling.limits(clone.engine, clone.connect)
    return pooling.need(clone.engine, mix, allowed, workers(context.project))


def _held(context: Context) -> dict[str, Connections]:
    """By endpoint, what its requests do with connections, at the size of data that the baseline has."""
    found = scenes.application(context.ledger, context.run).scenes
    used = {s.endpoint.key: s.traced[-1].seen.body.connections for s in found if s.traced}
    return {key: one for key, one in used.items() if one is not None}
