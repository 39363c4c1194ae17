"""Samplers whose figures are drawn by lot from a seed: what the engine is fed without any machine's noise."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from perfcrew.core.comparison import Comparison, Side
from perfcrew.core.errors import CommandError
from perfcrew.experiment.commands import CPU, READY, WALL
from perfcrew.experiment.engine import Checks, Design, Goal, Pair, Reading, Rules, Watched, compare

A, B = Side(label="A", what="before"), Side(label="B", what="after")
NOISE = {"cpu": 0.01, READY.name: 0.02, "wall": 0.08}
LEVEL_MS = {"cpu": 60.0, READY.name: 70.0, "wall": 80.0}

Answer = Callable[[int], str]


@dataclass
class Drawn:
    """Ratios by metric (1 where none is given); `dies_at`: the pair in which a side fails."""

    ratios: dict[str, float] = field(default_factory=dict)
    seed: int = 1
    noise: float = 1.0
    checks: Checks = "must agree"
    answers: tuple[Answer, Answer] = (lambda n: "same", lambda n: "same")
    subjects: dict[str, Goal] = field(default_factory=lambda: {"one": "verdict"})
    dies_at: int | None = None
    more: tuple[Watched, ...] = ()
    counts: Callable[[int], tuple[float, float]] = lambda n: (4.0, 4.0)
    design: Design = "interleaved"
    unit: str = "drawn by lot"
    orders: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._draw = random.Random(self.seed)

    def goal(self, subject: str) -> Goal:
        return self.subjects[subject]

    def watched(self, subject: str) -> tuple[Watched, ...]:
        return (CPU, READY, WALL, *self.more)

    async def pair(self, a_first: bool) -> dict[str, Pair]:
        self.orders.append(a_first)
        if self.dies_at == len(self.orders):
            raise CommandError("the command failed", command=("work",), exit=9)
        return {subject: self._one(len(self.orders)) for subject in self.subjects}

    def _one(self, number: int) -> Pair:
        a, b = (
            {name: level * math.exp(self._draw.gauss(0, NOISE[name] * self.noise)) for name, level in LEVEL_MS.items()}
            for _ in "ab"
        )
        b = {name: value * self.ratios.get(name, 1.0) for name, value in b.items()}
        a["rows"], b["rows"] = self.counts(number)
        return Pair(Reading(a, self.answers[0](number)), Reading(b, self.answers[1](number)))


async def compared(sampler: Drawn, rules: Rules | None = None) -> list[Comparison]:
    return await compare(sampler, A, B, rules or Rules(most=80), lambda what: None)
