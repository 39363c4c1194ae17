"""Statements through each driver of MySQL, against the server whose URL is the argument."""

import asyncio
import contextlib
import sys
from urllib.parse import urlsplit

import aiomysql
import asyncmy
import pymysql
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

url = sys.argv[1]
parts = urlsplit(url)
where = {"host": parts.hostname, "port": parts.port, "user": parts.username}
ROWS = "select seq as n, 'x' as name from seq_1_to_{} where seq > %s"


def by_pymysql() -> None:
    connection = pymysql.connect(database="shop", **where)
    with connection.cursor() as cursor:
        cursor.execute("create temporary table t (n int)")  # mark: create
        cursor.execute(ROWS.format(5), (2,))  # mark: rows
        cursor.fetchall()
        cursor.executemany("insert into t values (%s)", [(1,), (2,), (3,)])  # mark: many
        cursor.executemany("update t set n = n + %s", [(1,), (2,)])  # mark: one_by_one
        cursor.execute("delete from t where n > %(least)s", {"least": 5})  # mark: delete
        with contextlib.suppress(pymysql.err.ProgrammingError):
            cursor.execute("select nothing from nowhere")  # mark: failing
    connection.commit()  # mark: commit
    with connection.cursor(pymysql.cursors.DictCursor) as cursor:
        cursor.execute(ROWS.format(3), (1,))  # mark: dicts
        assert cursor.fetchone()["name"] == "x"
    connection.close()


async def by_aiomysql() -> None:
    connection = await aiomysql.connect(db="shop", **where)
    async with connection.cursor() as cursor:
        await cursor.execute(ROWS.format(4), (0,))  # mark: aio
        await cursor.fetchall()
    connection.close()


async def by_asyncmy() -> None:
    connection = await asyncmy.connect(database="shop", **where)
    async with connection.cursor() as cursor:
        await cursor.execute(ROWS.format(6), (0,))  # mark: my
        await cursor.fetchall()
    connection.close()


def by_sqlalchemy() -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(text("select seq from seq_1_to_9 where seq > :least"), {"least": 2}).all()  # mark: orm
    engine.dispose()


async def by_sqlalchemy_async() -> None:
    for driver in ("aiomysql", "asyncmy"):
        engine = create_async_engine(url.replace("pymysql", driver))
        async with engine.connect() as connection:
            await connection.execute(text("select seq from seq_1_to_8"))  # mark: orm_async
        await engine.dispose()


by_pymysql()
asyncio.run(by_aiomysql())
asyncio.run(by_asyncmy())
by_sqlalchemy()
asyncio.run(by_sqlalchemy_async())
