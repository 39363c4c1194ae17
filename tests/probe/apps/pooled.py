"""Connections through each pool, against the server whose URI is the argument."""

import asyncio
import sys
import threading
import time

import asyncpg
import psycopg
import psycopg_pool
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

uri = sys.argv[1]
PAUSE = "select pg_sleep(0.2)"


def ask(engine: object, mark: str) -> None:
    with engine.connect() as connection:  # mark: sync_checkout
        connection.execute(text(PAUSE))  # mark: sync_statement


def sync_sqlalchemy() -> None:
    engine = create_engine(uri.replace("postgresql", "postgresql+psycopg"), pool_size=1, max_overflow=0)
    threads = [threading.Thread(target=ask, args=(engine, "x")) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.dispose()


def without_a_pool() -> None:
    engine = create_engine(uri.replace("postgresql", "postgresql+psycopg2"), poolclass=NullPool)
    for _ in range(3):
        with engine.connect() as connection:  # mark: churn
            connection.execute(text("select 1"))
    engine.dispose()


async def async_sqlalchemy() -> None:
    engine = create_async_engine(uri.replace("postgresql", "postgresql+asyncpg"), pool_size=1, max_overflow=0)

    async def one() -> None:
        async with AsyncSession(engine) as session:
            await session.execute(text(PAUSE))  # mark: async_session

    await asyncio.gather(one(), one())
    await engine.dispose()


async def with_asyncpg() -> None:
    async with asyncpg.create_pool(uri, min_size=1, max_size=1) as pool:

        async def one() -> None:
            async with pool.acquire() as connection:  # mark: asyncpg_checkout
                await connection.execute(PAUSE)

        await asyncio.gather(one(), one())


def with_psycopg_pool() -> None:
    with psycopg_pool.ConnectionPool(uri, min_size=1, max_size=1) as pool:

        def one() -> None:
            with pool.connection() as connection:  # mark: psycopg_checkout
                connection.execute(PAUSE)

        threads = [threading.Thread(target=one) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


async def with_psycopg_pool_async() -> None:
    async with psycopg_pool.AsyncConnectionPool(uri, min_size=1, max_size=1) as pool:

        async def one() -> None:
            async with pool.connection() as connection:  # mark: psycopg_async_checkout
                await connection.execute(PAUSE)

        await asyncio.gather(one(), one())


def transactions() -> None:
    with psycopg.connect(uri) as connection:  # mark: connect_3
        connection.execute("select 1")  # mark: implicit
        time.sleep(0.05)
        connection.commit()
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("select 1")  # mark: autocommitted


async def asyncpg_transactions() -> None:
    connection = await asyncpg.connect(uri)  # mark: connect_pg
    await connection.execute("select 1")  # mark: pg_alone
    async with connection.transaction():
        await connection.execute("select 1")  # mark: pg_within
    await connection.close()


sync_sqlalchemy()
without_a_pool()
asyncio.run(async_sqlalchemy())
asyncio.run(with_asyncpg())
with_psycopg_pool()
asyncio.run(with_psycopg_pool_async())
transactions()
asyncio.run(asyncpg_transactions())
