"""What the kernel tells of a process: its work, and its wait for a core."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from perfcrew.instruments import cpu_clock
from perfcrew.target import process

BUSY = "while True: pass"


class Tree:
    def __init__(self, pid: int) -> None:
        self.pid = pid

    def processes(self) -> list[psutil.Process]:
        return [psutil.Process(self.pid)]

    def cpu_ms(self) -> float:
        return 0.0


@pytest.mark.skipif(not process.CAN_PIN, reason="processes can't be put on one core here")
def test_two_that_share_a_core_wait_about_as_long_as_the_other_works() -> None:
    core = process.usable_cores()[0]
    both = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in "ab"]
    try:
        assert all(process.pin(p.pid, core) for p in both)
        time.sleep(0.1)
        trees = [Tree(p.pid) for p in both]
        before = [(cpu_clock.cpu_ms(t), cpu_clock.waited_ms(t)) for t in trees]
        time.sleep(0.6)
        after = [(cpu_clock.cpu_ms(t), cpu_clock.waited_ms(t)) for t in trees]
    finally:
        for p in both:
            p.kill()
            p.wait(10)
    worked, waited = ([b[i] - a[i] for a, b in zip(before, after, strict=True)] for i in (0, 1))
    assert min(waited) >= 0.5 * min(worked) > 0, (worked, waited)
