"""A FastAPI application on SQLAlchemy's async engine."""

import asyncio
import hashlib
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy import ForeignKey, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

path = os.environ["APP_DATABASE"]
engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
sessions = async_sessionmaker(engine)
seen: list[bytes] = []


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    body: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with sessions() as session:
        session.add_all(Author(id=n, name=f"author {n}") for n in range(1, 8))
        session.add_all(Book(id=n, title=f"title {n}", body="b" * 1000, author_id=n) for n in range(1, 8))
        await session.commit()
    yield


app = FastAPI(lifespan=lifespan)
router = APIRouter(prefix="/v1")


async def session() -> AsyncIterator[AsyncSession]:
    async with sessions() as opened:
        yield opened


def titled(book: Book, author: Author) -> str:
    return f"{book.title} by {author.name}"


@router.get("/books/{count}")
async def books(count: int, db: Annotated[AsyncSession, Depends(session)]) -> list[str]:
    found = (await db.scalars(select(Book).limit(count))).all()  # mark: list
    out = []
    for book in found:
        author = await db.get(Author, book.author_id)  # mark: each
        out.append(titled(book, author))
    return out


@router.get("/sync")
def sync() -> int:
    connection = sqlite3.connect(path)
    rows = connection.execute("select id from book").fetchall()  # mark: sync
    connection.close()
    return len(rows)


@router.get("/pool")
def pool() -> list[int]:
    with ThreadPoolExecutor(max_workers=2) as workers:
        return [found.result() for found in [workers.submit(sync), workers.submit(sync)]]


@router.get("/block")
async def block() -> None:
    time.sleep(0.15)  # mark: block


@router.get("/compute")
async def compute() -> None:
    hashlib.pbkdf2_hmac("sha256", b"p", b"s", 200_000)  # mark: compute


@router.get("/wait")
async def wait() -> None:
    await asyncio.sleep(0.1)


@router.get("/stream")
async def stream() -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(3):
            async with engine.connect() as connection:
                await connection.execute(text("select 'streamed'"))  # mark: stream
            await asyncio.sleep(0.02)
            yield b"x" * 100

    return StreamingResponse(parts())


@router.get("/fail")
async def fail() -> None:
    raise ValueError("as intended")


async def afterwards() -> None:
    async with engine.connect() as connection:
        await connection.execute(text("select 'afterwards'"))  # mark: afterwards


@router.get("/background")
async def background(tasks: BackgroundTasks) -> None:
    tasks.add_task(afterwards)


@router.get("/grow")
async def grow() -> None:
    seen.extend(bytes(1000) for _ in range(100))  # mark: grow


app.include_router(router)
