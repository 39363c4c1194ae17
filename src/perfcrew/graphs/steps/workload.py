"""The application under its mix of requests, at steps of the expected peak."""

from __future__ import annotations

from perfcrew.graphs.context import Context, Instance
from perfcrew.graphs.steps import redis
from perfcrew.graphs.steps.capacity import bearable, peak
from perfcrew.instruments.load import Driver
from perfcrew.instruments.redis import Counters
from perfcrew.instruments.workload import WorkloadStep, combine_workload, measure_workload


async def workload(context: Context) -> None:
    """Each step on several instances, in open loops."""
    if context.has("workload/0") or context.spent():
        return
    measuring, progress = context.settings.measuring, context.progress("workload")
    expected = peak(context)
    if expected is None:
        return
    wanted, rate = context.policy.load_steps or measuring.load_steps, expected.expected_per_s
    steps = bearable(wanted, expected)
    body = expected.model_copy(update={"left_out": tuple(s for s in wanted if s not in steps)})
    if not context.has("peak"):
        context.put("peak", body, context.method("perfcrew load", shares=context.shares))
    runs: list[list[WorkloadStep]] = []
    counted: list[Counters] = []
    async with Driver() as driver:
        for index in range(measuring.runs):
            progress.note(f"the mix at {', '.join(f'{s:g}' for s in steps)} x {rate:.3g}/s", index, measuring.runs)
            async with context.started(f"workload-{index}") as instance:
                since: list[Counters] = []

                async def warmed(instance: Instance = instance, since: list[Counters] = since) -> None:
                    since.append(await redis.counted(context, instance))

                runs.append(
                    await measure_workload(
                        instance.running,
                        context.plans,
                        instance.aim,
                        shares=context.shares,
                        peak_rps=rate,
                        steps=steps,
                        seconds=measuring.workload_seconds,
                        driver=driver,
                        warmed=warmed,
                    )
                )
                counted.append((await redis.counted(context, instance)).since(since[0]))
                if index + 1 == measuring.runs:
                    await redis.look(context, instance, "workload")
    progress.note("", measuring.runs, measuring.runs)
    redis.hit_ratio(context, counted)
    for number, one in enumerate(combine_workload(runs)):
        method = context.method("perfcrew load", load=one.measurement.load, shares=context.shares)
        blobs = {"histogram": one.histogram} if one.histogram is not None else {}
        context.put(f"workload/{number}", one.measurement, method, blobs=blobs)
