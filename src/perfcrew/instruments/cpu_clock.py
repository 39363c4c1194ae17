"""CPU time of a process tree in nanoseconds, where the kernel gives it.

`/proc/PID/stat` counts in ticks of 10 ms, which is more than many requests take. The kernel's CPU clock of another
process (`clock_getcpuclockid(3)`) is exact, needs no permission, and counts threads that have ended.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Protocol

import psutil


class HasProcesses(Protocol):
    """A started target."""

    def processes(self) -> list[psutil.Process]: ...
    def cpu_ms(self) -> float: ...


def cpu_ms(running: HasProcesses) -> float:
    """User and system time of the tree since its start in ms, with that of its ended children where it is told."""
    if not sys.platform.startswith("linux"):
        return running.cpu_ms()
    total_ms = 0.0
    for process in running.processes():
        try:
            times = process.cpu_times()
            own_s = time.clock_gettime(clock_of(process.pid))
        except (psutil.Error, OSError):
            continue  # it ended between being listed and being asked
        total_ms += (own_s + times.children_user + times.children_system) * 1e3
    return total_ms


def clock_of(pid: int) -> int:
    """For `time.clock_gettime`: that process' scheduler clock, which is `(~pid << 3) | CPUCLOCK_SCHED`."""
    return (~pid << 3) | 2


def threads_cpu_s(pid: int) -> dict[int, float]:
    """Processor time of each living thread in seconds, by the kernel's number; empty where it is not told."""
    files = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return {int(file.parent.name): worked_s for file in files if (worked_s := _schedstat(file)[0])}


def _schedstat(file: Path) -> tuple[float, float]:
    """Seconds of work and of waiting for a core; none of a thread that ended meanwhile, or where nothing is kept."""
    try:
        worked, waited = file.read_text().split()[:2]
        return int(worked) / 1e9, int(waited) / 1e9
    except (OSError, ValueError):
        return 0.0, 0.0


def waited_ms(running: HasProcesses) -> float:
    """For how long the living threads of the tree have stood ready without a core; 0 where the kernel does not tell."""
    files = (f for process in running.processes() for f in Path(f"/proc/{process.pid}/task").glob("*/schedstat"))
    return sum(_schedstat(file)[1] for file in files) * 1e3


def wants_core(pid: int) -> bool:
    """Whether its first thread runs or waits for a core, during which its clock stands; false where it is not told."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "R"
    except (OSError, IndexError):
        return False
