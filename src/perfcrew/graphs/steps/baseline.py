"""The baseline: each endpoint on three started instances or more, nothing instrumented."""

from __future__ import annotations

import time

from pydantic import TypeAdapter

from perfcrew.core.evidence import Instance as InstanceRun
from perfcrew.core.evidence import NotMeasured
from perfcrew.core.web import Plan
from perfcrew.graphs.context import Context, Instance
from perfcrew.graphs.steps.each import TIME_USED_UP, each
from perfcrew.instruments.baseline import BaselineRun, measure_baseline
from perfcrew.instruments.combine import Combined, combine, values
from perfcrew.instruments.load import Driver

_RUNS = TypeAdapter(BaselineRun)
SLACK = 1.25
"""Of their part, for later instances: where the machine became slower, what the first did is wasted else."""


async def baseline(context: Context) -> None:
    """Measure on each instance what it has not measured yet, then combine what all of them gave."""
    runs = context.settings.measuring.runs
    began, until = time.monotonic(), context.budget.until("baseline")
    async with Driver() as driver:
        for index in range(runs):
            await _instance(context, index, driver, instance_until(began, until, index, runs))
    for plan in context.plans:
        found = [run for run in (_read(context, index, plan) for index in range(runs)) if run]
        if len(found) == runs:
            for number, one in enumerate(combine(found)):
                _keep(context, f"baseline/{plan.endpoint.key}/{number}", one, plan.endpoint.key)
        else:
            _unmeasured(context, plan, len(found))
    starts = [context.ledger.slot(context.run, f"start/{index}") for index in range(runs)]
    start_ms = [e.body.start_ms for e in starts if e and isinstance(e.body, InstanceRun)]
    if len(start_ms) == runs:  # the gate refuses a figure of fewer
        _keep(context, "baseline/startup", values("startup", "start", start_ms, "cold"), "application")


async def _instance(context: Context, index: int, driver: Driver, until: float) -> None:
    measuring, workload = context.settings.measuring, context.project.workload

    async def work(instance: Instance, plan: Plan) -> None:
        key = plan.endpoint.key
        context.put(
            f"start/{index}",
            InstanceRun(index=index, start_ms=instance.running.start_ms),
            context.method("perfcrew launch", command=list(context.frame.project.start)),
        )
        first = _read(context, 0, plan)
        run = await measure_baseline(
            instance.running,
            plan,
            instance.aim,
            run_index=index,
            seconds=measuring.seconds,
            minimum=measuring.minimum_requests,
            concurrency=workload.concurrency,
            rate=first.rate if first else None,
            driver=driver,
        )
        body = InstanceRun(index=index, start_ms=instance.running.start_ms)
        blob = _RUNS.dump_json(run)
        context.put(_slot(index, plan), body, context.method("perfcrew load"), key, {"run": blob})

    left = [p for p in context.plans if not context.has(_slot(index, p)) and not _gave_up(context, index, p)]
    # Only what the first instance reached is asked of the others, so its share decides how many endpoints are measured.
    await each(context, f"baseline {index + 1}", left, work, until=until, say_late=False)


def instance_until(began: float, until: float, index: int, runs: int) -> float:
    """When an instance stops, so that all `runs` reach the same endpoints within about the baseline's share."""
    part = (index + 1) / runs
    return began + (until - began) * (part if index == 0 else part * SLACK)


def _slot(index: int, plan: Plan) -> str:
    return f"instance/{index}/{plan.endpoint.key}"


def _read(context: Context, index: int, plan: Plan) -> BaselineRun | None:
    item = context.ledger.slot(context.run, _slot(index, plan))
    return _RUNS.validate_json(context.ledger.blob(item.blobs["run"])) if item else None


def _keep(context: Context, slot: str, combined: Combined, subject: str) -> None:
    blobs = {"histogram": combined.histogram} if combined.histogram is not None else {}
    load = combined.measurement.load
    method = context.method("perfcrew load", load=load, driver="aiohttp, uvloop, HdrHistogram")
    context.put(slot, combined.measurement, method, subject, blobs)


def _gave_up(context: Context, index: int, plan: Plan) -> bool:
    """What an earlier instance could not answer is not asked again: three are needed."""
    return any(not context.has(_slot(earlier, plan)) for earlier in range(index))


def _unmeasured(context: Context, plan: Plan, found: int) -> None:
    key, runs = plan.endpoint.key, context.settings.measuring.runs
    failed = any(context.has(f"failure/baseline {index + 1}/{key}") for index in range(runs))
    reason = TIME_USED_UP
    if failed:
        reason = (
            f"it answered as planned on {found} of {runs} started instances; "
            "if its ids do not outlive a restart, give it a scenario that makes one first"
        )
    context.put(f"not measured/{key}", NotMeasured(reason=reason), context.method("perfcrew"), key)
