"""One endpoint after the other on started instances; a target that dies is started again for the rest."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from perfcrew.core.errors import PerfcrewError, TargetFailed, ToolMissing
from perfcrew.core.web import Plan
from perfcrew.graphs.context import Context, Instance

DEATHS = 3
"""After so many the stage is given up: the application can't bear it."""

Work = Callable[[Instance, Plan], Awaitable[None]]
Last = Callable[[Instance], Awaitable[None]]

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
    last: Last | None = None,
) -> None:
    """Do the work for each plan. What fails for one endpoint is kept as evidence, and the others go on.

    `until`, on the monotonic clock, ends this stage's time (without it: the part that the budget gives the stage);
    the plans left then are told in one failure, unless the caller tells of them (`say_late` off). `last` is done with
    each instance that lives when its work is over.

    Raises TargetFailed where the application does not start at all, ToolMissing where the instrument can't run.
    """
    ends = min(until or context.budget.until(_kind(stage)), context.budget.end)
    under_way = _UnderWay(context, stage, list(plans), len(plans), ends)
    deaths = 0
    while deaths < DEATHS and under_way.is_open():
        name = f"{stage}-{deaths}" if deaths else stage
        async with context.started(name, size=size, parts=parts, environment=environment) as instance:
            lives = await under_way.through(work, instance)
            deaths += not lives
            if lives and last is not None:
                await last(instance)
    if deaths >= DEATHS:
        _given_up(context, stage, under_way.left)
    elif under_way.left and say_late:
        out_of_time(context, stage, under_way.left, len(plans))
    under_way.tell(f"{len(under_way.left)} not reached" if under_way.left else "")


@dataclass
class _UnderWay:
    """A stage: what is left of it, and when its time is over."""

    context: Context
    stage: str
    left: list[Plan]
    total: int
    ends: float

    def __post_init__(self) -> None:
        self.progress = self.context.progress(self.stage)
        self.progress.until = self.ends

    def tell(self, what: str, begun: int = 0) -> None:
        self.progress.note(what, self.total - len(self.left) - begun, self.total)

    def is_open(self) -> bool:
        """A stage does one endpoint while there is any time at all: its share may be gone with the start alone."""
        ends = self.context.budget.end if len(self.left) == self.total else self.ends
        return bool(self.left) and time.monotonic() <= ends

    async def through(self, work: Work, instance: Instance) -> bool:
        """Do what is left on this instance; whether it still lives."""
        while self.is_open():
            plan = self.left.pop(0)
            self.tell(plan.endpoint.key, 1)
            if not await _done(self.context, self.stage, work, instance, plan):
                return False
        return True


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
