"""DB107 sequential independent statements: cases that must be found, and look-alikes that must not."""

from collections.abc import Sequence
from typing import Any

import pytest

from perfcrew.core.scene import Scene
from perfcrew.core.sql import binds
from perfcrew.rules import book
from perfcrew.rules.recipes import TOGETHER

from .build import App, Found, Shot, Silent, application, check_found, run, scene, thresholds, traced, warm

SOURCE = """
import sqlalchemy

def sync(session):
    books = session.scalar(count_books)  # sync one
    authors = session.scalar(count_authors)  # sync two
    return books, authors

async def one_session(session):
    books = await session.scalar(count_books)  # session one
    authors = await session.scalar(count_authors)  # session two
    return books, authors

async def own_sessions(first, second):
    books = await count(first, "book")  # own one
    authors = await count(second, "author")  # own two
    return books, authors

def dependent(session):
    book = session.scalar(find_book)  # dependent one
    return session.scalar(author_of(book))  # dependent two

def guarded(session):
    book = session.scalar(find_book)  # guarded one
    if book is None:
        raise LookupError
    return session.scalar(count_authors)  # guarded two

def looped(session, keys):
    for key in keys:
        book = session.scalar(find(key))  # loop one
        author = session.scalar(find(key))  # loop two
    return book, author

def cursor_of(connection):
    cursor = connection.cursor()
    cursor.execute("select count(*) from book")  # cursor one
    books = cursor.fetchone()
    cursor.execute("select count(*) from author")  # cursor two
    return books, cursor.fetchone()

def dashboard(session):
    return Answer(
        books=session.scalar(count_books),  # field one
        authors=session.scalar(count_authors),  # field two
    )

def page(session):
    first = books_of(session)  # helper one
    second = authors_of(session)  # helper two
    return first, second

def books_of(session):
    return session.scalars(books).all()  # inner one

def authors_of(session):
    return session.scalars(authors).all()  # inner two
"""


def reads(
    app: App,
    function: str,
    lines: Sequence[str],
    connections: Sequence[str | None] = ("a", "a"),
    ms: float = 20.0,
    at_ms: Sequence[float] = (),
    text: str = "SELECT count(*) FROM book",
    inner: Sequence[str] = (),
) -> Scene:
    app.write("figures.py", SOURCE)

    def make() -> Shot:
        shot = Shot()
        for number, needle in enumerate(lines):
            frames = [app.frame("figures.py", f"# {needle}", function)]
            if inner:
                frames.insert(0, app.frame("figures.py", f"# {inner[number]}", f"inner_{number}"))
            more: dict[str, Any] = {"at_ms": at_ms[number]} if at_ms else {}
            shot.sql(text, number, frames, ms=ms, perfcrew__db__connection=connections[number], **more)
        return shot

    return scene(app, traced(warm(make)), key="GET /dashboard")


FOUND = {
    "two reads in sync code": Found(
        lambda app: reads(app, "sync", ("sync one", "sync two")), "figures.py", "# sync two", "medium", None, "sync"
    ),
    "two awaits on one session": Found(
        lambda app: reads(app, "one_session", ("session one", "session two")), "figures.py", "# session two", "medium"
    ),
    "slow ones are high": Found(
        lambda app: reads(app, "sync", ("sync one", "sync two"), ms=500), "figures.py", "# sync two", "medium"
    ),
    "in helpers that one function calls": Found(
        lambda app: reads(app, "page", ("helper one", "helper two"), inner=("inner one", "inner two")),
        "figures.py",
        "# helper two",
        "medium",
    ),
}

BINDING = (
    "SELECT id FROM book WHERE id = 1 FOR UPDATE",
    "SELECT id FROM book WHERE id = 1 FOR NO KEY UPDATE SKIP LOCKED",
    "SELECT id FROM book WHERE id = 1 FOR KEY SHARE",
    "SELECT pg_advisory_xact_lock(7)",
    "SELECT pg_try_advisory_lock(7)",
    "SELECT set_config('app.tenant', 'x', true)",
    "SELECT nextval('book_id_seq')",
)
SILENT: dict[str, Silent] = {
    "own connections are RT302's": lambda app: reads(app, "own_sessions", ("own one", "own two"), ("a", "b")),
    "the second needs the first": lambda app: reads(app, "dependent", ("dependent one", "dependent two")),
    "the first decides whether there is a second": lambda app: reads(app, "guarded", ("guarded one", "guarded two")),
    "in a loop": lambda app: reads(app, "looped", ("loop one", "loop two")),
    "one cursor, whose rows are fetched in between": lambda app: reads(app, "cursor_of", ("cursor one", "cursor two")),
    "writes": lambda app: reads(app, "sync", ("sync one", "sync two"), text="UPDATE book SET seen = 1"),
    **{
        f"the first does more: {text}": lambda app, text=text: reads(app, "sync", ("sync one", "sync two"), text=text)
        for text in BINDING
    },
    "nothing to spare": lambda app: reads(app, "sync", ("sync one", "sync two"), ms=2),
    "they overlap": lambda app: reads(app, "one_session", ("session one", "session two"), at_ms=(1, 1)),
    "one statement": lambda app: reads(app, "sync", ("sync one",)),
    "nothing was traced": scene,
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("DB107", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("DB107", app, build(app)) == []


@pytest.mark.parametrize(
    ("function", "lines", "connections", "rule"),
    [
        ("sync", ("sync one", "sync two"), ("a", "a"), "DB107"),
        ("one_session", ("session one", "session two"), ("a", "b"), "DB107"),
        ("own_sessions", ("own one", "own two"), ("a", "b"), "RT302"),
    ],
)
def test_one_of_the_two_rules_speaks(
    app: App, function: str, lines: Sequence[str], connections: Sequence[str], rule: str
) -> None:
    over = application(app, reads(app, function, lines, connections))
    found = book.recognise(over, thresholds(), only={"DB107", "RT302", "HT402"}).findings
    assert [f.rule for f in found] == [rule]


def test_no_recipe_shares_a_session_between_tasks(app: App) -> None:
    (found,) = run("DB107", app, reads(app, "one_session", ("session one", "session two")))
    assert "gather(session" not in found.hypotheses[0].recipe


def test_what_is_only_spared_in_round_trips_is_not_promised(app: App) -> None:
    (sync,) = run("DB107", app, reads(app, "sync", ("sync one", "sync two")))
    assert sync.hypotheses[0].improvement is None
    (waits,) = run("DB107", app, reads(app, "one_session", ("session one", "session two")))
    assert waits.hypotheses[0].improvement


def test_djangos_recipe_joins_nothing() -> None:
    assert "distinct" not in TOGETHER["django"] and "(SELECT count(*) FROM shop_book)" in TOGETHER["django"]


@pytest.mark.parametrize(
    "text", ["SELECT 'FOR UPDATE' FROM t", "SELECT set_configured FROM t", "SELECT 1 -- FOR SHARE"]
)
def test_what_only_reads(text: str) -> None:
    assert not binds(text)
