"""Reads the schema of a SQLite clone."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import replace

from perfcrew.target.clones import sqlite
from perfcrew.target.rows import checks
from perfcrew.target.rows.schema import Column, ForeignKey, Kind, Table

_KINDS: tuple[tuple[str, Kind], ...] = (
    ("BOOL", "bool"), ("DATETIME", "datetime"), ("TIMESTAMP", "datetime"), ("DATE", "date"), ("TIME", "time"),
    ("JSON", "json"), ("UUID", "uuid"), ("GUID", "uuid"), ("INTERVAL", "interval"), ("INT", "int"), ("SERIAL", "int"),
    ("CHAR", "text"), ("CLOB", "text"), ("TEXT", "text"), ("STRING", "text"), ("ENUM", "text"), ("BLOB", "bytes"),
    ("BINARY", "bytes"), ("BYTEA", "bytes"), ("REAL", "float"), ("FLOA", "float"), ("DOUB", "float"),
    ("DEC", "decimal"), ("NUM", "decimal"), ("MONEY", "decimal"),
)  # fmt: skip

_JSON = re.compile(r"JSON_VALID\(\s*[\"`\[]?(\w+)", re.IGNORECASE)
"""Django keeps JSON in a text column with this check."""


def reflect(db: sqlite3.Connection) -> dict[str, Table]:
    """Every table that holds rows of its own, by name."""
    return {name: _table(db, name) for name in sqlite.tables(db)}


def _table(db: sqlite3.Connection, name: str) -> Table:
    (sql,) = db.execute("SELECT sql FROM sqlite_master WHERE type='table' AND name=?", [name]).fetchone()
    understood = checks.understand(checks.of_table(sql, "sqlite"), "sqlite")
    rows = db.execute('SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?)', [name])
    info = [row for row in rows if row[5] == 0]
    key = tuple(row[0] for row in sorted((r for r in info if r[4]), key=lambda r: r[4]))
    columns = tuple(column(row[0], row[1], not row[2] and not row[4], row[3], understood) for row in info)
    json = {name.lower() for name in _JSON.findall(sql)}
    columns = tuple(replace(c, kind="json") if c.name.lower() in json and c.kind == "text" else c for c in columns)
    chosen = {c.name for c in columns}
    links = tuple(link for link in _foreign_keys(db, name) if chosen.issuperset(link.columns))
    return Table(name, columns, key, links, _uniques(db, name, columns, key), tuple(understood.ordered))


def column(name: str, declared: str, nullable: bool, default: str | None, understood: checks.Understood) -> Column:
    """A column from its declared type, by SQLite's and the frameworks' habits."""
    upper = declared.upper()
    kind: Kind = next((kind for word, kind in _KINDS if word in upper), "other" if upper else "text")
    numbers = [int(n) for n in re.findall(r"\d+", upper.partition("(")[2])]
    length = numbers[0] if numbers and kind == "text" else None
    if upper == "CHAR(32)" or (kind == "text" and upper == "CHAR(36)"):  # how SQLAlchemy and Django store a UUID
        return Column(name, "uuid", nullable, default, domain=understood.of(name), dashed=length == 36)
    digits, places = [*numbers, 0][:2] if kind == "decimal" and numbers else (None, 2)
    return Column(
        name,
        kind,
        nullable,
        default,
        length,
        digits=digits,
        places=places if kind == "decimal" else None,
        domain=understood.of(name),
    )


def _foreign_keys(db: sqlite3.Connection, name: str) -> tuple[ForeignKey, ...]:
    found: dict[int, list[tuple[str, str, str | None]]] = {}
    for number, table, source, target in db.execute(
        'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?) ORDER BY id, seq', [name]
    ):
        found.setdefault(number, []).append((table, source, target))
    names = {t.lower(): t for t in sqlite.tables(db)}
    keys = []
    for parts in found.values():
        table = names.get(parts[0][0].lower())
        if table is None:
            continue
        targets = tuple(t for _, _, t in parts if t) or _primary_key(db, table)
        keys.append(ForeignKey(tuple(source for _, source, _ in parts), table, targets))
    return tuple(keys)


def _primary_key(db: sqlite3.Connection, table: str) -> tuple[str, ...]:
    return tuple(n for (n,) in db.execute("SELECT name FROM pragma_table_info(?) WHERE pk ORDER BY pk", [table]))


def _uniques(
    db: sqlite3.Connection, table: str, columns: tuple[Column, ...], key: tuple[str, ...]
) -> tuple[tuple[str, ...], ...]:
    found, known = [], {c.name for c in columns}
    for index, sql in db.execute(
        "SELECT l.name, m.sql FROM pragma_index_list(?) l LEFT JOIN sqlite_master m ON m.name = l.name "
        'WHERE l."unique"',
        [table],
    ):
        names = [n for (n,) in db.execute("SELECT name FROM pragma_index_info(?) ORDER BY seqno", [index])]
        if None in names:  # an expression: its columns differ if each row's do
            names = mentioned(sql, columns)
        names = [n for n in names if n in known]  # what the database generates is not ours to choose
        if names and tuple(names) != key:
            found.append(tuple(names))
    return tuple(found)


def mentioned(index_sql: str, columns: tuple[Column, ...]) -> list[str]:
    """The columns that the expressions of an index speak of."""
    body = index_sql.partition("(")[2].rpartition(")")[0]
    words = {w.lower() for w in re.findall(r"\w+", body)}
    return [c.name for c in columns if c.name.lower() in words]
