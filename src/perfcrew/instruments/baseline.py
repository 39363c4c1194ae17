"""The baseline of one endpoint: latency, throughput, processor time and memory, from several started instances.

Never instrumented. One instance gives one `BaselineRun`; `combine` makes measurements of three or more, since two
starts of one server differ by themselves. Latency is taken at a fixed rate of half the capacity (open loop); where
an endpoint is too slow for that within the budget, from one request after the other, which the measurement says.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import psutil

from perfcrew.core.errors import Unmeasurable
from perfcrew.core.web import Plan
from perfcrew.instruments import cpu_clock
from perfcrew.instruments.load import Aim, Driver, LoadResult, closed_loop, open_loop
from perfcrew.stats import warmup_end

SECONDS = 0.8
FEWEST = 5
OPEN_FEWEST = 7
"""A run, so that three of them carry a p95."""
LOWEST_RATE, HIGHEST_RATE = 1.0, 200.0
OPEN_STRETCH = 2.0
"""Times the budget that an open loop may take to send its fewest requests."""
WARMUP_SHARE = 0.1
"""Of a block: a longer warm-up is followed by another block, and that one counts."""
RSS_EVERY_S = 0.05


class Started(Protocol):
    """A started target, as far as the baseline needs it."""

    @property
    def base_url(self) -> str: ...
    def processes(self) -> list[psutil.Process]: ...
    def cpu_ms(self) -> float: ...
    def rss_bytes(self) -> int: ...


@dataclass(frozen=True)
class BaselineRun:
    """What one started instance gave. Times in ms; `alone` is the closed loop of one, `paced` the open loop."""

    run_index: int
    cold_ms: float
    warmup_count: int
    alone: LoadResult
    cpu_ms: float
    """A request, of the target's whole process tree."""
    crowd: LoadResult
    paced: LoadResult | None
    rate: float
    rss_peak_bytes: int
    rss_average_bytes: float
    asked_count: int
    errors: dict[str, int] = field(default_factory=dict)

    @property
    def alone_ms(self) -> tuple[float, ...]:
        """The warm samples of the closed loop of one."""
        return self.alone.samples_ms[self.warmup_count :]


@dataclass(frozen=True)
class _Block:
    result: LoadResult
    warmup_count: int
    cpu_ms: float


@dataclass
class _Endpoint:
    """One endpoint of one instance, with all that its loops share."""

    running: Started
    plan: Plan
    aim: Aim
    driver: Driver
    results: list[LoadResult] = field(default_factory=list)

    async def closed(
        self, *, count: int | None = None, concurrency: int = 1, minimum: int = 0, duration_s: float = 0.0
    ) -> LoadResult:
        result = await closed_loop(
            self.aim,
            self.plan.requests,
            expected=self.plan.fingerprints,
            driver=self.driver,
            count=count,
            concurrency=concurrency,
            minimum=minimum,
            duration_s=duration_s,
        )
        return self._kept(result)

    async def opened(self, rate: float, duration_s: float) -> LoadResult:
        result = await open_loop(
            self.aim,
            self.plan.requests,
            rate=rate,
            duration_s=duration_s,
            minimum=OPEN_FEWEST,
            expected=self.plan.fingerprints,
            driver=self.driver,
        )
        return self._kept(result)

    def _kept(self, result: LoadResult) -> LoadResult:
        self.results.append(result)
        if not result.samples_ms:
            raise Unmeasurable(
                f"{self.plan.endpoint.key}: no answer was as expected: {_kinds(result.errors)}",
                do="see the target's log; endpoints that answer errors are not measured",
            )
        return result


async def measure_baseline(
    running: Started,
    plan: Plan,
    aim: Aim,
    *,
    run_index: int = 0,
    seconds: float = SECONDS,
    minimum: int = FEWEST,
    concurrency: int = 4,
    rate: float | None = None,
    driver: Driver,
) -> BaselineRun:
    """Measure one endpoint of one freshly started, uninstrumented instance; takes about `seconds`.

    `rate` (requests a second) is half the capacity found, or the one given: hand the first run's to the later ones.
    Raises Unmeasurable where no answer of a loop was of the expected status and shape; ToolFailed from the driver.
    """
    endpoint = _Endpoint(running, plan, aim, driver)
    async with _memory(running) as rss:
        cold = await endpoint.closed(count=1)
        block = await _alone(endpoint, seconds * 0.4, minimum)
        crowd = await endpoint.closed(concurrency=concurrency, duration_s=seconds * 0.2, minimum=concurrency)
        rate = rate or min(HIGHEST_RATE, max(LOWEST_RATE, crowd.throughput_per_s / 2))
        paced = await _paced(endpoint, rate, seconds)
    errors: dict[str, int] = {}
    for result in endpoint.results:
        for kind, count in result.errors.items():
            errors[kind] = errors.get(kind, 0) + count
    return BaselineRun(
        run_index=run_index,
        cold_ms=cold.samples_ms[0],
        warmup_count=block.warmup_count,
        alone=block.result,
        cpu_ms=block.cpu_ms,
        crowd=crowd,
        paced=paced,
        rate=rate,
        rss_peak_bytes=max(rss),
        rss_average_bytes=sum(rss) / len(rss),
        asked_count=sum(r.asked_count for r in endpoint.results),
        errors=errors,
    )


async def _alone(endpoint: _Endpoint, duration_s: float, minimum: int) -> _Block:
    """One request after the other; once more where warm-up took up a good part of the first block."""
    block = await _block(endpoint, duration_s, minimum)
    if block.warmup_count > WARMUP_SHARE * len(block.result.samples_ms):
        block = await _block(endpoint, duration_s, minimum)
    return block


async def _block(endpoint: _Endpoint, duration_s: float, minimum: int) -> _Block:
    before_ms = cpu_clock.cpu_ms(endpoint.running)
    result = await endpoint.closed(duration_s=duration_s, minimum=minimum)
    spent_ms = cpu_clock.cpu_ms(endpoint.running) - before_ms
    return _Block(result, warmup_end(result.samples_ms), max(0.0, spent_ms) / result.asked_count)


async def _paced(endpoint: _Endpoint, rate: float, seconds: float) -> LoadResult | None:
    """The open loop, again where the driver was late by somebody else's doing; None where it would take too long."""
    duration_s = max(seconds * 0.4, OPEN_FEWEST / rate)
    if duration_s > OPEN_STRETCH * seconds:
        return None
    result = await endpoint.opened(rate, duration_s)
    return await endpoint.opened(rate, duration_s) if result.late else result


@asynccontextmanager
async def _memory(running: Started) -> AsyncIterator[list[int]]:
    """Resident bytes of the tree, sampled until the block ends."""
    samples = [running.rss_bytes()]

    async def watch() -> None:
        while True:
            await asyncio.sleep(RSS_EVERY_S)
            samples.append(running.rss_bytes())

    watching = asyncio.create_task(watch())
    try:
        yield samples
        samples.append(running.rss_bytes())
    finally:
        watching.cancel()


def _kinds(errors: dict[str, int]) -> str:
    return ", ".join(f"{kind} ({count} times)" for kind, count in sorted(errors.items()))
