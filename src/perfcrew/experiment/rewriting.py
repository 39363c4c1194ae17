"""Changes a value that an answer shows, in the clones of both sides alike: to see whether the answer follows.

Keys, and columns that refer to others, are left alone. Nothing but clones is ever written.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from html import unescape
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from perfcrew.experiment.markup import events
from perfcrew.target.client import Answer
from perfcrew.target.clone import Clone
from perfcrew.target.clones import postgres, sqlite

_TEXTS_AT_MOST = 60
_SHORTEST, _LONGEST = 4, 200
_TRIES = 12
NOT_TAKEN = (
    sqlite3.IntegrityError,
    sqlite3.OperationalError,
    psycopg.IntegrityError,
    psycopg.DataError,
    psycopg.OperationalError,
)
"""What a database says that refuses a value, or whose lock the target does not let go."""


class Rewrite(NamedTuple):
    """One value of one column turned into another, in every row that has it."""

    table: str
    column: str
    old: str
    new: str

    @property
    def where(self) -> str:
        return f"{self.table}.{self.column}"


def texts(answer: Answer) -> list[str]:
    """Texts that an answer shows, those first that read as content rather than as a name of a state."""
    found = dict.fromkeys(t for t in _texts(answer) if _SHORTEST <= len(t) <= _LONGEST)
    return sorted(found, key=lambda text: (" " not in text, text.isdigit(), text.isupper()))[:_TEXTS_AT_MOST]


def _texts(answer: Answer) -> Iterator[str]:
    if "json" in answer.content_type:
        try:
            yield from _leaves(answer.json())
        except (ValueError, RecursionError):
            return
    elif answer.content_type == "text/html":
        page = answer.body.decode("utf-8", "replace")
        yield from (unescape(event.value) for event in events(page) if event.path.endswith("/text"))


def _leaves(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict | list):
            waiting += one.values() if isinstance(one, dict) else one[:20]


def rewrites(clone: Clone, shown: Sequence[str]) -> list[Rewrite]:
    """Where these texts stand in the clone's default database, and what to turn each into."""
    if clone.engine in ("none", "mysql") or not shown:
        return []
    with closing(clone.connect()) as db:
        found = _in_sqlite(db, shown) if clone.engine == "sqlite" else _in_postgres(db, shown)
        by_text: dict[str, Rewrite] = {}
        for table, column, text in found:
            by_text.setdefault(text, Rewrite(table, column, text, turned(text)))
    return [by_text[text] for text in shown if text in by_text][:_TRIES]


def turned(text: str) -> str:
    """Another text of the same length: letters move on by one, the rest stays."""
    return "".join(_next(letter) for letter in text)


def _next(letter: str) -> str:
    for first, last in (("a", "z"), ("A", "Z")):
        if first <= letter <= last:
            return first if letter == last else chr(ord(letter) + 1)
    return letter


def apply(clone: Clone, rewrite: Rewrite) -> bool:
    """Write it into a clone; False where the database does not take the value."""
    with closing(writable(clone)) as db:
        try:
            if clone.engine == "sqlite":
                name = sqlite.quote(rewrite.column)
                command = f"UPDATE {sqlite.quote(rewrite.table)} SET {name} = ? WHERE {name} = ?"
                db.execute(command, (rewrite.new, rewrite.old))
            else:
                table, column = postgres.identifier(rewrite.table), sql.Identifier(rewrite.column)
                update = sql.SQL("UPDATE {} SET {} = %s WHERE {} = %s").format(table, column, column)
                db.execute(update, (rewrite.new, rewrite.old))
            db.commit()
        except NOT_TAKEN:
            db.rollback()
            return False
    return True


def writable(clone: Clone) -> Any:
    """A connection to the clone that gives up after 10 s where the target holds a lock."""
    db = clone.connect()
    db.execute("PRAGMA busy_timeout=10000" if clone.engine == "sqlite" else "SET statement_timeout = '10s'")
    return db


class _Place(NamedTuple):
    table: str
    column: str
    text: str


def _in_sqlite(db: sqlite3.Connection, shown: Sequence[str]) -> Iterator[_Place]:
    for table in sqlite.tables(db):
        keys = {row[3] for row in db.execute(f"PRAGMA foreign_key_list({sqlite.quote(table)})")}
        for _, name, kind, _, _, primary in db.execute(f"PRAGMA table_info({sqlite.quote(table)})").fetchall():
            if not primary and name not in keys and not _is_other(kind):
                column = sqlite.quote(name)
                command = f"SELECT DISTINCT {column} FROM {sqlite.quote(table)} WHERE {column} IN ({_marks(shown)})"
                yield from (_Place(table, name, str(row[0])) for row in db.execute(command, tuple(shown)).fetchall())


def _is_other(kind: str) -> bool:
    return kind.upper().startswith(("INT", "BOOL", "DATE", "TIME", "REAL", "FLOAT", "NUM", "DEC", "BLOB"))


def _marks(shown: Sequence[str]) -> str:
    return ",".join("?" * len(shown))


_TEXT_COLUMNS = """
SELECT CASE WHEN c.table_schema = 'public' THEN c.table_name ELSE c.table_schema || '.' || c.table_name END,
       c.column_name
FROM information_schema.columns c
WHERE c.data_type IN ('text', 'character varying') AND c.is_updatable = 'YES' AND c.is_generated = 'NEVER'
  AND NOT EXISTS (
    SELECT 1 FROM information_schema.key_column_usage k JOIN information_schema.table_constraints t
      ON t.constraint_name = k.constraint_name AND t.constraint_schema = k.constraint_schema
    WHERE k.table_schema = c.table_schema AND k.table_name = c.table_name AND k.column_name = c.column_name
      AND t.constraint_type IN ('PRIMARY KEY', 'FOREIGN KEY'))
"""


def _in_postgres(db: psycopg.Connection[Any], shown: Sequence[str]) -> Iterator[_Place]:
    known = set(postgres.tables(db))
    for table, name in db.execute(_TEXT_COLUMNS).fetchall():
        if table in known:
            column = sql.Identifier(name)
            command = sql.SQL("SELECT DISTINCT {} FROM {} WHERE {} = ANY(%s)")
            rows = db.execute(command.format(column, postgres.identifier(table), column), (list(shown),)).fetchall()
            yield from (_Place(table, name, row[0]) for row in rows)


def says(answer: Answer, text: str) -> bool:
    """Whether an answer shows the text, as JSON or a page would write it."""
    body = answer.body.decode("utf-8", "replace")
    return text in body or json.dumps(text)[1:-1] in body or text in unescape(body)
