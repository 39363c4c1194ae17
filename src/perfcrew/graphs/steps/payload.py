"""What each answer weighs."""

from __future__ import annotations

from collections.abc import Sequence

from perfcrew.core.web import Plan
from perfcrew.graphs.context import Context, Instance
from perfcrew.graphs.steps.each import each
from perfcrew.instruments.payload import measure_payload


async def payload(context: Context, asked: Sequence[Plan] | None = None) -> None:
    """Weigh one answer of each endpoint, or of those `asked`, requested as a browser does."""

    async def work(instance: Instance, plan: Plan) -> None:
        key = plan.endpoint.key
        body = await measure_payload(instance.client, plan)
        context.put(f"payload/{key}", body, context.method("perfcrew payload", accept_encoding="gzip, deflate"), key)

    left = [p for p in asked or context.plans if not context.has(f"payload/{p.endpoint.key}")]
    await each(context, "payload", left, work)
