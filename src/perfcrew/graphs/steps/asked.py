"""An instrument run on one endpoint because a specialist asks for it: one at a time, within the time for measuring."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from perfcrew.core.errors import Unmeasurable, UsageError
from perfcrew.core.evidence import Evidence
from perfcrew.core.web import Plan
from perfcrew.graphs.context import Context
from perfcrew.graphs.steps import cpu, memory, neighbour, payload, plans, redis, vectors

Run = Callable[[Context, Sequence[Plan]], Awaitable[None]]
INSTRUMENTS: dict[str, tuple[str, Run]] = {
    "py-spy": ("profile", cpu.profile),
    "plans": ("plan", plans.plans),
    "memory": ("memory", memory.memory),
    "neighbour": ("neighbour", neighbour.neighbour),
    "payload": ("payload", payload.payload),
    "redis": ("cache server", redis.sample),
    "vectors": ("vectors", vectors.vectors),
}
"""By their names on the cards: the kind of evidence that each gives, and the step that runs it."""


async def measure(context: Context, instrument: str, endpoint: str) -> Sequence[Evidence]:
    """What an instrument saw of an endpoint, measured now, or before where once is enough.

    UsageError for an unknown instrument or endpoint, Unmeasurable where the time is used up or nothing was seen.
    """
    plan = next((p for p in context.plans if p.endpoint.key == endpoint), None)
    if plan is None or instrument not in INSTRUMENTS:
        raise UsageError(f"{instrument} can't be run on {endpoint}", do=f"known: {', '.join(INSTRUMENTS)}")
    kind, run = INSTRUMENTS[instrument]
    async with context.one_at_a_time:
        before = len(context.ledger.find(context.run, kind, endpoint))
        if not context.spent():
            await run(context, [plan])
        found = context.ledger.find(context.run, kind, endpoint)
    if not found:
        why = "the time for measuring is used up" if context.spent() else "the report's failures say why"
        raise Unmeasurable(f"{instrument} saw nothing of {endpoint}: {why}")
    return found[before:] or found[-1:]
