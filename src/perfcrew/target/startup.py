"""Waits until the target answers, and says what is wrong when it doesn't."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING

import psutil

from perfcrew.target import hints, process
from perfcrew.target.environment import FREE, HOST

if TYPE_CHECKING:
    from perfcrew.target.launch import Running

_HEALTH_GRACE_S = 10.0
_LOOK_EVERY_S = 1.0
_ELSEWHERE_LOOKS = 3


async def until_up(running: Running) -> None:
    """Wait for the first answer and note when it came. Raises TargetFailed where none comes in time."""
    project, child = running.project, running.child
    until = child.exec_at + project.start_timeout_s
    elsewhere = _Elsewhere(running)
    while time.monotonic() < until:
        if child.exit is not None:
            raise running.failed("the target ended before it answered")
        if process.is_listening(running.port):
            await _first_answer(running, until)
            child.remember()
            return
        elsewhere.look()
        await asyncio.sleep(0.01 if time.monotonic() - child.exec_at < 2 else 0.03)
    raise running.failed(
        f"the target did not listen on port {running.port} within {project.start_timeout_s:g} s",
        do=hints.what_to_do(running.tail(), project.python)
        or "look at its log; if it only needs longer, raise `target.start_timeout_s` in perfcrew.toml",
    )


class _Elsewhere:
    """Notices a target that listens on other ports only. Looks seldom: to look costs what the start needs itself."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.next_at = running.child.exec_at + _LOOK_EVERY_S
        self.times = 0

    def look(self) -> None:
        """Raise TargetFailed once it was seen `_ELSEWHERE_LOOKS` times in a row; or where it asks for another Redis."""
        if time.monotonic() < self.next_at:
            return
        self.running.redis.refuse_strays(())
        others = {found.port for found in process.listeners(self.running.processes())} - self._second()
        self.times = self.times + 1 if others and self.running.port not in others else 0
        self.next_at = time.monotonic() + _LOOK_EVERY_S
        if self.times >= _ELSEWHERE_LOOKS:
            ports = ", ".join(map(str, sorted(others)))
            raise self.running.failed(
                f"the target listens on port {ports}, not on {self.running.port} as it was told",
                do="put `{port}` into `target.start` (or into the variable that carries the port) in perfcrew.toml",
            )

    def _second(self) -> set[int]:
        """The ports that it was given for what it opens beside its own: they may be open long before that."""
        project, child = self.running.project, self.running.child
        names = [name for name, value in project.environment.items() if FREE in value]
        try:
            given = psutil.Process(child.pid).environ() if names else {}
        except psutil.Error:
            given = {}  # it has ended, which is told elsewhere
        told = [given.get(name, "") for name in names]
        told += [word for word in child.command if any(FREE in own for own in project.start)]
        return {int(digits) for text in told for digits in re.findall(r"\d+", text) if len(digits) <= 5}


async def _first_answer(running: Running, until: float) -> None:
    """Wait for the first HTTP answer. On a health path a 5xx means not ready yet, for a while."""
    path, grace_until, status = running.project.health or "/", 0.0, None
    while time.monotonic() < until and running.alive():
        status = await ask(running.port, path, min(15.0, max(0.5, until - time.monotonic())))
        now = time.monotonic()
        if status is not None:
            grace_until = grace_until or min(until, now + _HEALTH_GRACE_S)
            if status < 500 or not running.project.health or now >= grace_until:
                running.start_ms = (now - running.child.exec_at) * 1e3
                running.start_waited_ms = _waited_ms(running)
                _note(running, path, status)
                return await asyncio.to_thread(_see_owner, running)
        await asyncio.sleep(0.02 if status is None else 0.2)
    if not running.alive():
        raise running.failed("the target ended before it answered")
    said = f"answered {status}" if status else "gave no HTTP answer"
    raise running.failed(
        f"the target listens on port {running.port}, but {path} {said} within {running.project.start_timeout_s:g} s",
        do="set `target.health` in perfcrew.toml to a path that answers, or find out from its log what it waits for",
    )


def _waited_ms(running: Running) -> float | None:
    """For a core, since its program began. The kernel counts from the fork on: on a crowded machine that may be more
    than the start took, which was no less than its work."""
    worked_ms, waited_ms = process.main_thread_ms(running.pid)
    return None if worked_ms is None or waited_ms is None else max(0.0, min(waited_ms, running.start_ms - worked_ms))


def _note(running: Running, path: str, status: int) -> None:
    if status >= 500 or (running.project.health and status >= 400):
        running.notes += (f"{path} answered {status} at the start",)


def _see_owner(running: Running) -> None:
    """The answer must come from our tree: somebody else may have taken the port a moment ago."""
    ours = process.listeners(running.processes())
    holder = process.holder(running.port)
    if holder is not None and running.port not in {found.port for found in ours}:
        raise running.failed(f"port {running.port} (address already in use) is held by another process, pid {holder}")
    if running.data is not None:
        running.data.refuse_strays(running.processes())
    running.redis.refuse_strays(running.processes())


async def ask(port: int, path: str, timeout_s: float) -> int | None:
    """The status that GET `path` answers on loopback, None where nothing comes in time."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _status(port, path)
    except (TimeoutError, OSError, ValueError):
        return None


async def _status(port: int, path: str) -> int | None:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        head = f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        await writer.drain()
        words = (await reader.readline()).split()
        return int(words[1]) if len(words) > 1 and words[0].startswith(b"HTTP/") else None
    finally:
        writer.close()
