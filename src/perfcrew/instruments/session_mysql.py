"""MySQL and MariaDB: plans by EXPLAIN FORMAT=JSON, timed runs in read-only transactions, time-outs by the server.

Their DDL can't be rolled back: an index is left out by making it INVISIBLE (MySQL 8) or IGNORED (MariaDB 10.6), which
the planner heeds. What an index adds to writes is not measured.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from perfcrew.core.evidence import PlanNode
from perfcrew.core.indexes import IndexSpec, is_expression
from perfcrew.core.sql import aliases
from perfcrew.core.sql_candidates import Engine, TableFacts
from perfcrew.instruments.binding import Bound
from perfcrew.instruments.mysql_plan import of_mysql
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
from perfcrew.target.clones import mysql

COUNT_S = 5.0
_TOO_LONG = (1969, 3024)
"""MariaDB's and MySQL's codes for a statement that was ended at its time-out."""
_GONE = (0, 1053, 1927, 2006, 2013, 2014, 2055)
"""Shutdown, a connection that was killed or lost."""
_NOT_THERE = 1091
_TABLES = """
SELECT TABLE_NAME, TABLE_ROWS, DATA_LENGTH FROM information_schema.TABLES
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE'
"""
_COLUMNS = """
SELECT COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION
"""
# The prefix of a column serves no order, and an expression has no name: the list of keys ends before either.
_INDEXES = """
SELECT INDEX_NAME, NON_UNIQUE, IF(SUB_PART IS NULL, COLUMN_NAME, NULL) FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s AND INDEX_TYPE = 'BTREE' ORDER BY INDEX_NAME, SEQ_IN_INDEX
"""
_NAMES = "SELECT DISTINCT INDEX_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE()"
_SIZE = """
SELECT stat_value * @@innodb_page_size FROM mysql.innodb_index_stats
WHERE database_name = DATABASE() AND index_name = %s AND stat_name = 'size'
"""
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


class MysqlSession:
    """A session on a clone in MySQL or MariaDB."""

    engine: Engine = "mysql"

    def __init__(self, db: Any) -> None:
        self._db = db
        self._error = mysql.driver().err.MySQLError
        self._mariadb = mysql.is_mariadb(db)
        self._tables: dict[str, str] = {}
        """Of each index of ours, its table as SQL takes it."""
        with self._guarded(RUN_S):
            self._do(f"SET SESSION lock_wait_timeout = {int(LOCK_S)}, innodb_lock_wait_timeout = {int(LOCK_S)}")
        with suppress(Refused), self._guarded(RUN_S):
            self._do("SET SESSION explain_json_format_version = 1")  # of newer MySQL, whose second one is another

    def plan(self, bound: Bound, *, run: bool) -> tuple[PlanNode, ...]:
        """The plan; with `run` MariaDB counts by running the statement, MySQL estimates all the same."""
        how = "ANALYZE" if run and self._mariadb else "EXPLAIN"
        with self._guarded(RUN_S), self._undone(read_only=run):
            (row,) = self._all(f"{how} FORMAT=JSON {bound.text}", bound.values)
        return of_mysql(json.loads(row[0]), aliases(bound.text))

    def run_ms(self, bound: Bound) -> float:
        """Run it once and fetch all, with writing forbidden."""
        with self._guarded(RUN_S), self._undone():
            started = time.perf_counter()
            self._all(bound.text, bound.values)
            return (time.perf_counter() - started) * 1000

    def count(self, bound: Bound) -> int:
        """With writing forbidden."""
        with self._guarded(RUN_S), self._undone():
            return int(self._all(f"SELECT count(*) FROM ({bound.text}) AS perfcrew_counted", bound.values)[0][0])

    def facts(self, names: Iterable[str]) -> Mapping[str, TableFacts]:
        """Tables by their name, without views."""
        wanted = {name.lower() for name in names}
        with self._guarded(RUN_S):
            found = [row for row in self._all(_TABLES) if str(row[0]).lower() in wanted]
            return {str(name): self._table(str(name), int(rows or 0), size) for name, rows, size in found}

    def _table(self, name: str, rows: int, size: int | None) -> TableFacts:
        columns = self._all(_COLUMNS, [name])
        primary, others = self._indexes(name)
        return TableFacts(
            columns=tuple(str(column) for column, _ in columns),
            rows=self._counted(name, rows),
            indexes=(*(keys for keys, _, _ in others), *([primary] if primary else [])),
            unique=(*(keys for keys, unique, whole in others if unique and whole), *([primary] if primary else [])),
            types={str(column): str(kind).lower() for column, kind in columns},
            size_bytes=size,
        )

    def _indexes(self, table: str) -> tuple[tuple[str, ...], list[tuple[tuple[str, ...], bool, bool]]]:
        """The primary key; and of each other index its keys, whether it is unique, and whether these are all of them.

        InnoDB ends each with the primary key.
        """
        keys: dict[str, list[str | None]] = {}
        unique: dict[str, bool] = {}
        for name, not_unique, column in self._all(_INDEXES, [table]):
            keys.setdefault(name, []).append(column)
            unique[name] = not int(not_unique)
        primary = tuple(str(c) for c in keys.pop("PRIMARY", []))
        found = []
        for name, columns in keys.items():
            plain = columns[: columns.index(None)] if None in columns else [*columns, *primary]
            whole = tuple(str(c) for c in columns) if None not in columns else ()
            found.append((whole if unique[name] and whole else tuple(map(str, plain)), unique[name], bool(whole)))
        return primary, found

    def _counted(self, name: str, estimated: int) -> int:
        """The rows of a table; of one that takes too long to count, what the engine estimates."""
        try:
            with self._guarded(COUNT_S):
                return int(self._all(f"SELECT count(*) FROM {mysql.quoted(name)}")[0][0])
        except TookTooLong:
            return estimated

    def refresh(self, facts: Mapping[str, TableFacts]) -> None:
        """As InnoDB does by itself, once a tenth of a table has changed."""
        self.analyze(facts)

    def width_bytes(self, table: str, columns: Iterable[str]) -> float | None:
        """There are no such statistics."""
        return None

    def extensions(self) -> frozenset[str]:
        """None that matter to indexes."""
        return frozenset()

    def settle(self, facts: Mapping[str, TableFacts]) -> None:
        """The same: InnoDB's purge needs no help."""
        self.analyze(facts)

    def index(self, spec: IndexSpec) -> Index:
        """Its name and statement. Refused for what these engines do not have."""
        if spec.where or spec.include or spec.using != "btree":
            raise Refused("MySQL has no such index")
        with self._guarded(RUN_S):
            taken = [str(name) for (name,) in self._all(_NAMES)]
        name = index_name(spec, taken)
        path = name if _PLAIN.fullmatch(name) else mysql.quoted(name)
        keys = ", ".join(f"({k})" if is_expression(k) else mysql.quoted(k) for k in spec.keys)
        self._tables[path] = mysql.quoted(spec.table)
        return Index(name, path, f"CREATE INDEX {path} ON {mysql.quoted(spec.table)} ({keys})")

    def would_use(self, index: Index, bounds: Iterable[Bound]) -> bool | None:
        """They plan with real indexes only."""
        return None

    def twin(self, index: Index) -> str:
        """By its columns."""
        with self._guarded(RUN_S):
            table = self._tables[index.path].strip("`").replace("``", "`")
            keys: dict[str, list[Any]] = {}
            for name, _, column in self._all(_INDEXES, [table]):
                keys.setdefault(name, []).append(column)
        mine = keys.get(index.name, [None])
        return next((n for n, own in keys.items() if n != index.name and own == mine and None not in mine), "")

    @contextmanager
    def without(self, indexes: Iterable[Index]) -> Iterator[None]:
        """While the block runs, the planner does not see them."""
        tables: dict[str, list[str]] = {}
        for index in indexes:
            tables.setdefault(self._tables[index.path], []).append(index.path)
        hidden, seen = ("IGNORED", "NOT IGNORED") if self._mariadb else ("INVISIBLE", "VISIBLE")
        try:
            self._turn(tables, hidden)
            yield
        finally:
            self._turn(tables, seen)

    def _turn(self, tables: Mapping[str, Iterable[str]], how: str) -> None:
        with self._guarded(RUN_S):
            for table, paths in tables.items():
                self._do(f"ALTER TABLE {table} {', '.join(f'ALTER INDEX {path} {how}' for path in paths)}")

    def writes(self, table: str, columns: Iterable[str], rows: int) -> Written:
        """Refused: hiding an index spares no write, and dropping it is not undone by a rollback."""
        raise Refused("what an index adds to writes is not measured on MySQL and MariaDB")

    def build(self, index: Index) -> None:
        """Build it; InnoDB makes its statistics with it."""
        with self._guarded(BUILD_S):
            self._do(index.ddl)

    def names(self, index: Index) -> frozenset[str]:
        """Its own."""
        return frozenset([index.name])

    def analyze(self, tables: Iterable[str]) -> None:
        """Statistics of those tables, where that does not take too long."""
        for name in dict.fromkeys(tables):
            with suppress(TookTooLong), self._guarded(BUILD_S):
                self._all(f"ANALYZE TABLE {mysql.quoted(name)}")

    def drop(self, index: Index) -> None:
        """Drop it, if it is there."""
        with self._guarded(BUILD_S):
            try:
                self._do(f"DROP INDEX {index.path} ON {self._tables[index.path]}")
            except self._error as error:
                if error.args[:1] != (_NOT_THERE,):
                    raise

    def size_bytes(self, index: Index) -> int | None:
        """Its pages, by InnoDB's statistics; None where the user may not read them."""
        try:
            with self._guarded(RUN_S):
                rows = self._all(_SIZE, [index.name])
        except Gone:
            raise
        except Refused:
            return None
        return int(rows[0][0]) if rows else None

    @contextmanager
    def _undone(self, read_only: bool = True) -> Iterator[None]:
        """A transaction that is rolled back; even a plan of what writes is refused in one that may only read."""
        self._do("START TRANSACTION READ ONLY" if read_only else "START TRANSACTION")
        try:
            yield
        finally:
            self._do("ROLLBACK")

    def _all(self, text: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        with self._db.cursor() as cursor:
            cursor.execute(text, tuple(values) if values or "%%" in text else None)
            return list(cursor.fetchall())

    def _do(self, text: str) -> None:
        with self._db.cursor() as cursor:
            cursor.execute(text)

    @contextmanager
    def _guarded(self, limit_s: float) -> Iterator[None]:
        """MySQL's own limit is for what reads; the rest ends when nothing is heard any more."""
        limit = f"max_statement_time = {limit_s:g}" if self._mariadb else f"max_execution_time = {int(limit_s * 1000)}"
        try:
            self._do(f"SET SESSION {limit}")
            yield
        except self._error as error:
            code = error.args[0] if error.args else 0
            if code in _TOO_LONG:
                raise TookTooLong(f"it takes longer than {limit_s:g} s") from error
            raise (Gone if code in _GONE or not self._db.open else Refused)(mysql.said(error)) from error
