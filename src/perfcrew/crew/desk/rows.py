"""The ledger by SQL: a copy of this run's rows in memory, which nothing but a SELECT may touch, for so long."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable

from perfcrew.core.errors import UsageError
from perfcrew.core.evidence import Evidence
from perfcrew.crew.shown import is_shown, plain

MOST_ROWS = 50
_SECONDS = 2.0
_STEPS = 2000
"""Of SQLite's machine between two looks at the clock."""
_CELL = 300
_LENGTH = 1_000_000
"""Bytes that a value may have: no statement makes a larger one."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FUNCTIONS = _words(
    "abs avg coalesce count format glob group_concat ifnull iif instr json json_array_length json_each json_extract "
    "json_tree json_type lag lead length like lower ltrim max min nullif printf rank replace round row_number rtrim "
    "substr sum total trim typeof upper -> ->>"
)
TABLE = "evidence(id, slot, kind, subject, body)"


def query(items: Iterable[Evidence], sql: str) -> str:
    """The rows that a SELECT gives, as text; `body` is JSON. UsageError says what is refused or wrong."""
    with sqlite3.connect(":memory:") as db:
        db.execute(f"CREATE TABLE {TABLE}")
        rows = [(e.id, e.slot, e.kind, e.subject, json.dumps(plain(e))) for e in items if is_shown(e)]
        db.executemany("INSERT INTO evidence VALUES (?, ?, ?, ?, ?)", rows)
        db.commit()
        return _told(db, sql)


def _told(db: sqlite3.Connection, sql: str) -> str:
    until = time.monotonic() + _SECONDS
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LENGTH)
    db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    db.set_progress_handler(lambda: int(time.monotonic() > until), _STEPS)
    db.set_authorizer(_authorize)
    try:
        found = db.execute(sql)
        head = [column[0] for column in found.description or ()]
        rows = found.fetchmany(MOST_ROWS + 1)
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise UsageError(f"refused: {error}", do=f"one SELECT on {TABLE}; body is JSON") from None
    lines = [" | ".join(_cell(value) for value in row) for row in rows[:MOST_ROWS]]
    more = [f"(the first {MOST_ROWS} rows: narrow the question)"] if len(rows) > MOST_ROWS else []
    return "\n".join([" | ".join(head), *lines, *more])


def _cell(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _CELL else f"{text[:_CELL]} (cut)"


def _authorize(action: int, first: str | None, second: str | None, where: str | None, trigger: str | None) -> int:
    if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_READ:
        known = first in ("evidence", "json_each", "json_tree", "")
        return sqlite3.SQLITE_OK if known else sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _FUNCTIONS:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY
