"""What an open loop shows of a stalling server, and a naive closed loop hides. Run: `python benchmarks/load.py`.

The server answers at once and stands still for a second every 1,000 requests. Also: how late the driver sends while
the process that asks for the load is busy, in a process of its own and in that same process.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

from perfcrew.core.web import Request
from perfcrew.instruments import load_worker
from perfcrew.instruments.load import Aim, Driver, LoadResult, closed_loop, open_loop

RATE, SECONDS = 200, 11
SERVER = """
import sys, time
import uvloop
from aiohttp import web

count = 0

async def answer(request):
    global count
    count += 1
    if request.path == "/stalling" and count % 1000 == 0:
        time.sleep(1.0)
    return web.json_response({"count": 1})

async def main():
    app = web.Application()
    app.router.add_get("/{any}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    import asyncio
    await asyncio.to_thread(sys.stdin.read)

uvloop.run(main())
"""


def request(path: str) -> Request:
    return Request(endpoint=f"GET {path}", method="GET", target=path)


def at(samples: tuple[float, ...] | list[float], q: float) -> float:
    return sorted(samples)[min(len(samples) - 1, int(q * len(samples)))] if samples else float("nan")


def show(name: str, samples: tuple[float, ...] | list[float], note: str = "") -> None:
    figures = "  ".join(f"{label} {at(samples, q):8.2f} ms" for label, q in (("p50", 0.5), ("p99", 0.99), ("max", 1)))
    print(f"{name:<46}{len(samples):>7} requests  {figures}  {note}")


async def naive(aim: Aim, driver: Driver) -> list[float]:
    """As many load generators do it: one user who keeps the pace when it can, and times from the moment of sending."""
    samples: list[float] = []
    end = time.perf_counter() + SECONDS
    async with load_worker.Client(aim.base_url) as client:
        while time.perf_counter() < end:
            answer = await client.send(request("/stalling"))
            samples.append(answer.elapsed_ms)
            await asyncio.sleep(max(0.0, 1 / RATE - answer.elapsed_ms / 1e3))
    return samples


async def busy() -> None:
    """What perfcrew does beside it: half of each 40 ms spent on something else."""
    while True:
        until = time.perf_counter() + 0.02
        while time.perf_counter() < until:
            pass
        await asyncio.sleep(0.02)


async def here(aim: Aim) -> LoadResult:
    job = {
        "aim": {"base_url": aim.base_url, "headers": {}, "cookies": {}, "timeout_s": 30.0},
        "requests": [request("/fast").model_dump()],
        "expected": [None],
        "order": [0],
        "rate": RATE,
        "duration_s": 3,
        "concurrency": 1,
        "minimum": 0,
        "most": None,
        "limit_s": 60.0,
    }
    result = await load_worker.work(job)
    return LoadResult("open", tuple(result["samples_ms"]), (), tuple(result["lateness_ms"]), {}, {}, 0, 0, 0.0)


async def main(port: int) -> None:
    aim = Aim(f"http://127.0.0.1:{port}")
    async with Driver() as driver:
        print(f"A server that stalls for 1 s every 1,000 requests, {RATE} requests a second for {SECONDS} s")
        stalled = await open_loop(aim, [request("/stalling")], rate=RATE, duration_s=SECONDS, driver=driver)
        show("open loop, from the moment each was due", stalled.samples_ms, stalled.late)
        show("naive closed loop with a pace", await naive(aim, driver))
        flat = await closed_loop(aim, [request("/stalling")], duration_s=3, driver=driver)
        show("closed loop, c=1, as fast as it goes", flat.samples_ms, f"{flat.throughput_per_s:.0f}/s")
        print("\nA fast server: how late requests are sent")
        for rate in (50, 200, 500, 1000, 2000):
            free = await open_loop(aim, [request("/fast")], rate=rate, duration_s=2, driver=driver)
            show(f"own process, {rate}/s: lateness", free.lateness_ms, free.late)
            show(f"own process, {rate}/s: latency", free.samples_ms)
        noise = asyncio.create_task(busy())
        beside = await open_loop(aim, [request("/fast")], rate=RATE, duration_s=3, driver=driver)
        show("own process, the asking one busy: lateness", beside.lateness_ms, beside.late)
        same = await here(aim)
        show("the asking process itself, busy: lateness", same.lateness_ms, same.late)
        noise.cancel()
        for concurrency in (1, 4, 16):
            most = await closed_loop(aim, [request("/fast")], concurrency=concurrency, duration_s=1.5, driver=driver)
            show(f"ceiling of the driver, c={concurrency}", most.samples_ms, f"{most.throughput_per_s:.0f}/s")


if __name__ == "__main__":
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        asyncio.run(main(int(server.stdout.readline())))
    finally:
        server.kill()
        server.wait()
