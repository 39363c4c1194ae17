"""Memory over repeated requests: resident size, live objects by type, containers, and the lines that keep memory.

Two started instances: one with the probe's part `heap` for sizes and counts, another with `allocations`, whose
bookkeeping would count as growth. What grew in the first half of the requests alone was warm-up; only what grew in
both is listed. Resident size by itself missed real leaks, so counts of objects are taken beside it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from perfcrew.core.errors import ToolFailed, Unmeasurable
from perfcrew.core.evidence import Allocation, GrowingContainer, LiveObjects, Memory
from perfcrew.core.trace import Frame
from perfcrew.core.web import Plan
from perfcrew.instruments.baseline import Started
from perfcrew.instruments.load import Aim, Driver, closed_loop
from perfcrew.instruments.places import place
from perfcrew.instruments.probe_records import hellos
from perfcrew.stats import slope

K = TypeVar("K", bound=Hashable)
REQUESTS = 60
WARMUP = 12
STEPS = 10
"""Points of the resident size."""
EVEN = 0.5
"""The slower half grows by at least this part of the faster one, else it was warm-up or has a bound."""
LEAST_GAIN = 3
MOST_LISTED = 30
_ASK_S = 60.0
_LINE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Census:
    """Live objects by type, and lengths of containers by type and owner, of all processes of the target."""

    types: dict[str, int]
    containers: dict[tuple[str, str], int]


@dataclass(frozen=True)
class HeapRun:
    """The resident size over the requests, and three censuses: before, between and after two equal halves."""

    requests_count: int
    at_requests: tuple[int, ...]
    rss_bytes: tuple[int, ...]
    censuses: tuple[Census, Census, Census]


@dataclass(frozen=True)
class AllocationRun:
    """What stayed allocated after so many requests, by line."""

    requests_count: int
    allocations: tuple[Allocation, ...]


async def measure_heap(
    running: Started, plan: Plan, aim: Aim, probe_dir: Path, *, requests: int = REQUESTS, driver: Driver | None = None
) -> HeapRun:
    """Send `requests` in two halves to an instance that was started with the probe's part `heap`.

    Raises Unmeasurable where answers are errors or no control socket answers, ToolFailed where one answers nonsense.
    """
    half = max(STEPS // 2, requests // 2)
    await _sent(plan, aim, max(WARMUP, len(plan.requests)), driver)
    at, rss = [0], [running.rss_bytes()]
    censuses = [await _census(probe_dir)]
    for _ in range(2):
        for step in _steps(half):
            await _sent(plan, aim, step, driver)
            at.append(at[-1] + step)
            rss.append(running.rss_bytes())
        censuses.append(await _census(probe_dir))
    return HeapRun(2 * half, tuple(at), tuple(rss), (censuses[0], censuses[1], censuses[2]))


def _steps(count: int) -> list[int]:
    steps = STEPS // 2
    return [count // steps + (1 if n < count % steps else 0) for n in range(steps)]


async def measure_allocations(
    plan: Plan, aim: Aim, probe_dir: Path, root: Path, *, requests: int = REQUESTS, driver: Driver | None = None
) -> AllocationRun:
    """Trace the allocations of `requests` in an instance that was started with the probe's part `allocations`.

    Raises what `measure_heap` raises.
    """
    await _sent(plan, aim, max(WARMUP, len(plan.requests)), driver)
    await _asked_all(probe_dir, "allocations.start")
    await _sent(plan, aim, requests, driver)
    held: dict[tuple[str, int], list[int]] = {}
    for answer in await _asked_all(probe_dir, "allocations.stop"):
        for file, line, size_bytes, count in _field(answer, "lines", list):
            entry = held.setdefault((str(file), int(line)), [0, 0])
            entry[0] += int(size_bytes)
            entry[1] += int(count)
    ordered = sorted(held.items(), key=lambda item: -item[1][0])[:MOST_LISTED]
    found = tuple(
        Allocation(
            place=place(Frame(file=file, line=line, function=""), root),
            per_request_bytes=size_bytes / requests,
            blocks_count=count,
        )
        for (file, line), (size_bytes, count) in ordered
    )
    return AllocationRun(requests, found)


def combine_memory(heap: HeapRun, allocations: AllocationRun | None = None) -> Memory:
    """The evidence: the slope of the resident size, what grew in both halves, and the lines that keep memory."""
    before, between, after = heap.censuses
    types = _growing(before.types, between.types, after.types)
    containers = _growing(before.containers, between.containers, after.containers)
    return Memory(
        requests_count=heap.requests_count,
        rss_bytes=heap.rss_bytes,
        slope_bytes=slope(heap.at_requests, heap.rss_bytes),
        objects=tuple(
            LiveObjects(
                type=name,
                before_count=before.types.get(name, 0),
                after_count=after.types[name],
                per_request_count=(after.types[name] - before.types.get(name, 0)) / heap.requests_count,
            )
            for name in types
        ),
        containers=tuple(
            GrowingContainer(
                owner=key[1],
                type=key[0],
                before_count=before.containers.get(key, 0),
                after_count=after.containers[key],
            )
            for key in containers
        ),
        allocations=allocations.allocations if allocations else (),
    )


def _growing(before: Mapping[K, int], between: Mapping[K, int], after: Mapping[K, int]) -> list[K]:
    """What grew evenly in both halves, the fastest first."""
    gained = []
    for key, count in after.items():
        first = between.get(key, 0) - before.get(key, 0)
        second = count - between.get(key, 0)
        if min(first, second) >= max(LEAST_GAIN, EVEN * max(first, second)):
            gained.append((first + second, key))
    return [key for _, key in sorted(gained, key=lambda pair: -pair[0])][:MOST_LISTED]


async def _sent(plan: Plan, aim: Aim, count: int, driver: Driver | None) -> None:
    result = await closed_loop(aim, plan.requests, count=count, expected=plan.fingerprints, driver=driver)
    if not result.samples_ms:
        raise Unmeasurable(f"{plan.endpoint.key}: no answer was as expected while memory was measured")


async def _census(probe_dir: Path) -> Census:
    types: dict[str, int] = {}
    containers: dict[tuple[str, str], int] = {}
    for answer in await _asked_all(probe_dir, "heap"):
        for name, count in _field(answer, "types", dict).items():
            types[str(name)] = types.get(str(name), 0) + int(count)
        for one in _field(answer, "containers", list):
            key = (str(one["type"]), str(one["where"]))
            containers[key] = containers.get(key, 0) + int(one["len"])
    return Census(types, containers)


async def _asked_all(probe_dir: Path, do: str) -> list[Mapping[str, Any]]:
    """What each living process of the target answers on its control socket."""
    answers = [answer for path in control_sockets(probe_dir) if (answer := await _asked(path, do)) is not None]
    if not answers:
        raise Unmeasurable("no process of the target answers on its control socket", do="see the target's log")
    return answers


def control_sockets(probe_dir: Path) -> list[Path]:
    """The control sockets of the processes that said hello; some may have ended."""
    named = [Path(h.control) if h.control else probe_dir / f"{h.pid}.sock" for h in hellos(probe_dir)]
    return [path for path in dict.fromkeys(named) if path.is_socket()]


async def _asked(path: Path, do: str) -> Mapping[str, Any] | None:
    """One answer; None where the process has ended. ToolFailed where it answers an error, nonsense, or not in time."""
    try:
        async with asyncio.timeout(_ASK_S):
            reader, writer = await asyncio.open_unix_connection(str(path), limit=_LINE_BYTES)
            try:
                writer.write(json.dumps({"do": do}).encode() + b"\n")
                line = await reader.readline()
            finally:
                writer.close()
    except (ConnectionError, FileNotFoundError):
        return None
    except TimeoutError:
        raise ToolFailed(f"the probe did not answer {do!r} within {_ASK_S:.0f} s", where=str(path)) from None
    if not line:
        return None
    try:
        answer = json.loads(line)
    except ValueError:
        raise ToolFailed(f"the probe's answer to {do!r} is no JSON", where=str(path), tail=repr(line[:200])) from None
    if not isinstance(answer, dict) or "error" in answer:
        raise ToolFailed(f"the probe could not do {do!r}", where=str(path), tail=str(answer)[:500])
    return answer


def _field(answer: Mapping[str, Any], name: str, kind: type[Any]) -> Any:
    found = answer.get(name)
    if not isinstance(found, kind):
        raise ToolFailed(f"the probe's answer has no {name!r}", tail=str(answer)[:500])
    return found
