"""Runs the target: a free port, an environment, waiting until it answers, and its whole end."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from perfcrew.core.errors import TargetFailed
from perfcrew.core.project import Project
from perfcrew.target import hints, process
from perfcrew.target.environment import BYTECODE, HOST, environment_of, layered, start_command
from perfcrew.target.leftovers import Registry
from perfcrew.target.redis.private import Private, private
from perfcrew.target.spawn import Child, spawn, uninterrupted
from perfcrew.target.startup import ask, until_up

if TYPE_CHECKING:
    from perfcrew.target.clone import Clone

_ATTEMPTS = 3
_TAKEN = ("address already in use", "failed to bind to address", "errno 98", "errno 48")


@dataclass
class Running:
    """The target as it runs. `start_ms` is from its program's begin to its first answer.

    `start_waited_ms` is what its main thread waited for a core meanwhile, None where the kernel does not tell.
    """

    project: Project
    child: Child
    port: int
    start_ms: float
    temporary: Path
    notes: tuple[str, ...] = ()
    """What was odd about the start, such as a health path that answers 500."""
    data: Clone | None = None
    redis: Private = field(default_factory=Private)
    """What it was given for its Redis."""
    start_waited_ms: float | None = None
    _environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    _folder: str = ""
    _start: _Start | None = None
    _times: int = 1

    host = HOST

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        return self.child.pid

    @property
    def log(self) -> Path:
        return self.child.log.path

    def tail(self, lines: int = 40) -> str:
        """The last lines of its log, without secrets."""
        if not self.alive():
            self.child.log.settle()
        return hints.readable(self.child.log.tail(lines), self._environment)

    def alive(self) -> bool:
        return self.child.exit is None

    async def check(self, timeout_s: float = 10.0) -> None:
        """Raise TargetFailed when it has died, or gives no answer for `timeout_s`."""
        until = time.monotonic() + timeout_s
        while self.alive() and (left_s := until - time.monotonic()) > 0:
            if await ask(self.port, self.project.health or "/", left_s) is not None:
                return
            await asyncio.sleep(0.05)  # a dropped connection: it is dying, or replaces a worker
        if not self.alive():
            raise self.failed("the target died under way")
        raise self.failed(f"the target did not answer within {timeout_s:g} s")

    async def again(self) -> None:
        """Start it once more, at the same port and on the same data, after what is left of it was ended.

        The log is another one, `<name>.again-<n>.log`. Raises TargetFailed when it does not come up.
        """
        assert self._start is not None
        await uninterrupted(asyncio.to_thread(self.child.end))
        await asyncio.to_thread(process.wait_free, self.port)
        name = f"{self._start.name}.again-{self._times}"
        self._times += 1
        self.child = _spawned(self._start, self.port, self.temporary, name)
        await until_up(self)

    def processes(self) -> list[psutil.Process]:
        """Every living process of its tree."""
        return self.child.processes()

    def cpu_ms(self) -> float:
        """User and system time of the whole tree since its start, ended children included where the kernel tells."""
        return process.cpu_ms(self.processes())

    def rss_bytes(self) -> int:
        """Resident memory of the whole tree now (shared pages count once a process)."""
        return process.rss_bytes(self.processes())

    async def stop(self) -> None:
        """End the whole tree and see its port free. May be called twice.

        Raises TargetFailed, naming the holder, when the port is still held.
        """
        await asyncio.to_thread(self._end)
        if not await asyncio.to_thread(process.wait_free, self.port):
            raise self.failed(f"port {self.port} is still held by pid {process.holder(self.port)} after the end")

    def _end(self) -> None:
        self.child.end()
        shutil.rmtree(self.temporary, ignore_errors=True)
        self.child.registry.over(self._folder)

    def failed(self, what: str, do: str = "") -> TargetFailed:
        tail = self.tail()
        do = do or hints.what_to_do(tail, self.project.python)
        command = [hints.redact(word, self._environment) for word in self.child.command]
        return TargetFailed(what, command=command, exit=self.child.exit, tail=tail, where=str(self.log), do=do)


@asynccontextmanager
async def launch(
    project: Project,
    *,
    data: Clone | None,
    workspace: Path,
    registry: Registry,
    environment: Mapping[str, str] | None = None,
    wrap: Sequence[str] = (),
    name: str = "target",
    port: int | None = None,
    core: int | None = None,
) -> AsyncIterator[Running]:
    """Run the target on its clone until the block ends, however it ends; on one core where that is named.

    `environment` wins over the clone's, which wins over the project's; PYTHONPATHs are joined in that order.
    `wrap` is put in front of the start command. The log is `<workspace>/<name>.log`.
    Where it uses a Redis it gets one of its own (`Running.redis`). UsageError where it would use the user's.
    Raises TargetFailed with command, exit, tail of the log and what to do, when it does not come up.
    """
    os.makedirs(workspace, exist_ok=True)
    extra = environment or {}
    whole = environment_of(project, data, extra)
    async with private(project, whole, workspace=workspace, registry=registry, name=name) as redis:
        told = layered(extra, redis.environment)
        running = await _start(_Start(project, data, workspace, registry, told, tuple(wrap), name, redis, core), port)
        try:
            yield running
            await asyncio.to_thread(redis.refuse_strays, running.processes())
        finally:
            await uninterrupted(running.stop())


@dataclass(frozen=True)
class _Start:
    project: Project
    data: Clone | None
    workspace: Path
    registry: Registry
    environment: Mapping[str, str]
    wrap: tuple[str, ...]
    name: str
    redis: Private
    core: int | None = None


async def _start(start: _Start, port: int | None) -> Running:
    for attempt in range(_ATTEMPTS):
        running = _begin(start, port or process.free_port(HOST))
        try:
            await until_up(running)
        except BaseException as error:
            await uninterrupted(asyncio.to_thread(running._end))
            if port is None and attempt + 1 < _ATTEMPTS and isinstance(error, TargetFailed) and _port_taken(running):
                continue
            raise
        return running
    raise AssertionError("the last attempt returns or raises")


def _port_taken(running: Running) -> bool:
    """Whether somebody took the port between our choice and the target's use of it. Ours has ended by now."""
    said = running.child.log.tail(60).lower()
    return any(words in said for words in _TAKEN) or not process.wait_free(running.port, limit_s=0.5)


def _begin(start: _Start, port: int) -> Running:
    temporary = Path(tempfile.gettempdir()) / f"perfcrew-{os.getpid()}-{start.name[:20]}-{port}"
    folder = start.registry.temporary(temporary)
    temporary.mkdir(mode=0o700, exist_ok=True)
    try:
        child = _spawned(start, port, temporary, start.name)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        start.registry.over(folder)
        raise
    own = {**_environment(start, port, temporary), **start.project.environment}
    return Running(
        start.project,
        child,
        port,
        0.0,
        temporary,
        notes=start.redis.notes,
        data=start.data,
        redis=start.redis,
        _environment=own,
        _folder=folder,
        _start=start,
    )


def _environment(start: _Start, port: int, temporary: Path) -> dict[str, str]:
    environment = environment_of(
        start.project, start.data, start.environment, port=port, bytecode=start.workspace / BYTECODE
    )
    return {**environment, "TMPDIR": str(temporary)}


def _spawned(start: _Start, port: int, temporary: Path, name: str) -> Child:
    child = spawn(
        [*start.wrap, *_command(start, port)],
        cwd=(start.data.workdir if start.data else None) or start.project.workdir,
        environment=_environment(start, port, temporary),
        log=start.workspace / f"{name}.log",
        registry=start.registry,
        what=f"{start.project.name} ({name})",
    )
    if start.core is not None:
        process.pin(child.pid, start.core)
    return child


def _command(start: _Start, port: int) -> list[str]:
    words = start_command(start.project, port)
    return [start.data.moved(word) for word in words] if start.data else words
