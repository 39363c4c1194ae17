"""SQLite: what it takes to insert, change and delete rows of a table, with all its indexes, as the caller's
transaction has them. The caller rolls back."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

from perfcrew.instruments.sessions import Refused, Written


def timed(db: sqlite3.Connection, table: str, columns: Sequence[str], rows: int) -> Written:
    """Raises sqlite3's errors where a constraint is in the way, Refused where there is no row to copy."""
    on, unique = _quoted(table), _unique(db, table)
    (last,) = db.execute(f"SELECT max(rowid) FROM {on}").fetchone()
    if last is None:
        raise Refused("the table is empty")
    known = db.execute("SELECT name, type FROM pragma_table_xinfo(?) WHERE hidden = 0", [table]).fetchall()
    listed = ", ".join(_quoted(name) for name, _ in known)
    values = ", ".join(_value(db, on, name, kind) if name in unique else _quoted(name) for name, kind in known)
    insert = (
        f"INSERT INTO {on} ({listed}) SELECT {values} FROM "
        f"(SELECT *, row_number() OVER () AS perfcrew_n FROM (SELECT * FROM {on} LIMIT ?))"
    )
    insert_ms = _ms(db, insert, [rows])
    changed = list(dict.fromkeys(c for c in columns if c in {name for name, _ in known} - unique))
    update_ms = _update_ms(db, on, changed, last) if changed else 0.0
    return Written(insert_ms, update_ms, _ms(db, f"DELETE FROM {on} WHERE rowid > ?", [last]))


def _update_ms(db: sqlite3.Connection, on: str, columns: Sequence[str], last: int) -> float:
    """To the values of one other row, which every constraint allows."""
    listed = ", ".join(map(_quoted, columns))
    other = db.execute(f"SELECT {listed} FROM {on} WHERE rowid >= ? LIMIT 1", [last // 2]).fetchone()
    sets = ", ".join(f"{_quoted(c)} = ?" for c in columns)
    return _ms(db, f"UPDATE {on} SET {sets} WHERE rowid > ?", [*other, last])


def _ms(db: sqlite3.Connection, statement: str, values: Sequence[object]) -> float:
    before = time.perf_counter()
    db.execute(statement, values)
    return (time.perf_counter() - before) * 1000


def _unique(db: sqlite3.Connection, table: str) -> set[str]:
    rows = db.execute('SELECT name FROM pragma_index_list(?) WHERE "unique"', [table]).fetchall()
    found = {c for (index,) in rows for (c,) in db.execute("SELECT name FROM pragma_index_info(?)", [index]).fetchall()}
    keys = db.execute("SELECT name FROM pragma_table_info(?) WHERE pk", [table]).fetchall()
    return {*found, *(name for (name,) in keys)}


def _value(db: sqlite3.Connection, on: str, name: str, kind: str) -> str:
    if "INT" in kind.upper():
        (largest,) = db.execute(f"SELECT coalesce(max({_quoted(name)}), 0) FROM {on}").fetchone()
        return f"{int(largest)} + perfcrew_n" if isinstance(largest, int) else _quoted(name)
    return "lower(hex(randomblob(8)))"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
