"""Two commands, each pair a fresh process of both: at once on one core or on two, or one after the other."""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter
from dataclasses import dataclass, field, replace

from perfcrew.core.comparison import Comparison, Effect
from perfcrew.experiment.engine import Checks, Design, Goal, Pair, Reading, Watched
from perfcrew.instruments.command import CommandRun, Launch, Stop, measure_command
from perfcrew.target.process import usable_cores
from perfcrew.target.spawn import uninterrupted

FIRST, SECOND = 0.8, 0.2
"""Parts of the error: processor time, which has the power, and time passing, which sees waiting."""
CPU = Watched("cpu", "ms", "deciding", weight=FIRST, least=0.1)
READY = Watched("wall less the wait for a core", "ms", "deciding", weight=SECOND, least=0.1)
WALL = Watched("wall", "ms", "guard")
OWN_LEAST_MS = 1.0
"""What a command times itself must take so long: a shorter stretch is mostly the clock's own and the first calls."""
IDLE_SHARE = 0.15
"""A core is idle where it works less than this share of a short look at it."""
SERIAL = 0.98
"""A command works alone where its main thread does this share of its work at least."""
WAITING = 0.2
"""A command that waits for more than this share of its time, and not for a core, has no core to share."""
UNEXPLAINED, UNEXPLAINED_MS = 0.05, 2.0
"""What a command says of its waiting may differ from what the kernel says by this share of its time and by this."""
_UNITS: dict[Design, str] = {
    "one core": "a fresh process of each, at once on one core that they share",
    "duet": "a fresh process of each, at once on a core each",
    "interleaved": "a fresh process of each, one after the other",
}


@dataclass
class Commands:
    """A sampler of two commands. Sides that report their own figures are judged by those."""

    a: Launch
    b: Launch
    subject: str = "commands"
    design: Design = "interleaved"
    cores: tuple[int, ...] = ()
    """Those that may be used: any of them where one is shared, the two idle ones of a duet."""
    answers_may_differ: bool = False
    cold: list[tuple[CommandRun, CommandRun]] = field(default_factory=list)
    """What the unmeasured first runs took: they fill file caches and compile byte code."""
    runs: list[tuple[CommandRun, CommandRun]] = field(default_factory=list)
    """Those measured in turn."""
    left: Counter[str] = field(default_factory=Counter)
    """How often each side left processes running."""
    _rounds: int = 0

    @property
    def _has_ready(self) -> bool:
        """Whether the wait for a core is told here."""
        return all(run.ready_ms is not None for pair in self.cold for run in pair)

    @property
    def unit(self) -> str:
        return _UNITS[self.design]

    @property
    def checks(self) -> Checks:
        if self.answers_may_differ:
            return "none"
        return "must agree" if self.a.own_figures else "if constant"

    def apart(self) -> str:
        """Why the two can't share a core, by the runs in turn so far; empty where they can.

        On one core the wait for it must be told, there must be no work side by side that would be lost, and not much
        waiting for what both would use at once.
        """
        for number, side in enumerate("AB"):
            runs = [pair[number] for pair in self.runs]
            if any(run.ready_ms is None or run.main_ms is None for run in runs):
                return "the wait for a core is not told here"
            if statistics.median((run.main_ms or 0.0) / max(run.cpu_ms, 0.001) for run in runs) < SERIAL:
                return f"{side} works in several threads or processes"
            if statistics.median(_waited_ms(run) / max(run.ready_ms or 0.0, 0.001) for run in runs) > WAITING:
                return f"{side} waits for more than a core, which both would at once"
            if all(run.own for run in runs) and statistics.median(map(_unexplained_ms, runs)) > 0:
                return f"{side} waits otherwise than its own figures say"
        return ""

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
            second = READY if self.design == "one core" else replace(WALL, role="deciding", weight=SECOND)
            return (replace(CPU, least=OWN_LEAST_MS), replace(second, least=OWN_LEAST_MS), *others)
        passing = (READY, WALL) if self._has_ready else (replace(WALL, role="deciding", weight=SECOND),)
        passing = passing[:1] if self.design == "one core" else passing
        return (CPU, *passing, Watched("rss.peak", "bytes", "shown", margin=0.05))

    async def pair(self, a_first: bool) -> dict[str, Pair]:
        if not self.cold:
            self.cold.append((await self._run("A", self.a), await self._run("B", self.b)))
        if self.design != "interleaved":
            return {self.subject: await self._at_once(a_first)}
        if a_first:
            a = await self._run("A", self.a)
            b = await self._run("B", self.b)
        else:
            b = await self._run("B", self.b)
            a = await self._run("A", self.a)
        self.runs.append((a, b))
        return {self.subject: Pair(_reading(a), _reading(b))}

    async def _at_once(self, a_first: bool) -> Pair:
        self._rounds += 1
        shared = self.cores[self._rounds % len(self.cores)]
        cores = (shared, shared) if self.design == "one core" else self.cores if a_first else self.cores[::-1]
        sides = [("A", replace(self.a, core=cores[0])), ("B", replace(self.b, core=cores[1]))]
        tasks = {
            side: asyncio.create_task(self._run(side, launch)) for side, launch in (sides if a_first else sides[::-1])
        }
        try:
            one, other = await asyncio.gather(tasks["A"], tasks["B"])
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
        return Pair(*(_reading(run, sharing=self.design == "one core") for run in (one, other)))

    async def _run(self, side: str, launch: Launch) -> CommandRun:
        stop, measured = Stop(), None
        try:
            measured = asyncio.ensure_future(asyncio.to_thread(measure_command, launch, stop))
            run = await asyncio.shield(measured)
        finally:
            stop.now()  # who is interrupted does not wait for the command's end, but until all of it is gone
            if measured is not None:
                await uninterrupted(asyncio.wait({measured}))
        self.left.update([side] if run.left_running else [])
        return run


def _reading(run: CommandRun, sharing: bool = False) -> Reading:
    """Who shares a core passes time because of the other: that is left out."""
    if run.own:
        own = dict(run.own)
        return Reading({**own, READY.name: _own_ready_ms(run)} if sharing else own, run.check)
    wall_ms = None if sharing else run.wall_ms
    values = {"cpu": run.cpu_ms, "wall": wall_ms, READY.name: run.ready_ms, "rss.peak": run.rss_bytes}
    return Reading({name: value for name, value in values.items() if value is not None}, run.check)


def _waited_ms(run: CommandRun) -> float:
    """All that it waited, but for a core."""
    return max((run.ready_ms or 0.0) - run.cpu_ms, 0.0)


def _own_ready_ms(run: CommandRun) -> float:
    """Of a command that reports its own figures: what it worked by them, and all that it waited but for a core."""
    return run.own["cpu"] + _waited_ms(run)


def _unexplained_ms(run: CommandRun) -> float:
    """By how much its own figures' waiting differs from the kernel's, beyond what may be; not above 0 where it may.

    Of the wait for a core, as much belongs to its own section as of the work.
    """
    for_core_ms = run.wall_ms - (run.ready_ms or 0.0)
    says = run.own["wall"] - run.own["cpu"]
    outside_ms = _waited_ms(run) - (says - for_core_ms * min(run.own["cpu"] / max(run.cpu_ms, 0.001), 1.0))
    beyond_ms = says - _waited_ms(run) - for_core_ms
    return max(outside_ms, beyond_ms) - UNEXPLAINED * run.own["wall"] - UNEXPLAINED_MS


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
    import psutil

    allowed = usable_cores()
    if not seconds:
        return allowed
    busy = psutil.cpu_percent(interval=seconds, percpu=True)
    return [core for core in allowed if core < len(busy) and busy[core] < IDLE_SHARE * 100]
