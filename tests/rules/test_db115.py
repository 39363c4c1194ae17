"""DB115 transaction held across slow work: cases that must be found, and look-alikes that must not."""

from collections.abc import Callable
from typing import Any

import pytest

from perfcrew.core.scene import Scene

from .build import App, Found, Shot, Silent, check_found, run, scene, traced, warm

SOURCE = """
async def pay(session, client, key):
    order = await session.get(Order, key)  # first
    answer = await client.post("/charge", json=order.payload)  # call
    order.paid = answer.ok
    await session.commit()  # commit
"""
READ = "SELECT orders.id FROM orders WHERE orders.id = $1"
WRITE = "UPDATE orders SET state = $1 WHERE orders.id = $2"


def shot(
    app: App,
    order: str = "first call end",
    call_ms: float = 80.0,
    idle_ms: float = 0.0,
    text: str = READ,
    open_: bool | None = True,
    end: str = "COMMIT",
    kind: str = "http",
) -> Shot:
    """`order` says what is done: `begin`, `first` statement, `call`, a statement on an`other` connection, `end`."""
    app.write("orders.py", SOURCE)
    one = Shot()
    frames = {name: [app.frame("orders.py", f"# {name}", "pay")] for name in ("first", "call", "commit")}
    known: dict[str, Any] = {"perfcrew__db__connection": "a", "perfcrew__db__in_transaction": open_}
    begin = {"db__operation__name": "BEGIN", "perfcrew__framework": True, **known}
    steps: dict[str, Callable[[], Shot]] = {
        "begin": lambda: one.span("database", 0.5, frames["first"], **begin),
        "first": lambda: one.sql(text, 1, frames["first"], ms=2, **known),
        "call": lambda: one.span(kind, call_ms, frames["call"], url__full="http://pay.test/charge"),
        "other": lambda: one.sql(READ, 2, frames["call"], ms=call_ms, perfcrew__db__connection="b"),
        "idle": lambda: one.wait(idle_ms),
        "end": lambda: one.span(
            "database", 1.0, frames["commit"], db__operation__name=end, perfcrew__db__connection="a"
        ),
    }
    for step in order.split():
        steps[step]()
    return one


def held(app: App, **more: Any) -> Scene:
    return scene(app, traced(warm(lambda: shot(app, **more))), key="POST /orders/{id}/pay", is_async=True)


def many_statements(app: App) -> Scene:
    app.write("orders.py", SOURCE)
    frames = [app.frame("orders.py", "# first", "pay")]
    known: dict[str, Any] = {"perfcrew__db__connection": "a", "perfcrew__db__in_transaction": True}

    def make() -> Shot:
        one = Shot()
        for number in range(40):
            one.sql(READ, number, frames, ms=3, **known)
        return one.span("database", 1.0, frames, db__operation__name="COMMIT", perfcrew__db__connection="a")

    return scene(app, traced(warm(make)))


FOUND = {
    "a call within": Found(held, "orders.py", "# first", "medium", None, "FROM orders"),
    "a model call within": Found(lambda app: held(app, kind="model"), "orders.py", "# first", "medium"),
    "a call after a write holds its locks": Found(lambda app: held(app, text=WRITE), "orders.py", "# first", "high"),
    "a begin of its own": Found(lambda app: held(app, order="begin first call end"), "orders.py", "# first", "medium"),
    "long computing after a read": Found(
        lambda app: held(app, order="first idle end", idle_ms=90), "orders.py", "# first", "low"
    ),
    "long computing after a write": Found(
        lambda app: held(app, order="first idle end", idle_ms=90, text=WRITE), "orders.py", "# first", "high"
    ),
    "long computing under a lock": Found(
        lambda app: held(app, order="first idle end", idle_ms=90, text=f"{READ} FOR UPDATE"),
        "orders.py",
        "# first",
        "medium",
    ),
    "given back to the pool rather than committed": Found(
        lambda app: held(app, end="CHECKIN"), "orders.py", "# first", "medium"
    ),
    "never ended within the request": Found(
        lambda app: held(app, order="first call"), "orders.py", "# first", "medium"
    ),
    "a slow one": Found(lambda app: held(app, call_ms=900), "orders.py", "# first", "high"),
}

SILENT: dict[str, Silent] = {
    "each statement by itself": lambda app: held(app, open_=None),
    "committed before the call": lambda app: held(app, order="first end call"),
    "rolled back before the call": lambda app: held(app, order="first end call", end="ROLLBACK"),
    "given back before the call": lambda app: held(app, order="first end call", end="CHECKIN"),
    "the call comes first": lambda app: held(app, order="call first end"),
    "a quick call": lambda app: held(app, call_ms=5),
    "a little computing": lambda app: held(app, order="first idle end", idle_ms=20),
    "its statements are what takes long": many_statements,
    "another database is asked meanwhile": lambda app: held(app, order="first other end"),
    "nothing was traced": scene,
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("DB115", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("DB115", app, build(app)) == []


def test_it_says_what_is_waited_for_and_what_stays_locked(app: App) -> None:
    (found,) = run("DB115", app, held(app, text=WRITE))
    assert "waits 80 ms for 1 outgoing call." in found.prose.text
    assert "what they wrote stays locked" in found.prose.text
    (open_,) = run("DB115", app, held(app, order="first call"))
    assert "The request ended before the transaction did." in open_.prose.text
