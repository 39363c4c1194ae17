"""Independent statements that wait together: each on its own session or connection; and those that must not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from perfcrew.core.patches import Declined, Fix

from .cases import FILE, PYPROJECT, At, same, variant
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
