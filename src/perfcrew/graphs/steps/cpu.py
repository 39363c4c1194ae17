"""Where the processor time of each endpoint goes."""

from __future__ import annotations

from perfcrew.core.web import Plan
from perfcrew.graphs.context import Context, Instance
from perfcrew.graphs.steps.each import each
from perfcrew.instruments import pyspy
from perfcrew.instruments.load import Driver

LEAST_CPU_MS = 5.0
"""Endpoints that take less processor time a request are not profiled: their samples would be the framework's."""


async def profile(context: Context) -> None:
    """Sample each endpoint that takes noticeable processor time, on an instance without the probe."""
    seconds = context.settings.measuring.profile_seconds
    async with Driver() as driver:

        async def work(instance: Instance, plan: Plan) -> None:
            key = plan.endpoint.key
            root = instance.clone.source_root or context.root
            found = await pyspy.profile(instance.running, plan, instance.aim, root, seconds=seconds, driver=driver)
            command = ("py-spy", "record", "--rate", str(pyspy.RATE), "--format", "raw")
            context.put(f"profile/{key}", found.body, context.method("py-spy", command=command), key, found.blobs)

        left = [p for p in context.plans if not context.has(f"profile/{p.endpoint.key}") and _works(context, p)]
        await each(context, "profile", left, work)


def _works(context: Context, plan: Plan) -> bool:
    cpu_ms = context.baseline(plan.endpoint.key, "cpu")
    return cpu_ms is None or cpu_ms >= LEAST_CPU_MS
