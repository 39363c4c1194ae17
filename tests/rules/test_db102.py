"""DB102 the same statement again: cases that must be found, and look-alikes that must not."""

from collections.abc import Callable

import pytest

from perfcrew.core.scene import Scene

from .build import App, Found, Shot, Silent, check_found, run, scene, traced, warm

SOURCE = """
from sqlalchemy import select

async def currency(session):
    return await session.scalar(select(Setting.value).where(Setting.key == "currency"))  # lookup

async def price(session, cents):
    unit = await currency(session)  # price
    return f"{cents} {unit}"

async def bargains(session, books):
    return [
        await price(session, book.cents)  # loop
        for book in books
    ]

async def user(session):
    return await session.get(User, 7)  # user

def update(session):
    session.execute(update(Setting))  # update
"""
TEXT = "SELECT value FROM settings WHERE key = ?"


def frames(app: App) -> list:
    app.write("pricing.py", SOURCE)
    return [
        app.frame("pricing.py", "# lookup", "currency"),
        app.frame("pricing.py", "# price", "price"),
        app.frame("pricing.py", "# loop", "bargains.<locals>.<listcomp>"),
    ]


def one(
    app: App, times: int, ms: float = 4.0, parameters: Callable[[int], object] = lambda n: "currency", pause: float = 0
) -> Shot:
    shot = Shot()
    stack = frames(app)
    for number in range(times):
        shot.sql(TEXT, parameters(number), stack, ms=ms).wait(pause)
    return shot


def over(app: App, make: Callable[[], Shot]) -> Scene:
    return scene(app, traced(warm(make)))


def several_places(app: App) -> Scene:
    frames(app)

    def shot() -> Shot:
        made = Shot()
        for needle in ("# user", "# lookup", "# user"):
            made.sql("SELECT * FROM users WHERE id = ?", 7, [app.frame("pricing.py", needle, "user")], ms=5)
        return made

    return over(app, shot)


FOUND = {
    "a setting read for each row": Found(
        lambda app: over(app, lambda: one(app, 20)), "pricing.py", "# lookup", "high", "# loop", "settings"
    ),
    "three currencies for thirty rows": Found(
        lambda app: over(app, lambda: one(app, 30, parameters=lambda n: n % 3)), "pricing.py", "# lookup", "high"
    ),
    "the user read by three places of one request": Found(
        several_places, "pricing.py", "# user", "medium", None, "users"
    ),
    "cheap ones are low": Found(lambda app: over(app, lambda: one(app, 3, ms=0.3)), "pricing.py", "# lookup", "low"),
}


def with_write(app: App) -> Scene:
    def shot() -> Shot:
        stack = frames(app)
        made = Shot()
        for _ in range(4):
            made.sql(TEXT, "currency", stack)
            made.sql("UPDATE settings SET value = ?", "EUR", [app.frame("pricing.py", "# update")])
        return made

    return over(app, shot)


def repeated_write(app: App) -> Scene:
    def shot() -> Shot:
        made = Shot()
        for _ in range(5):
            made.sql("UPDATE settings SET seen = now()", (), frames(app))
        return made

    return over(app, shot)


def once_in_three(app: App) -> Scene:
    return scene(app, traced([one(app, 5), one(app, 1), one(app, 1)]))


SILENT: dict[str, Silent] = {
    "a retry: twice at most": lambda app: over(app, lambda: one(app, 2)),
    "parameters that differ are DB101": lambda app: over(app, lambda: one(app, 20, parameters=lambda n: n)),
    "each of them twice is DB101 as well": lambda app: over(app, lambda: one(app, 20, parameters=lambda n: n // 2)),
    "a write to the table in between": with_write,
    "polling": lambda app: over(app, lambda: one(app, 6, pause=100)),
    "a write again": repeated_write,
    "parameters that the probe couldn't tell": lambda app: over(app, lambda: one(app, 10, parameters=lambda n: None)),
    "in one request of three": once_in_three,
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("DB102", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("DB102", app, build(app)) == []


SAID = {
    "one value": (lambda app: over(app, lambda: one(app, 20)), "20 times a request with 1 different set of parameters"),
    "three values": (
        lambda app: over(app, lambda: one(app, 30, parameters=lambda n: n % 3)),
        "30 times a request with 3 different sets of parameters",
    ),
}


@pytest.mark.parametrize(("build", "text"), SAID.values(), ids=SAID)
def test_the_text_says_how_often_it_repeats(app: App, build: Silent, text: str) -> None:
    (finding,) = run("DB102", app, build(app))
    assert text in finding.prose.text


def test_where_several_lines_ask_only_totals_are_cited(app: App) -> None:
    (finding,) = run("DB102", app, several_places(app))
    assert "times a request" not in finding.prose.text
