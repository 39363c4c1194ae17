"""The target's own Redis, looked at before its instance ends: after the traces and after the workload."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from perfcrew.core.cache import WRITES
from perfcrew.core.cache_use import accesses
from perfcrew.core.columns import GENERAL
from perfcrew.core.errors import Unmeasurable
from perfcrew.core.trace import Trace
from perfcrew.core.web import Plan
from perfcrew.graphs import scenes
from perfcrew.graphs.context import Context, Instance
from perfcrew.graphs.steps.capacity import peak
from perfcrew.graphs.steps.each import each
from perfcrew.instruments.combine import share
from perfcrew.instruments.redis import MOST_KEYS, Counters, counters, forget, measure_redis
from perfcrew.instruments.sealing import words
from perfcrew.instruments.ttl import Record, ttl_curves

NAME = "redis"
_ROUNDS = 3
TARGET = 0.8
"""Of the hit ratio, where the profile has none."""
CUT = 200
"""Characters after which the probe cuts a key."""
_FILLED_BY = ("traces", "workload")


async def redis(context: Context) -> None:
    """The last of the instruments: a look of its own where no stage had one, then what times to live would give."""
    await _own_look(context)
    application = scenes.application(context.ledger, context.run)
    expected = peak(context)
    rate = expected.expected_per_s if expected else 0.0
    target = next((t.bound for t in context.settings.profile.targets if t.metric == "cache.hit_ratio"), TARGET)
    asked, assumed = context.project.workload, expected is None or expected.assumed
    record = Record(context.shares, rate, assumed=assumed, synthetic=not (asked.access_log or asked.har))
    curves = ttl_curves(application.scenes, record, target, context.root)
    for number, (endpoint, body) in enumerate(curves):
        if not context.has(f"ttl/{number}"):
            method = context.method("perfcrew cache model", rate_per_s=rate, shares=context.shares)
            context.put(f"ttl/{number}", body, method, endpoint)


async def _own_look(context: Context) -> None:
    """Where no stage before it ran that fills a Redis: each request three times, on an instance of its own."""
    if any(stage in context.policy.instruments for stage in _FILLED_BY) or context.has(_slot(NAME)):
        return
    async with context.started(NAME) as instance:
        if instance.running.redis.url is not None:
            await _sent(instance, context.plans)
            await look(context, instance, NAME)


async def _sent(instance: Instance, plans: Sequence[Plan]) -> None:
    for _ in range(_ROUNDS):
        for plan in plans:
            for request in plan.requests:
                await instance.client.send(request)


async def sample(context: Context, asked: Sequence[Plan]) -> None:
    """What each of those `asked` for alone leaves in a Redis that was empty before, sent three times."""

    async def work(instance: Instance, plan: Plan) -> None:
        if instance.running.redis.url is not None:
            await _sent(instance, [plan])
            await look(context, instance, plan.endpoint.key, plan.endpoint.key)

    for plan in asked:
        if not context.has(_slot(plan.endpoint.key)):
            await each(context, NAME, [plan], work)


def looking(context: Context, stage: str) -> Callable[[Instance], Awaitable[None]]:
    """As the last thing that a stage does with an instance."""
    return lambda instance: look(context, instance, stage)


async def look(context: Context, instance: Instance, stage: str, subject: str = GENERAL) -> None:
    """Keep what the instance's Redis tells, where it has one and the policy wants it."""
    url = instance.running.redis.url
    if url is None or NAME not in context.policy.instruments or context.has(_slot(stage)):
        return
    try:
        body = await measure_redis(url, words=words(context.root))
    except Unmeasurable as error:
        context.failed(NAME, f"after {stage}", error)
        return
    method = context.method("Redis INFO, SCAN, SLOWLOG", body.version, after=stage, most_keys=MOST_KEYS)
    context.put(_slot(stage), body, method, subject)


async def counted(context: Context, instance: Instance) -> Counters:
    """Hits and misses of the instance's Redis so far; none where it has none, or it can't be read."""
    url = instance.running.redis.url
    if url is None or NAME not in context.policy.instruments:
        return Counters()
    try:
        return await counters(url)
    except Unmeasurable:
        return Counters()  # the look at the end says why


def hit_ratio(context: Context, runs: Sequence[Counters]) -> None:
    """That of all runs of the workload together, warm-up left out, where each of them asked.

    The server counts whatever finds or misses a key: EXISTS and TTL too.
    """
    asked = [run.hits + run.misses for run in runs]
    if asked and all(count > 0 for count in asked):
        body = share("cache.hit_ratio", "", [run.hits for run in runs], sum(asked), "warm").measurement
        context.put("workload/hit ratio", body, context.method("Redis INFO", runs=len(runs), since="the warm-up"))


async def emptied(context: Context, instance: Instance, plan: Plan, traces: Sequence[Trace]) -> bool:
    """Take out of the instance's Redis what the plan's first request put there after a miss; whether there was any."""
    url, wanted = instance.running.redis.url, NAME in context.policy.instruments
    keys = filled(traces) if wanted and plan.endpoint.method in ("GET", "HEAD") else []
    if url is None or not keys:
        return False
    await forget(url, keys)
    return True


def filled(traces: Sequence[Trace]) -> list[tuple[int, str]]:
    """Database and key of what the first request missed and then wrote, by its first trace. Cut keys are left out."""
    missed: set[str] = set()
    found: dict[tuple[int, str], None] = {}
    for one in accesses([t for t in traces if t.request == 0 and t.repeat == 0]):
        key = one.operation.key.split(" ")[0] if one.operation.command.startswith("H") else one.operation.key
        if one.misses:
            missed.add(key)
        elif one.operation.command in WRITES and key in missed and len(key) < CUT:
            found[int(one.span.attributes.get("db.namespace") or 0), key] = None
    return list(found)


def _slot(stage: str) -> str:
    return f"{NAME}/{stage}"
