"""Two commands, each pair a fresh process of both: in turn on the same machine, or side by side on two idle cores."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Literal

from perfcrew.experiment.engine import Checks, Goal, Pair, Reading, Watched
from perfcrew.instruments.command import CommandRun, Launch, measure_command

FIRST, SECOND = 0.8, 0.2
"""Parts of the error: processor time, which has the power, and time passing, which sees waiting."""
CPU = Watched("cpu", "ms", "deciding", weight=FIRST)
READY = Watched("wall less the wait for a core", "ms", "deciding", weight=SECOND)
WALL = Watched("wall", "ms", "guard")
IDLE_SHARE = 0.15
"""A core is idle where it works less than this share of a short look at it."""


@dataclass
class Commands:
    """A sampler of two commands. Sides that report their own figures are judged by those."""

    a: Launch
    b: Launch
    subject: str = "commands"
    design: Literal["interleaved", "duet"] = "interleaved"
    cold: list[tuple[CommandRun, CommandRun]] = field(default_factory=list)
    """What the unmeasured first runs took: they fill file caches and compile byte code."""
    notes: list[str] = field(default_factory=list)
    _has_ready: bool = True

    @property
    def unit(self) -> str:
        return "a fresh process of each, " + (
            "at once on a core each" if self.design == "duet" else "one after the other"
        )

    @property
    def checks(self) -> Checks:
        return "must agree" if self.a.own_figures else "if constant"

    async def warm(self) -> None:
        """One unmeasured run of each, told apart from the others."""
        one = await asyncio.to_thread(measure_command, self.a)
        other = await asyncio.to_thread(measure_command, self.b)
        self.cold.append((one, other))
        self._has_ready = one.ready_ms is not None and other.ready_ms is not None

    def goal(self, subject: str) -> Goal:
        return "verdict"

    def watched(self, subject: str) -> tuple[Watched, ...]:
        if self.a.own_figures:
            own = set(self.cold[0][0].own) & set(self.cold[0][1].own) if self.cold else set()
            others = tuple(Watched(name, "count", "shown", exact=True) for name in sorted(own - {"cpu", "wall"}))
            return (CPU, replace(WALL, role="deciding", weight=SECOND), *others)
        passing = (READY, WALL) if self._has_ready else (replace(WALL, role="deciding", weight=SECOND),)
        return (CPU, *passing, Watched("rss.peak", "bytes", "shown", margin=0.05))

    async def pair(self, a_first: bool) -> dict[str, Pair]:
        if self.design == "duet":
            return {self.subject: await self._side_by_side(a_first)}
        first, second = (self.a, self.b) if a_first else (self.b, self.a)
        one = await asyncio.to_thread(measure_command, first)
        other = await asyncio.to_thread(measure_command, second)
        a, b = (one, other) if a_first else (other, one)
        return {self.subject: Pair(_reading(a), _reading(b))}

    async def _side_by_side(self, a_first: bool) -> Pair:
        cores = idle_cores()[:2] if a_first else idle_cores()[1::-1]
        a = asyncio.to_thread(measure_command, replace(self.a, core=cores[0]))
        b = asyncio.to_thread(measure_command, replace(self.b, core=cores[1]))
        one, other = await asyncio.gather(a, b)
        return Pair(_reading(one), _reading(other))


def _reading(run: CommandRun) -> Reading:
    if run.own:
        return Reading(dict(run.own), run.check)
    values = {"cpu": run.cpu_ms, "wall": run.wall_ms, "rss.peak": run.rss_bytes}
    if run.ready_ms is not None:
        values[READY.name] = run.ready_ms
    return Reading(values, run.check)


def idle_cores(seconds: float = 0.0) -> list[int]:
    """The cores that this process may use; with `seconds`, those that were idle while looked at for so long."""
    import os

    import psutil

    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    if not seconds:
        return allowed
    busy = psutil.cpu_percent(interval=seconds, percpu=True)
    return [core for core in allowed if core < len(busy) and busy[core] < IDLE_SHARE * 100]
