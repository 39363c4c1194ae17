"""Two versions of a target, each pair a freshly started instance of both on data of their own.

Two starts of one server differ by themselves, so the started instance is the unit: its requests are blocks in turn
with the other side's, and give one figure a metric and endpoint. Processor time a request is judged beside latency.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from perfcrew.core.errors import Unmeasurable
from perfcrew.core.project import Project
from perfcrew.core.web import Plan
from perfcrew.experiment.engine import Checks, Design, Pair, Reading, Watched
from perfcrew.instruments import cpu_clock
from perfcrew.instruments.load import Aim, Driver, LoadResult, closed_loop
from perfcrew.target import auth
from perfcrew.target.clone import Clone, Template
from perfcrew.target.launch import Running, launch
from perfcrew.target.leftovers import Registry

APPLICATION = "application"
CPU = Watched("cpu", "ms", "deciding", weight=0.8)
LATENCY = Watched("latency", "ms", "deciding", weight=0.2)
RSS = Watched("rss.peak", "bytes", "deciding", weight=0.5, margin=0.05)
STARTUP = Watched("startup", "ms", "deciding", weight=0.5, margin=0.1)
COLD = Watched("latency.cold", "ms", "shown", margin=0.1)
_TURNS = 4
"""Blocks of each side and endpoint: as ABBAABBA or its mirror."""


@dataclass(frozen=True)
class Host:
    """One side: a project, its data, and what is set for it. `size` is of the data, None: as the template is."""

    name: str
    project: Project
    template: Template
    environment: Mapping[str, str] = field(default_factory=dict)
    base: Clone | None = None
    """What its data is copied from, where it was grown; else the template."""


@dataclass(frozen=True)
class Started:
    """A started instance of one side."""

    running: Running
    aim: Aim


@dataclass(frozen=True)
class Effort:
    """How much is asked of one instance and endpoint. Requests of one plan are sent in turn."""

    seconds: float = 0.4
    fewest: int = 8
    warm: int = 3


@dataclass
class Servers:
    """A sampler of two sides. `light` endpoints are asked less; what is not `awaited` does not prolong it."""

    a: Host
    b: Host
    plans: tuple[Plan, ...]
    workspace: Path
    registry: Registry
    driver: Driver
    effort: Effort = Effort()
    light: Effort = Effort(seconds=0.05, fewest=3, warm=1)
    awaited_keys: frozenset[str] = frozenset()
    timeout_s: float = 30.0
    design: Design = "instances"
    unit: str = "a started instance of each, asked in turn"
    checks: Checks = "must agree"
    _rounds: int = 0

    def awaited(self, subject: str) -> bool:
        return subject in self.awaited_keys

    def watched(self, subject: str) -> tuple[Watched, ...]:
        return (RSS, STARTUP) if subject == APPLICATION else (CPU, LATENCY, COLD)

    async def pair(self, a_first: bool) -> dict[str, Pair]:
        """Start both, ask every endpoint of both in turn, end both."""
        self._rounds += 1
        async with AsyncExitStack() as stack:
            a, b = await asyncio.gather(*(self._start(host, stack) for host in (self.a, self.b)))
            found = {p.endpoint.key: await self._endpoint(p, a, b, a_first) for p in self.plans}
            found[APPLICATION] = Pair(_whole(a), _whole(b))
            return found

    async def _start(self, host: Host, stack: AsyncExitStack) -> Started:
        started = _started(host, f"{host.name}-{self._rounds}", self.workspace, self.registry, self.timeout_s)
        return await stack.enter_async_context(started)

    async def _endpoint(self, plan: Plan, a: Started, b: Started, a_first: bool) -> Pair:
        effort = self.effort if self.awaited(plan.endpoint.key) else self.light
        order = (a, b) if a_first else (b, a)
        sides = {id(side): _Asked(side, plan, self.driver) for side in order}
        for side in order:
            await sides[id(side)].warm(effort.warm * len(plan.requests))
        for turn in range(_TURNS):
            for side in order if turn % 2 == 0 else order[::-1]:
                await sides[id(side)].block(effort.seconds / _TURNS, -(-effort.fewest // _TURNS))
        return Pair(sides[id(a)].reading(), sides[id(b)].reading())


@dataclass
class _Asked:
    """One endpoint of one instance."""

    side: Started
    plan: Plan
    driver: Driver
    cold_ms: float = 0.0
    cpu_ms: float = 0.0
    asked: int = 0
    samples_ms: list[float] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)

    async def warm(self, count: int) -> None:
        result = await self._loop(count=count)
        if result.samples_ms:
            self.cold_ms = result.samples_ms[0]

    async def block(self, duration_s: float, minimum: int) -> None:
        before_ms = cpu_clock.cpu_ms(self.side.running)
        result = await self._loop(duration_s=duration_s, minimum=minimum)
        self.cpu_ms += cpu_clock.cpu_ms(self.side.running) - before_ms
        self.asked += result.asked_count
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
            "cpu": self.cpu_ms / self.asked,
            "latency": statistics.median(self.samples_ms),
            "latency.cold": self.cold_ms,
        }
        return Reading(values, check=", ".join(sorted(self.errors)))


def _whole(side: Started) -> Reading:
    return Reading({"rss.peak": float(side.running.rss_bytes()), "startup": side.running.start_ms})


@asynccontextmanager
async def _started(
    host: Host, name: str, workspace: Path, registry: Registry, timeout_s: float
) -> AsyncIterator[Started]:
    base = host.base
    clone = await (host.template.copy(base, name) if base is not None else host.template.clone(name))
    try:
        async with launch(
            host.project,
            data=clone,
            workspace=workspace,
            registry=registry,
            environment=dict(host.environment),
            name=name,
        ) as running:
            found = await auth.credentials(host.project, running.base_url)
            yield Started(running, Aim(running.base_url, found.headers, found.cookies, timeout_s))
    finally:
        clone.drop()


def chosen(plans: Sequence[Plan], keys: Sequence[str]) -> tuple[Plan, ...]:
    """The measurable plans of these endpoints, all where none are named. Unmeasurable names what there is."""
    there = {p.endpoint.key: p for p in plans if p.measurable}
    unknown = [key for key in keys if key not in there]
    if unknown or not there:
        reasons = [f"{p.endpoint.key}: {p.skipped}" for p in plans if p.skipped][:6]
        raise Unmeasurable(
            f"no request is known for {', '.join(unknown) or 'any endpoint'}",
            do="; ".join([f"known: {', '.join(there) or 'none'}", *reasons]),
        )
    return tuple(there[key] for key in keys) if keys else tuple(there.values())
