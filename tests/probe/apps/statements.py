"""Statements through sqlite3, aiosqlite and SQLAlchemy, without any server."""

import asyncio
import sqlite3
import sys
from contextlib import closing, suppress

import aiosqlite
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

path = sys.argv[1]


def raw() -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("create table t (id integer primary key, name text);")  # mark: script
        connection.executemany("insert into t values (?, ?)", [(n, f"n{n}") for n in range(10)])  # mark: many
        connection.executemany("insert into t values (?, ?)", ((n, "g") for n in range(10, 13)))  # mark: generated
        connection.commit()  # mark: commit
        connection.execute("select * from t where id < ?", (5,)).fetchall()  # mark: shortcut
        cursor = connection.cursor()
        cursor.execute("select id from t")  # mark: one
        cursor.fetchone()
        cursor.execute("select id, name from t limit :n", {"n": 7})  # mark: many_fetched
        while cursor.fetchmany(3):
            pass
        for _ in connection.execute("select 1 union select 2"):  # mark: iterated
            pass
        connection.execute("pragma foreign_keys").fetchall()  # mark: pragma
        with suppress(sqlite3.OperationalError):
            connection.execute("select nothing from nowhere")  # mark: failing
        with connection:
            connection.execute("delete from t where id = 12")  # mark: delete


class Own(sqlite3.Connection):
    pass


def factory() -> None:
    with closing(sqlite3.connect(path, factory=Own)) as connection:
        assert type(connection) is Own and isinstance(connection, sqlite3.Connection)
        connection.execute("select 42").fetchone()  # mark: own_factory


async def in_a_thread() -> None:
    async with aiosqlite.connect(path) as connection:
        rows = await connection.execute_fetchall("select * from t limit 3")  # mark: aio_fetchall
        assert len(list(rows)) == 3
        async with connection.execute("select * from t limit 4") as cursor:  # mark: aio_cursor
            await cursor.fetchall()


async def ask(session: object) -> None:
    await session.execute(text("select 1 where 1 = :one"), {"one": 1})  # mark: orm_async


async def through_sqlalchemy() -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    async with async_sessionmaker(engine)() as session:
        await ask(session)
        await session.run_sync(lambda inner: inner.execute(text("select 2")))  # mark: orm_run_sync
    async with engine.connect() as one, engine.connect() as two:
        await asyncio.gather(one.execute(text("select 3")), two.execute(text("select 3")))  # mark: orm_gathered
    await engine.dispose()


def sync_sqlalchemy() -> None:
    with create_engine(f"sqlite:///{path}").connect() as connection:
        connection.execute(text("select id from t limit 6")).all()  # mark: orm_sync


raw()
factory()
asyncio.run(in_a_thread())
asyncio.run(through_sqlalchemy())
sync_sqlalchemy()
