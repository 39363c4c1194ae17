"""One SELECT on rows in memory, run as a process of its own: rows and statement come in as JSON, text goes out.

SQLite looks at the clock between two steps of its machine, and a single `LIKE` or `trim` on long strings is one step
that may take hours. Only a process can be ended in the middle of it. Imports nothing of perfcrew, to start at once.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time

MOST_ROWS = 50
SECONDS = 2.0
_STEPS = 2000
"""Of SQLite's machine between two looks at the clock."""
_CELL = 300
_LENGTH = 1_000_000
"""Bytes that a value may have: no statement makes a larger one."""
_MEMORY = 1 << 30
TABLE = "evidence(id, slot, kind, subject, body)"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FUNCTIONS = _words(
    "abs avg coalesce count format glob group_concat ifnull iif instr json json_array_length json_each json_extract "
    "json_tree json_type lag lead length like lower ltrim max min nullif printf rank replace round row_number rtrim "
    "substr sum total trim typeof upper -> ->>"
)


def told(rows: list[list[str]], sql: str) -> str:
    """The rows that a SELECT gives, as text. sqlite3.Error or Warning where it is refused or wrong."""
    with sqlite3.connect(":memory:") as db:
        db.execute(f"CREATE TABLE {TABLE}")
        db.executemany("INSERT INTO evidence VALUES (?, ?, ?, ?, ?)", rows)
        db.commit()
        return _selected(db, sql)


def _selected(db: sqlite3.Connection, sql: str) -> str:
    until = time.monotonic() + SECONDS
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LENGTH)
    db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    db.set_progress_handler(lambda: int(time.monotonic() > until), _STEPS)
    db.set_authorizer(_authorize)
    found = db.execute(sql)
    head = [column[0] for column in found.description or ()]
    rows = found.fetchmany(MOST_ROWS + 1)
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


def _bound() -> None:
    """Where the system can: memory, and time of the processor, which a busy machine does not use up by itself."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    seconds = int(2 * SECONDS)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def main() -> None:
    """Answer the question on the standard input: `{"said": …}` or `{"refused": …}`."""
    _bound()
    asked = json.load(sys.stdin)
    try:
        answer = {"said": told(asked["rows"], asked["sql"])}
    except (sqlite3.Error, sqlite3.Warning, ValueError, MemoryError) as error:
        answer = {"refused": str(error) or type(error).__name__}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
