"""PostgreSQL: EXPLAIN (ANALYZE, BUFFERS, SETTINGS), timed runs that are undone, time-outs by the server."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import sql

from perfcrew.core.evidence import PlanNode
from perfcrew.core.indexes import IndexSpec, is_expression
from perfcrew.core.sql import is_read
from perfcrew.core.sql_candidates import Engine, TableFacts
from perfcrew.instruments import plan_nodes, postgres_writes
from perfcrew.instruments.binding import Bound
from perfcrew.instruments.sessions import (
    BUILD_S,
    LOCK_S,
    RUN_S,
    Gone,
    Index,
    Refused,
    TookTooLong,
    Written,
    index_name,
)

COUNT_S = 5.0
"""No table is counted for longer."""
_LOCKS = re.compile(r"\bFOR\s+(NO\s+KEY\s+UPDATE|UPDATE|(KEY\s+)?SHARE)\b", re.IGNORECASE)
_TABLES = """
SELECT CASE WHEN pg_table_is_visible(c.oid) THEN c.relname ELSE n.nspname || '.' || c.relname END, c.oid,
       array[n.nspname::text, c.relname::text], array(SELECT a.attname::text FROM pg_attribute a
                        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum),
       array(SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum),
       c.relkind = 'p'
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND lower(c.relname) = ANY(%s)
"""
# An expression among the keys has the number 0: no plain column, so the list ends before it.
_INDEXES = """
SELECT i.indisunique, i.indnkeyatts, array(SELECT a.attname::text
  FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
  LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
  WHERE k.place <= i.indnkeyatts ORDER BY k.place)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
WHERE i.indrelid = %s AND i.indpred IS NULL AND i.indisvalid AND m.amname = 'btree'
"""
_PARTS = """
SELECT relname, pg_relation_size(oid) FROM pg_class
WHERE oid = %s::regclass OR oid IN (SELECT relid FROM pg_partition_tree(%s::regclass))
"""
_SIZE = """
SELECT sum(greatest(reltuples, 0))::bigint, sum(pg_table_size(oid))::bigint FROM pg_class
WHERE oid = %s OR oid IN (SELECT relid FROM pg_partition_tree(%s))
"""
_NAMES = "SELECT relname FROM pg_class"
_TWIN = """
SELECT other.indexrelid::regclass::text FROM pg_index mine
JOIN pg_index other ON other.indrelid = mine.indrelid AND other.indexrelid <> mine.indexrelid
JOIN pg_class a ON a.oid = mine.indexrelid JOIN pg_class b ON b.oid = other.indexrelid
WHERE mine.indexrelid = %s::regclass AND other.indisvalid AND a.relam = b.relam
  AND mine.indkey::text = other.indkey::text AND mine.indnkeyatts = other.indnkeyatts
  AND mine.indclass::text = other.indclass::text AND mine.indcollation::text = other.indcollation::text
  AND mine.indoption::text = other.indoption::text
  AND pg_get_expr(mine.indexprs, mine.indrelid) IS NOT DISTINCT FROM pg_get_expr(other.indexprs, other.indrelid)
  AND pg_get_expr(mine.indpred, mine.indrelid) IS NOT DISTINCT FROM pg_get_expr(other.indpred, other.indrelid)
"""
_HYPOPG = "SELECT EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'hypopg')"
# pg_stats, since pg_statistic is for superusers alone.
_STALE = """
SELECT c.reltuples NOT BETWEEN 0.8 * %s AND 1.25 * %s
  OR NOT EXISTS (SELECT 1 FROM pg_stats s WHERE (s.schemaname, s.tablename) = (n.nspname, c.relname))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = %s::regclass
"""
_WIDTH = """
SELECT sum(width) FROM (
  SELECT max(s.avg_width) AS width FROM pg_stats s
  JOIN pg_class c ON c.relname = s.tablename JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = s.schemaname
  WHERE c.oid = %s::regclass AND s.attname = ANY(%s) GROUP BY s.attname
) AS each
"""


class PostgresSession:
    """A session on a PostgreSQL clone."""

    engine: Engine = "postgresql"

    def __init__(self, db: psycopg.Connection[Any]) -> None:
        db.rollback()
        db.autocommit = True
        db.cursor_factory = psycopg.ClientCursor
        self._db = db
        self._hypopg: bool | None = None

    def plan(self, bound: Bound, *, run: bool) -> tuple[PlanNode, ...]:
        """The plan; with `run` by EXPLAIN ANALYZE, which counts the rows of each node and the time it took.

        What a write did is undone with the transaction that it ran in.
        """
        options = "ANALYZE, BUFFERS, SETTINGS, FORMAT JSON" if run else "SETTINGS, FORMAT JSON"
        with self._undone(bound, read_only=not run or _may_be_read_only(bound)) as cursor:
            cursor.execute(f"EXPLAIN ({options}) {bound.text}", bound.values)
            (told,) = cursor.fetchone()[0]
            return plan_nodes.of_postgres(told["Plan"], told.get("Triggers") or ())

    def run_ms(self, bound: Bound) -> float:
        """Run it once and fetch all, in a transaction that is rolled back and may not write."""
        with self._undone(bound, read_only=_may_be_read_only(bound)) as cursor:
            started = time.perf_counter()
            cursor.execute(bound.text, bound.values)
            if cursor.description is not None:
                cursor.fetchall()
            return (time.perf_counter() - started) * 1000

    def count(self, bound: Bound) -> int:
        """Within a read-only transaction."""
        with self._undone(bound, read_only=True) as cursor:
            cursor.execute(f"SELECT count(*) FROM ({bound.text}) AS every", bound.values)
            return int(cursor.fetchone()[0])

    def facts(self, names: Iterable[str]) -> Mapping[str, TableFacts]:
        """Tables by their name, or schema and name outside of the search path; materialised views among them."""
        with self._guarded(RUN_S):
            rows = self._db.execute(_TABLES, [[name.lower() for name in names]]).fetchall()
            return {known: self._table(*rest) for known, *rest in rows}

    def refresh(self, facts: Mapping[str, TableFacts]) -> None:
        """ANALYZE: a clone that was filled a moment ago has none of the statistics that autovacuum keeps."""
        with self._guarded(BUILD_S):
            for name, table in facts.items():
                path = self._quoted(*name.split(".", 1))
                stale = self._db.execute(_STALE, [table.rows, table.rows, path]).fetchone()
                if table.rows and stale and stale[0]:
                    self._db.execute(f"ANALYZE {path}")

    def width_bytes(self, table: str, columns: Iterable[str]) -> float | None:
        """By ANALYZE's statistics."""
        path = self._path(table)
        with self._guarded(RUN_S):
            found = self._db.execute(_WIDTH, [path, list(columns)]).fetchone()
        return float(found[0]) if found and found[0] is not None else None

    def extensions(self) -> frozenset[str]:
        """As pg_extension lists them."""
        with self._guarded(RUN_S):
            return frozenset(name for (name,) in self._db.execute("SELECT extname FROM pg_extension").fetchall())

    def settle(self, facts: Mapping[str, TableFacts]) -> None:
        """ANALYZE and VACUUM: what autovacuum does, and without which no scan of an index alone is quick. A table that
        takes too long stays as it is."""
        for name in facts:
            path = self._path(name)
            for upkeep in ("ANALYZE", "VACUUM"):
                with suppress(TookTooLong), self._guarded(BUILD_S):
                    self._db.execute(f"{upkeep} {path}")

    def _path(self, name: str) -> str:
        with self._guarded(RUN_S):
            return self._quoted(*name.split(".", 1))

    def index(self, spec: IndexSpec) -> Index:
        """Its name and statement."""
        with self._guarded(RUN_S):
            taken = [name for (name,) in self._db.execute(_NAMES).fetchall()]
            name, on = index_name(spec, taken), self._quoted(*spec.table.split(".", 1))
            schema = f"{on.rpartition('.')[0]}." if "." in spec.table else ""
            ddl = f"CREATE INDEX {self._quoted(name)} ON {on} {self._definition(spec)}"
            return Index(name, f"{schema}{self._quoted(name)}", ddl)

    def _definition(self, spec: IndexSpec) -> str:
        keys = (f"({k})" if is_expression(k) else self._quoted(k) for k in spec.keys)
        text = f"({', '.join(f'{k} {spec.opclass}'.strip() for k in keys)})"
        text = f"USING {spec.using} {text}" if spec.using != "btree" else text
        text += f" INCLUDE ({', '.join(self._quoted(c) for c in spec.include)})" if spec.include else ""
        return text + (f" WHERE {spec.where}" if spec.where else "")

    def would_use(self, index: Index, bounds: Iterable[Bound]) -> bool | None:
        """By hypopg, where the server has it and it knows that kind of index."""
        if not self._hypothetical():
            return None
        with self._guarded(RUN_S):
            try:
                found = self._db.execute("SELECT indexname FROM hypopg_create_index(%s)", [index.ddl]).fetchone()
            except psycopg.errors.FeatureNotSupported:
                return None
            except psycopg.Error as error:
                if "not supported" in str(error):  # hypopg raises it as an internal error
                    return None
                raise
            try:
                return any(found and found[0] in {n.index for n in self.plan(b, run=False)} for b in bounds)
            finally:
                self._db.execute("SELECT hypopg_reset()")

    def _hypothetical(self) -> bool:
        """Whether hypopg is there; on a clone of ours it may be installed for this."""
        if self._hypopg is None:
            try:
                with self._guarded(RUN_S):
                    self._hypopg = bool((self._db.execute(_HYPOPG).fetchone() or (False,))[0])
                    if self._hypopg:
                        self._db.execute("CREATE EXTENSION IF NOT EXISTS hypopg")
            except Gone:
                raise
            except Refused:  # the role may not: then nothing is left out beforehand
                self._hypopg = False
        return self._hypopg

    def twin(self, index: Index) -> str:
        """By pg_index: the same keys, classes, order, expressions and condition."""
        with self._guarded(RUN_S):
            found = self._db.execute(_TWIN, [index.path]).fetchone()
        return str(found[0]) if found else ""

    @contextmanager
    def without(self, indexes: Iterable[Index]) -> Iterator[None]:
        """A transaction that drops them and is rolled back: that costs next to nothing, whatever their size."""
        with self._guarded(RUN_S), self._db.transaction(force_rollback=True):
            for index in indexes:
                self._db.execute(f"DROP INDEX {index.path}")
            yield

    def writes(self, table: str, columns: Iterable[str], rows: int) -> Written:
        """Of new rows, so that no key stands in the way; their unique values are made up."""
        with self._guarded(RUN_S), self._db.transaction(force_rollback=True):
            return postgres_writes.timed(self._db, self._quoted(*table.split(".", 1)), tuple(columns), rows)

    def build(self, index: Index) -> None:
        """Build it; plain columns have their statistics already, expressions have them by `analyze`."""
        with self._guarded(BUILD_S):
            self._db.execute(index.ddl)

    def names(self, index: Index) -> frozenset[str]:
        """Its own, and those on the partitions."""
        with self._guarded(RUN_S):
            rows = self._db.execute(_PARTS, [index.path, index.path]).fetchall()
        return frozenset([index.name, *(name for name, _ in rows)])

    def analyze(self, tables: Iterable[str]) -> None:
        """Without them the planner takes an expression for one that finds a two-hundredth of the rows."""
        for name in dict.fromkeys(tables):
            path = self._path(name)
            with suppress(TookTooLong), self._guarded(BUILD_S):
                self._db.execute(f"ANALYZE {path}")

    def drop(self, index: Index) -> None:
        """Drop it again."""
        with self._guarded(BUILD_S):
            self._db.execute(f"DROP INDEX IF EXISTS {index.path}")

    def size_bytes(self, index: Index) -> int | None:
        """By pg_relation_size, over all partitions."""
        with self._guarded(RUN_S):
            return sum(int(size) for _, size in self._db.execute(_PARTS, [index.path, index.path]).fetchall())

    def _table(
        self, oid: int, path: Sequence[str], columns: Sequence[str], types: Sequence[str], partitioned: bool
    ) -> TableFacts:
        found = self._db.execute(_INDEXES, [oid]).fetchall()
        told, size = self._db.execute(_SIZE, [oid, oid]).fetchone() or (0, None)
        plain = [(unique, tuple(_before_expression(keys)), len(keys)) for unique, _, keys in found]
        return TableFacts(
            columns=tuple(columns),
            rows=self._counted(path, told),
            indexes=tuple(keys for _, keys, _ in plain),
            unique=tuple(keys for unique, keys, length in plain if unique and len(keys) == length),
            types=dict(zip(columns, types, strict=True)),
            size_bytes=size,
            partitioned=partitioned,
        )

    def _counted(self, path: Sequence[str], told: int) -> int:
        """The rows of a table; of one that takes too long to count, as many as the statistics have."""
        self._db.execute(f"SET statement_timeout = {int(COUNT_S * 1000)}")
        try:
            counted = self._db.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*path))).fetchone()
        except psycopg.errors.QueryCanceled:
            return told
        finally:
            self._db.execute(f"SET statement_timeout = {int(RUN_S * 1000)}")
        return int(counted[0]) if counted else 0

    def _quoted(self, *names: str) -> str:
        """Identifiers as a person would write them: the server knows which need quotes."""
        parts = (self._db.execute("SELECT quote_ident(%s)", [name]).fetchone() for name in names)
        return ".".join(str(part[0]) for part in parts if part)

    @contextmanager
    def _undone(self, bound: Bound, *, read_only: bool) -> Iterator[Any]:
        with self._guarded(RUN_S), self._db.transaction(force_rollback=True), self._db.cursor() as cursor:
            if read_only:
                cursor.execute("SET TRANSACTION READ ONLY")
            yield cursor

    @contextmanager
    def _guarded(self, limit_s: float) -> Iterator[None]:
        try:
            self._db.execute(f"SET statement_timeout = {int(limit_s * 1000)}")
            self._db.execute(f"SET lock_timeout = {int(LOCK_S * 1000)}")
            yield
        except psycopg.errors.QueryCanceled as error:
            raise TookTooLong(f"it takes longer than {limit_s:g} s") from error
        except psycopg.Error as error:
            if self._db.closed:
                raise Gone(f"the connection was lost: {_first_line(error)}") from error
            raise Refused(_first_line(error)) from error
        except UnicodeEncodeError as error:
            raise Refused(str(error)) from error


def _may_be_read_only(bound: Bound) -> bool:
    """Rows can't be locked in a read-only transaction, nor written; what a statement does is undone all the same."""
    return is_read(bound.text) and not _LOCKS.search(bound.text)


def _before_expression(keys: Iterable[str | None]) -> Iterator[str]:
    for key in keys:
        if key is None:
            return
        yield key


def _first_line(error: psycopg.Error) -> str:
    """The server's message without its second line, which quotes the statement and may quote its values."""
    return (error.diag.message_primary or str(error)).strip().splitlines()[0]
