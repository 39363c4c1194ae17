"""Processes as a tree: who belongs to what we started, what it costs, and its whole end.

A process belongs to us when it carries our mark in its environment, descends from the leader, or is in its session.
The mark survives what loses the other two: double forks, a new group, a new session, the leader's death.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import NamedTuple

import psutil

from perfcrew.core.errors import Unmeasurable

MARK = "PERFCREW_OWNED"
"""Environment variable that everything we start inherits; its value is the token of that start."""

CAN_PIN = hasattr(os, "sched_setaffinity")
"""Whether a process can be put on one core here."""

_LISTENS = "0A"
"""The state of a socket that listens, as the kernel's tables write it."""
_GONE = (psutil.NoSuchProcess, psutil.ZombieProcess)
_UNSEEN = (*_GONE, psutil.AccessDenied)


class Listener(NamedTuple):
    """A process that listens on a TCP port; pid None where the kernel doesn't say whose it is."""

    port: int
    pid: int | None


def started(pid: int) -> str | None:
    """What tells this process from a later one with the same pid; None where there is none.

    Start ticks and boot id on Linux: psutil's epoch time moves when the clock is set.
    """
    if sys.platform != "linux":
        return _created(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else f"{_boot()}:{fields[19]}"


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]


def _created(pid: int) -> str | None:
    try:
        return f"{psutil.Process(pid).create_time():.2f}"
    except psutil.NoSuchProcess:
        return None


def usable_cores() -> list[int]:
    """The cores that this process may use, by number; all where that is not told."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def pin(pid: int, core: int) -> bool:
    """Put every thread of it on one core, and what they start later. False where the system can't, or won't."""
    if not CAN_PIN:
        return False
    try:
        for task in Path(f"/proc/{pid}/task").glob("*"):
            with contextlib.suppress(ProcessLookupError):  # that thread has ended
                os.sched_setaffinity(int(task.name), {core})
    except OSError:
        return False
    return True


def main_thread_ms(pid: int) -> tuple[float, float] | tuple[None, None]:
    """How long its main thread worked, and how long it waited for a core; the kernel of Linux tells it."""
    try:
        worked, waited = Path(f"/proc/{pid}/schedstat").read_text().split()[:2]
        return int(worked) / 1e6, int(waited) / 1e6
    except (OSError, ValueError):
        return None, None


def marked(tokens: Collection[str]) -> list[psutil.Process]:
    """The living processes that carry one of these tokens. Those whose environment we may not read are not ours."""
    return [p for p in psutil.process_iter() if _mark(p) in tokens and alive(p)]


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except _UNSEEN:
        return None
    except OSError:  # psutil lets ESRCH through when a process ends while its environment is read
        return None


def alive(process: psutil.Process) -> bool:
    """Whether it still runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def tree(leader: int, token: str = "") -> list[psutil.Process]:
    """The leader (known to be the caller's own), its descendants and its session; with a token the marked too."""
    found = {p.pid: p for p in (*_descendants(leader), *_session(leader))}
    if token:
        found.update({p.pid: p for p in marked({token})})
    return [p for p in found.values() if alive(p)]


def _descendants(leader: int) -> list[psutil.Process]:
    try:
        top = psutil.Process(leader)
        return [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _session(leader: int) -> list[psutil.Process]:
    return [p for p in psutil.process_iter() if _session_of(p.pid) == leader]


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def cpu_ms(processes: Iterable[psutil.Process]) -> float:
    """User and system time of these processes, with that of their children which ended (as far as the kernel tells)."""
    total_s = 0.0
    for process in processes:
        try:
            total_s += sum(process.cpu_times()[:4])
        except _UNSEEN:
            continue
    return total_s * 1e3


def rss_bytes(processes: Iterable[psutil.Process]) -> int:
    """Resident memory, summed: pages that processes share count once for each."""
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except _UNSEEN:
            continue
    return total


def end(find: Callable[[], list[psutil.Process]], *, grace_s: float = 5.0, limit_s: float = 10.0) -> list[int]:
    """End everything that `find` names, and what it names later: SIGTERM, the grace, SIGKILL. Gives the pids.

    A process that is seen once stays on the list, so that it is ended even when `find` loses sight of it.
    """
    known = {p.pid: p for p in find()}
    _signal(known.values(), signal.SIGTERM)
    _wait(lambda: not any(map(alive, known.values())), grace_s)
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        known.update({p.pid: p for p in find()})
        left = [p for p in known.values() if alive(p)]
        if not left:
            break
        _signal(left, signal.SIGKILL)
        time.sleep(0.02)
    return list(known)


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)  # psutil compares the start time first: never a newcomer with this pid
        except _UNSEEN:
            continue


def _wait(done: Callable[[], bool], limit_s: float) -> bool:
    until = time.monotonic() + limit_s
    while not done():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on now; it may be taken before it is used.

    Below the range that the kernel gives to clients: there a client may take it any moment, and a connection
    to a port of that range that nobody listens on can meet itself.
    """
    for _ in range(200):
        port = random.randrange(15000, 32000)
        with socket.socket() as s:
            try:
                s.bind((host, port))
            except OSError:
                continue
            return port
    raise Unmeasurable(f"no free port on {host}", do="end what listens on ports 15000 to 32000")


def is_listening(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as s:
        s.settimeout(0.5)
        return s.connect_ex((host, port)) == 0


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether one could listen there (connections that are still closing don't count)."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((host, port))
        except OSError:
            return False
        return True


def wait_free(port: int, host: str = "127.0.0.1", limit_s: float = 3.0) -> bool:
    """Wait until the port is free; False where it is still held after the limit."""
    return _wait(lambda: is_free(port, host), limit_s)


def listeners(processes: Iterable[psutil.Process]) -> list[Listener]:
    """The TCP ports that these processes listen on."""
    found = []
    for process in processes:
        try:
            connections = process.net_connections(kind="tcp")
        except _UNSEEN:
            continue
        found += [Listener(c.laddr.port, process.pid) for c in connections if c.status == psutil.CONN_LISTEN]
    return found


def listened() -> set[int]:
    """The TCP ports that anybody on this machine listens on; empty where the system does not tell."""
    tables = [path for name in ("tcp", "tcp6") if (path := Path("/proc/net") / name).is_file()]
    if tables:
        rows = (line.split() for path in tables for line in path.read_text().splitlines()[1:])
        return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == _LISTENS}
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return set()
    return {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN and c.laddr}


def holder(port: int) -> int | None:
    """The pid that listens on this port, None where nobody does or it isn't told."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return None
    return next(
        (c.pid for c in connections if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port), None
    )
