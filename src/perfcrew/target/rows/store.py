"""Reads and writes rows of a clone, for SQLite and PostgreSQL alike."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg
from psycopg import sql

from perfcrew.target.clones import postgres, sqlite
from perfcrew.target.rows import reflect_postgres, reflect_sqlite
from perfcrew.target.rows.schema import Key, Row, Table

_IN_A_ROW = 25
"""Refused rows, one after the other, after which a table is given up."""


@dataclass(frozen=True)
class Inserted:
    """How many rows the database took, and why it refused the last one that it did not."""

    count: int
    refused: str = ""


class Store(Protocol):
    """What growing needs of an engine."""

    def reflect(self) -> dict[str, Table]: ...
    def count(self) -> dict[str, int]: ...
    def sample(self, table: Table, limit: int) -> list[Row]: ...
    def keys(self, table: Table, columns: Sequence[str], limit: int) -> list[Key]: ...
    def insert(self, table: Table, columns: Sequence[str], rows: Sequence[Key]) -> Inserted: ...
    def finish(self, grown: Iterable[Table]) -> None: ...


class SqliteStore:
    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        db.isolation_level = None
        db.execute("PRAGMA foreign_keys=ON")
        db.execute("PRAGMA synchronous=OFF")
        db.execute("BEGIN")

    def reflect(self) -> dict[str, Table]:
        return reflect_sqlite.reflect(self.db)

    def count(self) -> dict[str, int]:
        return sqlite.count(self.db)

    def sample(self, table: Table, limit: int) -> list[Row]:
        names = [c.name for c in table.columns]
        rows = self.db.execute(f"SELECT {_list(names)} FROM {sqlite.quote(table.name)} LIMIT ?", [limit])
        return [dict(zip(names, row, strict=True)) for row in rows]

    def keys(self, table: Table, columns: Sequence[str], limit: int) -> list[Key]:
        query = f"SELECT {_list(columns)} FROM {sqlite.quote(table.name)} LIMIT ?"
        return [tuple(row) for row in self.db.execute(query, [limit])]

    def insert(self, table: Table, columns: Sequence[str], rows: Sequence[Key]) -> Inserted:
        marks = ", ".join("?" * len(columns))
        command = f"INSERT INTO {sqlite.quote(table.name)} ({_list(columns)}) VALUES ({marks})"
        self.db.execute("SAVEPOINT filling")
        try:
            self.db.executemany(command, rows)
        except sqlite3.Error:
            self.db.execute("ROLLBACK TO filling")
            return self._one_by_one(command, rows)
        finally:
            self.db.execute("RELEASE filling")
        return Inserted(len(rows))

    def _one_by_one(self, command: str, rows: Sequence[Key]) -> Inserted:
        count, in_a_row, refused = 0, 0, ""
        for row in rows:
            try:
                self.db.execute(command, row)
            except sqlite3.Error as error:
                refused, in_a_row = str(error), in_a_row + 1
                if in_a_row >= _IN_A_ROW:
                    break
            else:
                count, in_a_row = count + 1, 0
        return Inserted(count, refused)

    def finish(self, grown: Iterable[Table]) -> None:
        self.db.execute("COMMIT")


def _list(names: Iterable[str]) -> str:
    return ", ".join(map(sqlite.quote, names))


class PostgresStore:
    """Everything but whole numbers travels as text, so that every type of the server comes back as it went."""

    def __init__(self, db: psycopg.Connection[Any]) -> None:
        self.db = db

    def reflect(self) -> dict[str, Table]:
        return reflect_postgres.reflect(self.db)

    def count(self) -> dict[str, int]:
        return postgres.count(self.db)

    def sample(self, table: Table, limit: int) -> list[Row]:
        names = [c.name for c in table.columns]
        return [dict(zip(names, row, strict=True)) for row in self.keys(table, names, limit)]

    def keys(self, table: Table, columns: Sequence[str], limit: int) -> list[Key]:
        whole = [table.column(name).kind == "int" for name in columns]
        parts = [sql.SQL("{}::text").format(sql.Identifier(name)) for name in columns]
        query = sql.SQL("SELECT {} FROM {} LIMIT {}").format(
            sql.SQL(", ").join(parts), postgres.identifier(table.name), sql.Literal(limit)
        )
        return [
            tuple(int(v) if is_whole and v is not None else v for v, is_whole in zip(row, whole, strict=True))
            for row in self.db.execute(query)
        ]

    def insert(self, table: Table, columns: Sequence[str], rows: Sequence[Key]) -> Inserted:
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        into = sql.SQL("INSERT INTO {} ({})").format(postgres.identifier(table.name), names).as_string(self.db)
        marks = ", ".join(["%s"] * len(columns))
        command = f"{into.replace('%', '%%')} OVERRIDING SYSTEM VALUE VALUES ({marks})".encode()
        try:
            with self.db.transaction(), self.db.cursor() as cursor:
                cursor.executemany(command, rows)
        except psycopg.Error:
            return self._one_by_one(command, rows)
        return Inserted(len(rows))

    def _one_by_one(self, command: bytes, rows: Sequence[Key]) -> Inserted:
        count, in_a_row, refused = 0, 0, ""
        for row in rows:
            try:
                with self.db.transaction():
                    self.db.execute(command, row)
            except psycopg.Error as error:
                refused, in_a_row = str(error).splitlines()[0], in_a_row + 1
                if in_a_row >= _IN_A_ROW:
                    break
            else:
                count, in_a_row = count + 1, 0
        return Inserted(count, refused)

    def finish(self, grown: Iterable[Table]) -> None:
        """Sequences go on behind the new rows, and the planner learns of them."""
        for table in grown:
            for column, sequence in table.sequences.items():
                self.db.execute(
                    sql.SQL("SELECT setval({}, (SELECT max({}) FROM {}))").format(
                        sql.Literal(sequence), sql.Identifier(column), postgres.identifier(table.name)
                    )
                )
            self.db.execute(sql.SQL("ANALYZE {}").format(postgres.identifier(table.name)))
        self.db.commit()
