"""A shop on PostgreSQL through SQLAlchemy's async ORM: every way to ask once a row, and ways to hold a connection."""

import asyncio
import os
import time
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI
from sqlalchemy import ForeignKey, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncAttrs, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload
from sqlalchemy.pool import NullPool

URL = os.environ["APP_URI"]
ASYNC = URL.replace("postgresql://", f"postgresql+{os.environ.get('APP_DRIVER', 'asyncpg')}://")
engine = create_async_engine(ASYNC, pool_size=2, max_overflow=0)
unpooled = create_async_engine(ASYNC, poolclass=NullPool)
sessions = async_sessionmaker(engine, expire_on_commit=False)
wide = async_sessionmaker(create_async_engine(ASYNC, pool_size=20), expire_on_commit=False)


NAMED = text("select name from author where id = :k")


class Base(AsyncAttrs, DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    books: Mapped[list["Book"]] = relationship(back_populates="author", order_by="Book.id")


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship(back_populates="books")


@asynccontextmanager
async def life(_: FastAPI):
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        await connection.execute(insert(Author), [{"name": f"a{n}"} for n in range(1, 13)])
        await connection.execute(insert(Book), [{"title": f"t{n}", "author_id": n % 12 + 1} for n in range(1, 37)])
    yield


app = FastAPI(lifespan=life)


@app.get("/awaitable")
async def awaitable():
    async with sessions() as session:
        authors = (await session.scalars(select(Author))).all()
        return [len(await author.awaitable_attrs.books) for author in authors]  # mark: awaitable


@app.get("/gets")
async def gets():
    async with sessions() as session:
        found = []
        for key in range(1, 9):
            found.append((await session.get(Author, key)).name)  # mark: gets
        return found


def names_of(books):
    return [book.author.name for book in books]  # mark: run_sync


@app.get("/run_sync")
async def run_sync():
    async with sessions() as session:
        return await session.run_sync(lambda inner: names_of(inner.scalars(select(Book).limit(12)).all()))


async def count_of(session, key):
    return await session.scalar(select(func.count()).where(Book.author_id == key))  # mark: helper


@app.get("/interleaved")
async def interleaved():
    async with sessions() as session:
        figures = []
        for key in range(1, 9):
            figures.append(await count_of(session, key))
            if key % 4 == 0:
                figures.append(await session.scalar(text("select 1")))
        return figures


async def own(key):
    async with wide() as session:
        return (await session.get(Author, key)).name  # mark: concurrent


@app.get("/concurrent")
async def concurrent():
    return await asyncio.gather(*(own(key) for key in range(1, 9)))


@app.get("/raw")
async def raw():
    async with engine.connect() as connection:
        rows = []
        for key in range(1, 9):
            found = await connection.execute(NAMED, {"k": key})  # mark: raw
            rows.append(found.scalar())
        return rows


@app.post("/writes")
async def writes():
    async with sessions() as session:
        for key in range(8):
            await session.execute(insert(Book).values(title=f"n{key}", author_id=1))  # mark: writes
        await session.rollback()
    return {}


@app.get("/eager")
async def eager():
    async with sessions() as session:
        authors = (await session.scalars(select(Author).options(selectinload(Author.books)))).all()
        return [len(author.books) for author in authors]


@app.post("/bulk")
async def bulk():
    async with sessions() as session:
        await session.execute(insert(Book), [{"title": f"n{key}", "author_id": 1} for key in range(40)])
        await session.rollback()
    return {}


@app.get("/slow")
async def slow():
    async with sessions() as session:
        await session.execute(text("select pg_sleep(0.05)"))  # mark: slow
    return {}


@app.get("/unpooled")
async def without_a_pool():
    async with unpooled.connect() as connection:  # mark: unpooled
        return (await connection.execute(text("select 1"))).scalar()


async def charge():
    async with httpx.AsyncClient() as client:
        await client.get(os.environ["APP_OTHER"] + "/wait")  # mark: charge


@app.post("/pay")
async def pay():
    async with sessions() as session:
        author = await session.get(Author, 3)  # mark: pay
        await charge()
        author.name = "paid"
        await session.commit()
    return {}


@app.post("/pay_after")
async def pay_after():
    async with sessions() as session:
        author = await session.get(Author, 4)
        await session.commit()
    await charge()
    async with sessions.begin() as session:
        session.add(await session.merge(author))
    return {}


@app.get("/computes")
async def computes():
    async with sessions() as session:
        await session.get(Author, 5)  # mark: computes
        time.sleep(0.08)
    return {}


@app.get("/wait")
async def wait():
    await asyncio.sleep(0.06)
    return {}
