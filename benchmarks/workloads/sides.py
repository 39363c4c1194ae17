"""Sides that differ by a known share of the same work: as commands, and as configurations of an application."""

from __future__ import annotations

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent.parent / ".cache" / "power"
COMMAND_MS, REQUEST_MS = 85.0, 5.0
CONFIG = """[target]
app = "app:app"
framework = "starlette"
start = ["{python}", "-m", "uvicorn", "app:app", "--host", "{{host}}", "--port", "{{port}}", "--log-level", "warning"]
health = "/work"
environment = {{ ROUNDS = "{rounds}" }}
[[scenarios]]
name = "work"
requests = [{{ path = "/work" }}]
"""


@dataclass(frozen=True)
class Scale:
    """What a round and a start take on this machine (processor time), and how many rounds the sides do."""

    round_ms: float
    start_ms: float

    @property
    def command_rounds(self) -> int:
        return max(round((COMMAND_MS - self.start_ms) / self.round_ms), 500)

    @property
    def request_rounds(self) -> int:
        return max(round(REQUEST_MS / self.round_ms), 100)

    def extra(self, kind: str, share: float) -> int:
        """Rounds more that slow a side by this share: of the whole process, or of what a request works.

        What a start takes in rounds is measured anew: on a machine that others use it changes by a third.
        """
        if kind == "requests" or not share:
            return round(self.request_rounds * share)
        now = _measured(15)
        return round(share * (self.command_rounds + now.start_ms / now.round_ms))


def scale() -> Scale:
    """Measured once and kept, so that a series split over several days has the same sides."""
    CACHE.mkdir(parents=True, exist_ok=True)
    kept = CACHE / "scale.json"
    if not kept.exists():
        kept.write_text(json.dumps(asdict(_measured(9))))
    return Scale(**json.loads(kept.read_text()))


def _measured(times: int) -> Scale:
    pairs = [(_cpu_ms(0), _cpu_ms(8000)) for _ in range(times)]
    start_ms, many_ms = (statistics.median(side) for side in zip(*pairs, strict=True))
    return Scale((many_ms - start_ms) / 8000, start_ms)


def command(rounds: int) -> list[str]:
    return [sys.executable, str(HERE / "rounds.py"), str(rounds)]


def _cpu_ms(rounds: int) -> float:
    process = subprocess.Popen(command(rounds))
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return (usage.ru_utime + usage.ru_stime) * 1e3


def wall_s(rounds: int) -> float:
    """One run of the command, as a stopwatch sees it."""
    began = time.perf_counter()
    subprocess.run(command(rounds), check=True, timeout=60)
    return time.perf_counter() - began


def decide(kind: str, extra: int, budget_s: float, seed: int) -> dict[str, object]:
    """One comparison by the command line, as a user would: what it said, and how long the whole of it took."""
    found = scale()
    if kind == "requests":
        sides = ["--set", "A:EXTRA=0", "--set", f"B:EXTRA={extra}", "--path", str(_project(found))]
    else:
        one = " ".join(command(found.command_rounds))
        sides = ["--command", one, "--command", one, "--set", f"B:EXTRA={extra}", "--set", "A:EXTRA=0"]
        sides += ["--path", str(CACHE)]
    asked = [sys.executable, "-m", "perfcrew", "compare", "--json", "--quiet", *sides]
    asked += ["--budget", f"{budget_s:g}", "--seed", str(seed)]
    began = time.monotonic()
    done = subprocess.run(asked, capture_output=True, text=True, timeout=budget_s * 3 + 300)
    if done.returncode == 2 or not done.stdout.strip():
        raise SystemExit(f"{' '.join(asked)} ended with {done.returncode}:\n{done.stderr}")
    told = json.loads(done.stdout.splitlines()[-1])
    return _summary(told.get("comparisons", [told])) | {"total_s": round(time.monotonic() - began, 2)}


def _summary(comparisons: list[dict[str, object]]) -> dict[str, object]:
    """The endpoint's (or command's) verdict, and whether anything at all was called changed."""
    main = next((c for c in comparisons if c["subject"] != "application"), comparisons[0])
    changed = [f"{c['subject']}: {c['verdict']}" for c in comparisons if c["verdict"] in ("improved", "regressed")]
    ratios = {e["metric"]: e["ratio"]["value"] for e in main["effects"] if e["ratio"]}  # type: ignore[attr-defined]
    keys = ("verdict", "rests_on", "why", "refused", "pairs_count", "spent_s")
    return {key: main[key] for key in keys} | {"changed": changed, "ratios": ratios}


def _project(found: Scale) -> Path:
    """The application in a folder of its own, with its configuration."""
    root = CACHE / "app"
    root.mkdir(exist_ok=True)
    for name in ("app.py", "rounds.py"):
        (root / name).write_bytes((HERE / name).read_bytes())
    (root / "perfcrew.toml").write_text(CONFIG.format(python=sys.executable, rounds=found.request_rounds))
    return root


@contextmanager
def serving(extra: int) -> Iterator[tuple[int, http.client.HTTPConnection]]:
    """The application under uvicorn, warmed by twenty requests: its process and one connection to it."""
    found = scale()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--log-level", "warning"]
    environment = {**os.environ, "ROUNDS": str(found.request_rounds), "EXTRA": str(extra)}
    process = subprocess.Popen(arguments, cwd=_project(found), env=environment)
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        _wait_for(connection, process)
        for _ in range(20):
            request_s(connection)
        yield process.pid, connection
    finally:
        process.kill()
        process.wait()


def _wait_for(connection: http.client.HTTPConnection, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            return connection.connect()
        except ConnectionRefusedError:
            if time.monotonic() > until or process.poll() is not None:
                raise
            time.sleep(0.05)


def request_s(connection: http.client.HTTPConnection) -> float:
    """One request, from sending it to the last byte of its answer."""
    began = time.perf_counter()
    connection.request("GET", "/work")
    connection.getresponse().read()
    return time.perf_counter() - began
