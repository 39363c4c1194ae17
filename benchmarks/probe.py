"""What the probe costs: `python benchmarks/probe.py`.

One small real application (FastAPI, SQLAlchemy's async engine, SQLite) runs four times at once under uvicorn:
plain, with the probe in mode "otel", in mode "stdlib", and with the control socket only ("heap"). Requests go to
one server at a time, in blocks whose order is turned round each time (A B C D, D C B A), so that a machine that
slows down slows all of them. Printed are ratios to the plain one within this run: processor time of the server's
process for each request, and the median of the requests' latency. They are ratios, not times of your machine.
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from perfcrew.probe import inject

APPLICATION = """
import os
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

engine = create_async_engine("sqlite+aiosqlite:///" + os.environ["APP_DATABASE"])
app = FastAPI()


@app.get("/items/{count}")
async def items(count: int) -> list[dict]:
    async with engine.connect() as connection:
        out = []
        for number in range(count):
            found = await connection.execute(text("select :n as id, 'some text' as name"), {"n": number})
            out.extend(dict(row) for row in found.mappings())
    return out
"""
KINDS: dict[str, dict[str, object] | None] = {
    "plain": None,
    "otel": {"mode": "otel", "parts": ("spans",)},
    "stdlib": {"mode": "stdlib", "parts": ("spans",)},
    "heap only": {"mode": "stdlib", "parts": ("heap",)},
}
START_SECONDS = 30.0


@dataclass
class Server:
    port: int
    process: psutil.Process
    cpu_s: list[float] = field(default_factory=list)
    latency_s: list[float] = field(default_factory=list)

    def block(self, path: str, requests: int) -> None:
        """Requests one after the other on one connection; the block's CPU time is the process's."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        before = self._cpu_s()
        for _ in range(requests):
            started = time.perf_counter()
            connection.request("GET", path)
            connection.getresponse().read()
            self.latency_s.append(time.perf_counter() - started)
        self.cpu_s.append((self._cpu_s() - before) / requests)
        connection.close()

    def _cpu_s(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)


def environment(kind: str, folder: Path, deps: Path) -> dict[str, str]:
    wanted = KINDS[kind]
    given = {**os.environ, "APP_DATABASE": str(folder / "bench.sqlite")}
    if wanted is not None:
        given.update(inject.environment(folder / kind.replace(" ", "-"), folder, deps=deps, **wanted))  # type: ignore[arg-type]
    return given


@contextmanager
def serve(kind: str, folder: Path, deps: Path) -> Iterator[Server]:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "bench_app:app", "--port", str(port), "--log-level", "warning"]
    process = subprocess.Popen(command, cwd=folder, env=environment(kind, folder, deps))
    try:
        _wait(port, process)
        yield Server(port, psutil.Process(process.pid))
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"the application did not start within {START_SECONDS:.0f} s (exit {process.poll()})")


def measure(servers: dict[str, Server], path: str, blocks: int, requests: int) -> None:
    for server in servers.values():
        server.block(path, requests)
        server.cpu_s.clear()
        server.latency_s.clear()
    order = list(servers)
    random.shuffle(order)
    for number in range(blocks):
        for kind in order if number % 2 == 0 else reversed(order):
            servers[kind].block(path, requests)


def show(statements: int, servers: dict[str, Server]) -> None:
    plain = servers["plain"]
    print(f"\n{statements} statements a request")
    print(f"  {'':10} {'CPU/request':>12} {'ratio':>7} {'(quartiles)':>15} {'median latency':>15} {'ratio':>7}")
    for kind, server in servers.items():
        ratios = [one / other for one, other in zip(server.cpu_s, plain.cpu_s, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        cpu_ms, latency_ms = statistics.median(server.cpu_s) * 1e3, statistics.median(server.latency_s) * 1e3
        slower = latency_ms / (statistics.median(plain.latency_s) * 1e3)
        spread = f"({low:.2f} to {high:.2f})"
        print(f"  {kind:10} {cpu_ms:9.2f} ms {middle:7.2f} {spread:>15} {latency_ms:12.2f} ms {slower:7.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=12, help="blocks for each server (default 12)")
    parser.add_argument("--requests", type=int, default=100, help="requests a block (default 100)")
    parser.add_argument("--statements", type=int, nargs="+", default=[1, 10], help="statements a request")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="perfcrew-bench-") as name, ExitStack() as running:
        folder = Path(name)
        (folder / "bench_app.py").write_text(APPLICATION, encoding="utf-8")
        deps = inject.dependencies(folder / "deps")
        servers = {kind: running.enter_context(serve(kind, folder, deps)) for kind in KINDS}
        for statements in wanted.statements:
            measure(servers, f"/items/{statements}", wanted.blocks, wanted.requests)
            show(statements, servers)


if __name__ == "__main__":
    main()
