"""What each slow endpoint costs the others while it runs."""

from __future__ import annotations

from collections.abc import Sequence

from perfcrew.core.scene import Scene
from perfcrew.core.trace import Trace
from perfcrew.core.web import Plan
from perfcrew.graphs import scenes
from perfcrew.graphs.context import Context, Instance
from perfcrew.graphs.steps.each import each
from perfcrew.instruments.load import Driver
from perfcrew.instruments.neighbour import RATE_PER_S, measure_alone, measure_neighbour, with_blocks

LEAST_MS = 8.0
"""Endpoints that answer sooner can't keep another one waiting for longer than that."""


async def neighbour(context: Context, asked: Sequence[Plan] | None = None) -> None:
    """The cheapest endpoint is asked beside each slower one, or beside those `asked`."""
    cheap = _cheapest(context)
    if cheap is None:
        return
    observed = {s.endpoint.key: s for s in scenes.application(context.ledger, context.run).scenes}
    seconds = context.settings.measuring.neighbour_seconds
    alone: list[float] = []
    async with Driver() as one, Driver() as other:

        async def work(instance: Instance, plan: Plan) -> None:
            if not alone:
                alone.append(await measure_alone(instance.aim, cheap, seconds=2 * seconds, driver=one))
            body = await measure_neighbour(instance.aim, plan, cheap, alone[0], seconds=seconds, drivers=(one, other))
            key = plan.endpoint.key
            body = with_blocks(body, _traces(observed.get(key)), context.root)
            context.put(f"neighbour/{key}", body, context.method("perfcrew load", rate_per_s=RATE_PER_S), key)

        slow = [p for p in context.plans if _slow(context, p)] if asked is None else asked
        left = [p for p in slow if not context.has(f"neighbour/{p.endpoint.key}")]
        await each(context, "neighbour", left, work)


def _traces(scene: Scene | None) -> tuple[Trace, ...]:
    return scene.traced[-1].traces if scene and scene.traced else ()


def _cheapest(context: Context) -> Plan | None:
    timed = [(context.baseline(p.endpoint.key), p) for p in context.plans]
    known = [(latency, n, p) for n, (latency, p) in enumerate(timed) if latency is not None]
    return min(known)[2] if known else None


def _slow(context: Context, plan: Plan) -> bool:
    return (context.baseline(plan.endpoint.key) or 0.0) >= LEAST_MS
