"""Independent statements that wait together: each on its own session or connection; and those that must not."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from perfcrew.core.patches import Declined, Fix
from perfcrew.rules.fixes import propose

from ..build import App, Shot, scene, traced
from .cases import FILE, PYPROJECT, At, application, finding, reasons, same, variant, write
from .database import asked, fixed, refused

MODELS = """
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "authors"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("authors.id"))
    author: Mapped[Author] = relationship()

    @property
    def label(self) -> str:
        return f"{self.title} by {self.author.name}"
"""
DB = """
from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

engine = create_async_engine("sqlite+aiosqlite:///shop.sqlite3")
Sessions = async_sessionmaker(engine, expire_on_commit=False)


async def get_session():
    async with Sessions() as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session)]
"""
HEAD = """
from fastapi import FastAPI
from sqlalchemy import func, select

from shop.db import SessionDep
from shop.models import Author, Book

app = FastAPI()


"""
PAGE = """@app.get("/page")
async def page(session: SessionDep, least: int = 0) -> dict[str, object]:
"""
TWO = """    books = (await session.scalars(select(Book).where(Book.id > least).order_by(Book.id))).all()
    total = await session.scalar(select(func.count(Author.id)))
"""
ANSWER = """    return {"books": [b.title for b in books], "total": total}
"""
STATE = DB.replace("import Depends\n", "import Depends, Request\n").replace(
    """async def get_session():
    async with Sessions() as session:
        yield session
""",
    """def sessions_of(request: Request):
    return request.app.state.sessions


async def get_session(request: Request):
    async with sessions_of(request)() as session:
        yield session
""",
)
STATE += "SessionsDep = Annotated[async_sessionmaker[AsyncSession], Depends(sessions_of)]\n"
HELD = HEAD.replace("SessionDep\n", "SessionDep, Sessions\n").rstrip() + "\napp.state.sessions = Sessions\n\n\n"
WRITTEN = {
    "rows of a class, and a number": (
        HEAD + PAGE + TWO + ANSWER,
        "scalar(select(func",
        """
        import asyncio

        from fastapi import FastAPI
        from sqlalchemy import func, select

        from shop.db import SessionDep, Sessions
        from shop.models import Author, Book

        app = FastAPI()


        @app.get("/page")
        async def page(session: SessionDep, least: int = 0) -> dict[str, object]:
            async def read_books():
                async with Sessions() as session:
                    return (await session.scalars(select(Book).where(Book.id > least).order_by(Book.id))).all()

            async def read_total():
                async with Sessions() as session:
                    return await session.scalar(select(func.count(Author.id)))

            books, total = await asyncio.gather(read_books(), read_total())
            return {"books": [b.title for b in books], "total": total}
        """,
    ),
    "results by a name that is used again, statements built between, comments": (
        HEAD
        + PAGE
        + """    # The books.
    result = await session.execute(select(Book).order_by(Book.id))
    books = result.scalars().all()  # all of them
    asked = select(Author.name).where(Author.id > least)
    # Their authors.
    result = await session.execute(asked.order_by(Author.id))
    names = result.scalars().all()
    return {"books": [b.title for b in books], "names": names}
""",
        "names = result",
        """
        import asyncio

        from fastapi import FastAPI
        from sqlalchemy import func, select

        from shop.db import SessionDep, Sessions
        from shop.models import Author, Book

        app = FastAPI()


        @app.get("/page")
        async def page(session: SessionDep, least: int = 0) -> dict[str, object]:
            # The books.
            asked = select(Author.name).where(Author.id > least)

            # all of them
            async def read_books():
                async with Sessions() as session:
                    return (await session.execute(select(Book).order_by(Book.id))).scalars().all()

            # Their authors.
            async def read_names():
                async with Sessions() as session:
                    return (await session.execute(asked.order_by(Author.id))).scalars().all()

            books, names = await asyncio.gather(read_books(), read_names())
            return {"books": [b.title for b in books], "names": names}
        """,
    ),
}


def ask(tmp_path: Path, source: str, needle: str, others: dict[str, str] | None = None) -> list[Fix | Declined]:
    files = {"shop/__init__.py": "", "shop/models.py": MODELS, "shop/db.py": DB, FILE: source, **(others or {})}
    return asked(tmp_path, "DB107", files, At(needle, "page"), subject="page")


@pytest.mark.parametrize("name", WRITTEN)
def test_each_on_a_session_of_its_own(name: str, tmp_path: Path) -> None:
    source, needle, expected = WRITTEN[name]
    same(fixed(ask(tmp_path, source, needle), "own sessions")[FILE], expected)


def test_an_endpoint_asks_for_the_sessionmaker_that_the_application_holds(tmp_path: Path) -> None:
    text = fixed(ask(tmp_path, HELD + PAGE + TWO + ANSWER, "scalar(select(func", {"shop/db.py": STATE}), "own sessions")
    assert "from shop.db import SessionDep, Sessions, SessionsDep\n" in text[FILE]
    assert "async def page(session: SessionDep, sessions: SessionsDep, least: int = 0) ->" in text[FILE]
    assert text[FILE].count("async with sessions() as session:") == 2


def test_without_a_name_of_its_own_the_dependency_is_written_out(tmp_path: Path) -> None:
    unnamed = {"shop/db.py": STATE[: STATE.index("SessionsDep")]}
    text = fixed(ask(tmp_path, HELD + PAGE + TWO + ANSWER, "scalar(select(func", unnamed), "own sessions")[FILE]
    assert "sessions: Annotated[async_sessionmaker, Depends(sessions_of)]" in text
    source = HELD.replace("import SessionDep", "import get_session") + PAGE.replace(
        "session: SessionDep, least: int = 0", "least: int = 0, session: AsyncSession = Depends(get_session)"
    )
    text = fixed(ask(tmp_path, source + TWO + ANSWER, "scalar(select(func", {"shop/db.py": STATE}), "own sessions")[
        FILE
    ]
    assert "sessions: async_sessionmaker = Depends(sessions_of)" in text


POOL = """
import asyncpg


async def page(pool: asyncpg.Pool, key):
    books = await pool.fetch("SELECT id FROM books WHERE id > $1", key)
    total = await pool.fetchval("SELECT count(*) FROM authors")
    return books, total
"""


def test_a_pool_gives_each_a_connection(tmp_path: Path) -> None:
    text = variant(asked(tmp_path, "DB107", {FILE: POOL}, At("fetchval", "page"), subject="page"), "gather")
    assert text.startswith("import asyncio\n")
    assert "    books, total = await asyncio.gather(\n" in text
    assert '        pool.fetchval("SELECT count(*) FROM authors"),\n' in text


def in_page(*lines: str) -> str:
    return HEAD + PAGE + TWO + "".join(f"    {line}\n" for line in lines) + ANSWER


SCHEMA = "from pydantic import BaseModel\n\n\nclass BookOut(BaseModel):\n    id: int\n    title: str\n"
SERVICE = """
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shop.models import Author, Book


async def page(session: AsyncSession, least: int):
"""
ROUTE = """
from fastapi import APIRouter

from shop.app import page
from shop.db import SessionDep

router = APIRouter()


@router.get("/page", response_model=list[BookOut])
async def listed(session: SessionDep):
    books = await page(session, 3)
    return books
"""
FOLLOWED = {
    "an answer's model reads columns only": (
        HEAD + "from shop.schemas import BookOut\n\n\n" + PAGE.replace("dict[str, object]", "list[BookOut]") + TWO
        + "    print(total)\n    return books\n",
        {"shop/schemas.py": SCHEMA},
    ),
    "through the function that calls it": (
        SERVICE + TWO + "    print(total)\n    return books\n",
        {"shop/schemas.py": SCHEMA, "shop/routes.py": ROUTE},
    ),
    "through a function of the same file": (
        HEAD + "def shown(rows):\n    return [r.title for r in rows]\n\n\n" + PAGE + TWO
        + "    return {'books': shown(books), 'total': total}\n",
        {},
    ),
    "one row that may be missing": (
        HEAD + PAGE + "    book = await session.scalar(select(Book).where(Book.id == least))\n"
        + TWO.splitlines(keepends=True)[1]
        + "    if book is None:\n        return {}\n    return {'book': book.title, 'total': total}\n",
        {},
    ),
    "a dependency with try and finally": (
        HEAD + PAGE + TWO + ANSWER,
        {
            "shop/db.py": DB.replace(
                "    async with Sessions() as session:\n        yield session\n",
                "    session = Sessions()\n    try:\n        yield session\n    finally:\n"
                "        await session.close()\n",
            )
        },
    ),
    "a row by its key": (
        HEAD + PAGE + "    book = await session.get(Book, least)\n" + TWO.splitlines(keepends=True)[1]
        + "    return {'book': book.title if book else None, 'total': total}\n",
        {},
    ),
    "SQLModel's way": (
        (HEAD + PAGE + TWO + ANSWER).replace("session.scalars", "session.exec"), {},
    ),
    "a default of the parameter": (
        HEAD.replace("import SessionDep", "import get_session").replace(
            "from fastapi import FastAPI", "from fastapi import Depends, FastAPI"
        )
        + "from sqlalchemy.ext.asyncio import AsyncSession\n\n"
        + PAGE.replace("session: SessionDep, least: int = 0", "least: int = 0, session: AsyncSession = "
                       "Depends(get_session)")
        + TWO + ANSWER,
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FOLLOWED)
def test_rows_are_followed(name: str, tmp_path: Path) -> None:
    source, others = FOLLOWED[name]
    text = fixed(ask(tmp_path, source, "scalar(select(func", others), "own sessions")[FILE]
    assert "await asyncio.gather(" in text
    assert text.count("async with Sessions() as session:") == 2


def db(old: str, new: str) -> dict[str, str]:
    assert old in DB
    return {"shop/db.py": DB.replace(old, new)}


DECLINED = {
    "sync code": (
        (HEAD + PAGE + TWO + ANSWER).replace("async def", "def").replace("await ", ""), {}, "sync code",
    ),
    "the second needs the first": (
        HEAD + PAGE + TWO.replace("select(func.count(Author.id))",
                                  "select(func.count(Author.id)).where(Author.id == len(books))") + ANSWER,
        {}, "needs `books`",
    ),
    "something was added before": (in_page("session.add(Book(title='x'))"), {}, "writes"),
    "the session is committed": (in_page("await session.commit()"), {}, "begins or ends a transaction"),
    "within a transaction that was begun": (
        HEAD + PAGE + "    async with session.begin():\n"
        + "".join(f"    {line}\n" for line in TWO.splitlines()) + ANSWER,
        {}, "begins or ends a transaction",
    ),
    "rows are locked": (
        (HEAD + PAGE + TWO + ANSWER).replace("order_by(Book.id)", "order_by(Book.id).with_for_update()"), {},
        "does more than to read",
    ),
    "rows are locked where the statement is built": (
        HEAD + PAGE + "    asked = select(Book).with_for_update()\n"
        + TWO.replace("select(Book).where(Book.id > least)", "asked") + ANSWER,
        {}, "does more than to read",
    ),
    "a row that is got with a lock": (
        HEAD + PAGE + "    book = await session.get(Book, least, with_for_update=True)\n"
        + TWO.splitlines(keepends=True)[1] + "    return {'book': book.title, 'total': total}\n",
        {}, "a class and a key alone",
    ),
    "a row of a class that is not known": (
        HEAD + PAGE + "    book = await session.get(least, 3)\n" + TWO.splitlines(keepends=True)[1]
        + "    return {'book': book.title, 'total': total}\n",
        {}, "a class and a key alone",
    ),
    "a function that draws a number": (
        (HEAD + PAGE + TWO + ANSWER).replace("func.count(Author.id)", "func.nextval('books')"), {},
        "does more than to read",
    ),
    "a text that writes": (
        (HEAD + PAGE + TWO + ANSWER).replace(
            "scalar(select(func.count(Author.id)))", "scalar(select(func.count()).where(text('x')))"
        ).replace("import func, select", "import func, select, text"),
        {}, "only reads",
    ),
    "the session was used before": (
        HEAD + PAGE + "    user = await session.get(Author, 1)\n    if user is None:\n        return {}\n" + TWO
        + ANSWER,
        {}, "holds a connection from then on",
    ),
    "a relation is read": (
        HEAD + PAGE + TWO + ANSWER.replace("b.title", "b.author.name"), {}, "a relation",
    ),
    "a property that reads a relation": (
        HEAD + PAGE + TWO + ANSWER.replace("b.title", "b.label"), {}, "no column of Book",
    ),
    "a row is written to": (in_page("books[0].title = 'x'"), {}, "writes to `books[0].title`"),
    "rows get to who knows whom": (in_page("show(books)"), {}, "hands Book rows on"),
    "rows are kept in a list": (in_page("kept = []", "kept.append(books[0])"), {}, "hands Book rows on"),
    "rows are compared": (in_page("same = books[0] in books"), {}, "hands Book rows on"),
    "a function is handed on as a dependency": (
        SERVICE + TWO + "    print(total)\n    return books\n",
        {"shop/routes.py": ROUTE.replace("books = await page(session, 3)", "books = await call(page, session)")},
        "can't be told",
    ),
    "an endpoint that does not say what it answers": (
        HEAD + PAGE.replace(" -> dict[str, object]", "") + TWO + "    return books\n", {}, "does not say what",
    ),
    "the answer's model shows a relation": (
        HEAD + PAGE.replace("dict[str, object]", "list[BookOut]") + TWO + "    return books\n",
        {"shop/schemas.py": SCHEMA + "    author: str\n"}, "a relation",
    ),
    "the answer's model reads in its own way": (
        HEAD + PAGE.replace("dict[str, object]", "list[BookOut]") + TWO + "    return books\n",
        {"shop/schemas.py": SCHEMA + "    @model_validator(mode='before')\n    def all(cls, row): return vars(row)\n"},
        "a way of its own",
    ),
    "the rows are taken later": (
        HEAD + PAGE + "    result = await session.execute(select(Book))\n" + TWO.splitlines(keepends=True)[1]
        + "    return {'books': result.all(), 'total': total}\n",
        {}, "not taken at once",
    ),
    "the result is asked twice": (
        HEAD + PAGE + "    result = await session.execute(select(Book.id))\n    books = result.all()\n"
        + TWO.splitlines(keepends=True)[1] + "    return {'books': books, 'more': result.all(), 'total': total}\n",
        {}, "does more with `result`",
    ),
    "a session of no known maker": (
        HEAD + PAGE.replace("SessionDep", "AsyncSession") + TWO + ANSWER, {}, "which sessionmaker",
    ),
    "the dependency sets something": (
        HEAD + PAGE + TWO + ANSWER, db("        yield session", "        await tell(session)\n        yield session"),
        "does more than to take a session",
    ),
    "the dependency begins": (
        HEAD + PAGE + TWO + ANSWER, db("Sessions() as session", "Sessions.begin() as session"), "no sessionmaker",
    ),
    "the maker is made elsewhere": (
        HEAD + PAGE + TWO + ANSWER, db("Sessions = async_sessionmaker(engine, expire_on_commit=False)",
                                       "Sessions = made(engine)"),
        "no sessionmaker",
    ),
    "sessions hold something": (
        HEAD + PAGE + TWO + ANSWER, db("expire_on_commit=False", "info={'tenant': 1}"), "of their own",
    ),
    "one connection for all": (
        HEAD + PAGE + TWO + ANSWER, db("sqlite3\")", "sqlite3\", poolclass=StaticPool)"), "one connection",
    ),
    "one state of the data is asked for": (
        HEAD + PAGE + TWO + ANSWER, db("sqlite3\")", "sqlite3\", isolation_level=\"REPEATABLE READ\")"),
        "REPEATABLE READ",
    ),
    "a sessionmaker that is made for the request": (
        HELD + PAGE + TWO + ANSWER,
        {"shop/db.py": STATE.replace("return request.app.state.sessions", "return made(request)")},
        "takes its sessionmaker from",
    ),
    "one sessionmaker of the application for each tenant": (
        HELD + PAGE + TWO + ANSWER,
        {"shop/db.py": STATE.replace("request.app.state.sessions", "request.app.state.sessions[request.tenant]")},
        "takes its sessionmaker from",
    ),
    "the application's, in a function that is no endpoint": (
        SERVICE + TWO + "    print(total)\n    return books\n",
        {"shop/db.py": STATE, "shop/schemas.py": SCHEMA, "shop/routes.py": ROUTE}, "is no endpoint",
    ),
    "a tenant that sessions are told": (
        HEAD + PAGE + TWO + ANSWER, {"shop/tenants.py": "def at(session, t):\n    session.info['t'] = t\n"},
        "user or tenant",
    ),
    "MySQL": (
        HEAD + PAGE + TWO + ANSWER, {"pyproject.toml": PYPROJECT.replace('"fastapi"', '"fastapi", "asyncmy"')}, "MySQL",
    ),
    "tests put another session there": (
        HEAD + PAGE + TWO + ANSWER,
        {"tests/conftest.py": "app.dependency_overrides[get_session] = other\n"}, "puts another session",
    ),
    "a connection of asyncpg": (
        POOL.replace("pool: asyncpg.Pool", "pool: asyncpg.Connection"), {}, "one connection can't be shared",
    ),
    "a pool of somebody else": (
        POOL.replace("import asyncpg", "from shop import asyncpg"), {}, "not known to be a pool",
    ),
    "a lock by asyncpg": (POOL.replace("FROM authors", "FROM authors FOR UPDATE"), {}, "only reads"),
    "a write by asyncpg": (
        POOL.replace("SELECT count(*) FROM authors", "DELETE FROM authors RETURNING id"), {}, "only reads",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DECLINED)
def test_declines(name: str, tmp_path: Path) -> None:
    source, others, reason = DECLINED[name]
    needle = next(n for n in ("fetchval", "scalar(select(func", "total = ") if n in source)
    assert reason in refused(ask(tmp_path, source, needle, others))


WRITING, BEFORE, EARLIER = "UPDATE books SET title = ?", "SELECT authors.id FROM authors", "handle"
TRACED = {
    "only these": ([], ""),
    "a write in the request": ([(WRITING, "page")], "writes too"),
    "a statement of somebody else's before": ([(BEFORE, EARLIER)], "sent before these"),
}


@pytest.mark.parametrize("name", TRACED)
def test_what_the_traces_show_of_the_request(name: str, tmp_path: Path) -> None:
    more, reason = TRACED[name]
    shop = App(tmp_path)
    files = {"shop/__init__.py": "", "shop/models.py": MODELS, "shop/db.py": DB, FILE: HEAD + PAGE + TWO + ANSWER}
    write(tmp_path, files)
    shot = Shot()
    for text, function in more:
        shot.sql(text, None, [shop.frame(FILE, "@app.get", function)])
    for needle in ("books = (await", "total = await"):
        shot.sql("SELECT 1", None, [shop.library("sqlalchemy.py"), shop.frame(FILE, needle, "page")])
    observed = scene(shop, traced([shot]))
    seen = finding(tmp_path, "DB107", At("total = await", "page")).model_copy(
        update={"endpoint": observed.endpoint.key}
    )
    answers = propose(tmp_path, seen, replace(application(tmp_path), scenes=(observed,)))
    assert any(isinstance(a, Fix) for a in answers) is not bool(reason)
    assert reason in reasons(answers)


DRIVER = """
import asyncio, json, sys
from sqlalchemy import event
from shop import db
from shop.models import Author, Base, Book

sent, open_now, most = [], [0], [0]


async def main():
    async with db.engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with db.Sessions() as session:
        session.add_all([Author(id=n, name=f"a{n}") for n in range(1, 4)])
        await session.flush()
        session.add_all([Book(id=n, title=f"t{n}", author_id=n % 3 + 1) for n in range(1, 9)])
        await session.commit()
    event.listen(db.engine.sync_engine, "before_cursor_execute", lambda *a: sent.append(a[2]))

    def out(*_):
        open_now[0] += 1
        most[0] = max(most[0], open_now[0])

    def back(*_):
        open_now[0] -= 1

    event.listen(db.engine.sync_engine, "checkout", out)
    event.listen(db.engine.sync_engine, "checkin", back)
    from shop.app import app
    from httpx import ASGITransport, AsyncClient
    async with AsyncClient(transport=ASGITransport(app), base_url="http://x") as client:
        answers = [(await client.get(f"/page?least={n}")).json() for n in (0, 5, 99)]
    print(json.dumps({"answers": answers, "sent": len(sent), "most": most[0], "left": open_now[0]}))


asyncio.run(main())
"""


def ran(root: Path) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", DRIVER], cwd=root, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize(("head", "db"), [(HEAD, DB), (HELD, STATE)], ids=["of a module", "of the application"])
def test_the_application_answers_the_same_on_two_connections_at_once(head: str, db: str, tmp_path: Path) -> None:
    answers = ask(tmp_path, head + PAGE + TWO + ANSWER, "scalar(select(func", {"shop/db.py": db})
    (fix,) = [a for a in answers if isinstance(a, Fix)]
    before = ran(tmp_path)
    for path, text in fix.files.items():
        (tmp_path / path).write_text(str(text))
    after = ran(tmp_path)
    assert (after["answers"], after["sent"], after["left"]) == (before["answers"], before["sent"], 0)
    assert (before["most"], after["most"]) == (1, 2)
