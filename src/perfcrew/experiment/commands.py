"""Two commands, each pair a fresh process of both: in turn on the same machine, or side by side on two idle cores."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Literal

from perfcrew.core.comparison import Comparison, Effect
from perfcrew.experiment.engine import Checks, Goal, Pair, Reading, Watched
from perfcrew.instruments.command import CommandRun, Launch, Stop, measure_command

FIRST, SECOND = 0.8, 0.2
"""Parts of the error: processor time, which has the power, and time passing, which sees waiting."""
CPU = Watched("cpu", "ms", "deciding", weight=FIRST, least=0.1)
READY = Watched("wall less the wait for a core", "ms", "deciding", weight=SECOND, least=0.1)
WALL = Watched("wall", "ms", "guard")
OWN_LEAST_MS = 1.0
"""What a command times itself must take so long: a shorter stretch is mostly the clock's own and the first calls."""
IDLE_SHARE = 0.15
"""A core is idle where it works less than this share of a short look at it."""


@dataclass
class Commands:
    """A sampler of two commands. Sides that report their own figures are judged by those."""

    a: Launch
    b: Launch
    subject: str = "commands"
    design: Literal["interleaved", "duet"] = "interleaved"
    cores: tuple[int, ...] = ()
    """The idle cores of a duet."""
    cold: list[tuple[CommandRun, CommandRun]] = field(default_factory=list)
    """What the unmeasured first runs took: they fill file caches and compile byte code."""
    left: Counter[str] = field(default_factory=Counter)
    """How often each side left processes running."""

    @property
    def _has_ready(self) -> bool:
        """Whether the wait for a core is told here."""
        return all(run.ready_ms is not None for pair in self.cold for run in pair)

    @property
    def unit(self) -> str:
        return "a fresh process of each, " + (
            "at once on a core each" if self.design == "duet" else "one after the other"
        )

    @property
    def checks(self) -> Checks:
        return "must agree" if self.a.own_figures else "if constant"

    async def _warm(self) -> None:
        """One unmeasured run of each, told apart from the others."""
        one, other = await self._run("A", self.a), await self._run("B", self.b)
        self.cold.append((one, other))

    def told(self, found: Comparison) -> Comparison:
        """The comparison with the first runs, and with what a side left behind."""
        notes = [
            f"{side} leaves processes running ({times} times): they were ended; what they cost is not in its figures"
            for side, times in sorted(self.left.items())
        ]
        cold = tuple(e for one, other in self.cold[:1] for e in _first_runs(_reading(one), _reading(other)))
        told = found.model_copy(update={"notes": (*found.notes, *notes), "cold": cold})
        if len(self.left) != 1:
            return told
        why = f"{next(iter(self.left))} leaves work to processes that go on after it, and the other side does not"
        return told.model_copy(update={"verdict": None, "rests_on": "", "why": "", "refused": why})

    def goal(self, subject: str) -> Goal:
        return "verdict"

    def watched(self, subject: str) -> tuple[Watched, ...]:
        if self.a.own_figures:
            own = set(self.cold[0][0].own) & set(self.cold[0][1].own) if self.cold else set()
            others = tuple(Watched(name, "count", "shown", exact=True) for name in sorted(own - {"cpu", "wall"}))
            cpu, wall = replace(CPU, least=OWN_LEAST_MS), replace(WALL, role="deciding", weight=SECOND)
            return (cpu, replace(wall, least=OWN_LEAST_MS), *others)
        passing = (READY, WALL) if self._has_ready else (replace(WALL, role="deciding", weight=SECOND),)
        return (CPU, *passing, Watched("rss.peak", "bytes", "shown", margin=0.05))

    async def pair(self, a_first: bool) -> dict[str, Pair]:
        if not self.cold:
            await self._warm()
        if self.design == "duet":
            return {self.subject: await self._side_by_side(a_first)}
        if a_first:
            a = await self._run("A", self.a)
            return {self.subject: Pair(_reading(a), _reading(await self._run("B", self.b)))}
        b = await self._run("B", self.b)
        return {self.subject: Pair(_reading(await self._run("A", self.a)), _reading(b))}

    async def _side_by_side(self, a_first: bool) -> Pair:
        cores = self.cores if a_first else self.cores[::-1]
        tasks = [
            asyncio.create_task(self._run(side, replace(launch, core=core)))
            for side, launch, core in zip("AB", (self.a, self.b), cores, strict=True)
        ]
        try:
            one, other = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return Pair(_reading(one), _reading(other))

    async def _run(self, side: str, launch: Launch) -> CommandRun:
        stop = Stop()
        try:
            run = await asyncio.to_thread(measure_command, launch, stop)
        finally:
            stop.now()  # who is interrupted does not wait for the command's end
        self.left.update([side] if run.left_running else [])
        return run


def _reading(run: CommandRun) -> Reading:
    if run.own:
        return Reading(dict(run.own), run.check)
    values = {"cpu": run.cpu_ms, "wall": run.wall_ms, READY.name: run.ready_ms, "rss.peak": run.rss_bytes}
    return Reading({name: value for name, value in values.items() if value is not None}, run.check)


def _first_runs(a: Reading, b: Reading) -> list[Effect]:
    return [
        Effect(
            metric=f"{name}, first run",
            unit="ms",
            direction="lower",
            role="shown",
            verdict=None,
            refused="one run each, not judged",
            a=a.values[name],
            b=b.values[name],
            pairs_count=1,
        )
        for name in ("cpu", "wall")
    ]


def idle_cores(seconds: float = 0.0) -> list[int]:
    """The cores that this process may use; with `seconds`, those that were idle while looked at for so long."""
    import os

    import psutil

    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    if not seconds:
        return allowed
    busy = psutil.cpu_percent(interval=seconds, percpu=True)
    return [core for core in allowed if core < len(busy) and busy[core] < IDLE_SHARE * 100]
