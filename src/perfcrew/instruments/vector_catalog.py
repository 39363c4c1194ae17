"""What a clone's catalogue says of a vector column: its type and dimensions, its indexes, the session's settings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from perfcrew.core.vector_sql import Nearest
from perfcrew.core.vectors import Access, VectorIndex, operator_class
from perfcrew.instruments.sessions import Refused

Connection = psycopg.Connection[Any]

SETTINGS = ("hnsw.ef_search", "hnsw.iterative_scan", "ivfflat.probes", "ivfflat.iterative_scan")
DEFAULTS: Mapping[Access, Mapping[str, int]] = {
    "ivfflat": {"lists": 100},
    "hnsw": {"m": 16, "ef_construction": 64},
    "exact": {},
}
LONGEST_BEGINNING = 40
_TYPES = ("vector", "halfvec")
_COLUMN = """
SELECT c.oid::int8, n.nspname, c.relname, a.attname, t.typname, a.atttypmod, pg_table_is_visible(c.oid)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid
WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname !~ '^pg_' AND NOT a.attisdropped
  AND lower(c.relname) = ANY(%s) AND lower(a.attname) = lower(%s)
ORDER BY pg_table_is_visible(c.oid) DESC, t.typname = ANY(%s) DESC
"""
_INDEXES = """
SELECT c.oid::regclass::text, c.relname, m.amname, o.opcname, c.reloptions, pg_get_indexdef(c.oid, 1, true),
       i.indpred IS NOT NULL, i.indisvalid,
       (SELECT sum(pg_relation_size(p.oid)) FROM pg_class p
        WHERE p.oid = c.oid OR p.oid IN (SELECT relid FROM pg_partition_tree(c.oid)))::int8
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
JOIN pg_opclass o ON o.oid = i.indclass[0]
WHERE i.indrelid = %s AND m.amname IN ('ivfflat', 'hnsw') ORDER BY c.relname
"""
# Of the server's shared catalogue: a clone has none of what was set for the database that it was copied from.
_SET_FOR = """
SELECT unnest(s.setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
WHERE d.datname = %s AND s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user)) ORDER BY s.setrole
"""


class Column(NamedTuple):
    """The column that is searched. `path` and `expression` are as SQL takes them."""

    oid: int
    table: str
    path: sql.Identifier
    name: str
    type: str
    """`vector` or `halfvec`: of what is indexed, which may be a cast of the column."""
    dimensions: int
    expression: str


class Owned(NamedTuple):
    """An index of the column, and how SQL names it."""

    path: str
    body: VectorIndex


def column(db: Connection, asked: Nearest) -> Column:
    """Raises Refused where the statement's column is none that pgvector indexes."""
    found = db.execute(_COLUMN, [[t.lower() for t in asked.tables], asked.column, list(_TYPES)]).fetchone()
    if found is None or found[4] not in _TYPES:
        what = f"`{asked.column}` is no column of type {' or '.join(_TYPES)}" if found is None else f"is a {found[4]}"
        raise Refused(f"no vector search: {what}")
    oid, schema, table, name, kind, dimensions, visible = found
    quoted = _quoted(db, name)
    cast = re.match(r"(vector|halfvec)(?:\((\d+)\))?\Z", asked.cast.replace(" ", "")) if asked.cast else None
    if cast and (cast[1] != kind or cast[2]):
        kind, dimensions = cast[1], int(cast[2] or dimensions)
        quoted = f"(({quoted})::{asked.cast})"
    path = sql.Identifier(schema, table)
    width = dimensions if dimensions > 0 else _dimensions(db, path, name)
    return Column(oid, table if visible else f"{schema}.{table}", path, name, kind, width, quoted)


def _quoted(db: Connection, name: str) -> str:
    """As a person would write it: the server knows what needs quotes."""
    row = db.execute("SELECT quote_ident(%s)", [name]).fetchone()
    return str(row[0]) if row else name


def _dimensions(db: Connection, path: sql.Identifier, name: str) -> int:
    """Of a column that any length may stand in: that of one of its rows. No index can be built on it as it is."""
    asked = sql.SQL("SELECT vector_dims({0}) FROM {1} WHERE {0} IS NOT NULL LIMIT 1")
    row = db.execute(asked.format(sql.Identifier(name), path)).fetchone()
    return int(row[0]) if row else 0


def owned(db: Connection, asked: Nearest, of: Column) -> list[Owned]:
    """The vector indexes on that column, each with the reason why the statement can't use it, if there is one."""
    rows = db.execute(_INDEXES, [of.oid]).fetchall()
    bare = re.compile(rf"(?<!\w){re.escape(of.name)}(?!\w)", re.IGNORECASE)
    return [_owned(row, asked, of) for row in rows if bare.search(row[5])]


def taken(db: Connection, of: Column) -> tuple[str, ...]:
    """The names that begin as an index of this column would be named: in any schema, since that may change."""
    begins = f"ix_{of.table.rpartition('.')[2]}_{of.name}".lower()[:LONGEST_BEGINNING]
    found = db.execute("SELECT relname FROM pg_class WHERE starts_with(lower(relname), %s) ORDER BY 1", [begins])
    return tuple(name for (name,) in found.fetchall())


def _owned(row: Sequence[Any], asked: Nearest, of: Column) -> Owned:
    path, name, access, opclass, options, on, partial, valid, size = row
    given = dict(o.split("=", 1) for o in options or () if o.split("=", 1)[0] in DEFAULTS[access])
    wanted = operator_class(of.type, asked.operator)
    why_not = (
        "it is not valid: its build did not end"
        if not valid
        else f"its operator class is {opclass}, and {asked.operator} takes {wanted}"
        if opclass != wanted
        else "it is on another expression of the column"
        if ("::" in on) != ("::" in of.expression)
        else ""
    )
    if not why_not and partial:
        why_not = "" if asked.filtered else "it is partial, and the statement has no condition"
    index = VectorIndex(
        name=name,
        access=access,
        operator_class=opclass,
        options={**DEFAULTS[access], **{k: int(v) for k, v in given.items()}},
        size_bytes=size,
        why_not=why_not,
    )
    return Owned(path, index)


def session_settings(db: Connection, database: str, said: Mapping[str, str]) -> dict[str, str]:
    """What holds in the application's sessions: what it `said` itself, its database's settings, then the server's."""
    db.execute("SELECT '[1]'::vector")  # loads the library, without which its settings are not known
    held = {}
    for name in SETTINGS:
        row = db.execute("SELECT current_setting(%s, true)", [name]).fetchone()
        if row and row[0] is not None:
            held[name] = str(row[0])
    rows = db.execute(_SET_FOR, [database]).fetchall() if database else []
    of_database = dict(str(one).split("=", 1) for (one,) in rows)
    given = {**of_database, **said}
    return {**held, **{name: value for name, value in given.items() if name in held}}


_SAID = re.compile(
    r"\b(?:SET\s+(?:LOCAL\s+|SESSION\s+)?|set_config\s*\(\s*')((?:hnsw|ivfflat)\.\w+)'?\s*(?:=|TO|,)\s*'?"
    r"(\d+|off|on|strict_order|relaxed_order)\b",
    re.IGNORECASE,
)


def said_settings(statements: Sequence[str]) -> dict[str, str]:
    """The settings that statements of the application make, the last one of each."""
    found = (match for text in statements for match in _SAID.finditer(text))
    return {m[1].lower(): m[2] for m in found if m[1].lower() in SETTINGS}
