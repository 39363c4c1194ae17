"""Whether two sides do the same work: before anything is timed, both are asked what will be measured.

A side that answers with less is faster for nothing, so what is answered otherwise gets no verdict. What may differ is
learned from side A alone: from two instances of it, on data made twice where the two sides' own data differ.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from perfcrew.core.answers import Mask, Outcome
from perfcrew.core.comparison import Comparison
from perfcrew.core.web import Plan
from perfcrew.experiment import answers
from perfcrew.experiment.asking import Limits
from perfcrew.experiment.effects import compare_writes
from perfcrew.experiment.engine import OTHER_WORK, Tell
from perfcrew.experiment.servers import Host, entered, launched
from perfcrew.experiment.tables import snapshot, table_differences
from perfcrew.target import auth
from perfcrew.target.client import Client
from perfcrew.target.clone import Clone
from perfcrew.target.framework_tables import is_framework_table
from perfcrew.target.launch import Running
from perfcrew.target.leftovers import Registry

LIMITS = Limits(held_out=0, wrong=0, visitors=False, budget_s=20.0)
"""The measured requests alone; the time is of learning, and of comparing, each."""
LITTLE_ROWS = 100
_LARGEST = 3
_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Work:
    """What both sides answered, by the comparison's subject, before they were measured."""

    subjects: frozenset[str]
    """What was looked at."""
    differing: Mapping[str, str] = field(default_factory=dict)
    """What each answers otherwise, the first of it."""
    unknown: Mapping[str, str] = field(default_factory=dict)
    """Why of these nothing is known."""
    notes: tuple[str, ...] = ()
    """What is told of the comparison as a whole."""
    little: str = ""
    """What so little data hides, where there is little."""

    def refusals(self, may_differ: bool) -> dict[str, str]:
        """Why there is no verdict, by subject."""
        if may_differ:
            return {}
        return {
            subject: f"{OTHER_WORK}: {why}; --answers-may-differ judges it all the same"
            for subject, why in self.differing.items()
        }

    def measured(self, plans: Sequence[Plan], may_differ: bool) -> tuple[Plan, ...]:
        """The plans that are judged; of those that may be answered otherwise, only the status is expected."""
        refused = self.refusals(may_differ)
        judged = [plan for plan in plans if plan.endpoint.key not in refused]
        if not may_differ:
            return tuple(judged)
        return tuple(p if self.outcome(p.endpoint.key) == "equal" else _of_any_shape(p) for p in judged)

    def outcome(self, subject: str) -> Outcome | None:
        if subject not in self.subjects:
            return None
        return "different" if subject in self.differing else "unknown" if subject in self.unknown else "equal"

    def told(self, found: Sequence[Comparison], may_differ: bool) -> list[Comparison]:
        """The comparisons with what is known of the answers; what is told of the whole stands with the last."""
        *others, last = [self._told(one, may_differ) for one in found]
        return [*others, last.model_copy(update={"notes": (*last.notes, *self.notes)})]

    def _told(self, one: Comparison, may_differ: bool) -> Comparison:
        notes = [*one.notes]
        if may_differ and one.subject in self.differing:
            notes.append(f"the answers differ, which --answers-may-differ allows: {self.differing[one.subject]}")
        if one.subject in self.unknown:
            notes.append(f"whether both answer alike is not known: {self.unknown[one.subject]}")
        if self.little and one.subject in self.subjects and one.verdict is not None:
            notes.append(self.little)
        known = {"answers": self.outcome(one.subject), "answers_may_differ": may_differ, "notes": tuple(notes)}
        return one.model_copy(update=known)


def _of_any_shape(plan: Plan) -> Plan:
    known = [one.status for one in plan.fingerprints[: len(plan.requests)]]
    statuses = [*known, *[None] * (len(plan.requests) - len(known))]
    requests = tuple(
        request if request.expect is not None else request.model_copy(update={"expect": status})
        for request, status in zip(plan.requests, statuses, strict=True)
    )
    return plan.model_copy(update={"requests": requests, "fingerprints": ()})


@dataclass(frozen=True)
class Sides:
    """Both sides; `again` is A on data made once more, where `makes_own`: each makes its data by its own commands."""

    a: Host
    b: Host
    makes_own: bool
    again: Callable[[], AbstractAsyncContextManager[Host]]


@dataclass(frozen=True)
class Instance:
    """A started instance with a client that is logged in."""

    running: Running
    client: Client
    clone: Clone
    other: Client | None = None


async def compare_work(sides: Sides, plans: Sequence[Plan], workspace: Path, registry: Registry, tell: Tell) -> Work:
    """Start two instances of A to learn what may differ, then one of each to compare what they answer.

    TargetFailed where a side does not start, or A no longer listens.
    """
    began, lab = time.monotonic(), _Lab(sides, workspace, registry)
    apart: tuple[str, ...] = ()
    if sides.makes_own:
        tell("comparing the data that both sides made")
        apart = await _apart(sides)
    tell("learning from two instances of A what may differ in its answers")
    mask = await lab.learned(plans, is_made_twice=bool(apart))
    tell("comparing what A and B answer")
    seen = await lab.compared(plans, mask)
    data = Data(seen.a_rows, seen.b_rows, apart)
    passed = f"what both answer was compared before measuring, in {time.monotonic() - began:.1f} s beside the budget"
    notes = (passed, *data.notes())
    subjects = frozenset(plan.endpoint.key for plan in plans)
    return Work(subjects, seen.differing, seen.unknown, notes, data.little())


async def _apart(sides: Sides) -> tuple[str, ...]:
    """The tables in which the data that each side made differ."""
    with ExitStack() as stack:
        clones = []
        for host in (sides.a, sides.b):
            clones.append(await host.fresh(f"data-{host.name}"))
            stack.callback(clones[-1].drop)
        a, b = [await asyncio.to_thread(snapshot, clone, Mask()) for clone in clones]
    return tuple(one.table for one in table_differences(a, b, Mask()))


class _Seen(NamedTuple):
    differing: dict[str, str]
    unknown: dict[str, str]
    a_rows: dict[str, int]
    b_rows: dict[str, int]


@dataclass(frozen=True)
class _Lab:
    sides: Sides
    workspace: Path
    registry: Registry

    async def learned(self, plans: Sequence[Plan], *, is_made_twice: bool) -> Mask:
        async with AsyncExitStack() as stack:
            again = await stack.enter_async_context(self.sides.again()) if is_made_twice else self.sides.a
            starting = (self.started(self.sides.a, "learn-one"), self.started(again, "learn-two"))
            one, two = await entered(stack, *starting)
            return await answers.learn_answers(one, two, plans, LIMITS)

    async def compared(self, plans: Sequence[Plan], mask: Mask) -> _Seen:
        """Reads first: what is written would be read otherwise."""
        async with AsyncExitStack() as stack:
            starting = (self.started(self.sides.a, "answers-a"), self.started(self.sides.b, "answers-b"))
            a, b = await entered(stack, *starting)
            rows = [await asyncio.to_thread(_rows_of, side.clone) for side in (a, b)]
            found = await answers.compare(a, b, plans, mask, LIMITS)
            refusals = [*found.refusals, *[one async for one in compare_writes(a, b, plans, mask)]]
        differing = {one.subject: one.why for one in reversed(refusals)}
        unknown = {key: why for key, why in found.uncompared.items() if key not in differing}
        return _Seen(differing, unknown, *rows)

    @asynccontextmanager
    async def started(self, host: Host, name: str) -> AsyncIterator[Instance]:
        async with launched(host, name, self.workspace, self.registry) as running:
            found = await auth.credentials(host.project, running.base_url, told=running.redis.environment)
            async with Client(running.base_url, found.headers, found.cookies, _TIMEOUT_S) as client:
                assert running.data is not None
                yield Instance(running, client, running.data)


@dataclass(frozen=True)
class Data:
    """Rows by table of both sides, and the tables in which their own data differ."""

    a: Mapping[str, int]
    b: Mapping[str, int]
    apart: tuple[str, ...] = ()

    def notes(self) -> tuple[str, ...]:
        """How much there is, and that it differs."""
        if not self.a:
            return ()
        rows = f"rows: {_rows(self.a)}" if self.a == self.b else f"rows in A: {_rows(self.a)}; in B: {_rows(self.b)}"
        if not self.apart:
            return (rows,)
        made = ", ".join(self.apart[:_LARGEST])
        return rows, f"each side's commands made its data, which differ ({made}); A's were made twice to learn from"

    def little(self) -> str:
        """What so little hides; empty where a table of either side has more, or there are no tables."""
        if not self.a or max(*self.a.values(), *self.b.values(), 0) >= LITTLE_ROWS:
            return ""
        return (
            f"no table has {LITTLE_ROWS} rows ({_rows(self.a)}): costs that grow with the data, such as an N+1, hardly "
            "show on so little; give more by [data] in perfcrew.toml: a seed that takes {rows}, and sizes"
        )


def _rows(tables: Mapping[str, int]) -> str:
    """The largest few."""
    largest = sorted(tables.items(), key=lambda table: (-table[1], table[0]))[:_LARGEST]
    return ", ".join(f"{name} {rows:,}" for name, rows in largest) or "none"


def _rows_of(clone: Clone) -> dict[str, int]:
    return {name: rows for name, rows in clone.tables().items() if not is_framework_table(name)}
