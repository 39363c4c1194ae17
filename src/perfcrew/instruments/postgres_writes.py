"""PostgreSQL: what it takes to insert, change and delete rows of a table, with all its indexes, as the caller's
transaction has them. The caller rolls back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from perfcrew.instruments.sessions import Refused, Written

_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, NULL), a.atttypmod, EXISTS (
    SELECT 1 FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND a.attnum = ANY(i.indkey::int2[]))
FROM pg_attribute a
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
"""
_NUMBERS = ("smallint", "integer", "bigint", "numeric")
_TEXTS = ("text", "character varying", "character")


class _Column(NamedTuple):
    name: str
    type: str
    length: int
    unique: bool


def timed(db: psycopg.Connection[Any], table: str, columns: Sequence[str], rows: int) -> Written:
    """`table` as SQL takes it. Raises psycopg's errors where a constraint is in the way, Refused for an empty table."""
    known = [_Column(*row) for row in db.execute(_COLUMNS, [table]).fetchall()]
    on = sql.SQL(table)
    insert = _insert(db, on, known, rows)
    db.execute(sql.SQL("EXPLAIN {}").format(insert), [rows])  # dropped indexes are read anew before the clock starts
    began = time.perf_counter()
    made = [row[0] for row in db.execute(insert, [rows]).fetchall()]
    inserted = time.perf_counter()
    if not made:
        raise Refused("the table is empty")
    changed = list(dict.fromkeys(c for c in columns if c in {k.name for k in known if not k.unique}))
    update_ms = 0.0
    if changed:
        made, update_ms = _changed(db, on, changed, made)
    before = time.perf_counter()
    db.execute(sql.SQL("DELETE FROM {} WHERE ctid = ANY(%s::tid[])").format(on), [made])
    return Written((inserted - began) * 1000, update_ms, (time.perf_counter() - before) * 1000)


def _insert(db: psycopg.Connection[Any], on: sql.SQL, known: Sequence[_Column], rows: int) -> sql.Composed:
    names = sql.SQL(", ").join(sql.Identifier(c.name) for c in known)
    values = sql.SQL(", ").join(_value(db, on, c) for c in known)
    return sql.SQL(
        "INSERT INTO {on} ({names}) OVERRIDING SYSTEM VALUE SELECT {values} FROM "
        "(SELECT *, row_number() OVER () AS perfcrew_n FROM (SELECT * FROM {on} LIMIT %s) AS few) AS copied "
        "RETURNING ctid::text"
    ).format(on=on, names=names, values=values)


def _value(db: psycopg.Connection[Any], on: sql.SQL, column: _Column) -> sql.Composable:
    """The row's own, but another one where it must be unique and can be made up."""
    name = sql.Identifier(column.name)
    if not column.unique:
        return name
    if column.type in _NUMBERS:
        found = db.execute(sql.SQL("SELECT coalesce(max({}), 0) FROM {}").format(name, on)).fetchone()
        return sql.SQL("{} + perfcrew_n").format(sql.Literal(found[0] if found else 0))
    if column.type in _TEXTS:
        longest = max(1, column.length - 4) if column.length > 0 else 32
        return sql.SQL("left(md5(random()::text || perfcrew_n), {})").format(sql.Literal(longest))
    return sql.SQL("gen_random_uuid()") if column.type == "uuid" else name


def _changed(
    db: psycopg.Connection[Any], on: sql.SQL, columns: Sequence[str], made: Sequence[str]
) -> tuple[list[str], float]:
    """Give the new rows the values of one other row, which every constraint allows."""
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    spread = sql.SQL("SELECT {} FROM {} TABLESAMPLE SYSTEM (10) LIMIT 1").format(listed, on)
    sets = sql.SQL(", ").join(sql.SQL("{0} = other.{0}").format(sql.Identifier(c)) for c in columns)
    update = sql.SQL(
        "UPDATE {on} AS t SET {sets} FROM ({spread}) AS other WHERE t.ctid = ANY(%s::tid[]) RETURNING t.ctid::text"
    ).format(on=on, sets=sets, spread=spread)
    before = time.perf_counter()
    moved = [row[0] for row in db.execute(update, [made]).fetchall()]
    took_ms = (time.perf_counter() - before) * 1000
    return (moved, took_ms) if moved else (list(made), 0.0)
