"""One run of a command as a fresh process: what it took, what it answered, and whether it left something behind.

CPU time is the kernel's for the process and its waited-for children (`wait4`). The wait for a core is the run-queue
delay of its main thread (`/proc/PID/schedstat`, read while the ended process still lies there), where Linux has it.
The kernel counts the memory of whoever starts a process into that process' peak, so a peak is known only above ours.
Whatever it leaves running is found by its session or by a mark in its environment, and ended.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import resource
import secrets
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from perfcrew.core.errors import CommandError, ToolMissing, Unmeasurable, UsageError
from perfcrew.target.process import MARK, alive, end, main_thread_ms, marked, pin

_TAIL_BYTES = 2000
_OWN_FIGURES = ("wall", "cpu", "check")
_LINGER_S = 0.3
"""Helpers that end with their parent, such as multiprocessing's resource tracker, do so within this time."""
_CLOCK_TICK_S = 0.02
"""When a process was created is known to a tick of 10 ms."""


@dataclass(frozen=True)
class Launch:
    """How a command is run. `own_figures`: it reports its own figures as JSON on its last line."""

    command: tuple[str, ...]
    cwd: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 600.0
    own_figures: bool = False
    core: int | None = None
    """Pinned to this core; None: wherever the kernel puts it."""
    mark: str = ""
    """A registry's token, by which a later perfcrew ends what a killed one left. No two runs at once share it."""


@dataclass(frozen=True)
class CommandRun:
    """Times in ms, memory in bytes. `ready_ms` is wall time less the main thread's wait for a core."""

    wall_ms: float
    cpu_ms: float
    ready_ms: float | None
    rss_bytes: float | None
    """None where it is no more than our own, which hides it."""
    check: str
    own: Mapping[str, float] = field(default_factory=dict)
    """The command's own figures: `wall` and `cpu` in ms, any other number as it is."""
    left_running: bool = False
    """It ended and left processes behind, which were ended too. What they cost is in none of these figures."""
    main_ms: float | None = None
    """Of `cpu_ms`, what its main thread worked."""


class Stop:
    """Ends the command that is being measured in another thread, or that one is about to start there."""

    def __init__(self) -> None:
        self._lock, self._pid, self._asked = threading.Lock(), 0, False

    def now(self) -> None:
        """End it; nothing happens where it has ended."""
        with self._lock:
            self._asked = True
            if self._pid:
                _kill_group(self._pid)

    @contextlib.contextmanager
    def watching(self, pid: int) -> Iterator[None]:
        """While in the block, this is what `now` ends."""
        with self._lock:
            self._pid = pid
            if self._asked:
                _kill_group(pid)
        try:
            yield
        finally:
            with self._lock:
                self._pid = 0


def measure_command(launch: Launch, stop: Stop | None = None) -> CommandRun:
    """Run it once. ToolMissing where there is no such program, CommandError where it fails or runs out of time,
    Unmeasurable where its own figures are asked for and it prints none.
    """
    token, hidden_bytes = launch.mark or secrets.token_hex(8), _rss_bytes(resource.getrusage(resource.RUSAGE_SELF))
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        since, began = time.time() - _CLOCK_TICK_S, time.perf_counter()
        process = _start(launch, token, out, err)
        with _ended(process, launch.timeout_s, token) as late, (stop or Stop()).watching(process.pid):
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            wall_ms = (time.perf_counter() - began) * 1e3
            main_ms, waited_ms = main_thread_ms(process.pid)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            left = _left_running(token, since)
        if process.returncode != 0:
            raise _failed(launch, process.returncode, err, late.is_set())
        digest, last = _answer(out)
    own, check = _own(launch, last) if launch.own_figures else ({}, digest)
    cpu_ms = (usage.ru_utime + usage.ru_stime) * 1e3
    ready_ms = None if waited_ms is None else max(wall_ms - waited_ms, 0.0)
    rss_bytes = _rss_bytes(usage) if _rss_bytes(usage) > hidden_bytes else None
    return CommandRun(wall_ms, cpu_ms, ready_ms, rss_bytes, check, own, left, main_ms)


def _start(launch: Launch, token: str, out: IO[bytes], err: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        process = subprocess.Popen(
            launch.command,
            cwd=launch.cwd,
            env={**os.environ, **launch.environment, MARK: token},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise ToolMissing(
            f"the command can't be started: {error.strerror}",
            command=launch.command,
            where=str(launch.cwd),
            do="check its first word and the folder",
        ) from None
    if launch.core is not None:
        pin(process.pid, launch.core)
    return process


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes], timeout_s: float, token: str) -> Iterator[threading.Event]:
    """Whatever happens in the block, nothing that the command started runs afterwards. Set: it ran out of time."""
    late = threading.Event()

    def too_late() -> None:
        late.set()
        _kill_group(process.pid)

    timer = threading.Timer(timeout_s, too_late)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()
        _kill_group(process.pid)
        if process.returncode is None:
            process.wait()
        end(lambda: marked({token}), grace_s=0.0)  # what changed its session, or lost its parent


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _left_running(token: str, since: float) -> bool:
    """Whether anything that carries the mark still runs a moment after the command ended."""
    until = time.monotonic() + _LINGER_S
    while any(_may_be_left(process, token, since) for process in psutil.process_iter()):
        if time.monotonic() > until:
            return bool(marked({token}))
        time.sleep(0.01)
    return False


def _may_be_left(process: psutil.Process, token: str, since: float) -> bool:
    """It carries the mark, or is so new that it has no environment yet: in the midst of an exec there is none."""
    try:
        environment = process.environ()
        mine = environment.get(MARK) == token or (not environment and process.create_time() >= since)
        return mine and alive(process)
    except (psutil.Error, OSError):
        return False


def _rss_bytes(usage: resource.struct_rusage) -> float:
    return float(usage.ru_maxrss) * (1 if os.uname().sysname == "Darwin" else 1024)


def _failed(launch: Launch, exit: int, err: IO[bytes], late: bool) -> CommandError:
    err.seek(max(0, err.seek(0, os.SEEK_END) - _TAIL_BYTES))
    return CommandError(
        f"the command did not end within {launch.timeout_s:g} s" if late else "the command failed",
        command=launch.command,
        exit=exit,
        tail=err.read().decode(errors="replace").strip(),
        where=str(launch.cwd),
        do="raise --timeout" if late else "run it by hand; both sides must end with exit code 0",
    )


def _answer(out: IO[bytes]) -> tuple[str, str]:
    """The digest of all that was printed, and its last line that is not empty."""
    out.seek(0)
    hashed = hashlib.sha256()
    while chunk := out.read(1 << 20):
        hashed.update(chunk)
    digest = hashed.hexdigest()[:16]
    out.seek(max(0, out.seek(0, os.SEEK_END) - 65536))
    lines = [line for line in out.read().decode(errors="replace").splitlines() if line.strip()]
    return digest, lines[-1] if lines else ""


def _own(launch: Launch, line: str) -> tuple[dict[str, float], str]:
    try:
        told = json.loads(line)
    except ValueError:
        told = None
    if not isinstance(told, dict) or not all(_is_time(told.get(name)) for name in ("wall", "cpu")):
        raise Unmeasurable(
            "the command's last line is not its figures",
            where=f"{' '.join(launch.command)}: {line[:200]!r}",
            do='print one JSON object as the last line, such as {"wall": 0.31, "cpu": 0.30, "check": "9f2c"} (seconds)',
        )
    own = {name: float(told[name]) * 1e3 for name in ("wall", "cpu")}
    own |= {k: float(v) for k, v in told.items() if k not in _OWN_FIGURES and _is_time(v)}
    return own, str(told.get("check", ""))


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def words(command: str) -> tuple[str, ...]:
    """A command as given on a command line, split like a shell would; UsageError for an open quote or nothing."""
    import shlex

    try:
        found: Sequence[str] = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"{error} in the command", where=command, do="close the quotation") from None
    if not found:
        raise UsageError("the command is empty", do='give it as one word: --command "python work.py"')
    return tuple(found)
