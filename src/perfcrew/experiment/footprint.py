"""What requests leave behind in the target's tree of processes: children, threads, files, sockets, ports, memory.

Measured before, after some requests and after as many again: what a pool opens once is not taken for a leak.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from typing import Any

import psutil

from perfcrew.core.answers import Footprint, FootprintVerdict, Name, Refusal
from perfcrew.core.errors import Unmeasurable
from perfcrew.core.web import Plan, Request
from perfcrew.experiment import asking
from perfcrew.experiment.asking import Side
from perfcrew.target import process
from perfcrew.target.launch import Running

REQUESTS = 60
"""In each of the two rounds."""
_AT_ONCE = 4
_GROWTH_SHARE = 0.1
"""Threads, files or sockets a request that the change may hold more than the base does."""
_MEMORY_SHARE = 0.5
_MEMORY_BYTES = 16 * 1024 * 1024
_GONE = (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied)


def take(running: Running) -> Footprint:
    """The footprint of a running target now. Unmeasurable where it runs no more."""
    found = running.processes()
    if not found:
        raise Unmeasurable("the target has no process any more", where=running.base_url, do="see the end of its log")
    connections = [c for p in found for c in _of(p.net_connections)]
    listening = {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN}
    return Footprint(
        processes_count=len(found),
        unreaped_count=len({child.pid for p in found for child in _of(p.children) if not process.alive(child)}),
        threads_count=sum(_threads(p) for p in found),
        files_count=sum(len(_of(p.open_files)) for p in found),
        sockets_count=len(connections),
        listening_ports=tuple(sorted(listening - {running.port})),
        rss_bytes=process.rss_bytes(found),
    )


def _of(read: Callable[[], list[Any]]) -> list[Any]:
    """What psutil tells of a process; nothing where it ended meanwhile."""
    try:
        return read()
    except _GONE:
        return []


def _threads(one: psutil.Process) -> int:
    try:
        return one.num_threads()
    except _GONE:
        return 0


async def compare_footprints(
    base: Side, change: Side, plans: Sequence[Plan], requests_count: int = REQUESTS, settle_s: float = 1.0
) -> FootprintVerdict:
    """Ask both sides the same twice `requests_count` requests that read, and compare what is left after each round.

    Unmeasurable where one of them ends meanwhile; unknown where there is nothing to ask.
    """
    requests = [question.request for question in asking.reads(plans)]
    if not requests:
        note = "no request only reads, so nothing could be asked repeatedly"
        return FootprintVerdict(outcome="unknown", requests_count=0, base=(), change=(), notes=(note,))
    base_taken, change_taken = [take(base.running)], [take(change.running)]
    for _ in range(2):
        for side, taken in ((base, base_taken), (change, change_taken)):
            await _load(side, list(islice(cycle(requests), requests_count)))
            await asyncio.sleep(settle_s)
            taken.append(take(side.running))
    refusals = tuple(judged(base_taken, change_taken, requests_count))
    return FootprintVerdict(
        outcome="different" if refusals else "equal",
        requests_count=requests_count,
        base=tuple(base_taken),
        change=tuple(change_taken),
        refusals=refusals,
        notes=tuple(_notes(base_taken[-1], change_taken[-1])),
    )


async def _load(side: Side, requests: list[Request]) -> None:
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(request: Request) -> None:
        async with turn:
            await side.client.send(request)

    await asyncio.gather(*(one(request) for request in requests))


_COUNTS: tuple[tuple[Name, str, str], ...] = (
    ("leaks threads", "threads_count", "threads"),
    ("leaks open files", "files_count", "open files"),
    ("leaks sockets", "sockets_count", "sockets"),
)


def judged(base: Sequence[Footprint], change: Sequence[Footprint], requests_count: int) -> Iterator[Refusal]:
    """What the change leaves behind and the base does not, by name. Each holds three footprints: see the module."""
    leaked = list(_processes(base, change, requests_count))
    yield from leaked
    for name, field, what in () if leaked else _COUNTS:  # a process has threads, files and memory of its own
        ours, theirs = (_grown(side[1], side[2], field) for side in (change, base))
        if ours > max(theirs, 0) + requests_count * _GROWTH_SHARE:
            counts = " → ".join(str(getattr(one, field)) for one in change)
            yield Refusal(name=name, why=f"{what} {counts} over twice {requests_count} requests; the base {theirs:+d}")
    new = set(change[-1].listening_ports)
    if len(new) > len(base[-1].listening_ports):
        yield Refusal(name="opens a port", why=f"listens on {', '.join(map(str, sorted(new)))} besides its own port")
    more_bytes = change[-1].rss_bytes - base[-1].rss_bytes
    if not leaked and more_bytes > max(base[-1].rss_bytes * _MEMORY_SHARE, _MEMORY_BYTES):
        share = more_bytes / base[-1].rss_bytes
        why = f"{change[-1].rss_bytes:,} bytes resident, the base {base[-1].rss_bytes:,}: {share:+.0%}"
        yield Refusal(name="takes much more memory", why=why)


def _grown(before: Footprint, after: Footprint, field: str) -> int:
    return int(getattr(after, field)) - int(getattr(before, field))


def _processes(base: Sequence[Footprint], change: Sequence[Footprint], requests_count: int) -> Iterator[Refusal]:
    """A child more is a leak however it came: requests of the base leave none."""
    for field, what in (("processes_count", "processes"), ("unreaped_count", "ended children that nobody waits for")):
        ours, theirs = (_grown(side[0], side[2], field) for side in (change, base))
        if ours > max(theirs, 0):
            counts = " → ".join(str(getattr(one, field)) for one in change)
            why = f"{what} {counts} over twice {requests_count} requests; the base {theirs:+d}"
            yield Refusal(name="leaks processes", why=why)


def _notes(base: Footprint, change: Footprint) -> Iterator[str]:
    for field, what in (("processes_count", "processes"), ("threads_count", "threads")):
        one, other = getattr(base, field), getattr(change, field)
        if one != other:
            yield f"{other} {what} after the requests, the base {one}"
