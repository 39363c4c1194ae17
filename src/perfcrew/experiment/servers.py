"""Two versions of a target, each pair a freshly started instance of both on data of their own.

Two starts of one server differ by themselves, so the started instance is the unit: its requests go in turn with the
other side's, and give one figure a metric and endpoint. Processor time a request is judged beside latency.

Cores of a virtual machine differ in what they give, and change it by the second, by more than most changes of code. So
both sides are put on one core once they are up, another one for each pair: while one answers, the other rests. The
first pair is left free, and shows whether that holds: where work is done on several cores, or after an answer, or an
answer waits longer on one core than it did free, all pairs are free.
"""

from __future__ import annotations

import asyncio
import difflib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from perfcrew.core.errors import Unmeasurable, UsageError
from perfcrew.core.project import Project
from perfcrew.core.web import Plan
from perfcrew.experiment.asked import CLOSELY, LIGHTLY, WAITS_LONGER, Asked, Effort, Started, ask
from perfcrew.experiment.engine import Checks, Design, Goal, Pair, Reading, Watched
from perfcrew.experiment.pooled import Pool
from perfcrew.instruments.load import Aim, Driver
from perfcrew.instruments.neighbour import measure_neighbour
from perfcrew.target import auth, process
from perfcrew.target.clone import Clone
from perfcrew.target.launch import Running, launch
from perfcrew.target.leftovers import Registry

T = TypeVar("T")
APPLICATION = "application"
OTHERS = "the other endpoints together"
CPU = Watched("cpu", "ms", "deciding")
LATENCY = Watched("latency", "ms", "deciding")
COLD = Watched("latency.cold", "ms", "guard", margin=0.3, alone=True)
MEAN = Watched("latency.mean", "ms", "guard", margin=0.05, alone=True)
TAIL = Watched("latency.p95", "ms", "guard", alone=True)
BYTES = Watched("response.bytes", "bytes", "guard", exact=True)
ERRORS = Watched("error.rate", "fraction", "guard", exact=True)
RSS = Watched("rss.peak", "bytes", "deciding", margin=0.1)
STARTUP = Watched("startup", "ms", "deciding", margin=0.15)
PROCESSES = Watched("processes", "count", "guard", exact=True)
EXTRA: dict[str, Watched] = {
    "neighbour.latency": Watched("neighbour.latency", "ms", "deciding"),
    "response.bytes": replace(BYTES, role="deciding"),
}
"""What some changes aim at beside or instead of an endpoint's own time."""
_PARTS = {"awaited": 0.6, "beside": 0.1, "together": 0.1, "application": 0.2}
"""Of the error: what a comparison is about, the other endpoints each and together, memory and start."""
_ALONE = 0.2
"""Of an endpoint's part: its guards that may be called worse while all else is even."""
_NEIGHBOUR_S = 0.25


@dataclass(frozen=True)
class Host:
    """One side: a project, what is set for it, and how a fresh copy of its data is made."""

    name: str
    project: Project
    fresh: Callable[[str], Awaitable[Clone]]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Servers:
    """A sampler of two sides. Endpoints that are not `awaited` are asked less, and do not prolong it.

    `aims` are, by awaited endpoint, metrics of `EXTRA` that are measured of it; `cheap` is asked beside it.
    """

    a: Host
    b: Host
    plans: tuple[Plan, ...]
    workspace: Path
    registry: Registry
    drivers: tuple[Driver, Driver]
    awaited_keys: frozenset[str]
    aims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cheap: Plan | None = None
    effort: Effort = CLOSELY
    light: Effort = LIGHTLY
    guarding: bool = False
    """Whether it goes on until nothing else is proven to be worse."""
    timeout_s: float = 30.0
    pool: Pool | None = None
    """Where all requests of both sides are kept, if they are wanted."""
    design: Design = "instances"
    checks: Checks = "must agree"
    apart: bool = False
    """They are not put on one core: they work on several, or after their answers."""
    _rounds: int = 0
    _sharing: bool = False
    _waiting: dict[tuple[str, bool], float] = field(default_factory=dict)
    """The part of an answer's time that each side did not work, by endpoint, in the first pair."""

    @property
    def unit(self) -> str:
        """What a pair is."""
        return f"a started instance of each{' on one core' if self._sharing else ''}, asked in turn"

    def awaited(self, subject: str) -> bool:
        """Whether this endpoint is what the comparison is about."""
        return subject in self.awaited_keys

    def goal(self, subject: str) -> Goal:
        if self.awaited(subject) or (subject == APPLICATION and APPLICATION in self.aims):
            return "verdict"
        return "not worse" if self.guarding and subject in (OTHERS, APPLICATION) else "none"

    def watched(self, subject: str) -> tuple[Watched, ...]:
        """One family: the parts of the error of all that may be called changed add up to one."""
        if subject == APPLICATION:
            part = _PARTS["application"] + (0.0 if self.awaited_keys else _PARTS["awaited"])
            return (replace(RSS, weight=part / 2), replace(STARTUP, weight=part / 2), PROCESSES)
        if subject == OTHERS:
            part = _PARTS["together"] / 2
            return (replace(CPU, weight=part, margin=0.1), replace(LATENCY, weight=part, margin=0.25))
        if not self.awaited(subject):
            part = _PARTS["beside"] / 2 / max(len(self.plans), 1)
            return (replace(CPU, weight=part), replace(LATENCY, weight=part), ERRORS, BYTES)
        aims = self.aims.get(subject, ())
        deciding = (CPU, LATENCY, *(EXTRA[name] for name in aims if name in EXTRA))
        part, guards = _PARTS["awaited"] / len(self.awaited_keys), (MEAN, TAIL, COLD)
        exact = (ERRORS,) if BYTES.name in aims else (ERRORS, BYTES)
        return (
            *(replace(w, weight=part * (1 - _ALONE) / len(deciding)) for w in deciding),
            *(replace(w, weight=part * _ALONE / len(guards)) for w in guards),
            *exact,
        )

    async def pair(self, a_first: bool) -> dict[str, Pair]:
        """Start both, ask every endpoint of both in turn, end both."""
        self._rounds += 1
        starts_ms = await self._starts_ms(a_first) if self._starts_matter() else None
        async with AsyncExitStack() as stack:
            a, b = await self._both(self._started, stack, a_first)
            self._share(a, b)
            order = (a, b) if a_first else (b, a)
            # Everything once before anything is timed: what a start leaves to the first requests is no endpoint's own.
            asked = [await self._warmed(p, order) for p in self.plans]
            # In another order each time: what one endpoint leaves to the next, such as garbage, is no cost of the next.
            random.Random(self._rounds).shuffle(asked)
            found = {one.plan.endpoint.key: await self._timed(one, a, b) for one in asked}
            found |= _together({key: pair for key, pair in found.items() if not self.awaited(key)})
            a_ms, b_ms = starts_ms or (_start_ms(a.running), _start_ms(b.running))
            found[APPLICATION] = Pair(_whole(a, a_ms), _whole(b, b_ms))
            await asyncio.gather(a.running.stop(), b.running.stop())
            return found

    def _starts_matter(self) -> bool:
        return self.goal(APPLICATION) != "none" and process.CAN_PIN

    async def _starts_ms(self, a_first: bool) -> tuple[float, float]:
        """How long both take to their first answer, started once more for that alone: at once, on one core they share.

        Those that are asked are started free, since some size their pools by the cores that they may use.
        """
        cores = process.usable_cores()

        def start(host: Host) -> AbstractAsyncContextManager[Running]:
            name = f"{host.name}-start-{self._rounds}"
            return launched(host, name, self.workspace, self.registry, cores[self._rounds % len(cores)])

        async with AsyncExitStack() as stack:
            a, b = await self._both(start, stack, a_first)
            await asyncio.gather(a.stop(), b.stop())
            return _start_ms(a), _start_ms(b)

    async def _both(
        self, start: Callable[[Host], AbstractAsyncContextManager[T]], stack: AsyncExitStack, a_first: bool
    ) -> tuple[T, T]:
        """Both at once, by lot one a little earlier."""
        first, second = await entered(stack, *map(start, (self.a, self.b) if a_first else (self.b, self.a)))
        return (first, second) if a_first else (second, first)

    def _share(self, a: Started, b: Started) -> None:
        """Both on one core once they are up, but for the first pair, and where they work on several."""
        cores = process.usable_cores()
        core = cores[self._rounds % len(cores)]
        together = self._rounds > 1 and not self.apart
        pids = [p.pid for side in (a, b) for p in side.running.processes()] if together else []
        self._sharing = bool(pids) and all([process.pin(pid, core) for pid in pids])

    def _started(self, host: Host) -> AbstractAsyncContextManager[Started]:
        return _started(host, f"{host.name}-{self._rounds}", self.workspace, self.registry, self.timeout_s)

    async def _warmed(self, plan: Plan, order: tuple[Started, Started]) -> _Both:
        """First requests, which are the cold ones, and some more."""
        awaited = self.awaited(plan.endpoint.key)
        effort = self.effort if awaited else self.light
        asked = plan if awaited else _one_request(plan)
        sides = (Asked(order[0], asked, self.drivers[0]), Asked(order[1], asked, self.drivers[0]))
        for side in sides:
            await side.warm(effort.warm * len(asked.requests))
        return _Both(plan, effort, awaited, sides)

    async def _timed(self, both: _Both, a: Started, b: Started) -> Pair:
        effort, sides = both.effort, both.sides
        await ask(*sides, effort)
        for one in sides if both.awaited and self._rounds <= 2 else ():
            self.seen(one, is_a=one.side is a)
        for side in sides if both.awaited else ():
            await self._aimed(side)
        if self.pool is not None:
            one, other = sides if sides[0].side is a else (sides[1], sides[0])
            failed = bool(one.errors or other.errors)
            self.pool.add(both.plan.endpoint.key, one.samples_ms, other.samples_ms, failed=failed)
        readings = {id(side.side): side.reading() for side in sides}
        return Pair(readings[id(a)], readings[id(b)])

    def seen(self, asked: Asked, is_a: bool) -> None:
        """Apart from now on where it works side by side: so long that it shows, or it waits longer on one core."""
        free = self._waiting.setdefault((asked.plan.endpoint.key, is_a), asked.waiting)
        self.apart = self.apart or asked.in_parallel or asked.waiting > free + WAITS_LONGER

    async def _aimed(self, asked: Asked) -> None:
        aims = self.aims.get(asked.plan.endpoint.key, ())
        if "neighbour.latency" in aims and self.cheap is not None:
            beside = await measure_neighbour(
                asked.side.aim, asked.plan, self.cheap, 0.0, seconds=_NEIGHBOUR_S, drivers=self.drivers
            )
            asked.extra["neighbour.latency"] = beside.beside_median_ms


@dataclass(frozen=True)
class _Both:
    """An endpoint of both sides in the order of the lot, warm."""

    plan: Plan
    effort: Effort
    awaited: bool
    sides: tuple[Asked, Asked]


def _one_request(plan: Plan) -> Plan:
    return plan.model_copy(update={"requests": plan.requests[:1], "fingerprints": plan.fingerprints[:1]})


def _together(pairs: Mapping[str, Pair]) -> dict[str, Pair]:
    """The sums over several endpoints: cost that a change moves elsewhere shows here, in one test for all."""
    if not pairs:
        return {}
    sides = {name: [getattr(p, name) for p in pairs.values()] for name in ("a", "b")}
    whole = {n: all("cpu" in r.values and "latency" in r.values for r in side) for n, side in sides.items()}
    readings = {
        name: Reading(
            {m: sum(r.values[m] for r in side) for m in ("cpu", "latency")} if whole[name] else {},
            "; ".join(sorted({r.check for r in side if r.check})),
        )
        for name, side in sides.items()
    }
    return {OTHERS: Pair(readings["a"], readings["b"])}


def _whole(side: Started, start_ms: float) -> Reading:
    running = side.running
    values = {
        "rss.peak": float(running.rss_bytes()),
        "startup": start_ms,
        "processes": float(len(running.processes())),
    }
    return Reading(values)


def _start_ms(running: Running) -> float:
    return max(running.start_ms - (running.start_waited_ms or 0.0), 0.0)


async def entered(stack: AsyncExitStack, *starting: AbstractAsyncContextManager[T]) -> list[T]:
    """All at once. Where one fails it waits for the others, to end them too."""
    found = await asyncio.gather(*map(stack.enter_async_context, starting), return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return [one for one in found if not isinstance(one, BaseException)]


@asynccontextmanager
async def _started(
    host: Host, name: str, workspace: Path, registry: Registry, timeout_s: float
) -> AsyncIterator[Started]:
    async with launched(host, name, workspace, registry) as running:
        found = await auth.credentials(host.project, running.base_url, told=running.redis.environment)
        yield Started(running, Aim(running.base_url, found.headers, found.cookies, timeout_s))


@asynccontextmanager
async def launched(
    host: Host, name: str, workspace: Path, registry: Registry, core: int | None = None
) -> AsyncIterator[Running]:
    """An instance of one side on a fresh copy of its data, which is gone afterwards."""
    clone = await host.fresh(name)
    try:
        async with launch(
            host.project,
            data=clone,
            workspace=workspace,
            registry=registry,
            environment=dict(host.environment),
            name=name,
            core=core,
        ) as running:
            yield running
    finally:
        clone.drop()


def chosen(plans: Sequence[Plan], keys: Sequence[str]) -> tuple[Plan, ...]:
    """The measurable plans of these endpoints, all where none are named. UsageError for one that there is not."""
    there = {p.endpoint.key: p for p in plans if p.measurable}
    known = {p.endpoint.key: p.skipped for p in plans}
    for key in keys:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=6, cutoff=0.3) or list(known)[:12]
            raise UsageError(f"no endpoint {key!r}", do=f"write it as the application does: {', '.join(near)}")
        if key not in there:
            raise Unmeasurable(f"{key} can't be asked: {known[key]}", do="give it a scenario in perfcrew.toml")
    if not there:
        raise Unmeasurable("no endpoint could be asked", do="; ".join(sorted(set(known.values()))[:6]))
    return tuple(there[key] for key in keys) if keys else tuple(there.values())
