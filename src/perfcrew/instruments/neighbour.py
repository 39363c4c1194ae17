"""The neighbour: how long a cheap endpoint waits while another one runs beside it, and what it waits for.

A call that blocks an event loop, or holds the only worker, costs the other requests, not its own. The cheap endpoint
is asked at a steady pace, alone and beside; the instance is not instrumented. What stood in the way is read later
from the event-loop blocks of the traced run (`with_blocks`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median

from perfcrew.core.errors import Unmeasurable
from perfcrew.core.evidence import Neighbour
from perfcrew.core.trace import Block, Trace
from perfcrew.core.web import Plan
from perfcrew.instruments.baseline import Started
from perfcrew.instruments.load import Aim, Driver, LoadResult, open_loop
from perfcrew.instruments.places import innermost_application, place
from perfcrew.target.client import Client

PER_SECOND = 200.0
STALL_MS = 20.0
"""Beyond the time alone: what a scheduler on a busy machine does not do by itself."""
FEWEST = 2
"""Requests of the endpoint under test that the neighbour has to stand beside."""


async def measure_neighbour(
    running: Started,
    plan: Plan,
    cheap: Plan,
    aim: Aim,
    *,
    seconds: float = 0.4,
    per_second: float = PER_SECOND,
    driver: Driver,
) -> Neighbour:
    """Ask `cheap` for `seconds` alone and then beside `plan`, one request of which follows the other.

    A wait that the driver's own lateness could explain is no stall. Raises Unmeasurable where either endpoint gave
    no expected answer.
    """
    async with Client(running.base_url, aim.headers, aim.cookies, aim.timeout_s) as client:
        warm = [await client.send(request) for request in (*cheap.requests[:1], *plan.requests[:1])]
        alone = await _paced(cheap, aim, per_second, seconds, driver)
        longest_s = max(seconds, FEWEST * warm[-1].elapsed_ms / 1e3)
        under_test = _Beside(client, plan)
        asking = asyncio.create_task(under_test.run())
        try:
            beside = await _paced(cheap, aim, per_second, longest_s, driver)
        finally:
            asking.cancel()
            with suppress(asyncio.CancelledError):
                await asking
    if not (alone.samples_ms and beside.samples_ms and under_test.times_ms):
        raise Unmeasurable(f"{plan.endpoint.key}: no expected answer beside {cheap.endpoint.key}")
    return _neighbour(cheap.endpoint.key, alone, beside, median(under_test.times_ms))


async def _paced(cheap: Plan, aim: Aim, per_second: float, seconds: float, driver: Driver) -> LoadResult:
    return await open_loop(
        aim,
        cheap.requests[:1],
        rate=per_second,
        duration_s=seconds,
        expected=cheap.fingerprints[:1],
        driver=driver,
    )


class _Beside:
    """The endpoint under test, asked from this process so that the driver's pace stays the neighbour's."""

    def __init__(self, client: Client, plan: Plan) -> None:
        self._client, self._plan = client, plan
        self.times_ms: list[float] = []

    async def run(self) -> None:
        while True:
            for request, expected in zip(self._plan.requests, self._statuses(), strict=True):
                answer = await self._client.send(request)
                if answer.error is not None or answer.status != (expected or answer.status):
                    await asyncio.sleep(0.01)
                    continue
                self.times_ms.append(answer.elapsed_ms)

    def _statuses(self) -> list[int | None]:
        known: list[int | None] = [f.status for f in self._plan.fingerprints]
        return known + [None] * (len(self._plan.requests) - len(known))


def _neighbour(name: str, alone: LoadResult, beside: LoadResult, request_ms: float) -> Neighbour:
    usual_ms = median(alone.samples_ms)
    own_ms = max(alone.lateness_p99_ms, beside.lateness_p99_ms)
    stalls = stalls_ms(beside.due_ms, beside.samples_ms, usual_ms + STALL_MS + own_ms)
    return Neighbour(
        neighbour=name,
        alone_median_ms=usual_ms,
        beside_median_ms=median(beside.samples_ms),
        beside_max_ms=max(beside.samples_ms),
        request_ms=request_ms,
        stalls_count=len(stalls),
        stall_max_ms=max(stalls, default=0.0),
    )


def stalls_ms(due_ms: Sequence[float], times_ms: Sequence[float], bound_ms: float) -> list[float]:
    """How long each stall lasted: requests that were due within one wait for the same thing, and count once."""
    found: list[float] = []
    until = float("-inf")
    for due, time in sorted(zip(due_ms, times_ms, strict=True)):
        if time <= bound_ms:
            continue
        if due > until:
            found.append(time)
            until = due + time
    return found


def with_blocks(neighbour: Neighbour, traces: Iterable[Trace], root: Path) -> Neighbour:
    """The neighbour with the place of the longest block that the watchdog saw in the traced requests.

    `stall_place` is the line that the loop stood at, `stall_trigger` the innermost line of the application above it
    where the former is not the application's. Unchanged where there was no stall, or no block has such a line.
    """
    if not neighbour.stalls_count:
        return neighbour
    blocks = [b for t in traces if t.repeat > 0 for b in t.blocks if innermost_application(b.stack, root)]
    if not blocks:
        return neighbour
    worst: Block = max(blocks, key=lambda b: b.duration_ms)
    at, ours = worst.stack[0], innermost_application(worst.stack, root)
    trigger = place(ours, root) if ours and ours != at else None
    return neighbour.model_copy(update={"stall_place": place(at, root), "stall_trigger": trigger})
