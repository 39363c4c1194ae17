"""What one endpoint costs the others: a cheap endpoint's waiting, alone and beside it.

The cheap endpoint is asked at a fixed rate and timed from when each request was due; nothing is instrumented. What
stalled the event loop meanwhile comes from traced runs.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Iterable
from pathlib import Path

from perfcrew.core.errors import Unmeasurable
from perfcrew.core.evidence import Neighbour
from perfcrew.core.trace import Block, Trace
from perfcrew.core.web import Place, Plan
from perfcrew.instruments.load import Aim, Driver, closed_loop, open_loop

RATE_PER_S = 100.0
_HEAD_START_S = 0.05


async def measure_alone(aim: Aim, cheap: Plan, *, seconds: float, driver: Driver) -> float:
    """The cheap endpoint's median waiting alone, ms. Unmeasurable where it does not answer."""
    load = await open_loop(
        aim, cheap.requests[:1], rate=RATE_PER_S, duration_s=seconds, expected=cheap.fingerprints[:1], driver=driver
    )
    if not load.samples_ms:
        raise Unmeasurable(f"{cheap.endpoint.key} does not answer: {dict(load.errors)}")
    return statistics.median(load.samples_ms)


async def measure_neighbour(
    aim: Aim, plan: Plan, cheap: Plan, alone_ms: float, *, seconds: float, drivers: tuple[Driver, Driver]
) -> Neighbour:
    """Ask the cheap endpoint while this one runs in a closed loop. Unmeasurable where either does not answer."""
    busy = asyncio.create_task(
        closed_loop(
            aim,
            plan.requests,
            duration_s=seconds + 2 * _HEAD_START_S,
            minimum=2,
            expected=plan.fingerprints,
            driver=drivers[0],
        )
    )
    await asyncio.sleep(_HEAD_START_S)
    try:
        beside = await open_loop(
            aim,
            cheap.requests[:1],
            rate=RATE_PER_S,
            duration_s=seconds,
            expected=cheap.fingerprints[:1],
            driver=drivers[1],
        )
    finally:
        load = await busy
    if not beside.samples_ms or not load.samples_ms:
        raise Unmeasurable(f"{plan.endpoint.key} or {cheap.endpoint.key} did not answer beside the other")
    return Neighbour(
        neighbour=cheap.endpoint.key,
        alone_median_ms=alone_ms,
        beside_median_ms=statistics.median(beside.samples_ms),
        beside_max_ms=max(beside.samples_ms),
        request_ms=statistics.median(load.samples_ms),
        stalls_count=0,
        stall_max_ms=0.0,
    )


def with_blocks(neighbour: Neighbour, traces: Iterable[Trace], root: Path) -> Neighbour:
    """The same with what stalled the event loop in traced runs, at the line of the longest stall."""
    blocks = [block for trace in traces for block in trace.blocks]
    if not blocks:
        return neighbour
    longest = max(blocks, key=lambda b: b.duration_ms)
    place, trigger = _places(longest, root)
    return neighbour.model_copy(
        update={
            "stalls_count": len(blocks),
            "stall_max_ms": longest.duration_ms,
            "stall_place": place,
            "stall_trigger": trigger,
        }
    )


def _places(block: Block, root: Path) -> tuple[Place | None, Place | None]:
    """The innermost frame, and the innermost one of the application where that is another."""
    inside = [f for f in block.stack if f.file.startswith(f"{root}/") and "site-packages" not in f.file]
    places = [
        Place(file=f.file.removeprefix(f"{root}/"), line=f.line, function=f.function)
        for f in (*block.stack[:1], *inside[:1])
    ]
    place = places[0] if places else None
    trigger = places[1] if len(places) > 1 and places[1] != places[0] else None
    return place, trigger
