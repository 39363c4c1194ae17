"""DB108 connection churn and pool wait: cases that must be found, and look-alikes that must not."""

from dataclasses import replace
from typing import Any

import pytest

from perfcrew.core.evidence import Connections, Crowd
from perfcrew.core.numerals import touching, uncited
from perfcrew.core.pooling import ConnectionNeed
from perfcrew.core.scene import Scene, Seen
from perfcrew.instruments.pooling import Limits, Mix, need
from perfcrew.target.workers import Said

from .build import App, Found, Shot, Silent, check_found, run, scene, traced, warm

SOURCE = """
def show(url):
    with psycopg.connect(url) as connection:  # connect
        return connection.execute("select 1").fetchall()  # statement

async def page(sessions):
    async with sessions() as session:
        return await session.scalars(select(Book))  # checkout
"""


def operation(shot: Shot, name: str, ms: float, frames: Any, at_ms: float | None = None, **more: Any) -> Shot:
    known = {"db__system__name": "postgresql", "db__operation__name": name, **more}
    return shot.span("database", ms, frames, at_ms, **known)


def churning(app: App, ms: float = 8.0, times: int = 1, system: str = "postgresql", wait: float = 2.0) -> Scene:
    app.write("books.py", SOURCE)
    frames, asked = [app.frame("books.py", "# connect", "show")], [app.frame("books.py", "# statement", "show")]

    def make() -> Shot:
        shot = Shot()
        for _ in range(times):
            operation(shot, "CONNECT", ms, frames, db__system__name=system).sql("SELECT 1", (), asked)
        return shot.wait(wait)

    return scene(app, traced(warm(make)))


def cold_only(app: App) -> Scene:
    app.write("books.py", SOURCE)
    frames = [app.frame("books.py", "# connect", "show")]
    first = operation(Shot(repeat=0), "CONNECT", 8, frames).sql("SELECT 1", (), frames)
    return scene(app, traced([first, *warm(lambda: Shot().sql("SELECT 1", (), frames).wait(2))]))


def waiting(
    app: App,
    waits: float = 0.1,
    crowd: tuple[float, float] | None = None,
    at_once: int = 1,
    opens: float = 0.0,
    size: int = 5,
) -> Scene:
    app.write("books.py", SOURCE)
    frames = [app.frame("books.py", "# checkout", "page")]

    def make() -> Shot:
        shot = Shot()
        for number in range(at_once):
            operation(
                shot, "CHECKOUT", waits + opens, frames, perfcrew__db__pool_size=size, perfcrew__db__pool_overflow=10
            )
            if opens:
                operation(shot, "CONNECT", opens, frames, at_ms=shot.now_ms - opens)
                shot.spans[-1] = shot.spans[-1].model_copy(update={"parent": shot.spans[-2].span})
            shot.sql("SELECT 1", number, frames)
        return shot.wait(10)

    one = traced(warm(make))
    body = Crowd(copies_count=20, answered_count=20, wait_ms=0, wait_max_ms=0, request_ms=100, connects_count=0)
    if crowd:
        body = body.model_copy(update={"wait_ms": crowd[0], "wait_max_ms": crowd[0] * 2, "request_ms": crowd[1]})
    return scene(app, replace(one, seen=replace(one.seen, body=one.seen.body.model_copy(update={"crowd": body}))))


FOUND = {
    "a connection for each request": Found(churning, "books.py", "# connect", "medium", None, "opened"),
    "several of them, slowly": Found(lambda app: churning(app, ms=250, times=2), "books.py", "# connect", "high"),
    "a request that waits for itself": Found(
        lambda app: waiting(app, waits=3, at_once=12, size=2), "books.py", "# checkout", "medium", None, "waited for"
    ),
    "copies that wait for the pool": Found(
        lambda app: waiting(app, crowd=(60, 100)), "books.py", "# checkout", "medium", None, "waited for"
    ),
    "copies that wait for long": Found(
        lambda app: waiting(app, crowd=(600, 1000)), "books.py", "# checkout", "high", None, "waited for"
    ),
}

SILENT: dict[str, Silent] = {
    "only the first request opens one": cold_only,
    "a SQLite file": lambda app: churning(app, system="sqlite"),
    "opened at once": lambda app: churning(app, ms=0.3),
    "little of the request": lambda app: churning(app, ms=5, wait=500),
    "a pool that gives at once": waiting,
    "a pool for all copies: they wait for the processor": lambda app: waiting(app, crowd=(60, 100), size=10),
    "one that waits beside a pool that has more": lambda app: waiting(app, waits=30, at_once=3),
    "copies that don't wait": lambda app: waiting(app, crowd=(1, 100)),
    "copies that wait a little of a long request": lambda app: waiting(app, crowd=(20, 900)),
    "opening within a checkout is not waiting": lambda app: waiting(app, waits=0.1, opens=0.9),
    "nothing was traced": scene,
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("DB108", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("DB108", app, build(app)) == []


BIG = Limits(most=100, reserved=3)
NEEDS = {
    # rate, held ms, connections at once, server, workers: needed in all, each one's pool, words of the recipe
    "little is needed": ((20, 50, 1, BIG, Said(4, "Procfile")), (3, 2, "20 /s × 50 ms = 1")),
    "much, over four processes": ((400, 100, 1, BIG, Said(4, "Procfile")), (53, 17, "97 / 4 = 24 at most")),
    "more than the server gives": ((2000, 100, 1, BIG, Said(4, "Procfile")), (229, 24, "put a proxy (PgBouncer)")),
    "a login with a bound of its own": ((400, 100, 1, Limits(100, 3, 20), Said(4, "Dockerfile")), (53, 5, "gives 20")),
    "more processes than connections": ((20, 50, 1, Limits(10, 3), Said(9, "Procfile")), (3, 1, "each of 9 processes")),
    "one request holds several": ((20, 50, 5, BIG, Said(2, "Procfile")), (3, 5, "holds 5 at the same time")),
    "processes not known": ((400, 100, 1, BIG, None), (53, 53, "processes: not known")),
    "the server did not tell": ((400, 100, 1, Limits(refused="gone"), Said(4, "x")), (53, 17, "not known: gone")),
}


def needing(rate: float, held: float, at_once: int, server: Limits, workers: Said | None) -> Seen[ConnectionNeed]:
    used = Connections(
        connects_count=0, connect_ms=0, checkouts_count=1, wait_ms=0, at_once_count=at_once, commits_count=0,
        held_ms=2 * held,
    )  # fmt: skip
    mix = Mix(rate, assumed=False, shares={"GET /books": 0.5, "GET /health": 0.5}, held={"GET /books": used})
    return Seen("need", need("postgresql", mix, server, workers))


def said(app: App, case: Seen[ConnectionNeed] | None) -> tuple[str, str]:
    """The finding's text and its recipe."""
    (found,) = run("DB108", app, replace(waiting(app, crowd=(60, 100)), need=case))
    told = case is not None and case.body.busy_count is not None
    assert ("need" in found.evidence) is told
    assert uncited(found.prose) == touching(found.prose) == []
    return found.prose.text, found.hypotheses[0].recipe


@pytest.mark.parametrize("name", NEEDS)
def test_a_number_with_its_arithmetic(name: str, app: App) -> None:
    given, (in_all, pool, words) = NEEDS[name]
    body = needing(*given)
    assert (body.body.needed_count, body.body.pool_count) == (in_all, pool)
    text, recipe = said(app, body)
    assert f"{in_all} are enough for bursts too" in text
    assert words in recipe and f"max_size={pool})" in recipe


def test_what_is_not_known_is_said(app: App) -> None:
    text, _ = said(app, needing(400, 100, 1, Limits(refused="permission denied"), None))
    assert "What the server allows could not be read. How many processes serve is not known." in text
    text, _ = said(app, needing(400, 100, 1, BIG, Said(4, "Procfile")))
    assert "gives 97 to this login: it has 100 in all and keeps 3 back. Production's may differ." in text
    assert "asks for 4 processes (`Procfile`): a pool of 17 for each. Each could have 24 at most." in text
    text, _ = said(app, needing(20, 50, 1, Limits(10, 3), Said(9, "Procfile")))
    assert "The server has not even one for each." in text


def test_without_figures_the_size_is_an_example(app: App) -> None:
    text, recipe = said(app, None)
    assert "Little" not in text
    assert "10 is an example" in recipe and "requests a second times the seconds" in recipe
    text, recipe = said(app, needing(0, 50, 1, BIG, None))
    assert "Little" not in text and "10 is an example" in recipe


def test_connections_that_are_opened_for_each_request_get_a_size_too(app: App) -> None:
    (found,) = run("DB108", app, replace(churning(app), need=needing(*NEEDS["little is needed"][0])))
    assert "Little's law" in found.prose.text and "max_size=2" in found.hypotheses[0].recipe


def test_the_pool_is_told_with_its_size(app: App) -> None:
    (found,) = run("DB108", app, waiting(app, crowd=(60, 100)))
    assert "The pool keeps 5 connections and opens 10 beyond." in found.prose.text
    assert "Of 20 copies sent at the same moment the median one waited 60 ms of its 100 ms" in found.prose.text
