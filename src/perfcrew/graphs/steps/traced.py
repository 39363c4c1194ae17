"""Traced requests at each size of the data, and how the counts grow with it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal
from urllib.parse import parse_qsl, urlencode

from perfcrew.core.evidence import Counts, Traces
from perfcrew.core.scene import ApplicationScene
from perfcrew.core.web import Plan, Request
from perfcrew.graphs import scenes
from perfcrew.graphs.context import Context, Instance
from perfcrew.graphs.steps import redis
from perfcrew.graphs.steps.each import each
from perfcrew.instruments import scaling as instrument
from perfcrew.instruments.connections import LONGEST_MS, run_crowd
from perfcrew.instruments.traces import TracedRun, relocated, run_at_once, run_traced

PARTS = ("spans", "watchdog", "orm")
PAGE_SIZES = (5, 10, 20)
"""Asked of listings that take a page size: an N+1 within a page is constant in the rows, and grows with the page."""


AT_ONCE = 5
"""Requests for what was just taken out of the cache: as many as show whether each makes it for itself."""

BLIND = "no call site in the project"
UNHEARD = "no statement was seen"


async def traces(context: Context) -> None:
    """Each endpoint cold and warm with the probe, at each size; the largest is the size of the baseline."""
    await _at_each_size(context, context.budget.until("traces"))
    application = scenes.application(context.ledger, context.run)
    if await context.data.sizes() and unheard(application):
        context.failed(
            "traces",
            UNHEARD,
            "the application has a database, and no endpoint was seen to send a statement: its driver is none that the "
            "probe knows, so no rule about statements can find anything",
        )
    if blind(application):
        context.failed(
            "traces",
            BLIND,
            f"statements and calls were seen, but none came from a file below {context.root.name}/: the application is "
            "installed elsewhere, and no rule can name its lines. Review the folder that holds its source.",
        )


LARGEST_SHARE = 0.5
"""Of the time for traces: the largest size, whose every request is traced several times. It comes first."""


async def _at_each_size(context: Context, until: float) -> None:
    """The endpoints that the largest size had time for are traced at the smaller ones, each in its part of the rest."""
    sizes: list[int | None] = [*(await context.data.sizes() or (None,))]
    for left in range(len(sizes), 0, -1):
        now, largest = time.monotonic(), left == len(sizes)
        share = 1.0 / left if not largest or left == 1 else LARGEST_SHARE
        plans = [p for p in context.plans if largest or context.has(_slot(sizes[-1], p))]
        await _at(context, sizes[left - 1], plans, now + (until - now) * share)


FEWEST_SILENT = 5
"""Traced endpoints without a statement; fewer may well have none."""


def unheard(application: ApplicationScene) -> bool:
    """Whether several endpoints were traced and none of them sent a statement."""
    traced = [s for s in application.scenes if s.traced]
    counts = [t.seen.body.counts.statements_count for s in traced for t in s.traced]
    return len(traced) >= FEWEST_SILENT and not any(counts)


def blind(application: ApplicationScene) -> bool:
    """Whether operations were seen, and none of them was sent by the application's own code."""
    spans = [s for scene in application.scenes for t in scene.traced for trace in t.traces for s in trace.spans]
    sent = [s for s in spans if s.kind in ("database", "cache", "http", "model") and s.stack]
    own = f"{application.root}/"
    return bool(sent) and not any(
        f.file.startswith(own) and "site-packages" not in f.file for s in sent for f in s.stack
    )


async def _at(context: Context, size: int | None, plans: Sequence[Plan], until: float) -> None:
    largest = size is None or size == (await context.data.sizes())[-1]
    measuring = context.settings.measuring
    name = f"traces-{size}" if size else "traces"

    async def work(instance: Instance, plan: Plan) -> None:
        assert instance.probe_dir is not None
        asked = plan if largest else _one(plan)
        repeats = measuring.trace_repeats if largest else 1
        run = await run_traced(
            instance.client, asked, instance.probe_dir, repeats=repeats, size=size, root=context.root
        )
        if largest and _crowds(run, plan):
            crowd = await run_crowd(instance.client, plan.requests[0], instance.probe_dir)
            run = replace(run, body=run.body.model_copy(update={"crowd": crowd}))
        _keep(context, instance, _slot(size, plan), run, plan)
        if largest and plan.page_size_parameter:
            await _pages(context, instance, plan)
        if largest and await redis.emptied(context, instance, plan, run.traces):
            _keep(context, instance, f"at once/{plan.endpoint.key}", await _at_once(context, instance, plan), plan)

    left = [p for p in plans if not context.has(_slot(size, p))]
    last = redis.looking(context, "traces") if largest else None
    await each(context, name, left, work, size=size, parts=PARTS, until=until, last=last)


def _crowds(run: TracedRun, plan: Plan) -> bool:
    """Whether many of them at once would tell something: they use a database, only read, and are quick enough."""
    used = run.body.connections is not None and run.body.instrumented
    return used and plan.endpoint.method in ("GET", "HEAD") and run.body.counts.request_ms <= LONGEST_MS


def _slot(size: int | None, plan: Plan) -> str:
    return f"traces/{size or 'as found'}/{plan.endpoint.key}"


def _one(plan: Plan) -> Plan:
    return plan.model_copy(update={"requests": plan.requests[:1], "fingerprints": plan.fingerprints[:1]})


def _keep(context: Context, instance: Instance, slot: str, run: TracedRun, plan: Plan) -> None:
    if instance.clone.source_root is not None:
        run = relocated(run, instance.clone.source_root, context.root)
    method = context.method(f"probe ({run.body.mode})", parts=list(PARTS), notes=list(run.body.notes))
    context.put(slot, run.body, method, plan.endpoint.key, {"traces": run.blob})


async def _at_once(context: Context, instance: Instance, plan: Plan) -> TracedRun:
    assert instance.probe_dir is not None
    return await run_at_once(instance.client, plan, instance.probe_dir, times=AT_ONCE, root=context.root)


async def _pages(context: Context, instance: Instance, plan: Plan) -> None:
    """The first request at several page sizes: only the counts are kept."""
    assert instance.probe_dir is not None
    points = []
    for page in PAGE_SIZES:
        asked = _one(plan).model_copy(
            update={"requests": (paged(plan.requests[0], plan.page_size_parameter or "", page),)}
        )
        run = await run_traced(instance.client, asked, instance.probe_dir, repeats=1)
        if run.body.instrumented:
            points.append((float(page), run.body.counts))
    _fitted(context, plan.endpoint.key, points, "page size")


def paged(request: Request, parameter: str, page: int) -> Request:
    """The request with another page size."""
    path, _, query = request.target.partition("?")
    kept = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name != parameter]
    return request.model_copy(update={"target": f"{path}?{urlencode([*kept, (parameter, page)])}"})


async def scaling(context: Context) -> None:
    """How the counts of each endpoint grow with the rows."""
    for plan in context.plans:
        key = plan.endpoint.key
        found = [e.body for e in context.ledger.find(context.run, "traces", key) if isinstance(e.body, Traces)]
        points = [(float(t.size), t.counts) for t in found if t.size and t.instrumented]
        _fitted(context, key, points, "rows")


def _fitted(
    context: Context, key: str, points: Sequence[tuple[float, Counts]], by: Literal["rows", "page size"]
) -> None:
    for body in instrument.scale(points, by):
        context.put(f"scaling/{by}/{key}/{body.metric}", body, context.method("perfcrew scaling", by=by), key)
