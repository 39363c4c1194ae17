"""Statements through what stands in for sqlite3: sqlean (a real package), the C classes under another name."""

import asyncio
import sys
from contextlib import closing

import aiosqlite
import sqlean
from elsewhere import dbapi2, lite
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

path = sys.argv[1]


def raw() -> None:
    with closing(sqlean.connect(path)) as connection:
        assert isinstance(connection, sqlean.Connection)
        connection.executescript("create table t (id integer primary key, name text);")
        connection.executemany("insert into t values (?, ?)", [(n, f"n{n}") for n in range(10)])
        connection.commit()  # mark: commit
        connection.execute("select * from t where id < ?", (5,)).fetchall()  # mark: shortcut
        cursor = connection.cursor()
        assert type(cursor.execute("select median(id) from t")) is sqlean.Cursor  # mark: own_function
        cursor.fetchone()
    with closing(lite.connect(path)) as connection:
        connection.execute("select id from t limit 2").fetchall()  # mark: other_name


def through_sqlalchemy() -> None:
    for engine in (
        create_engine(f"sqlite:///{path}", module=sqlean.dbapi2),
        create_engine("sqlite://", creator=lambda: sqlean.connect(path)),
    ):
        with engine.connect() as connection:
            connection.execute(text("select id from t limit 6")).all()  # mark: orm
        engine.dispose()


async def through_aiosqlite() -> None:
    async def connect() -> aiosqlite.Connection:
        return await aiosqlite.Connection(lambda: sqlean.connect(f"file:{path}", uri=True), iter_chunk_size=64)

    engine = create_async_engine("sqlite+aiosqlite://", async_creator=connect)
    async with engine.connect() as connection:
        (await connection.execute(text("select id from t limit 3"))).all()  # mark: orm_async
    await engine.dispose()


sqlean.extensions.enable_all()
raw()
through_sqlalchemy()
asyncio.run(through_aiosqlite())
assert dbapi2.connect().execute("select nothing") == "select nothing"
