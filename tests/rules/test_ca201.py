"""CA201 the same expensive read: cases that must be found, and look-alikes that must not."""

from collections.abc import Sequence
from typing import Any

import pytest

from perfcrew.core.scene import ApplicationScene, Scene
from perfcrew.core.sql import shape

from .build import App, Found, Shot, Silent, application, check_found, lives, measured, run, scene, traced

SERVICE = """
async def bestsellers(session):
    return list(await session.execute(statement))  # ranking

async def me(session):
    return await session.get(User, 7)  # me
"""
ROUTER = """
async def home(session):
    return await bestsellers(session)  # home
"""
TEXT = "SELECT book.id, sum(line.quantity) FROM book JOIN line ON line.book_id = book.id GROUP BY book.id LIMIT ?"


def ranking(
    app: App,
    parameters: Sequence[object] = (10,) * 6,
    ms: float = 20.0,
    key: str = "GET /home",
    targets: Sequence[str] = (),
    text: str = TEXT,
    rows: int = 10,
    wait: float = 2.0,
    asked: Sequence[int] = (0,) * 6,
    **rest: Any,
) -> Scene:
    """Six requests; a parameter that is None: the request doesn't send the statement."""
    app.write("ranking.py", SERVICE)
    app.write("home.py", ROUTER)
    frames = [app.frame("ranking.py", "# ranking", "bestsellers"), app.frame("home.py", "# home", "home")]
    shots = []
    for number, parameter in enumerate(parameters):
        shot = Shot(request=asked[number], repeat=number).wait(wait)
        shots.append(shot if parameter is None else shot.sql(text, parameter, frames, ms=ms, rows=rows))
    return scene(app, traced(shots), key=key, requests=targets, **rest)


FOUND = {
    "a ranking on the first page": Found(ranking, "ranking.py", "# ranking", "medium", "# home", "line", "home.py"),
    "sent by different requests": Found(
        lambda app: ranking(app, key="GET /books/{id}", targets=("/books/1", "/books/2"), asked=(0, 1) * 3),
        "ranking.py",
        "# ranking",
        "medium",
    ),
    "a slow one is high": Found(
        lambda app: ranking(app, measurements=(measured("latency", 400.0),)), "ranking.py", "# ranking", "high"
    ),
}


def kept_for(app: App) -> Scene:
    return ranking(app, ttl=(lives(shape(TEXT), of="statement"),))


FOUND["with what times to live would give"] = Found(kept_for, "ranking.py", "# ranking", "medium")


def with_writes(app: App) -> ApplicationScene:
    """Another endpoint writes to the table between the reads."""
    home = ranking(app)
    frames = [app.frame("ranking.py", "# me", "me")]
    shots = []
    for number in range(6):
        shot = Shot(repeat=number + 1)
        shots.append(shot.sql("INSERT INTO line (book_id) VALUES (?)", number, frames, at_ms=500))
    return application(app, home, scene(app, traced(shots), key="POST /orders"))


SILENT: dict[str, Silent] = {
    "kept: the first request only": lambda app: ranking(app, parameters=(10, None, None, None, None, None)),
    "kept for a moment: some requests": lambda app: ranking(app, parameters=(10, None, 10, None, 10, None)),
    "a parameter that follows the clock": lambda app: ranking(app, parameters=(1, 2, 3, 4, 5, 6)),
    "writes to its tables in between": with_writes,
    "a cheap lookup": lambda app: ranking(app, ms=1),
    "little of the request": lambda app: ranking(app, wait=100),
    "who is asking": lambda app: ranking(app, text="SELECT * FROM users WHERE id = ?", rows=1),
    "a session": lambda app: ranking(app, text="SELECT data FROM django_session WHERE key = ?", rows=1),
    "by a path's parameter, and only one value was asked": lambda app: ranking(
        app, key="GET /genres/{id}", targets=("/genres/1",)
    ),
    "by different requests with different answers": lambda app: ranking(
        app, parameters=(1, 2) * 3, key="GET /genres/{id}", targets=("/genres/1", "/genres/2"), asked=(0, 1) * 3
    ),
    "a write again": lambda app: ranking(app, text="UPDATE line SET seen = now()"),
    "parameters that the probe couldn't tell": lambda app: ranking(app, parameters=(None,) * 6),
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("CA201", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("CA201", app, build(app)) == []


def test_where_it_is_written_is_where_it_has_to_end(app: App) -> None:
    home = ranking(app)
    write = Shot().sql("UPDATE book SET title = ?", "x", [app.frame("ranking.py", "# me", "me")])
    shop = application(app, home, scene(app, traced([write]), key="POST /books"))
    (found,) = run("CA201", app, shop)
    assert "`ranking.py:6 (me)`" in found.hypotheses[0].recipe
