"""One endpoint of two started instances: asked in turn, request by request, for one figure a metric and instance.

What a machine gives changes within a tenth of a second. So what is held against each other are requests that follow
each other, and an instance's latency is told so that the two sides' ratio is the middle one of those pairs' ratios.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from perfcrew.core.web import Plan
from perfcrew.experiment.engine import Reading
from perfcrew.instruments import cpu_clock
from perfcrew.instruments.load import Aim, Driver, LoadResult, closed_loop, in_turn
from perfcrew.stats.summary import fewest, quantile
from perfcrew.target.launch import Running

PARALLEL, PARALLEL_MS = 1.05, 0.2
"""More work than this part of the time that an answer takes, and than this, is done side by side or after it."""
WAITS_LONGER = 0.1
"""Of an answer's time: what is waited beyond this on one core only was work side by side."""


@dataclass(frozen=True)
class Started:
    """A started instance of one side."""

    running: Running
    aim: Aim


@dataclass(frozen=True)
class Effort:
    """How much is asked of one instance and endpoint. Requests of one plan are sent in turn."""

    seconds: float = 0.4
    """Of both together."""
    fewest: int = 8
    warm: int = 3


CLOSELY = Effort()
"""What a comparison is about."""
LIGHTLY = Effort(seconds=0.0, fewest=4, warm=1)
"""What is asked beside it."""


@dataclass
class Asked:
    """One endpoint of one instance."""

    side: Started
    plan: Plan
    driver: Driver
    cold_ms: float | None = None
    """Of the first answer, less its wait for a core, as a start is timed too. None where there was none."""
    cpu_ms: float = 0.0
    """A request, as the mean over all that were asked: rare dear ones count."""
    latency_ms: float | None = None
    mean_ms: float = 0.0
    samples_ms: Sequence[float] = ()
    """Of all requests that were answered in turn with the other's."""
    p95_ms: float | None = None
    """None where there were too few requests for it."""
    asked: int = 0
    sent_bytes: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    extra: dict[str, float] = field(default_factory=dict)
    restless: bool = False
    """It works on after its answers."""

    async def warm(self, count: int) -> None:
        """The first request, timed apart, and then the others in turn."""
        running, places = self.side.running, [i % len(self.plan.requests) for i in range(count)]
        waited_ms, worked_ms = cpu_clock.waited_ms(running), cpu_clock.cpu_ms(running)
        first = await self._sent(places[:1])
        waited_ms, worked_ms = cpu_clock.waited_ms(running) - waited_ms, cpu_clock.cpu_ms(running) - worked_ms
        for took_ms in first.samples_ms:  # several threads may have waited at the same time, and worked
            self.cold_ms = max(took_ms - max(waited_ms, 0.0), min(worked_ms, took_ms))
        if places[1:]:
            await self._sent(places[1:])

    async def _sent(self, order: Sequence[int]) -> LoadResult:
        result = await closed_loop(
            self.side.aim,
            self.plan.requests,
            expected=self.plan.fingerprints,
            order=order,
            driver=self.driver,
            count=len(order),
        )
        self._count(result)
        return result

    def took(self, result: LoadResult, cpu_ms: float, latency_ms: float | None) -> None:
        """What its requests took in turn with the other's; `cpu_ms` of all of them together."""
        self._count(result)
        self.asked, self.sent_bytes = result.asked_count, result.sent_bytes
        self.cpu_ms = cpu_ms / max(result.asked_count, 1)
        self.latency_ms, self.restless, self.samples_ms = latency_ms, result.restless, result.samples_ms
        self.p95_ms = quantile(result.samples_ms, 0.95).value if len(result.samples_ms) >= fewest(0.95) else None
        self.mean_ms = statistics.mean(result.samples_ms) if result.samples_ms else 0.0

    def _count(self, result: LoadResult) -> None:
        for kind, number in result.errors.items():
            self.errors[kind] = self.errors.get(kind, 0) + number

    @property
    def in_parallel(self) -> bool:
        """Whether it may work on several cores at once, or after its answer: more than an answer's time holds."""
        return self.restless or self.cpu_ms > PARALLEL * self.mean_ms + PARALLEL_MS

    @property
    def waiting(self) -> float:
        """The part of an answer's time in which it did not work."""
        return max(1 - self.cpu_ms / self.mean_ms, 0.0) if self.mean_ms else 0.0

    def reading(self) -> Reading:
        """The instance's figures, and the kinds of errors as its check: a side that errs does other work."""
        if self.latency_ms is None or not self.asked:
            return Reading({}, check=f"no answer as expected: {', '.join(sorted(self.errors))}")
        values = {
            "cpu": self.cpu_ms,
            "latency": self.latency_ms,
            "latency.mean": self.mean_ms,
            "error.rate": sum(self.errors.values()) / (self.asked + sum(self.errors.values())),
            "response.bytes": self.sent_bytes / self.asked,
            **({} if self.cold_ms is None else {"latency.cold": self.cold_ms}),
            **({} if self.p95_ms is None else {"latency.p95": self.p95_ms}),
            **self.extra,
        }
        return Reading(values, check=", ".join(sorted(self.errors)))


async def ask(one: Asked, other: Asked, effort: Effort) -> None:
    """Ask both in turn."""
    runnings = (one.side.running, other.side.running)
    before_ms = [cpu_clock.cpu_ms(running) for running in runnings]
    results = await in_turn(
        (one.side.aim, other.side.aim),
        one.plan.requests,
        duration_s=effort.seconds,
        minimum=effort.fewest,
        expected=one.plan.fingerprints,
        pids=[p.pid for r in runnings for p in r.processes()] if sys.platform == "linux" else (),
        driver=one.driver,
    )
    worked_ms = [cpu_clock.cpu_ms(running) - ms for running, ms in zip(runnings, before_ms, strict=True)]
    latencies = latencies_ms(*results)
    for side, result, cpu_ms, latency_ms in zip((one, other), results, worked_ms, latencies, strict=True):
        side.took(result, cpu_ms, latency_ms)


def latencies_ms(one: LoadResult, other: LoadResult) -> tuple[float | None, float | None]:
    """Of each, the middle of what its requests took; where several are asked in turn, the mean of their middles.

    The two of a request lie as far apart as the middle pair of those that followed each other, about a common level.
    Where requests failed nothing follows each other, and each has its own middle. None without an answer.
    """
    if one.indices != other.indices:
        told = [statistics.median(result.samples_ms) if result.samples_ms else None for result in (one, other)]
        return told[0], told[1]
    pairs: dict[int, list[tuple[float, float]]] = {}
    for index, a, b in zip(one.indices, one.samples_ms, other.samples_ms, strict=True):
        pairs.setdefault(index, []).append((math.log(a), math.log(b)))
    middles = [_middles(found) for found in pairs.values()]
    if not middles:
        return None, None
    return statistics.mean(a for a, _ in middles), statistics.mean(b for _, b in middles)


def _middles(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    level = (statistics.median(a for a, _ in pairs) + statistics.median(b for _, b in pairs)) / 2
    apart = statistics.median(b - a for a, b in pairs)
    return math.exp(level - apart / 2), math.exp(level + apart / 2)
