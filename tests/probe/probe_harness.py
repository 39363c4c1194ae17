"""Runs a real program with the probe in it, and reads what the probe wrote."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perfcrew.probe import inject

APPS = Path(__file__).parent / "apps"
#: The interpreter of the targets, which may be another than perfcrew's: the probe has to run from 3.9 on.
PYTHON = os.environ.get("PERFCREW_PROBE_PYTHON", sys.executable)
_MARK = re.compile(r"# mark: (\w+)")


@dataclass
class Records:
    """Everything in a folder of records, read anew at each look."""

    folder: Path
    source: Path

    @property
    def all(self) -> list[dict[str, Any]]:
        lines = [line for file in sorted(self.folder.glob("*.jsonl")) for line in file.read_text().splitlines()]
        return [json.loads(line) for line in lines]

    def of(self, kind: str, trace: str | None = None) -> list[dict[str, Any]]:
        spans = [record for record in self.all if record["type"] == "span" and record["kind"] == kind]
        return [span for span in spans if trace is None or span["trace"] == trace]

    def type(self, name: str, trace: str | None = None) -> list[dict[str, Any]]:
        found = [record for record in self.all if record["type"] == name]
        return [record for record in found if trace is None or record["trace"] == trace]

    @property
    def hello(self) -> dict[str, Any]:
        return [record for record in self.all if record["type"] == "hello"][-1]

    def line(self, mark: str) -> int:
        lines = self.source.read_text().splitlines()
        return next(n for n, text in enumerate(lines, 1) if (m := _MARK.search(text)) and m.group(1) == mark)

    def at(self, mark: str, kind: str | None = None) -> list[dict[str, Any]]:
        """The spans whose innermost frame in the application is the marked line."""
        spans = [
            record for record in self.all if record["type"] == "span" and record["kind"] == (kind or record["kind"])
        ]
        return [span for span in spans if app_line(span["stack"], self.source) == self.line(mark)]


def app_line(stack: list[list[Any]], source: Path) -> int | None:
    return next((line for file, line, _ in stack if Path(file) == source), None)


@dataclass
class Probe:
    """How to start something with the probe in it."""

    deps: Path
    folder: Path
    mode: inject.Mode = "otel"
    parts: tuple[str, ...] = ("spans",)
    extra: dict[str, str] = field(default_factory=dict)
    pythonpath: str = ""
    python: str = PYTHON

    def environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        probe = inject.environment(
            self.folder / "out", APPS, mode=self.mode, parts=self.parts, deps=self.deps, pythonpath=self.pythonpath
        )
        return {**clean, **probe, "APP_DATABASE": str(self.folder / "app.sqlite"), **self.extra}

    def records(self, source: Path) -> Records:
        return Records(self.folder / "out", source)

    def run(self, app: str, *arguments: str) -> Records:
        """A program from its start to its end, which must be a good one."""
        source = APPS / app
        done = subprocess.run(
            [self.python, str(source), *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return self.records(source)

    @contextmanager
    def serve(self, app: str, *command: str) -> Iterator[Server]:
        """A server from its start until the block is left."""
        port = _free_port()
        filled = [part.format(port=port) for part in command]
        log = self.folder / "server.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [self.python, "-m", *filled],
                cwd=APPS,
                env=self.environment(),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        server = Server(port, self.records(APPS / app), process.pid, log)
        try:
            server.wait(process)
            yield server
        finally:
            _end(process)


@dataclass
class Server:
    port: int
    records: Records
    pid: int
    log: Path

    def wait(self, process: subprocess.Popen[bytes]) -> None:
        def listening() -> bool:
            assert process.poll() is None, self.log.read_text()[-3000:]
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        until(listening)

    def get(self, path: str, trace: str = "1" * 32, **headers: str) -> Answer:
        """Ask, and wait until the server's span of it is written."""
        given = {"traceparent": f"00-{trace}-{'2' * 16}-01", **{k.replace("_", "-"): v for k, v in headers.items()}}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=given)
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                answer = Answer(response.status, response.read())
        except urllib.error.HTTPError as error:
            answer = Answer(error.code, error.read())
        until(lambda: bool(self.records.of("server", trace)))
        return answer


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.02)


def uvicorn(app: str) -> tuple[str, ...]:
    return ("uvicorn", app, "--port", "{port}", "--log-level", "warning")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
