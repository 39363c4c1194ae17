"""RT301 blocking call: cases that must be found, and look-alikes that must not."""

from collections.abc import Callable
from typing import Any

import pytest

from perfcrew.core.evidence import Neighbour
from perfcrew.core.scene import Scene, Seen

from .build import App, Found, Shot, Silent, check_found, run, scene, traced, warm

SOURCE = """
import asyncio, hashlib, time, requests
from urllib.request import urlopen

def read_quote(url):
    with urlopen(url) as response:  # urlopen
        return response.read()

async def dispatch(url):
    quote = read_quote(url)  # calls it
    return quote

async def direct(url):
    return requests.get(url)  # requests

async def sleeps():
    time.sleep(0.05)  # sleep

async def awaits(client, url):
    return await client.get(url)  # awaited

async def in_thread(url):
    return await asyncio.to_thread(read_quote, url)  # to thread

async def as_task(client, url):
    task = asyncio.create_task(client.get(url))  # task
    return await task

async def hashes(password):
    return hashlib.scrypt(password, salt=b"s", n=16384, r=8, p=1)  # scrypt

async def computes(items):
    return sorted(crunch(item) for item in items)  # cpu

async def stream(client, url):
    async with client.stream("GET", url) as response:  # async with
        return response

def sync_view(url):
    return requests.get(url)  # sync view
"""


def app_of(app: App) -> None:
    app.write("delivery.py", SOURCE)


def calls(app: App, *where: tuple[str, str], ms: float = 25.0, kind: str = "http", **rest: Any) -> Scene:
    """An HTTP call below these lines, innermost first."""
    app_of(app)
    frames = [app.frame("delivery.py", needle, function) for needle, function in where]

    def make() -> Shot:
        if kind == "http":
            return Shot().http("http://supplier.test/quotes/7", frames, ms=ms)
        return Shot().sql("SELECT 1 FROM book WHERE id = ?", 1, frames, ms=ms)

    return scene(app, traced(warm(make)), **rest)


def stuck(app: App, needle: str, ms: float = 50.0, span: bool = False, **rest: Any) -> Scene:
    app_of(app)
    frames = [app.frame("delivery.py", needle)]

    def make() -> Shot:
        shot = Shot().block(ms, frames)
        return shot.http("http://supplier.test/quotes/7", frames, ms=ms) if span else shot.wait(ms)

    return scene(app, traced(warm(make)), **rest)


def neighbour() -> Seen[Neighbour]:
    body = Neighbour(
        neighbour="GET /healthz",
        alone_median_ms=1.0,
        beside_median_ms=14.0,
        beside_max_ms=31.0,
        request_ms=30.0,
        stalls_count=9,
        stall_max_ms=29.0,
    )
    return Seen("neighbour-1", body)


FOUND = {
    "urlopen in a sync helper of an async function": Found(
        lambda app: calls(app, ("# urlopen", "read_quote"), ("# calls it", "dispatch")),
        "delivery.py",
        "# urlopen",
        "medium",
        "# calls it",
    ),
    "requests in an async function": Found(
        lambda app: calls(app, ("# requests", "direct")), "delivery.py", "# requests", "medium"
    ),
    "a slow one is high": Found(
        lambda app: calls(app, ("# requests", "direct"), ms=300), "delivery.py", "# requests", "high"
    ),
    "a sync database driver": Found(
        lambda app: calls(app, ("# requests", "direct"), kind="sql"), "delivery.py", "# requests", "medium"
    ),
    "time.sleep, seen by the watchdog alone": Found(
        lambda app: stuck(app, "# sleep"), "delivery.py", "# sleep", "medium"
    ),
    "an awaited library that blocks inside: the loop stood still during its span": Found(
        lambda app: stuck(app, "# awaited", span=True), "delivery.py", "# awaited", "medium"
    ),
    "others were seen waiting": Found(
        lambda app: calls(app, ("# requests", "direct"), neighbour=neighbour()), "delivery.py", "# requests", "medium"
    ),
}

SILENT: dict[str, Silent] = {
    "awaited": lambda app: calls(app, ("# awaited", "awaits")),
    "in a thread: no async frame on its stack": lambda app: calls(app, ("# urlopen", "read_quote")),
    "in a thread, with the line that started it": lambda app: calls(app, ("# to thread", "in_thread")),
    "a task": lambda app: calls(app, ("# task", "as_task")),
    "async with": lambda app: calls(app, ("# async with", "stream")),
    "a sync endpoint": lambda app: calls(app, ("# sync view", "sync_view"), is_async=False),
    "a sync function of a framework that runs it in a thread": lambda app: calls(
        app, ("# sync view", "sync_view"), is_async=None
    ),
    "a fast statement": lambda app: calls(app, ("# requests", "direct"), ms=0.4, kind="sql"),
    "password hashing": lambda app: stuck(app, "# scrypt"),
    "a loop that computes is RT303": lambda app: stuck(app, "# cpu"),
    "nothing of the application on the stack": lambda app: calls(app),
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("RT301", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("RT301", app, build(app)) == []


def test_more_kinds_of_proof_make_surer(app: App) -> None:
    def sure(make: Callable[[App], Scene]) -> float:
        (found,) = run("RT301", app, make(app))
        return found.confidence

    stack = lambda app: calls(app, ("# requests", "direct"))  # noqa: E731
    seen = lambda app: stuck(app, "# requests", span=True)  # noqa: E731
    waiting = lambda app: stuck(app, "# requests", ms=25, span=True, neighbour=neighbour())  # noqa: E731
    assert sure(stack) < sure(seen) < sure(waiting)
