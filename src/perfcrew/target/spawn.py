"""Starts one process of ours: own session, no input, a bounded log, our mark; and ends it with all it started."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil

from perfcrew.core.errors import TargetFailed
from perfcrew.target import process
from perfcrew.target.bounded_log import BoundedLog
from perfcrew.target.hints import readable
from perfcrew.target.leftovers import Registry

_GUARD = Path(__file__).with_name("_guard.py")
T = TypeVar("T")


@dataclass(frozen=True)
class Ran:
    """How a program ended. `exit` is None where it was ended by us because its time was over."""

    command: tuple[str, ...]
    exit: int | None
    duration_s: float
    tail: str
    """The last lines it printed, without secrets."""


@dataclass
class Child:
    """A process that we started. `exec_at` is the monotonic second at which its program took over."""

    popen: subprocess.Popen[bytes]
    command: tuple[str, ...]
    token: str
    log: BoundedLog
    registry: Registry
    exec_at: float
    _seen: dict[int, psutil.Process] = field(default_factory=dict)

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def exit(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self.popen.poll()

    def processes(self) -> list[psutil.Process]:
        """The living processes of its tree, wherever they moved to."""
        found = process.tree(self.pid, self.token) if self.exit is None else process.marked({self.token})
        self._seen.update({p.pid: p for p in found})
        return [p for p in self._seen.values() if process.alive(p)]

    def remember(self) -> None:
        """Write down the descendants of now, so that a later sweep knows those that hide their environment."""
        self.registry.began(self.token, self.pid, self.processes())

    def end(self, grace_s: float = 5.0) -> None:
        """End the whole tree, finish the log, take it off the registry. Blocks up to about grace + 10 s."""
        process.end(self.processes, grace_s=grace_s)
        self.popen.wait(timeout=5)
        self.log.close()
        self.registry.over(self.token)


def spawn(
    command: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    log: Path,
    registry: Registry,
    what: str,
) -> Child:
    """Start a command. It ends when the calling thread ends (Linux), so call it from a thread that stays.

    Raises TargetFailed where there is no such program or folder.
    """
    token = registry.process(what)
    pump = BoundedLog(log)
    try:
        popen = _popen(command, cwd, {**environment, process.MARK: token}, pump)
    except BaseException:
        registry.over(token)
        raise
    child = Child(popen, tuple(command), token, pump, registry, time.monotonic())
    registry.began(token, popen.pid)
    return child


def _popen(
    command: Sequence[str], cwd: Path, environment: Mapping[str, str], pump: BoundedLog
) -> subprocess.Popen[bytes]:
    report_read, report_write = os.pipe()
    log_read, log_write = os.pipe()
    guard = [sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()), str(report_write), *command]
    try:
        popen = subprocess.Popen(
            guard,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=log_write,
            stderr=log_write,
            pass_fds=[report_write],
            start_new_session=True,
        )
    except OSError as error:
        os.close(report_read)
        os.close(log_read)
        raise TargetFailed(f"cannot start: {error}", command=command, where=str(cwd)) from error
    finally:
        os.close(report_write)
        os.close(log_write)
    pump.pump(log_read)
    with open(report_read, "rb") as report:
        problem = report.read().decode(errors="replace")
    if problem:
        popen.wait(timeout=5)
        pump.close()
        do = "install it into the target's environment, or correct the command in perfcrew.toml"
        raise TargetFailed(f"cannot start {command[0]}: {problem}", command=command, exit=127, where=str(cwd), do=do)
    return popen


async def ran(
    command: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    log: Path,
    registry: Registry,
    what: str,
    timeout_s: float,
) -> Ran:
    """Run a command to its end, whatever its exit status, within a time; all that it started is ended with it.

    Raises TargetFailed where there is no such program or folder.
    """
    began = time.monotonic()
    child = spawn(command, cwd=cwd, environment=environment, log=log, registry=registry, what=what)
    try:
        while child.exit is None and time.monotonic() - began < timeout_s:  # noqa: ASYNC110 - nothing tells of its end
            await asyncio.sleep(0.02)
        status, duration_s = child.exit, time.monotonic() - began
    finally:
        await uninterrupted(asyncio.to_thread(child.end, 2.0))
    return Ran(tuple(command), status, round(duration_s, 2), readable(child.log.tail(), environment))


async def run(
    command: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    log: Path,
    registry: Registry,
    what: str,
    timeout_s: float = 300.0,
) -> Ran:
    """The same. Raises TargetFailed also when it exits with anything but 0, or takes longer than `timeout_s`."""
    done = await ran(
        command, cwd=cwd, environment=environment, log=log, registry=registry, what=what, timeout_s=timeout_s
    )
    if done.exit is None:
        raise TargetFailed(
            f"{what} did not end within {timeout_s:g} s", command=command, tail=done.tail, where=str(cwd)
        )
    if done.exit:
        raise TargetFailed(f"{what} failed", command=command, exit=done.exit, tail=done.tail, where=str(cwd))
    return done


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Await clean-up to its end even when cancelled meanwhile; the cancellation is raised afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return task.result()
