"""One endpoint after the other on started instances; a target that dies is started again for the rest."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from perfcrew.core.errors import PerfcrewError, TargetFailed, ToolMissing
from perfcrew.core.web import Plan
from perfcrew.graphs.context import Context, Instance

DEATHS = 3
"""After so many the stage is given up: the application can't bear it."""

Work = Callable[[Instance, Plan], Awaitable[None]]

TIME_USED_UP = "the time for measuring was used up; raise [review] budget_s or --budget, or narrow the scope"


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
    say_late: bool = True,
) -> None:
    """Do the work for each plan. What fails for one endpoint is kept as evidence, and the others go on.

    `until`, on the monotonic clock, ends this stage's time (without it: the part that the budget gives the stage);
    the plans left then are told in one failure, unless the caller tells of them (`say_late` off).

    Raises TargetFailed where the application does not start at all, ToolMissing where the instrument can't run.
    """
    left, deaths, total = list(plans), 0, len(plans)
    progress = context.progress(stage)
    progress.until = min(until or context.budget.until(_kind(stage)), context.budget.end)
    while left and deaths < DEATHS and time.monotonic() <= progress.until:
        async with context.started(
            f"{stage}-{deaths}" if deaths else stage, size=size, parts=parts, environment=environment
        ) as instance:
            while left and time.monotonic() <= progress.until:
                plan = left.pop(0)
                progress.note(plan.endpoint.key, total - len(left) - 1, total)
                if not await _done(context, stage, work, instance, plan):
                    deaths += 1
                    break
    if deaths >= DEATHS:
        _given_up(context, stage, left)
    elif left and say_late:
        out_of_time(context, stage, left, total)
    progress.note(f"{len(left)} not reached" if left else "", total - len(left), total)


def _given_up(context: Context, stage: str, left: Iterable[Plan]) -> None:
    for plan in left:
        error = TargetFailed(f"the target died {DEATHS} times")
        context.failed(stage, plan.endpoint.key, error, plan.endpoint.key)


def _kind(stage: str) -> str:
    """`traces` of `traces-400`, `baseline` of `baseline 2`: the stage that the budget knows."""
    return re.split(r"[ -]", stage, maxsplit=1)[0]


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


def out_of_time(context: Context, stage: str, left: Sequence[Plan], total: int) -> None:
    """Tell which endpoints a stage had no time left for; their baseline stands."""
    keys = ", ".join(plan.endpoint.key for plan in left)
    context.failed(stage, f"{len(left)} of {total} endpoints", f"{TIME_USED_UP}. Not reached: {keys}")
