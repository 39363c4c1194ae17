"""Takes one row out of the clones of both sides alike, and puts it back: what only counts or sums shows that."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from perfcrew.experiment.rewriting import NOT_TAKEN, writable
from perfcrew.target.clone import Clone
from perfcrew.target.clones import postgres, sqlite
from perfcrew.target.framework_tables import is_framework_table

_ROWS_AT_LEAST = 3
_TABLES_AT_MOST = 12


class Row(NamedTuple):
    """A row as it can be put back: the key that it has, and all that can be written of it."""

    table: str
    key: dict[str, Any]
    values: dict[str, Any]


def candidates(clone: Clone) -> list[Row]:
    """The last row of each table of the default database that has a key, smaller tables first."""
    if clone.engine in ("none", "mysql"):
        return []
    counts = {n: c for n, c in clone.tables().items() if c >= _ROWS_AT_LEAST and not is_framework_table(n)}
    names = sorted(counts, key=counts.__getitem__)[:_TABLES_AT_MOST]
    with closing(clone.connect()) as db:
        return list(_sqlite_rows(db, names) if clone.engine == "sqlite" else _postgres_rows(db, names))


def take_out(clone: Clone, row: Row) -> bool:
    """Delete the row; False where others refer to it."""
    with closing(writable(clone)) as db:
        try:
            if clone.engine == "sqlite":
                db.execute("PRAGMA foreign_keys=ON")
                where = " AND ".join(f"{sqlite.quote(name)} = ?" for name in row.key)
                db.execute(f"DELETE FROM {sqlite.quote(row.table)} WHERE {where}", tuple(row.key.values()))
            else:
                terms = (sql.SQL("{} = %s").format(sql.Identifier(name)) for name in row.key)
                command = sql.SQL("DELETE FROM {} WHERE {}")
                table = postgres.identifier(row.table)
                db.execute(command.format(table, sql.SQL(" AND ").join(terms)), list(row.key.values()))
            db.commit()
        except NOT_TAKEN:
            db.rollback()
            return False
    return True


def put_back(clone: Clone, row: Row) -> None:
    """Insert the row again. What the database deleted with it stays away, on both sides alike."""
    with closing(writable(clone)) as db:
        if clone.engine == "sqlite":
            names = ", ".join(sqlite.quote(name) for name in row.values)
            marks = ", ".join("?" * len(row.values))
            command = f"INSERT INTO {sqlite.quote(row.table)} ({names}) VALUES ({marks})"
            db.execute(command, tuple(row.values.values()))
        else:
            insert = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})").format(
                postgres.identifier(row.table),
                sql.SQL(", ").join(map(sql.Identifier, row.values)),
                sql.SQL(", ").join(sql.Placeholder() for _ in row.values),
            )
            db.execute(insert, list(row.values.values()))
        db.commit()


def _sqlite_rows(db: sqlite3.Connection, names: Sequence[str]) -> Iterator[Row]:
    for name in names:
        listed = db.execute(f"PRAGMA table_xinfo({sqlite.quote(name)})").fetchall()
        keys = [row[1] for row in listed if row[5]]
        columns = [row[1] for row in listed if not row[6]]
        if keys:
            order = ", ".join(f"{sqlite.quote(key)} DESC" for key in keys)
            chosen = ", ".join(map(sqlite.quote, columns))
            values = db.execute(f"SELECT {chosen} FROM {sqlite.quote(name)} ORDER BY {order} LIMIT 1").fetchone()
            yield _row(name, keys, dict(zip(columns, values, strict=True)))


_COLUMNS = """
SELECT a.attname, coalesce(i.indisprimary, false) FROM pg_attribute a
LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary AND a.attnum = ANY(i.indkey)
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum
"""


def _postgres_rows(db: psycopg.Connection[Any], names: Sequence[str]) -> Iterator[Row]:
    for name in names:
        table = postgres.identifier(name)
        listed = db.execute(_COLUMNS, [table.as_string(db)]).fetchall()
        keys, columns = [column for column, primary in listed if primary], [column for column, _ in listed]
        if keys:
            order = sql.SQL(", ").join(sql.SQL("{} DESC").format(sql.Identifier(key)) for key in keys)
            as_text = (sql.SQL("{}::text").format(sql.Identifier(column)) for column in columns)
            command = sql.SQL("SELECT {} FROM {} ORDER BY {} LIMIT 1").format(sql.SQL(", ").join(as_text), table, order)
            values = db.execute(command).fetchone()
            if values:
                yield _row(name, keys, dict(zip(columns, values, strict=True)))


def _row(table: str, keys: Sequence[str], values: dict[str, Any]) -> Row:
    return Row(table, {key: values[key] for key in keys}, values)
