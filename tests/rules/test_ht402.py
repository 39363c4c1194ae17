"""HT402 consecutive HTTP: cases that must be found, and look-alikes that must not."""

from collections.abc import Sequence
from typing import Any

import pytest

from perfcrew.core.scene import Scene

from .build import App, Found, Shot, Silent, check_found, run, scene, traced, warm

SOURCE = """
def overview(desk):
    arrivals = desk.get("/arrivals").json()  # arrivals
    carriers = desk.get("/carriers").json()  # carriers
    surcharges = desk.get("/surcharges").json()  # surcharges
    closures = desk.get("/closures").json()  # closures
    return arrivals, carriers, surcharges, closures

def chain(desk):
    first = desk.get("/first").json()  # first
    second = desk.get(first["next"]).json()  # second
    third = desk.get(second["next"]).json()  # third
    return third

async def offer(supplier, key):
    shelf = await supplier.get("/stock")  # stock
    price = await supplier.get("/price")  # price
    quote = await supplier.get("/quote")  # quote
    return shelf, price, quote

def few(desk, keys):
    return [desk.get(f"/x/{key}") for key in keys]  # few

def handler(desk):
    return overview(desk)  # handler
"""
CLIENT = """
def get(path):
    return http.get(path)  # client
"""


def calls(
    app: App,
    function: str,
    lines: Sequence[str],
    ms: float = 30.0,
    at_ms: Sequence[float] = (),
    wait: float = 5.0,
    **more: Any,
) -> Scene:
    app.write("wholesale.py", SOURCE)
    app.write("client.py", CLIENT)

    def make() -> Shot:
        shot = Shot()
        for number, needle in enumerate(lines):
            frames = [
                app.frame("client.py", "# client", "get"),
                app.frame("wholesale.py", f"# {needle}", function),
                app.frame("wholesale.py", "# handler", "handler"),
            ]
            shot.http(f"http://desk.test/{needle}", frames, ms=ms, at_ms=at_ms[number] if at_ms else None, **more)
        return shot.wait(wait)

    return scene(app, traced(warm(make)), key="GET /wholesale/overview")


ALL = ("arrivals", "carriers", "surcharges", "closures")
FOUND = {
    "four calls of a sync function": Found(
        lambda app: calls(app, "overview", ALL), "wholesale.py", "# arrivals", "medium", None, "overview"
    ),
    "three of them": Found(lambda app: calls(app, "overview", ALL[1:]), "wholesale.py", "# carriers", "medium"),
    "slow ones are high": Found(lambda app: calls(app, "overview", ALL, ms=300), "wholesale.py", "# arrivals", "high"),
    "a loop over a few": Found(lambda app: calls(app, "few", ("few",) * 3), "wholesale.py", "# few", "medium"),
    "POSTs": Found(
        lambda app: calls(app, "overview", ALL, http__request__method="POST"), "wholesale.py", "# arrivals", "medium"
    ),
}

SILENT: dict[str, Silent] = {
    "two calls": lambda app: calls(app, "overview", ALL[:2]),
    "quick ones": lambda app: calls(app, "overview", ALL, ms=3),
    "they run at the same time": lambda app: calls(app, "overview", ALL, at_ms=(1, 1, 1, 1)),
    "each reads the answer before": lambda app: calls(app, "chain", ("first", "second", "third")),
    "proven independent is RT302's": lambda app: calls(app, "offer", ("stock", "price", "quote")),
    "little of the request": lambda app: calls(app, "overview", ALL, wait=2000),
    "one long call": lambda app: calls(app, "overview", ALL[:1], ms=500),
    "tries after errors": lambda app: calls(app, "overview", ALL, http__response__status_code=502),
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("HT402", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("HT402", app, build(app)) == []
