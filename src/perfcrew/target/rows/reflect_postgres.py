"""Reads the schema of a PostgreSQL clone."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import psycopg
from psycopg.rows import dict_row

from perfcrew.target.clones import postgres
from perfcrew.target.rows import checks
from perfcrew.target.rows.reflect_sqlite import mentioned
from perfcrew.target.rows.schema import Column, ForeignKey, Kind, Table

_KINDS: dict[str, Kind] = {
    "smallint": "int", "integer": "int", "bigint": "int", "oid": "int", "real": "float", "double precision": "float",
    "numeric": "decimal", "money": "decimal", "text": "text", "character varying": "text", "character": "text",
    "citext": "text", "name": "text", "boolean": "bool", "date": "date", "json": "json", "jsonb": "json",
    "uuid": "uuid", "bytea": "bytes", "interval": "interval", "inet": "inet", "cidr": "inet", "vector": "vector",
    "tsvector": "tsvector", "timestamp without time zone": "datetime", "timestamp with time zone": "datetime",
    "time without time zone": "time", "time with time zone": "time",
}  # fmt: skip
_INTEGER_DIGITS = {"smallint": 4, "integer": 9}

_COLUMNS = """
SELECT a.attrelid AS table, a.attname AS name, a.attnum AS number, a.attnotnull AS required, a.attidentity AS identity,
  format_type(CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END,
              CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END) AS type,
  pg_get_expr(d.adbin, d.adrelid) AS default, pg_get_serial_sequence(%s || '', a.attname) AS sequence,
  ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder) AS choices,
  ARRAY(SELECT pg_get_constraintdef(c.oid) FROM pg_constraint c WHERE c.contypid = t.oid) AS conditions
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum
"""
_INDEXES = """
SELECT i.indisprimary AS is_primary, i.indkey::int2[] AS numbers, i.indnkeyatts AS keys,
  pg_get_indexdef(i.indexrelid) AS sql
FROM pg_index i WHERE i.indrelid = %s::regclass AND i.indisunique
"""
_CONSTRAINTS = """
SELECT c.contype AS type, c.conkey AS numbers, c.confrelid AS parent, c.confkey AS parent_numbers,
  pg_get_constraintdef(c.oid) AS sql,
  ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY k(n, i) JOIN pg_attribute a
        ON a.attrelid = c.confrelid AND a.attnum = k.n ORDER BY k.i) AS targets,
  (SELECT CASE WHEN n.nspname = 'public' THEN p.relname ELSE n.nspname || '.' || p.relname END
   FROM pg_class p JOIN pg_namespace n ON n.oid = p.relnamespace WHERE p.oid = c.confrelid) AS parent_name
FROM pg_constraint c WHERE c.conrelid = %s::regclass AND c.contype IN ('c', 'f') AND c.conparentid = 0
"""


def reflect(db: psycopg.Connection[Any]) -> dict[str, Table]:
    """Every table that holds rows of its own, by name (with its schema, unless that is `public`)."""
    return {name: _table(db, name) for name in postgres.tables(db)}


def _table(db: psycopg.Connection[Any], name: str) -> Table:
    full = postgres.identifier(name).as_string(db)
    with db.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_COLUMNS, [full, full]).fetchall()
        indexes = cursor.execute(_INDEXES, [full]).fetchall()
        constraints = cursor.execute(_CONSTRAINTS, [full]).fetchall()
    numbers = {row["number"]: row["name"] for row in rows}
    conditions = [_condition(c["sql"]) for c in constraints if c["type"] == "c"]
    for row in rows:
        conditions += [re.sub(r"\bVALUE\b", f'"{row["name"]}"', _condition(c)) for c in row["conditions"]]
    understood = checks.understand(conditions, "postgres")
    columns = tuple(_column(row, understood) for row in rows)
    keys = defaultdict(list)
    for index in indexes:
        keys[index["is_primary"]].append(_index_columns(index, numbers, columns))
    return Table(
        name,
        columns,
        next(iter(keys[True]), ()),
        tuple(_foreign_key(c, numbers) for c in constraints if c["type"] == "f" and set(c["numbers"]) <= set(numbers)),
        tuple(k for k in keys[False] if k),
        tuple(understood.ordered),
        {row["name"]: sequence for row in rows if (sequence := _sequence(row))},
    )


def _condition(sql: str) -> str:
    return re.sub(r"^CHECK\s*|\s*(NOT VALID|NO INHERIT)$", "", sql)


def _index_columns(index: dict[str, Any], numbers: dict[int, str], columns: tuple[Column, ...]) -> tuple[str, ...]:
    key = index["numbers"][: index["keys"]]
    if 0 in key:
        return tuple(mentioned(index["sql"], columns))
    return tuple(numbers[n] for n in key if n in numbers)


def _foreign_key(constraint: dict[str, Any], numbers: dict[int, str]) -> ForeignKey:
    columns = tuple(numbers[n] for n in constraint["numbers"])
    return ForeignKey(columns, constraint["parent_name"], tuple(constraint["targets"]))


def _sequence(row: dict[str, Any]) -> str:
    if row["sequence"]:
        return str(row["sequence"])
    found = re.match(r"nextval\('(.+)'::regclass\)", row["default"] or "")
    return found.group(1) if found else ""


def _column(row: dict[str, Any], understood: checks.Understood) -> Column:
    declared = row["type"]
    bare = re.sub(r"\([^)]*\)", "", declared).strip()
    arguments = [int(n) for n in re.findall(r"\d+", declared.partition("(")[2])]
    kind: Kind = "array" if bare.endswith("[]") else _KINDS.get(bare.rpartition(".")[2], "other")
    if row["choices"] and kind == "other":
        kind = "text"
    digits, places = [*arguments, 0][:2] if kind == "decimal" and arguments else (None, 2)
    return Column(
        row["name"],
        kind,
        nullable=not row["required"],
        default=None if row["identity"] else row["default"],
        length=arguments[0] if arguments and kind in ("text", "vector") else None,
        digits=_INTEGER_DIGITS.get(bare, digits),
        places=places if kind == "decimal" else None,
        choices=tuple(row["choices"]),
        domain=understood.of(row["name"]),
        native=True,
    )
