"""Where the processor time of each endpoint goes."""

from __future__ import annotations

from collections.abc import Sequence

from perfcrew.core.web import Plan
from perfcrew.graphs.context import Context, Instance
from perfcrew.graphs.steps.each import each
from perfcrew.instruments import pyspy
from perfcrew.instruments.load import Driver

LEAST_CPU_MS = 5.0
"""Endpoints that take less processor time a request are not profiled: their samples would be the framework's."""
_LONGER = 3
"""Times as many samples of an endpoint that is asked for by itself."""


async def profile(context: Context, asked: Sequence[Plan] | None = None) -> None:
    """Sample each endpoint that takes noticeable processor time, on an instance without the probe.

    Those `asked` for are sampled whatever they take, longer, and once more where they were before.
    """
    seconds = context.settings.measuring.profile_seconds * (1 if asked is None else _LONGER)
    async with Driver() as driver:

        async def work(instance: Instance, plan: Plan) -> None:
            key = plan.endpoint.key
            root = instance.clone.source_root or context.root
            found = await pyspy.profile(instance.running, plan, instance.aim, root, seconds=seconds, driver=driver)
            command = ("py-spy", "record", "--rate", str(pyspy.RATE), "--format", "raw")
            slot = f"profile/{key}" if not context.has(f"profile/{key}") else f"profile/again/{key}"
            context.put(slot, found.body, context.method("py-spy", command=command), key, found.blobs)

        left = [p for p in context.plans if not context.has(f"profile/{p.endpoint.key}") and _works(context, p)]
        await each(context, "profile", left if asked is None else asked, work)


def _works(context: Context, plan: Plan) -> bool:
    cpu_ms = context.baseline(plan.endpoint.key, "cpu")
    return cpu_ms is None or cpu_ms >= LEAST_CPU_MS
