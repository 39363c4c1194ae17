"""Memory over repeated requests: resident size, and counts of live objects, which tell a leak from a heap at rest.

Only what grew in both halves of the run is kept: what grows in the first alone is warming up. The lines that allocate
come from a run of their own, with tracemalloc.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfcrew.core.errors import Unmeasurable
from perfcrew.core.evidence import Allocation, GrowingContainer, LiveObjects, Memory
from perfcrew.core.web import Place, Plan
from perfcrew.instruments import control
from perfcrew.instruments.load import Aim, Driver, closed_loop
from perfcrew.stats.slope import slope
from perfcrew.target.launch import Running

WARM_UP = 10
"""Enough for the probe to list a container that gains an entry a request: it begins at eight."""
STEPS = 4
"""Resident size is read this often in each half."""
CONCURRENCY = 4
LEAST_GROWTH = 0.2
"""Objects or entries a request; less is chance."""
BOOKKEEPING = ("weakref.",)
"""Types of the interpreter's own tables: sqlite3 keeps a weak reference a statement, and clears them by the hundred."""


@dataclass(frozen=True)
class Census:
    """Live objects by type and the lengths of long-lived containers, summed over the target's processes."""

    types: Mapping[str, int]
    containers: Mapping[tuple[str, str], int]


async def measure_memory(
    running: Running, aim: Aim, plan: Plan, probe_dir: Path, *, requests: int, driver: Driver
) -> Memory:
    """Ask the endpoint on one instance, and where something grew, as often again; `allocations` are left empty.

    `requests` is the number of both halves; where the first leaves nothing behind, the second is not asked.
    Raises ToolFailed where the probe can't be asked.
    """
    await _asked(aim, plan, WARM_UP, driver)
    first = await census(probe_dir)
    step = max(requests // 2, STEPS) // STEPS
    rss = [running.rss_bytes(), *await _half(running, aim, plan, step, driver)]
    middle = last = await census(probe_dir)
    if _kept_something(first, middle, step * STEPS):
        rss += await _half(running, aim, plan, step, driver)
        last = await census(probe_dir)
    asked = step * (len(rss) - 1)
    return Memory(
        requests_count=asked,
        rss_bytes=tuple(rss),
        slope_bytes=slope([float(n * step) for n in range(len(rss))], [float(b) for b in rss]),
        objects=_objects(first, middle, last, asked),
        containers=_containers(first, middle, last, asked),
        allocations=(),
    )


def _kept_something(first: Census, middle: Census, requests: int) -> bool:
    """Whether anything grew with these requests, that a second half could tell from warming up."""
    least = LEAST_GROWTH * requests
    types = ((n, c - first.types.get(n, 0)) for n, c in middle.types.items() if not n.startswith(BOOKKEEPING))
    held = ((o, c - first.containers.get(o, 0)) for o, c in middle.containers.items())
    return any(gain >= least for _, gain in (*types, *held))


async def measure_allocations(
    aim: Aim, plan: Plan, probe_dir: Path, root: Path, *, requests: int, driver: Driver
) -> tuple[Allocation, ...]:
    """The lines whose memory is still held after that many requests, most bytes a request first."""
    await _asked(aim, plan, WARM_UP, driver)
    await control.ask_all(probe_dir, "allocations.start")
    await _asked(aim, plan, requests, driver)
    answers = await control.ask_all(probe_dir, "allocations.stop")
    found = [_allocation(line, requests, root) for answer in answers for line in answer["lines"]]
    return tuple(sorted(found, key=lambda a: a.per_request_bytes, reverse=True))


def _allocation(line: Sequence[Any], requests: int, root: Path) -> Allocation:
    file, number, size_bytes, blocks = line
    place = Place(file=str(file).removeprefix(f"{root}/"), line=int(number))
    return Allocation(place=place, per_request_bytes=size_bytes / requests, blocks_count=int(blocks))


async def growth(aim: Aim, plan: Plan, probe_dir: Path, *, rounds: int, requests: int, driver: Driver) -> list[float]:
    """Live objects that a request leaves behind, in each of some rounds of so many requests to a filled instance."""
    found, before = [], await census(probe_dir)
    for _ in range(rounds):
        await _asked(aim, plan, requests, driver)
        after = await census(probe_dir)
        gains = (n - before.types.get(t, 0) for t, n in after.types.items() if not t.startswith(BOOKKEEPING))
        found.append(sum(gain for gain in gains if gain >= LEAST_GROWTH * requests) / requests)
        before = after
    return found


async def fill(aim: Aim, plan: Plan, requests: int, driver: Driver) -> None:
    """Ask until what has a bound is full."""
    await _asked(aim, plan, requests, driver)


async def census(probe_dir: Path) -> Census:
    """What lives now, after a full garbage collection in each process."""
    types: Counter[str] = Counter()
    containers: Counter[tuple[str, str]] = Counter()
    for answer in await control.ask_all(probe_dir, "heap"):
        types.update(answer["types"])
        containers.update({(c["where"], c["type"]): c["len"] for c in answer["containers"]})
    return Census(types, containers)


async def _half(running: Running, aim: Aim, plan: Plan, step: int, driver: Driver) -> list[int]:
    sizes = []
    for _ in range(STEPS):
        await _asked(aim, plan, step, driver)
        sizes.append(running.rss_bytes())
    return sizes


async def _asked(aim: Aim, plan: Plan, count: int, driver: Driver) -> None:
    load = await closed_loop(
        aim, plan.requests, concurrency=CONCURRENCY, count=count, expected=plan.fingerprints, driver=driver
    )
    if not load.samples_ms:
        raise Unmeasurable(f"{plan.endpoint.key}: no answer was as expected while memory was measured")


def _objects(first: Census, middle: Census, last: Census, requests: int) -> tuple[LiveObjects, ...]:
    grown = []
    for name, after in last.types.items():
        before, between = first.types.get(name, 0), middle.types.get(name, 0)
        if not name.startswith(BOOKKEEPING) and _grew(before, between, after, requests):
            per_request = (after - before) / requests
            grown.append(LiveObjects(type=name, before_count=before, after_count=after, per_request_count=per_request))
    return tuple(sorted(grown, key=lambda o: o.per_request_count, reverse=True))


def _containers(first: Census, middle: Census, last: Census, requests: int) -> tuple[GrowingContainer, ...]:
    grown = []
    for (owner, kind), after in last.containers.items():
        before, between = first.containers.get((owner, kind), 0), middle.containers.get((owner, kind), 0)
        if _grew(before, between, after, requests):
            grown.append(GrowingContainer(owner=owner, type=kind, before_count=before, after_count=after))
    return tuple(sorted(grown, key=lambda c: c.after_count - c.before_count, reverse=True))


def _grew(before: int, between: int, after: int, requests: int) -> bool:
    least = LEAST_GROWTH * requests / 2
    return between - before >= least and after - between >= least
