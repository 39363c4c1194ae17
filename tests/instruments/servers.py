"""Small real servers to measure: each runs in a process of its own and looks like a started target."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from perfcrew.core.web import Endpoint, Plan, Request
from perfcrew.target.client import Client, fingerprint

HEAD = """
import asyncio, json, os, sys, time
from aiohttp import web

count = 0
kept = []
routes = web.RouteTableDef()
"""
TAIL = """
async def main():
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


@dataclass
class Server:
    """What the instruments need of a started target."""

    process: subprocess.Popen[bytes]
    port: int
    root: Path

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self.process.pid

    def processes(self) -> list[psutil.Process]:
        return [psutil.Process(self.pid)]

    def cpu_ms(self) -> float:
        return sum(psutil.Process(self.pid).cpu_times()[:2]) * 1e3

    def rss_bytes(self) -> int:
        return psutil.Process(self.pid).memory_info().rss

    def alive(self) -> bool:
        return self.process.poll() is None

    def plan(self, *targets: str, method: str = "GET") -> Plan:
        key = f"{method} {targets[0]}"
        endpoint = Endpoint(method=method, path=targets[0], source="user")
        return Plan(endpoint=endpoint, requests=tuple(Request(endpoint=key, method=method, target=t) for t in targets))

    async def tried(self, *targets: str) -> Plan:
        """A plan whose requests were tried once, as they are before anything is measured."""
        plan = self.plan(*targets)
        async with Client(self.base_url) as client:
            prints = tuple([fingerprint(await client.send(r)) for r in plan.requests])
        return plan.model_copy(update={"fingerprints": prints})


@contextmanager
def serving(root: Path, routes: str, environment: dict[str, str] | None = None) -> Iterator[Server]:
    """Serve aiohttp handlers given as source, saved as `<root>/server.py`; ended with the block."""
    file = root / "server.py"
    file.write_text(HEAD + textwrap.dedent(routes) + TAIL)
    process = subprocess.Popen(
        [sys.executable, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        cwd=root,
    )
    try:
        assert process.stdout is not None
        yield Server(process, int(process.stdout.readline()), root)
    finally:
        process.kill()
        process.communicate()
