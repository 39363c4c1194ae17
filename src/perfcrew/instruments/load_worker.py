"""The load driver's own process: JSON jobs on stdin, one answer a line on stdout.

In a process of its own since whatever else perfcrew does (parsing spans, drawing progress) would send requests late:
benchmarks/load.py shows both. The pace is kept by a thread that sleeps, since event loops round timers to
milliseconds. It ends with its standard input, so a perfcrew that was killed leaves no driver behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from perfcrew.core.web import Fingerprint, Request
from perfcrew.instruments import cpu_clock
from perfcrew.target.client import Answer, Client, fingerprint

ENCODING = "gzip"
"""Accepted by every request, as clients do: what an application compresses is measured compressed."""
MOST_IN_FLIGHT = 400
"""Connections. Requests that are due beyond it wait, and their waiting counts: it shows as lateness."""
KEPT_BYTES = 32 * 1024 * 1024
"""Of different bodies, whose shapes are compared after the clock has stopped."""

REST_S, REST_LIMIT_S, RESTLESS = 0.0001, 0.005, 3
"""A server rests where it works less than a quarter of so long and waits for no core; it is waited for so long, and so
often in vain."""


@dataclass
class Job:
    """Requests in the order they are sent, again and again, with what each must answer."""

    requests: list[Request]
    expected: list[Fingerprint | None]
    order: list[int]
    rate: float | None
    duration_s: float
    concurrency: int
    minimum: int
    most: int | None
    limit_s: float

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Job:
        own = {k: v for k, v in content.items() if k not in ("requests", "expected", "aims", "pids")}
        requests = [Request.model_validate(r) for r in content["requests"]]
        expected = [Fingerprint.model_validate(f) if f else None for f in content["expected"]]
        return cls(requests=requests, expected=expected, **own)


@dataclass
class _Sample:
    ms: float
    due_ms: float
    index: int
    digest: bytes
    cpu_ms: float = 0.0


@dataclass
class Tally:
    """What came back. Only answers of the expected status and shape are samples; the others are errors by kind."""

    job: Job
    samples: list[_Sample] = field(default_factory=list)
    lateness_ms: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    kept: dict[tuple[int, bytes], Answer] = field(default_factory=dict)
    kept_bytes: int = 0
    sent_bytes: int = 0
    asked: int = 0
    unchecked: int = 0
    crowded: int = 0
    elapsed_s: float = 0.0
    restless: bool = False

    def take(self, index: int, answer: Answer, due_s: float, *, late_ms: float = 0.0, ms: float | None = None) -> None:
        """Count an answer. `due_s` is since the beginning; without `ms` its time is the one from sending on."""
        self.lateness_ms.append(late_ms)
        self.sent_bytes += answer.sent_bytes
        if answer.error is not None:
            self.errors["time-out" if answer.timed_out else answer.error] += 1
            return
        self.statuses[answer.status] += 1
        if not _status_expected(self.job.requests[index], self.job.expected[index], answer.status):
            self.errors[f"status {answer.status}"] += 1
            return
        digest = hashlib.blake2b(answer.body, digest_size=16).digest()
        self._keep((index, digest), answer)
        self.samples.append(_Sample(answer.elapsed_ms if ms is None else ms, due_s * 1e3, index, digest))

    def _keep(self, key: tuple[int, bytes], answer: Answer) -> None:
        if key in self.kept or self.job.expected[key[0]] is None:
            return
        if self.kept_bytes + len(answer.body) > KEPT_BYTES:
            self.unchecked += 1
            return
        self.kept[key] = answer
        self.kept_bytes += len(answer.body)

    def result(self) -> dict[str, Any]:
        changed = {key for key, answer in self.kept.items() if self._other_shape(key[0], answer)}
        good = [s for s in self.samples if (s.index, s.digest) not in changed]
        if len(good) < len(self.samples):
            self.errors["another shape than when first asked"] += len(self.samples) - len(good)
        return {
            "samples_ms": [s.ms for s in good],
            "cpu_ms": [s.cpu_ms for s in good],
            "due_ms": [s.due_ms for s in good],
            "indices": [s.index for s in good],
            "lateness_ms": self.lateness_ms,
            "statuses": dict(self.statuses),
            "errors": dict(self.errors),
            "sent_bytes": self.sent_bytes,
            "asked": self.asked,
            "unchecked": self.unchecked,
            "crowded": self.crowded,
            "elapsed_s": self.elapsed_s,
            "restless": self.restless,
        }

    def _other_shape(self, index: int, answer: Answer) -> bool:
        expected = self.job.expected[index]
        return expected is not None and fingerprint(answer).shape != expected.shape


def _status_expected(request: Request, expected: Fingerprint | None, status: int) -> bool:
    wanted = request.expect if request.expect is not None else expected.status if expected else None
    return status == wanted if wanted is not None else 200 <= status < 300


async def closed(job: Job, client: Client) -> Tally:
    """So many users, each of whom sends the next request when the last one was answered."""
    tally, turns = Tally(job), cycle(job.order)
    began = time.perf_counter()

    def over() -> bool:
        elapsed = time.perf_counter() - began
        enough = elapsed >= job.duration_s and tally.asked >= job.minimum
        return enough or elapsed >= job.limit_s or (job.most is not None and tally.asked >= job.most)

    async def user() -> None:
        while not over():
            index = next(turns)
            tally.asked += 1
            sent = time.perf_counter()
            answer = await client.send(job.requests[index], accept_encoding=ENCODING)
            tally.take(index, answer, sent - began)
            if answer.refused:
                return  # nobody listens any more: asking on would only count the same error a million times

    await asyncio.gather(*(user() for _ in range(job.concurrency)))
    tally.elapsed_s = time.perf_counter() - began
    return tally


async def in_turn(job: Job, clients: tuple[Client, Client], pids: list[int]) -> tuple[Tally, Tally]:
    """Each request of both servers, one after the other, as ABBA. `pids`: who must rest before the next is sent, so
    that all work between two rests is that of one request."""
    tallies, turns, rest = (Tally(job), Tally(job)), cycle(job.order), _Rest(pids)
    began, worked_s = time.perf_counter(), rest.wait()

    def over() -> bool:
        elapsed, asked = time.perf_counter() - began, tallies[0].asked
        return (elapsed >= job.duration_s and asked >= job.minimum) or elapsed >= job.limit_s

    while not over():
        index = next(turns)
        for side in (0, 1) if tallies[0].asked % 2 == 0 else (1, 0):
            tally, known = tallies[side], len(tallies[side].samples)
            tally.asked += 1
            sent = time.perf_counter()
            answer = await clients[side].send(job.requests[index], accept_encoding=ENCODING)
            tally.take(index, answer, sent - began)
            if answer.refused:
                return tallies
            before_s, worked_s = worked_s, rest.wait()
            for sample in tally.samples[known:]:
                sample.cpu_ms = (worked_s - before_s) * 1e3
    for tally in tallies:
        tally.elapsed_s, tally.restless = time.perf_counter() - began, rest.tired
    return tallies


class _Rest:
    """Waits until processes work no more: what one server does after its answer must not delay the other's."""

    def __init__(self, pids: list[int]) -> None:
        self._pids, self._clocks = pids, [cpu_clock.clock_of(pid) for pid in pids]
        self._misses = 0

    @property
    def tired(self) -> bool:
        """They work on and on, so that they are not waited for any more."""
        return self._misses >= RESTLESS

    def wait(self) -> float:
        """For how long they have worked by then, all together, in seconds."""
        until, before = time.perf_counter() + REST_LIMIT_S, self._worked_s()
        if not self._clocks or self.tired:
            return before
        while time.perf_counter() < until:
            time.sleep(REST_S)
            before, after = self._worked_s(), before
            if before - after < REST_S / 4 and not any(map(cpu_clock.wants_core, self._pids)):
                return before
        self._misses += 1
        return before

    def _worked_s(self) -> float:
        with contextlib.suppress(OSError):
            return sum(time.clock_gettime(clock) for clock in self._clocks)
        self._clocks = []  # one has ended: whoever asks it next will see
        return 0.0


async def opened(job: Job, client: Client) -> Tally:
    """Requests at a fixed rate, whatever becomes of the ones before; each is timed from the moment it was due."""
    assert job.rate is not None
    tally, turns, tasks = Tally(job), cycle(job.order), set[asyncio.Task[None]]()
    places, paced = asyncio.Semaphore(MOST_IN_FLIGHT), asyncio.Event()
    began = time.perf_counter() + 0.01
    count = max(job.minimum, round(job.rate * job.duration_s))

    async def one(due: float) -> None:
        tally.crowded += places.locked()
        async with places:
            index = next(turns)
            late_ms = (time.perf_counter() - due) * 1e3
            answer = await client.send(job.requests[index], accept_encoding=ENCODING)
            tally.take(index, answer, due - began, late_ms=late_ms, ms=(time.perf_counter() - due) * 1e3)

    def start(due: float) -> None:
        tally.asked += 1
        task = asyncio.ensure_future(one(due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    pace = _Pace(began, 1 / job.rate, count, start, paced.set)
    pace.start()
    try:
        await asyncio.wait_for(paced.wait(), job.limit_s)
        if tasks:
            await asyncio.wait(tasks, timeout=job.limit_s)
    finally:
        pace.over.set()
        for task in tasks:
            task.cancel()
    if len(tally.lateness_ms) < tally.asked:
        tally.errors["time-out"] += tally.asked - len(tally.lateness_ms)
    tally.elapsed_s = time.perf_counter() - began
    return tally


class _Pace(threading.Thread):
    """Calls `start(due)` on the loop at each moment that a request is due."""

    def __init__(
        self, began: float, gap_s: float, count: int, start: Callable[[float], None], end: Callable[[], None]
    ) -> None:
        super().__init__(name="pace", daemon=True)
        self._began, self._gap_s, self._count, self._call, self._end = began, gap_s, count, start, end
        self._loop, self.over = asyncio.get_running_loop(), threading.Event()

    def run(self) -> None:
        for number in range(self._count):
            due = self._began + number * self._gap_s
            wait_s = due - time.perf_counter()
            if wait_s > 0:
                time.sleep(wait_s)
            if self.over.is_set():
                return
            self._loop.call_soon_threadsafe(self._call, due)
        self._loop.call_soon_threadsafe(self._end)


async def work(content: Mapping[str, Any]) -> dict[str, Any]:
    """One job from its JSON form to its result's."""
    job = Job.of(content)
    drive: Callable[[Job, Client], Awaitable[Tally]] = closed if job.rate is None else opened
    gc.collect()
    gc.disable()
    try:
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(Client(**aim)) for aim in content["aims"]]
            if len(clients) == 1:
                return (await drive(job, clients[0])).result()
            one, other = await in_turn(job, (clients[0], clients[1]), content["pids"])
            return {"sides": [one.result(), other.result()]}
    finally:
        gc.enable()


async def serve() -> None:
    """Answer each line of stdin until it ends."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        os._exit(0)  # nobody is there to hear the result

    threading.Thread(target=read, name="jobs", daemon=True).start()
    print(json.dumps({"ready": os.getpid()}), flush=True)
    while True:
        print(json.dumps(await work(json.loads(await lines.get()))), flush=True)


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve())
