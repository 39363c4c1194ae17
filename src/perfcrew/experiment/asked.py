"""One endpoint of one started instance: asked in blocks, which give one figure a metric."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from perfcrew.core.web import Plan
from perfcrew.experiment.engine import Reading
from perfcrew.instruments import cpu_clock
from perfcrew.instruments.load import Aim, Driver, LoadResult, closed_loop
from perfcrew.target.launch import Running

TURNS = 4
"""Blocks of each side and endpoint: as ABBAABBA or its mirror."""


@dataclass(frozen=True)
class Started:
    """A started instance of one side."""

    running: Running
    aim: Aim


@dataclass(frozen=True)
class Effort:
    """How much is asked of one instance and endpoint. Requests of one plan are sent in turn."""

    seconds: float = 0.2
    fewest: int = 8
    warm: int = 3
    turns: int = TURNS


CLOSELY = Effort()
"""What a comparison is about."""
LIGHTLY = Effort(seconds=0.0, fewest=2, warm=1, turns=2)
"""What is asked beside it."""


@dataclass
class Asked:
    """One endpoint of one instance."""

    side: Started
    plan: Plan
    driver: Driver
    cold_ms: float = 0.0
    cpu_ms: list[float] = field(default_factory=list)
    """A request, of each block."""
    asked: int = 0
    samples_ms: list[float] = field(default_factory=list)
    sent_bytes: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    extra: dict[str, float] = field(default_factory=dict)

    async def warm(self, count: int, cold: bool = True) -> None:
        result = await self._loop(count=count)
        if cold and result.samples_ms:
            self.cold_ms = result.samples_ms[0]

    async def block(self, duration_s: float, minimum: int) -> None:
        before_ms = cpu_clock.cpu_ms(self.side.running)
        result = await self._loop(duration_s=duration_s, minimum=minimum)
        if result.asked_count:
            self.cpu_ms.append((cpu_clock.cpu_ms(self.side.running) - before_ms) / result.asked_count)
        self.asked += result.asked_count
        self.sent_bytes += result.sent_bytes
        self.samples_ms += result.samples_ms

    async def _loop(self, *, duration_s: float = 0.0, minimum: int = 0, count: int | None = None) -> LoadResult:
        result = await closed_loop(
            self.side.aim,
            self.plan.requests,
            expected=self.plan.fingerprints,
            driver=self.driver,
            duration_s=duration_s,
            minimum=minimum,
            count=count,
        )
        for kind, number in result.errors.items():
            self.errors[kind] = self.errors.get(kind, 0) + number
        return result

    def reading(self) -> Reading:
        """The instance's figures, and the kinds of errors as its check: a side that errs does other work."""
        if not self.samples_ms or not self.asked:
            return Reading({}, check=f"no answer as expected: {', '.join(sorted(self.errors))}")
        values = {
            "cpu": statistics.median(self.cpu_ms),
            "latency": statistics.median(self.samples_ms),
            "latency.cold": self.cold_ms,
            "error.rate": sum(self.errors.values()) / (self.asked + sum(self.errors.values())),
            "response.bytes": self.sent_bytes / self.asked,
            **self.extra,
        }
        return Reading(values, check=", ".join(sorted(self.errors)))
