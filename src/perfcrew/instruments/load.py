"""Load at a fixed rate (open loop) and at fixed concurrency (closed loop), with every request's time.

Open loop: each request is timed from the moment it was due, so a server that stalls can't hide the requests that it
kept from being sent (coordinated omission, G. Tene). Where the driver itself sends late, percentiles are refused.
Closed loop: gives capacity and the time of one request alone, and no percentile under load.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from perfcrew.core.errors import ToolFailed
from perfcrew.core.web import Fingerprint, Request

LATENESS_BOUND_MS = 5.0
LATENESS_SHARE = 0.2
"""Of the median latency: requests that are late by less than this part of it do not bend its percentiles."""
_COMMAND = (sys.executable, "-P", "-m", "perfcrew.instruments.load_worker")
_START_S = 30.0
_LINE_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Aim:
    """Whom to ask, and as whom. `timeout_s` is of one request."""

    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = 30.0


@dataclass(frozen=True)
class LoadResult:
    """Samples are the times of answers of the expected status and shape, in ms, in the order they ended.

    `errors` counts the others by kind. `indices` tells which request each sample is of.
    """

    load: str
    samples_ms: tuple[float, ...]
    indices: tuple[int, ...]
    lateness_ms: tuple[float, ...]
    statuses: dict[int, int]
    errors: dict[str, int]
    sent_bytes: int
    asked_count: int
    elapsed_s: float
    unchecked_count: int = 0
    """Different bodies beyond the memory kept for them, whose shape was not compared."""
    due_ms: tuple[float, ...] = ()
    """When each sample's request was due (open loop) or sent, since the beginning."""
    crowded_count: int = 0
    """Requests that waited since too many were under way: the target did not keep up."""
    restless: bool = False
    """The target works on after its answers, so that it was not waited for until it rested."""
    cpu_ms: tuple[float, ...] = ()
    """Processor time of each sample where requests were sent in turn; zeros where the kernel does not tell it."""

    @property
    def error_count(self) -> int:
        return sum(self.errors.values())

    @property
    def error_share(self) -> float:
        return self.error_count / self.asked_count if self.asked_count else 0.0

    @property
    def throughput_per_s(self) -> float:
        """Good answers a second."""
        return len(self.samples_ms) / self.elapsed_s if self.elapsed_s else 0.0

    @property
    def lateness_p99_ms(self) -> float:
        """By how much 99 of 100 requests were sent late at most; 0 for a closed loop."""
        return sorted(self.lateness_ms)[int(0.99 * (len(self.lateness_ms) - 1))] if self.lateness_ms else 0.0

    @property
    def late(self) -> str:
        """Why percentiles at this rate are refused; empty where the driver sent in time."""
        if self.crowded_count:
            return f"the target did not keep up: {self.crowded_count} requests waited to be sent"
        p99 = self.lateness_p99_ms
        median = sorted(self.samples_ms)[len(self.samples_ms) // 2] if self.samples_ms else 0.0
        bound = max(LATENESS_BOUND_MS, LATENESS_SHARE * median)
        return f"the driver sent {p99:.1f} ms late (p99), more than {bound:.1f} ms" if p99 > bound else ""


class Driver:
    """A load driver in a process of its own, for many jobs in turn. It ends with the block."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Driver:
        await self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._end()

    async def run(self, job: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
        """The worker's result of one job. Raises ToolFailed when it dies or takes longer than `limit_s`.

        The next job then starts another worker.
        """
        async with self._turn:
            process = self._process or await self._start()
            assert process.stdin is not None
            try:
                process.stdin.write(json.dumps(job).encode() + b"\n")
                await process.stdin.drain()
                return await self._line(limit_s)
            except ConnectionError:
                raise await self._died() from None
            except BaseException:
                await self._end()  # half a job may still come: its answer must not be read as the next one's
                raise

    async def _start(self) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES,
        )
        try:
            await self._line(_START_S)
        except BaseException:
            await self._end()
            raise
        return self._process

    async def _line(self, limit_s: float) -> dict[str, Any]:
        assert self._process is not None and self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), limit_s)
        except TimeoutError:
            raise ToolFailed(f"the load driver gave no result within {limit_s:.0f} s", command=_COMMAND) from None
        if not line:
            raise await self._died()
        content = json.loads(line)
        assert isinstance(content, dict)
        return content

    async def _died(self) -> ToolFailed:
        assert self._process is not None and self._process.stderr is not None
        tail = (await self._process.stderr.read()).decode(errors="replace")[-2000:]
        exit = await self._process.wait()
        self._process = None
        return ToolFailed("the load driver died", command=_COMMAND, exit=exit, tail=tail, do="report this as a defect")

    async def _end(self) -> None:
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        await process.wait()
        self._process = None


async def open_loop(
    aim: Aim,
    requests: Sequence[Request],
    *,
    rate: float,
    duration_s: float,
    minimum: int = 0,
    expected: Sequence[Fingerprint] = (),
    order: Sequence[int] = (),
    driver: Driver | None = None,
) -> LoadResult:
    """Send `rate` requests a second, in turn or in `order`, at least `minimum`; times count from when each was due.

    `expected` are the answers' fingerprints; another status or shape is an error. Without a `driver` one is started.
    Raises ToolFailed where the driver dies.
    """
    content = _job((aim,), requests, expected, order, duration_s=duration_s, minimum=minimum, rate=rate)
    return _result(await _drive(content, driver), f"open {rate:.3g}/s")


async def closed_loop(
    aim: Aim,
    requests: Sequence[Request],
    *,
    concurrency: int = 1,
    duration_s: float = 0.0,
    minimum: int = 0,
    count: int | None = None,
    expected: Sequence[Fingerprint] = (),
    order: Sequence[int] = (),
    driver: Driver | None = None,
) -> LoadResult:
    """`concurrency` users in a closed loop for `duration_s` and at least `minimum` requests, or for `count` requests.

    Raises ToolFailed where the driver dies.
    """
    if count is not None:
        minimum, duration_s = count, 0.0
    content = _job(
        (aim,),
        requests,
        expected,
        order,
        duration_s=duration_s,
        minimum=minimum,
        most=count,
        concurrency=concurrency,
    )
    return _result(await _drive(content, driver), f"closed c={concurrency}")


async def in_turn(
    aims: tuple[Aim, Aim],
    requests: Sequence[Request],
    *,
    duration_s: float,
    minimum: int,
    expected: Sequence[Fingerprint] = (),
    pids: Sequence[int] = (),
    driver: Driver | None = None,
) -> tuple[LoadResult, LoadResult]:
    """Each request of both servers, one after the other: so often of each at least, and until the time is over.

    Before each it is waited, a few milliseconds at most, until these processes rest. ToolFailed where the driver dies.
    """
    content = _job(aims, requests, expected, (), duration_s=duration_s, minimum=minimum)
    told = await _drive({**content, "pids": list(pids)}, driver)
    one, other = (_result(side, "in turn") for side in told["sides"])
    return one, other


def _job(
    aims: Sequence[Aim],
    requests: Sequence[Request],
    expected: Sequence[Fingerprint],
    order: Sequence[int],
    *,
    duration_s: float,
    minimum: int,
    rate: float | None = None,
    concurrency: int = 1,
    most: int | None = None,
) -> dict[str, Any]:
    if not requests:
        raise ValueError("no request to send")
    known = [f.model_dump() for f in expected[: len(requests)]]
    return {
        "aims": [
            {
                "base_url": aim.base_url,
                "headers": dict(aim.headers),
                "cookies": dict(aim.cookies),
                "timeout_s": aim.timeout_s,
            }
            for aim in aims
        ],
        "requests": [r.model_dump() for r in requests],
        "expected": known + [None] * (len(requests) - len(known)),
        "order": list(order) or list(range(len(requests))),
        "rate": rate,
        "duration_s": duration_s,
        "concurrency": concurrency,
        "minimum": minimum,
        "most": most,
        "limit_s": _limit_s(aims[0], duration_s, minimum, rate),
    }


def _limit_s(aim: Aim, duration_s: float, minimum: int, rate: float | None) -> float:
    """After which no further request is sent: a slow endpoint gets its fewest requests, a hanging one does not."""
    paced_s = minimum / rate if rate else 0.0
    return max(duration_s, paced_s) + 2 * aim.timeout_s


async def _drive(content: Mapping[str, Any], driver: Driver | None) -> dict[str, Any]:
    limit_s = 2 * content["limit_s"] + content["aims"][0]["timeout_s"] + _START_S
    async with AsyncExitStack() as stack:
        active = await stack.enter_async_context(Driver()) if driver is None else driver
        return await active.run(content, limit_s)


def _result(told: Mapping[str, Any], load: str) -> LoadResult:
    return LoadResult(
        load=load,
        samples_ms=tuple(told["samples_ms"]),
        indices=tuple(told["indices"]),
        lateness_ms=tuple(told["lateness_ms"]),
        statuses={int(status): count for status, count in told["statuses"].items()},
        errors=told["errors"],
        sent_bytes=told["sent_bytes"],
        asked_count=told["asked"],
        elapsed_s=told["elapsed_s"],
        unchecked_count=told["unchecked"],
        due_ms=tuple(told["due_ms"]),
        crowded_count=told["crowded"],
        restless=told["restless"],
        cpu_ms=tuple(told["cpu_ms"]),
    )
