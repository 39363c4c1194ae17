"""HT401 N+1 over HTTP: cases that must be found, and look-alikes that must not."""

from collections.abc import Callable
from typing import Any

import pytest

from perfcrew.core.scene import Scene

from .build import App, Found, Shot, Silent, check_found, run, scene, traced, warm

SERVICE = """
async def stock_line(supplier, book_id):
    shelf = await supplier.stock(book_id)  # asks
    return shelf["available"]

async def newest(supplier, books):
    return [await stock_line(supplier, book) for book in books]  # loop

async def inline(client, ids):
    for book_id in ids:
        await client.get(f"/stock/{book_id}")  # inline
"""
CLIENT = """
async def _get(path):
    return await http.get(path)  # get

async def stock(book_id):
    return await _get(f"/stock/{book_id}")  # stock
"""


def stack(app: App) -> list[Any]:
    app.write("wholesale.py", SERVICE)
    app.write("suppliers.py", CLIENT)
    return [
        app.frame("suppliers.py", "# get", "_get"),
        app.frame("suppliers.py", "# stock", "stock"),
        app.frame("wholesale.py", "# asks", "stock_line"),
        app.frame("wholesale.py", "# loop", "newest.<locals>.<listcomp>"),
    ]


def calls(
    app: App,
    url: Callable[[int], str] = lambda n: f"http://supplier.test/stock/{n}",
    times: int = 10,
    ms: float = 12.0,
    frames: list[Any] | None = None,
    together: bool = False,
    **more: Any,
) -> Scene:
    stacked = frames or stack(app)

    def make() -> Shot:
        shot = Shot()
        for number in range(times):
            shot.http(url(number), stacked, ms=ms, at_ms=1.0 if together else None, **more)
        return shot

    return scene(app, traced(warm(make)), key="GET /wholesale/stock")


def inline(app: App) -> Scene:
    stack(app)
    return calls(app, frames=[app.frame("wholesale.py", "# inline", "inline")])


def models(app: App) -> Scene:
    stack(app)
    frames = [app.frame("wholesale.py", "# inline", "inline")]

    def make() -> Shot:
        shot = Shot()
        for _ in range(6):
            shot.span(
                "model", 400, frames, url__full="http://llm.test/v1/chat/completions", http__request__method="POST"
            )
        return shot

    return scene(app, traced(warm(make)))


FOUND = {
    "a call a row, through a client of its own": Found(
        calls, "wholesale.py", "# asks", "medium", "# loop", "GET supplier.test/stock/{}"
    ),
    "in the loop itself": Found(inline, "wholesale.py", "# inline", "medium", None, "/stock/{}"),
    "gathered": Found(lambda app: calls(app, together=True, ms=40), "wholesale.py", "# asks", "medium"),
    "slow ones are high": Found(lambda app: calls(app, ms=60), "wholesale.py", "# asks", "high"),
    "ids that are words and numbers": Found(
        lambda app: calls(app, url=lambda n: f"http://supplier.test/stock/SKU-{n}"), "wholesale.py", "# asks", "medium"
    ),
    "model calls": Found(models, "wholesale.py", "# inline", "high", None, "POST llm.test/v1/chat/completions"),
}

SILENT: dict[str, Silent] = {
    "four calls": lambda app: calls(app, times=4),
    "different endpoints": lambda app: calls(app, url=lambda n: f"http://supplier.test/{'abcdefghij'[n]}"),
    "one batch": lambda app: calls(app, url=lambda n: "http://supplier.test/stock?ids=1,2,3", times=1),
    "tries after errors": lambda app: calls(app, http__response__status_code=503),
    "asked to wait": lambda app: calls(app, http__response__status_code=429),
    "in one request of three": lambda app: scene(app, traced([*warm(Shot, 2), Shot()])),
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("HT401", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("HT401", app, build(app)) == []


def test_calls_that_run_together_need_no_gather(app: App) -> None:
    (together,) = run("HT401", app, calls(app, together=True))
    (apart,) = run("HT401", app, calls(app))
    assert [h.id for h in together.hypotheses] == ["HT401-batch"]
    assert [h.id for h in apart.hypotheses] == ["HT401-batch", "HT401-gather"]


def two_callers(app: App) -> Scene:
    """The client's own line serves the loop and another line: of how often it is reached, the loop is a part."""
    looped = stack(app)
    inner = [*looped[:2], app.frame("wholesale.py", "# inline", "inline")]

    def make() -> Shot:
        shot = Shot()
        for number in range(12):
            shot.http(f"http://supplier.test/stock/{number}", looped if number < 9 else inner, ms=12)
        return shot

    return scene(app, traced(warm(make)))


SAID = {
    "a call a row": (calls, "It does so 10 times a request, and for 120 ms of it"),
    "together, each moment counts once": (
        lambda app: calls(app, together=True, ms=40),
        "It does so 10 times a request, and for 40 ms of it",
    ),
    "a client's line that others use too": (two_callers, "A request to `GET /books` makes 12 outgoing calls"),
}


@pytest.mark.parametrize(("build", "text"), SAID.values(), ids=SAID)
def test_the_text_says_how_often_and_how_long(app: App, build: Callable[[App], Scene], text: str) -> None:
    (finding,) = run("HT401", app, build(app))
    assert text in finding.prose.text
    assert ("It does so" in finding.prose.text) == ("It does so" in text)
