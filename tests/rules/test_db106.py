"""DB106 over-fetching: cases that must be found, and look-alikes that must not."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from perfcrew.core.evidence import Payload
from perfcrew.core.scene import Scene, Seen

from .build import App, Found, Shot, Silent, check_found, measured, run, scene, traced, warm

SOURCE = """
from sqlalchemy import select

async def latest(session):
    return list(await session.scalars(select(Article).limit(50)))  # articles

async def totals(session):
    return sum_up(await session.execute(select(Line)))  # lines
"""
TEXT = "SELECT article.id, article.title, article.body FROM article ORDER BY article.id DESC LIMIT ?"
COLUMNS = {"id": 400, "title": 2_000, "body": 750_000}


def titles(
    app: App,
    columns: dict[str, int] | None = None,
    reads: Sequence[Sequence[str]] = (("id", "title"),) * 3,
    keys: Sequence[str] = ("id", "title"),
    text: str = TEXT,
    **rest: Any,
) -> Scene:
    app.write("magazine.py", SOURCE)
    frames = [app.frame("magazine.py", "# articles", "latest")]
    shots = [
        Shot().sql(text, 50, frames, ms=9, rows=50).loads("Article", columns or COLUMNS, read, keys).wait(8)
        for read in reads
    ]
    return scene(app, traced(shots), **rest)


def rows(
    app: App, rows: int = 8000, items: int | None = 3, text: str = "SELECT book_id, quantity FROM line", times: int = 1
) -> Scene:
    app.write("magazine.py", SOURCE)

    def make() -> Shot:
        shot = Shot(extra={"items": items})
        for number in range(times):
            shot.sql(text, number, [app.frame("magazine.py", "# lines", "totals")], ms=20, rows=rows)
        return shot

    return scene(app, traced(warm(make)))


FOUND = {
    "bodies loaded for a list of titles": Found(
        lambda app: titles(app), "magazine.py", "# articles", "medium", None, "Article.body"
    ),
    "much of a slow request": Found(
        lambda app: titles(app, measurements=(measured("latency", 150.0),)), "magazine.py", "# articles", "high"
    ),
    "all lines for three totals": Found(rows, "magazine.py", "# lines", "medium", None, "line"),
}


def streamed(app: App) -> Scene:
    body = Payload(
        content_type="text/csv", content_encoding="", sent_bytes=10, decoded_bytes=10, gzip_bytes=9, streamed=True
    )
    return titles(app, payload=Seen("payload-1", body))


SILENT: dict[str, Silent] = {
    "the body is read": lambda app: titles(app, reads=(("id", "title", "body"),) * 3),
    "the body is in the answer": lambda app: titles(app, keys=("id", "title", "body")),
    "one request of three reads it": lambda app: titles(app, reads=(("id",), ("id", "body"), ("id",))),
    "small columns": lambda app: titles(app, columns={"id": 400, "title": 2_000, "isbn": 900}),
    "a small part of what was loaded": lambda app: titles(app, columns={"title": 900_000, "body": 60_000}),
    "no read was seen at all": lambda app: titles(app, reads=((), (), ())),
    "no statement is known to load it": lambda app: titles(app, text="SELECT other.id FROM other"),
    "an export": streamed,
    "a relation of the items, in a batch": lambda app: rows(app, text="SELECT * FROM line WHERE order_id IN (?, ?, ?)"),
    "as many items as rows": lambda app: rows(app, items=8000),
    "an answer that is no list": lambda app: rows(app, items=None),
    "some hundred rows": lambda app: rows(app, rows=300),
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("DB106", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Callable[[App], Scene]) -> None:
    assert run("DB106", app, build(app)) == []
