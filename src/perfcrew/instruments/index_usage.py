"""What the indexes of a database do: how often each was used, its size, and which of them another one makes needless.

The user's own PostgreSQL is asked, since a clone begins with no statistics: in a read-only transaction with time-outs,
every statement marked as ours, under an application name of ours. Of SQLite, which counts nothing, only definitions.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import psycopg

from perfcrew.core.advice import IndexUsage, KnownIndex
from perfcrew.core.errors import ToolFailed

TAG = "/* perfcrew: read-only */ "
STATEMENT_S = 5.0
LOCK_S = 1.0
# A crash empties all statistics and tells it of the shared ones alone; what was reset, or not kept, is as young.
_SINCE = """
SELECT extract(epoch FROM now() - greatest(
  stats_reset, pg_postmaster_start_time(), (SELECT stats_reset FROM pg_stat_bgwriter)))
FROM pg_stat_database WHERE datname = current_database()
"""
_INDEXES = """
SELECT c.relname, i.indrelid::regclass::text, pg_get_indexdef(i.indexrelid), coalesce(s.idx_scan, 0),
       pg_relation_size(i.indexrelid), i.indisunique,
       i.indisunique OR i.indisprimary OR i.indisexclusion OR i.indisclustered OR i.indisreplident
         OR EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid),
       am.amname, coalesce(pg_get_expr(i.indpred, i.indrelid), ''),
       array(SELECT pg_get_indexdef(i.indexrelid, k, true) || ' ' || i.indclass[k - 1] || ' ' || i.indoption[k - 1]
               || ' ' || i.indcollation[k - 1]
             FROM generate_series(1, i.indnkeyatts) k),
       array(SELECT pg_get_indexdef(i.indexrelid, k, true) FROM generate_series(1, i.indnatts) k),
       coalesce(t.seq_scan, 0) + coalesce(t.idx_scan, 0), greatest(r.reltuples, 0)::bigint,
       quote_ident(n.nspname) || '.' || quote_ident(c.relname),
       coalesce((SELECT k.confrelid::regclass::text FROM pg_constraint k
                 WHERE k.contype = 'f' AND k.conrelid = i.indrelid AND cardinality(k.conkey) <= i.indnkeyatts
                   AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey LIMIT 1), '')
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class r ON r.oid = i.indrelid
JOIN pg_namespace n ON n.oid = r.relnamespace JOIN pg_am am ON am.oid = c.relam
LEFT JOIN pg_stat_user_indexes s ON s.indexrelid = i.indexrelid
LEFT JOIN pg_stat_user_tables t ON t.relid = i.indrelid
WHERE i.indisvalid AND c.relkind = 'i' AND NOT c.relispartition
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = r.oid AND d.deptype = 'e')
ORDER BY i.indexrelid
"""


class _Index(NamedTuple):
    """An index with what tells it apart from others; keys have their class, direction and collation."""

    known: KnownIndex
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    method: str
    where: str


def of_postgres(connect: Callable[[], Any], *, statistics: bool = True) -> IndexUsage:
    """`connect` gives a psycopg connection. Without `statistics` the definitions alone count: of a database of ours.

    Raises ToolFailed where the server refuses, or goes away.
    """
    try:
        with closing(connect()) as db:
            db.read_only = True
            with db.transaction():
                for name, limit_s in (("statement_timeout", STATEMENT_S), ("lock_timeout", LOCK_S)):
                    db.execute(f"{TAG}SET LOCAL {name} = {int(limit_s * 1000)}")
                since: Any = (db.execute(TAG + _SINCE).fetchone() or (None,))[0]
                rows = db.execute(TAG + _INDEXES).fetchall()
    except psycopg.Error as error:
        said = (error.diag.message_primary or str(error)).strip().splitlines()[0]
        raise ToolFailed(f"the use of its indexes can't be read: {said}", do="see that the role may read it") from None
    found = [_postgres(row, statistics) for row in rows]
    counted = since is not None and statistics
    return IndexUsage(
        engine="postgresql",
        since_s=float(since) if counted else None,
        tables_rows={row[1]: int(row[12]) for row in rows},
        indexes=tuple(_judged(found)),
    )


def _postgres(row: Sequence[Any], statistics: bool) -> _Index:
    name, table, ddl, scans, size, unique, needed, method, where, keys, columns, read, _, path, refers_to = row
    known = KnownIndex(
        name=name,
        path=path,
        table=table,
        ddl=ddl,
        scans_count=int(scans) if statistics else None,
        table_scans_count=int(read) if statistics else None,
        size_bytes=int(size),
        unique=unique,
        needed=needed,
        refers_to=refers_to,
    )
    return _Index(known, tuple(keys), tuple(columns), method, where)


def of_sqlite(connect: Callable[[], Any]) -> IndexUsage:
    """`connect` gives a connection to a copy: the user's own file is left alone."""
    try:
        with closing(connect()) as db:
            tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()]
            found = [index for table in tables for index in _sqlite(db, table)]
    except sqlite3.Error as error:
        raise ToolFailed(f"its indexes can't be read: {error}", do="check it with `PRAGMA integrity_check`") from None
    return IndexUsage(engine="sqlite", indexes=tuple(_judged(found)))


def _sqlite(db: sqlite3.Connection, table: str) -> Iterator[_Index]:
    listed = 'SELECT name, "unique", origin, partial FROM pragma_index_list(?) ORDER BY seq DESC'
    for name, unique, origin, partial in db.execute(listed, [table]).fetchall():
        rows = db.execute('SELECT cid, name, "desc", coll FROM pragma_index_xinfo(?) WHERE key', [name]).fetchall()
        (ddl,) = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", [name]).fetchone() or ("",)
        whole = ddl or ""
        plain = all(cid >= 0 for cid, *_ in rows)
        keys = [f"{column} {down} {collation}" for _, column, down, collation in rows] if plain else [_after_on(whole)]
        needed = bool(unique) or origin != "c"
        known = KnownIndex(name=name, table=table, ddl=whole, unique=bool(unique), needed=needed)
        where = whole.upper().rpartition(" WHERE ")[2] if partial else ""
        yield _Index(known, tuple(keys), tuple(str(row[1]) for row in rows), "btree" if plain else "expression", where)


def _after_on(ddl: str) -> str:
    return " ".join(ddl.upper().partition(" ON ")[2].split())


def _judged(found: Sequence[_Index]) -> Iterator[KnownIndex]:
    for place, one in enumerate(found):
        other = None if one.known.needed else _other(one, place, found)
        said: dict[str, object] = {"siblings_count": sum(o.known.table == one.known.table for o in found)}
        if other is not None:
            said |= {"same_as": other.known.name, "equal": len(other.keys) == len(one.keys)}
        yield one.known.model_copy(update=said)


def _other(one: _Index, place: int, found: Iterable[_Index]) -> _Index | None:
    """Another index that does all that this one does; of two that are the same, the one that was first stays."""
    for at, other in enumerate(found):
        same = (one.known.table, one.method, one.where) == (other.known.table, other.method, other.where)
        if at == place or not same or not set(one.columns) <= set(other.columns):
            continue
        if one.keys == other.keys:
            if at < place or other.known.needed or len(other.columns) > len(one.columns):
                return other
        elif one.method == "btree" and other.keys[: len(one.keys)] == one.keys:
            return other
    return None
