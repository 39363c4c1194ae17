"""How much the ratio of two equal sides scatters, by how they are measured: what docs/adr/0008 rests on.

Run: python benchmarks/noise.py [--pairs 120] [--instances 14]
Every design is tried in every round, in random order, so that the machine is the same to all. Printed is the standard
deviation of the log ratio of a pair: 0.02 means that equal sides seem to differ by 2 %. Needs Linux and two cores.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

from workloads import sides

CORES = tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()
BLOCK_S, INSTANCE_S = 0.075, 0.6


class Server(NamedTuple):
    pid: int
    connection: HTTPConnection


class Request(NamedTuple):
    latency_ms: float
    cpu_ms: float


def started(cores: Sequence[int]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        sides.command(sides.scale().command_rounds),
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )


def cpu_of(process: subprocess.Popen[bytes]) -> float:
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return usage.ru_utime + usage.ru_stime


def in_turn(first: Sequence[int], second: Sequence[int]) -> float:
    a = cpu_of(started(first))
    return math.log(cpu_of(started(second)) / a)


def at_once(first: Sequence[int], second: Sequence[int]) -> float:
    both = started(first), started(second)
    a, b = map(cpu_of, both)
    return math.log(b / a)


def of_commands(count: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for _ in range(count):
        one, other = random.sample(CORES, 2)
        designs: dict[str, Callable[[], float]] = {
            "in turn": lambda: in_turn(CORES, CORES),
            "in turn, both on one core": lambda one=one: in_turn([one], [one]),  # type: ignore[misc]
            "at once, on a core each": lambda one=one, other=other: at_once([one], [other]),  # type: ignore[misc]
            "at once, on one core": lambda one=one: at_once([one], [one]),  # type: ignore[misc]
        }
        for name in random.sample(list(designs), len(designs)):
            found.setdefault(name, []).append(designs[name]())
    return found


def threads(pid: int) -> list[int]:
    return [int(name) for name in os.listdir(f"/proc/{pid}/task")]


def worked_ms(pid: int) -> float:
    return sum(int(Path(f"/proc/{pid}/task/{t}/schedstat").read_text().split()[0]) for t in threads(pid)) / 1e6


def asked(server: Server) -> Request:
    before = worked_ms(server.pid)
    latency_ms = sides.request_s(server.connection) * 1e3
    return Request(latency_ms, worked_ms(server.pid) - before)


def in_blocks(both: Sequence[Server]) -> tuple[list[Request], list[Request]]:
    """Blocks in the order ABBA, as many of each side."""
    found: tuple[list[Request], list[Request]] = ([], [])
    until = time.perf_counter() + INSTANCE_S
    while time.perf_counter() < until:
        for side in (0, 1, 1, 0):
            end = time.perf_counter() + BLOCK_S
            while time.perf_counter() < end:
                found[side].append(asked(both[side]))
    return found


def by_request(both: Sequence[Server]) -> tuple[list[Request], list[Request]]:
    """One request of each in turn, which of them first by chance."""
    found: tuple[list[Request], list[Request]] = ([], [])
    until = time.perf_counter() + INSTANCE_S
    while time.perf_counter() < until:
        for side in random.sample((0, 1), 2):
            found[side].append(asked(both[side]))
    return found


def medians(a: Sequence[float], b: Sequence[float]) -> float:
    return math.log(statistics.median(b) / statistics.median(a))


def middle(a: Sequence[float], b: Sequence[float]) -> float:
    return statistics.median(math.log(y / x) for x, y in zip(a, b, strict=True))


def sums(a: Sequence[float], b: Sequence[float]) -> float:
    return math.log(sum(b) / sum(a))


def of_requests(instances: int) -> dict[str, list[tuple[float, float]]]:
    """The log ratios of latency and of processor time, of each pair of started instances."""
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(instances):
        with sides.serving(0) as a, sides.serving(0) as b:
            both = (Server(*a), Server(*b))
            for name in random.sample(("blocks", "free", "pinned"), 3):
                pin(both, name == "pinned")
                told = in_blocks(both) if name == "blocks" else by_request(both)
                columns = [list(zip(*side, strict=True)) for side in told]
                (latency_a, cpu_a), (latency_b, cpu_b) = columns
                by_medians = medians(latency_a, latency_b), medians(cpu_a, cpu_b)
                if name == "blocks":
                    found.setdefault("blocks of 75 ms, free, ratio of medians", []).append(by_medians)
                    continue
                where = "free" if name == "free" else "on one core"
                paired = middle(latency_a, latency_b), sums(cpu_a, cpu_b)
                found.setdefault(f"request by request, {where}, ratio of medians", []).append(by_medians)
                label = f"request by request, {where}, middle of the ratios; ratio of the sums"
                found.setdefault(label, []).append(paired)
    return found


def pin(both: Sequence[Server], shared: bool) -> None:
    """The servers on one core and the driver on the others, or all free."""
    core = random.choice(CORES)
    for server in both:
        for thread in threads(server.pid):
            os.sched_setaffinity(thread, [core] if shared else CORES)
    os.sched_setaffinity(0, [c for c in CORES if c != core] if shared else CORES)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=120, help="of commands, of each design")
    parser.add_argument("--instances", type=int, default=14, help="pairs of servers, started anew for each")
    options = parser.parse_args()
    if len(CORES) < 2:
        print("this needs Linux and two cores that may be used", file=sys.stderr)
        return 2
    print(f"commands, processor time ({options.pairs} pairs of each)")
    for name, values in sorted(of_commands(options.pairs).items()):
        print(f"  {name:75} {statistics.stdev(values):.4f}")
    print(f"requests, {INSTANCE_S:g} s of each pair of instances ({options.instances}): latency, processor time")
    for name, pairs in sorted(of_requests(options.instances).items()):
        latency, cpu = zip(*pairs, strict=True)
        print(f"  {name:75} {statistics.stdev(latency):.4f}  {statistics.stdev(cpu):.4f}")
    os.sched_setaffinity(0, CORES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
