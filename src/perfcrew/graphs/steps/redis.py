"""The target's own Redis, looked at before its instance ends: after the traces and after the workload."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from perfcrew.core.errors import Unmeasurable
from perfcrew.graphs.context import Context, Instance
from perfcrew.instruments.redis import MOST_KEYS, measure_redis

NAME = "redis"
_ROUNDS = 3
_FILLED_BY = ("traces", "workload")


async def redis(context: Context) -> None:
    """Where no stage before it ran that fills a Redis: each request three times, on an instance of its own."""
    if any(stage in context.policy.instruments for stage in _FILLED_BY) or context.has(_slot(NAME)):
        return
    async with context.started(NAME) as instance:
        if instance.running.redis.url is not None:
            for _ in range(_ROUNDS):
                for plan in context.plans:
                    for request in plan.requests:
                        await instance.client.send(request)
            await look(context, instance, NAME)


def looking(context: Context, stage: str) -> Callable[[Instance], Awaitable[None]]:
    """As the last thing that a stage does with an instance."""
    return lambda instance: look(context, instance, stage)


async def look(context: Context, instance: Instance, stage: str) -> None:
    """Keep what the instance's Redis tells, where it has one and the policy wants it."""
    url = instance.running.redis.url
    if url is None or NAME not in context.policy.instruments or context.has(_slot(stage)):
        return
    try:
        body = await measure_redis(url)
    except Unmeasurable as error:
        context.failed(NAME, f"after {stage}", error)
        return
    method = context.method("Redis INFO, SCAN, SLOWLOG", body.version, after=stage, most_keys=MOST_KEYS)
    context.put(_slot(stage), body, method)


def _slot(stage: str) -> str:
    return f"{NAME}/{stage}"
