"""What stands in the databases of two clones, table by table: rows counted, columns and whole rows by digest.

Digests are sums over the rows, so that their order does not count and no row is kept.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql

from perfcrew.core.answers import Mask, TableDifference
from perfcrew.target.clone import Clone
from perfcrew.target.clones import mysql, postgres, sqlite, urls
from perfcrew.target.clones.instance import DEFAULT, file_of

ROWS_AT_MOST = 200_000
_LIMIT_S = 60.0
_STEP = 1000
_WRAP = 1 << 64
ALL_ROWS = "*"
_MIGRATIONS = re.compile(
    r"(.*\.)?(alembic_version\w*|aerich|django_migrations|migratehistory|schema_migrations|_?yoyo\w*)"
)
"""Tables that say which migrations were run: a change may bring one."""


_Tables = Generator[tuple[str, int, Iterator[dict[str, bytes]]], None, None]
"""Name, number of rows, and the rows as bytes by column."""


@dataclass
class Table:
    """One table: its rows, and sums of the digests of each column's values and of the rows without masked columns."""

    rows: int = 0
    columns: dict[str, int] = field(default_factory=dict)
    whole: int = 0
    is_counted_only: bool = False

    def add(self, row: dict[str, bytes], masked: frozenset[str]) -> None:
        self.rows += 1
        whole = hashlib.blake2b(digest_size=8)
        for name, value in row.items():
            digest = hashlib.blake2b(value, digest_size=8)
            self.columns[name] = (self.columns.get(name, 0) + int.from_bytes(digest.digest(), "big")) % _WRAP
            if name not in masked:
                whole.update(digest.digest())
        self.whole = (self.whole + int.from_bytes(whole.digest(), "big")) % _WRAP


@dataclass
class Snapshot:
    """All tables at one moment."""

    tables: dict[str, Table] = field(default_factory=dict)


def snapshot(clone: Clone, mask: Mask) -> Snapshot:
    """Read every table of every database of a clone. Tables that are too large, or come too late, are counted only."""
    found, until = Snapshot(), time.monotonic() + _LIMIT_S
    for alias, url in clone.urls.items():
        reader = _READERS[urls.engine_of(url)](url)
        with closing(reader):
            for name, rows, cells in reader:
                key = name if alias == DEFAULT else f"{alias}.{name}"
                found.tables[key] = _table(rows, cells, frozenset(mask.tables.get(key, ())), until)
    return found


def _table(rows: int, cells: Iterator[dict[str, bytes]], masked: frozenset[str], until: float) -> Table:
    table = Table()
    if rows > ROWS_AT_MOST:
        return Table(rows=rows, is_counted_only=True)
    for at, row in enumerate(cells):
        table.add(row, masked)
        if at % _STEP == 0 and time.monotonic() > until:
            return Table(rows=rows, is_counted_only=True)
    return table


def _sqlite_tables(url: str) -> _Tables:
    if not sqlite.exists(file_of(url)):
        return
    with closing(sqlite.connect(file_of(url))) as db:
        for name, count in sqlite.count(db).items():
            cursor = db.execute(f"SELECT * FROM {sqlite.quote(name)}")
            yield name, count, _rows(cursor)


def _postgres_tables(url: str) -> _Tables:
    with closing(postgres.connect(url)) as db:
        for name, count in postgres.count(db).items():
            with db.cursor(name="perfcrew_snapshot") as cursor:
                cursor.execute(sql.SQL("SELECT * FROM {}").format(postgres.identifier(name)))
                yield name, count, _rows(cursor)


def _mysql_tables(url: str) -> _Tables:
    with closing(mysql.connect(url)) as db:
        for name, count in mysql.count(db).items():
            with db.cursor(mysql.driver().cursors.SSCursor) as cursor:
                cursor.execute(f"SELECT * FROM {mysql.quoted(name)}")
                yield name, count, _rows(cursor)


_READERS = {"sqlite": _sqlite_tables, "postgresql": _postgres_tables, "mysql": _mysql_tables}


def _rows(cursor: Any) -> Iterator[dict[str, bytes]]:
    while rows := cursor.fetchmany(_STEP):
        names = [column[0] for column in cursor.description]
        for row in rows:
            yield {name: _bytes(value) for name, value in zip(names, row, strict=True)}


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes | memoryview):
        return b"b" + bytes(value)
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True, default=str).encode(errors="replace")
    return f"{type(value).__name__}:{value}".encode(errors="replace")


def learn_tables(one: Clone, other: Clone, mask: Mask) -> Mask:
    """The mask with the columns that two instances of the base leave different after the same requests."""
    found = dict(mask.tables)
    for difference in table_differences(snapshot(one, mask), snapshot(other, mask), mask):
        columns = difference.columns or (ALL_ROWS,)
        rows = () if difference.base_rows == difference.change_rows else (ALL_ROWS,)
        found[difference.table] = tuple(sorted({*found.get(difference.table, ()), *columns, *rows}))
    return mask.model_copy(update={"tables": found})


def table_differences(base: Snapshot, change: Snapshot, mask: Mask) -> list[TableDifference]:
    """The tables that differ, but for what the mask lets differ."""
    found = []
    for name in sorted(n for n in base.tables.keys() | change.tables.keys() if not _MIGRATIONS.fullmatch(n)):
        one, other = base.tables.get(name), change.tables.get(name)
        if ALL_ROWS not in mask.tables.get(name, ()) and not _same(one, other):
            found.append(_difference(name, one, other, frozenset(mask.tables.get(name, ()))))
    return found


def _same(one: Table | None, other: Table | None) -> bool:
    if one is None or other is None:
        return one is other
    if one.is_counted_only or other.is_counted_only:
        return one.rows == other.rows
    return one.rows == other.rows and one.whole == other.whole


def _difference(name: str, one: Table | None, other: Table | None, masked: frozenset[str]) -> TableDifference:
    columns: set[str] = set()
    if one and other and one.rows == other.rows:
        both = one.columns.keys() | other.columns.keys()
        columns = {c for c in both if one.columns.get(c) != other.columns.get(c)} - masked
    rows = (table.rows if table else None for table in (one, other))
    return TableDifference(table=name, base_rows=next(rows), change_rows=next(rows), columns=tuple(sorted(columns)))
