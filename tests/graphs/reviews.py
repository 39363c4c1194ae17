"""Reviews in processes of their own, each with a temporary folder of its own, and what they leave."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kill_and_resume
import psutil

from perfcrew.core.report import Report
from perfcrew.target import process

APPS = Path(__file__).parent / "apps"
CONFIG = """
[target]
health = "/openapi.json"
start_timeout_s = 15
{target}

[data]
sizes = [60, 120]

[review]
seconds = 0.05
requests_per_endpoint = 2
trace_repeats = 20
request_timeout_s = {timeout_s}
"""
POLICY = """
name: review
specialists: [profiler, database]
reviewer: reviewer
instruments: [{instruments}]
rewrites: 2
specialist_seconds: 60
"""
LIMIT_S = 120


def project(folder: Path, app: str, target: str = "", instruments: str = "baseline, traces") -> Path:
    """One of the applications in a folder of its own, with short times, and with these instruments alone."""
    root = folder / "shop"
    policy = root / ".perfcrew" / "workflows" / "review.yaml"
    policy.parent.mkdir(parents=True)
    policy.write_text(POLICY.format(instruments=instruments))
    (root / "main.py").write_bytes((APPS / f"{app}.py").read_bytes())
    if app == "shop":
        target += 'database_url = "sqlite:///shop.sqlite3"\ndatabase_variable = "SHOP_DB"\n'
        with sqlite3.connect(root / "shop.sqlite3") as db:
            db.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
            db.executemany("INSERT INTO item (name) VALUES (?)", [(f"item {n}",) for n in range(30)])
    timeout_s = 1.0 if app == "hangs" else 10.0
    (root / "perfcrew.toml").write_text(CONFIG.format(target=target, timeout_s=timeout_s))
    return root


@dataclass
class Left:
    """What a review had started and made, as it was seen while it ran."""

    processes: list[psutil.Process]
    ports: list[int]

    @property
    def running(self) -> list[psutil.Process]:
        return [p for p in self.processes if process.alive(p)]

    @property
    def held(self) -> list[int]:
        return [port for port in self.ports if not process.is_free(port)]


@dataclass
class Ended:
    """How a review ended."""

    exit: int
    events: list[dict[str, Any]]
    said: str
    """On standard error."""

    @property
    def report(self) -> Report:
        return Report.model_validate_json(Path(self.events[-1]["report"]).read_bytes())


@dataclass
class Place:
    """A project, and the temporary folder that all its reviews are given."""

    root: Path
    temporary: Path
    _before: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._before = kill_and_resume.tree(self.root)

    @contextmanager
    def perfcrew(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A command in a group of its own, as a terminal starts it; ended with the block."""
        running = subprocess.Popen(
            [sys.executable, "-m", "perfcrew", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.root,
            env={**os.environ, "TMPDIR": str(self.temporary)},
            start_new_session=True,
        )
        try:
            yield running
        finally:
            if running.poll() is None:
                running.kill()
            running.communicate(timeout=LIMIT_S)

    def ended(self, *words: str, limit_s: float = LIMIT_S) -> Ended:
        """A command run to its end."""
        with self.perfcrew(*words) as running:
            printed, said = running.communicate(timeout=limit_s)
        return Ended(running.returncode, _events(printed) if "--json" in words else [], said)

    def reviewed(self, *words: str) -> Ended:
        return self.ended("review", ".", "--all", "--json", *words)

    def stopped(self, at: dict[str, Any], stop: Callable[[subprocess.Popen[str]], None]) -> tuple[Ended, Left]:
        """A review that is stopped as soon as it tells this; and what it had started by then."""
        with self.perfcrew("review", ".", "--all", "--json") as running:
            assert running.stdout is not None
            events: list[dict[str, Any]] = []
            for line in running.stdout:
                events.append(json.loads(line))
                if at.items() <= events[-1].items():
                    break
            else:
                raise AssertionError(f"the review ended without {at}: {running.communicate(timeout=LIMIT_S)[1]}")
            running.send_signal(signal.SIGSTOP)  # or it would be further than what it told
            left = _started_by(running.pid)
            stop(running)
            running.send_signal(signal.SIGCONT)
            printed, said = running.communicate(timeout=LIMIT_S)
        return Ended(running.returncode, events + _events(printed), said), left

    def evidence(self) -> dict[str, str]:
        return kill_and_resume.evidence(self.root)

    def blobs(self) -> dict[str, bytes]:
        folder = self.root / ".perfcrew" / "blobs"
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    def assert_nothing_is_left(self, left: Left | None = None) -> None:
        """No process, no port, no file of the temporary folder, no entry in the registry; the tree as it was."""
        assert left is None or (left.running, left.held) == ([], [])
        assert kill_and_resume.owned(self.root) == []
        assert sorted(p.name for p in self.temporary.iterdir()) == []
        assert list((self.root / ".perfcrew" / "leftovers").iterdir()) == []
        assert kill_and_resume.tree(self.root) == self._before


def _events(printed: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in printed.splitlines()]


def _started_by(pid: int) -> Left:
    """The load driver and the target with all that belongs to it; there must be one that listens."""
    processes = psutil.Process(pid).children(recursive=True)
    ports = [listener.port for listener in process.listeners(processes)]
    assert ports, "no started target was seen, so nothing could be left"
    return Left(processes, ports)


def kill(running: subprocess.Popen[str]) -> None:
    running.send_signal(signal.SIGKILL)
