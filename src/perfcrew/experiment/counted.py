"""What a request sends, counted on both sides: statements, rows, cache round trips, calls. Exact where a clock is not.

So is what who has the answer already is sent again, where a change is meant to spare that.

Counted apart from the timed pairs, on an instance of each side with the probe, since the probe costs time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from perfcrew.core.comparison import Comparison, Effect
from perfcrew.core.metrics import METRICS
from perfcrew.core.web import Plan
from perfcrew.experiment.engine import Pair, Reading, Watched, effect_of
from perfcrew.instruments.life import median_counts
from perfcrew.instruments.load import Aim, Driver
from perfcrew.instruments.memory import fill, growth
from perfcrew.instruments.revisit import count_conditional_bytes
from perfcrew.instruments.traces import Sends, run_traced

PARTS = ("spans",)
"""Of the probe."""
HEAP = ("heap",)
_REPEATS = 3
_GROWTH_REQUESTS = 100
_FIELDS = {
    "db.statements": "statements_count",
    "db.rows": "rows",
    "cache.round_trips": "cache_count",
    "http.calls": "http_count",
    "model.calls": "model_count",
}
RESENT = "conditional.bytes"
_GROWTH = Watched("heap.growth", METRICS["heap.growth"].unit, "guard", exact=True)
_WATCHED = tuple(Watched(name, METRICS[name].unit, "guard", exact=True) for name in (*_FIELDS, RESENT))


class Probed(Protocol):
    """A started instance with the probe in it."""

    @property
    def client(self) -> Sends: ...
    @property
    def probe_dir(self) -> Path | None: ...
    @property
    def aim(self) -> Aim: ...


async def count(instance: Probed, plan: Plan, aims: Sequence[str] = ()) -> list[Reading]:
    """A reading for each warm repeat of the plan's requests; of the probe nothing where it saw nothing.

    What is sent again to who has it already is asked where a change aims at it.
    """
    assert instance.probe_dir is not None
    run = await run_traced(instance.client, plan, instance.probe_dir, repeats=_REPEATS)
    told: list[dict[str, float]] = [{} for _ in range(_REPEATS)]
    if run.body.instrumented:
        each = [median_counts([t for t in run.traces if t.repeat == repeat]) for repeat in range(1, _REPEATS + 1)]
        told = [{name: float(getattr(counts, field)) for name, field in _FIELDS.items()} for counts in each]
    for values in told if RESENT in aims else []:
        sent_bytes = await count_conditional_bytes(instance.client, plan)
        values |= {} if sent_bytes is None else {RESENT: sent_bytes}
    return [Reading(values) for values in told if values]


async def growths(instance: Probed, plan: Plan, settles_requests: int, driver: Driver) -> list[Reading]:
    """Live objects that a request leaves behind once all that has a bound is full, in three rounds of requests."""
    assert instance.probe_dir is not None
    await fill(instance.aim, plan, settles_requests, driver)
    told = await growth(
        instance.aim, plan, instance.probe_dir, rounds=_REPEATS, requests=_GROWTH_REQUESTS, driver=driver
    )
    return [Reading({_GROWTH.name: objects}) for objects in told]


def grown(a: Sequence[Reading], b: Sequence[Reading]) -> Effect:
    """The effect on what requests leave behind."""
    return effect_of(_GROWTH, [Pair(one, other) for one, other in zip(a, b, strict=True)], None, refused="")


def effects(a: Sequence[Reading], b: Sequence[Reading]) -> tuple[Effect, ...]:
    """The effects on whatever was counted at all. Counts that vary and overlap get no verdict."""
    pairs = [Pair(one, other) for one, other in zip(a, b, strict=False)]
    seen = [w for w in _WATCHED if any(side.values.get(w.name) for pair in pairs for side in (pair.a, pair.b))]
    return tuple(effect_of(watched, pairs, None, refused="") for watched in seen)


def beside(found: Iterable[Comparison], counted: dict[str, tuple[Effect, ...]]) -> list[Comparison]:
    """The comparisons with the counts of their endpoints."""
    return [c.model_copy(update={"effects": (*c.effects, *counted.get(c.subject, ()))}) for c in found]
