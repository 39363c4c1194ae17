"""Clones for the tests: real databases with customers and what they did."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal

import psycopg

from perfcrew.target.clones import mysql

SCHEMA = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, email VARCHAR(80) NOT NULL UNIQUE, secret TEXT);
CREATE TABLE events (
    id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL, kind VARCHAR(20) NOT NULL, happened_at TIMESTAMP NOT NULL
);
CREATE INDEX ix_events_kind_here ON events (kind) WHERE customer_id = 1;
CREATE TABLE settings (key VARCHAR(40) PRIMARY KEY, value TEXT);
"""
_INDEXES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'index'",
    "postgresql": "SELECT indexname FROM pg_indexes",
    "mysql": "SELECT CONCAT(TABLE_NAME, INDEX_NAME) FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE()",
}
CUSTOMERS = 400
EVENTS = 20_000


@dataclass
class TestClone:
    """What instruments need of a clone."""

    __test__ = False
    engine: Literal["sqlite", "postgresql", "mysql", "none"]
    connect: Callable[[], Any]

    def indexes(self) -> set[str]:
        """The names of all indexes."""
        with closing(self.connect()) as db, closing(db.cursor()) as cursor:
            cursor.execute(_INDEXES[self.engine])
            return {name for (name,) in cursor.fetchall()}


def sqlite_clone(file: str) -> TestClone:
    """A SQLite file with that data."""
    with sqlite3.connect(file) as db:
        db.executescript(SCHEMA)
        _fill(db.executemany, "?")
    db.close()
    return TestClone("sqlite", lambda: sqlite3.connect(file))


def postgres_clone(uri: str) -> TestClone:
    """The same in PostgreSQL."""
    with psycopg.connect(uri) as db, db.cursor() as cursor:
        cursor.execute(SCHEMA)
        _fill(cursor.executemany, "%s")
    return TestClone("postgresql", lambda: psycopg.connect(uri))


def _fill(many: Callable[[str, list[tuple[Any, ...]]], object], mark: str) -> None:
    people = [(n, f"reader{n}@example.org", f"secret{n}") for n in range(1, CUSTOMERS + 1)]
    many(f"INSERT INTO customers VALUES ({mark}, {mark}, {mark})", people)
    kinds = ("view", "search", "basket")
    events = [
        (n, n * 7919 % CUSTOMERS + 1, kinds[n % 3], f"2026-01-{n % 28 + 1:02} 10:{n % 60:02}:00") for n in range(EVENTS)
    ]
    many(f"INSERT INTO events VALUES ({mark}, {mark}, {mark}, {mark})", events)
    many(f"INSERT INTO settings VALUES ({mark}, {mark})", [("currency", "EUR")])


def mysql_clone(url: str) -> TestClone:
    """The same in MySQL or MariaDB, without the index that has a condition."""
    with closing(mysql.connect(url)) as db, db.cursor() as cursor:
        for statement in SCHEMA.split(";"):
            if statement.strip() and "WHERE" not in statement:
                cursor.execute(statement.replace("key VARCHAR", "`key` VARCHAR"))
        db.begin()
        _fill(cursor.executemany, "%s")
        db.commit()
    return TestClone("mysql", lambda: mysql.connect(url))
