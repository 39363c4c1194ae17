"""One endpoint after the other on started instances; a target that dies is started again for the rest."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from perfcrew.core.errors import PerfcrewError, TargetFailed, ToolMissing
from perfcrew.core.evidence import NotMeasured
from perfcrew.core.web import Plan
from perfcrew.graphs.context import Context, Instance

DEATHS = 3
"""After so many the stage is given up: the application can't bear it."""

Work = Callable[[Instance, Plan], Awaitable[None]]


async def each(
    context: Context,
    stage: str,
    plans: Sequence[Plan],
    work: Work,
    *,
    size: int | None = None,
    parts: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
    until: float | None = None,
) -> None:
    """Do the work for each plan. What fails for one endpoint is kept as evidence, and the others go on.

    `until`, on the monotonic clock, ends this stage's share of the time; the plans left then are out of time.

    Raises TargetFailed where the application does not start at all, ToolMissing where the instrument can't run.
    """
    left, deaths, total = list(plans), 0, len(plans)
    progress = context.progress(stage)
    while left and deaths < DEATHS:
        async with context.started(
            f"{stage}-{deaths}" if deaths else stage, size=size, parts=parts, environment=environment
        ) as instance:
            while left:
                plan = left.pop(0)
                progress.note(plan.endpoint.key, total - len(left) - 1, total)
                if context.spent() or (until is not None and time.monotonic() > until):
                    _out_of_time(context, stage, plan)
                elif not await _done(context, stage, work, instance, plan):
                    deaths += 1
                    break
    for plan in left:
        context.failed(stage, plan.endpoint.key, TargetFailed(f"the target died {deaths} times"), plan.endpoint.key)
    progress.note("", total, total)


async def _done(context: Context, stage: str, work: Work, instance: Instance, plan: Plan) -> bool:
    """Whether the target still lives after the work."""
    key = plan.endpoint.key
    try:
        await work(instance, plan)
        if not instance.running.alive():
            raise instance.running.failed(f"the target died while {key} was asked")
    except ToolMissing:
        raise
    except PerfcrewError as error:
        context.failed(stage, key, error, key)
        return await _answers(instance)
    return True


async def _answers(instance: Instance) -> bool:
    try:
        await instance.running.check()
    except TargetFailed:
        return False
    return True


def _out_of_time(context: Context, stage: str, plan: Plan) -> None:
    key = plan.endpoint.key
    reason = "the time for measuring was used up; raise [review] budget_s or narrow the scope"
    context.put(
        f"not measured/{stage}/{key}", NotMeasured(reason=f"{stage}: {reason}"), context.method("perfcrew"), key
    )
