"""What each endpoint leaves behind in memory."""

from __future__ import annotations

from collections.abc import Sequence

from perfcrew.core.evidence import Memory
from perfcrew.core.web import Plan
from perfcrew.graphs.context import Context, Instance
from perfcrew.graphs.steps.each import each
from perfcrew.instruments.load import Driver
from perfcrew.instruments.memory import LEAST_GROWTH, measure_allocations, measure_memory

FEWEST = 20
"""Requests, however slow the endpoint is."""
SECONDS = 0.6
"""Spent on an endpoint; a slow one is asked less often, down to the fewest."""


async def memory(context: Context, asked: Sequence[Plan] | None = None) -> None:
    """Live objects on one instance; then, on another, the lines that allocate what grew; of those `asked`, or all."""
    grown: dict[str, Memory] = {}
    async with Driver() as driver:

        async def live(instance: Instance, plan: Plan) -> None:
            assert instance.probe_dir is not None
            key, requests = plan.endpoint.key, _requests(context, plan)
            body = await measure_memory(
                instance.running, instance.aim, plan, instance.probe_dir, requests=requests, driver=driver
            )
            if _grows(body):
                grown[key] = body
            else:
                _keep(context, key, body)

        async def lines(instance: Instance, plan: Plan) -> None:
            assert instance.probe_dir is not None
            key, requests = plan.endpoint.key, _requests(context, plan)
            root = instance.clone.source_root or context.root
            found = await measure_allocations(
                instance.aim, plan, instance.probe_dir, root, requests=requests, driver=driver
            )
            _keep(context, key, grown[key].model_copy(update={"allocations": found}))

        left = [p for p in asked or context.plans if not context.has(f"memory/{p.endpoint.key}")]
        await each(context, "memory", left, live, parts=("heap",))
        suspects = [p for p in left if p.endpoint.key in grown]
        if suspects:
            await each(context, "allocations", suspects, lines, parts=("allocations",))


def _grows(body: Memory) -> bool:
    return bool(body.containers) or any(o.per_request_count >= LEAST_GROWTH for o in body.objects)


def _keep(context: Context, key: str, body: Memory) -> None:
    tool = "probe (heap, tracemalloc)" if body.allocations else "probe (heap)"
    context.put(f"memory/{key}", body, context.method(tool, requests=body.requests_count), key)


def _requests(context: Context, plan: Plan) -> int:
    latency_ms = context.baseline(plan.endpoint.key) or 10.0
    most = context.settings.measuring.memory_requests
    return max(FEWEST, min(most, round(SECONDS * 1e3 / latency_ms)))
