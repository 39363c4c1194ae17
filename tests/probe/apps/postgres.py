"""Statements through each PostgreSQL driver, against the server whose URI is the argument."""

import asyncio
import sys

import asyncpg
import psycopg
import psycopg2
import psycopg2.extras
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

uri = sys.argv[1]
ROWS = "select n, 'x' as name from generate_series(1, {}) n"


def version_3() -> None:
    with psycopg.connect(uri) as connection:
        connection.execute(ROWS.format("%s"), (5,)).fetchall()  # mark: p3
        with connection.cursor() as cursor:
            cursor.execute("create temp table t (n int)")  # mark: p3_create
            cursor.executemany("insert into t values (%s)", [(1,), (2,)])  # mark: p3_many
        with connection.cursor("named") as cursor:
            cursor.execute(ROWS.format(30))  # mark: p3_named
            while cursor.fetchmany(10):
                pass
        connection.commit()  # mark: p3_commit


def version_2() -> None:
    connection = psycopg2.connect(uri)
    with connection.cursor() as cursor:
        cursor.execute(ROWS.format("%s"), (6,))  # mark: p2
        cursor.fetchall()
    with connection.cursor(cursor_factory=psycopg2.extras.DictCursor) as cursor:
        cursor.execute(ROWS.format(2))  # mark: p2_dict
        assert cursor.fetchone()["name"] == "x"
    with connection.cursor("named") as cursor:
        cursor.execute(ROWS.format(30))  # mark: p2_named
        cursor.fetchmany(10)
    connection.commit()  # mark: p2_commit
    connection.close()


async def version_3_async() -> None:
    async with await psycopg.AsyncConnection.connect(uri) as connection:
        cursor = await connection.execute(ROWS.format(4))  # mark: p3_async
        await cursor.fetchall()


async def with_asyncpg() -> None:
    connection = await asyncpg.connect(uri)
    await connection.fetch(ROWS.format("$1::int"), 8)  # mark: pg
    await connection.fetchrow("select 1 as one")  # mark: pg_row
    statement = await connection.prepare("select $1::text as echoed")
    await statement.fetch("a")  # mark: pg_prepared
    await connection.execute("create temp table u (n int)")  # mark: pg_execute
    await connection.executemany("insert into u values ($1)", [(1,), (2,), (3,)])  # mark: pg_many
    async with connection.transaction():
        async for _ in connection.cursor(ROWS.format(25), prefetch=10):  # mark: pg_cursor
            pass
    await connection.close()


async def through_sqlalchemy() -> None:
    for driver in ("asyncpg", "psycopg"):
        engine = create_async_engine(uri.replace("postgresql", f"postgresql+{driver}"))
        async with engine.begin() as connection:
            result = await connection.execute(text(ROWS.format(":n")), {"n": 9})  # mark: orm
            result.all()
        await engine.dispose()
    pinging = create_async_engine(uri.replace("postgresql", "postgresql+asyncpg"), pool_pre_ping=True)
    for _ in range(2):
        async with pinging.begin() as connection:
            result = await connection.execute(text(ROWS.format(":n")), {"n": 7})  # mark: pinged
            result.all()
    await pinging.dispose()


version_3()
version_2()
asyncio.run(version_3_async())
asyncio.run(with_asyncpg())
asyncio.run(through_sqlalchemy())
