"""SQLite: EXPLAIN QUERY PLAN, timed runs that may not write, time-outs by the progress handler."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from perfcrew.core.evidence import PlanNode
from perfcrew.core.indexes import IndexSpec, is_expression
from perfcrew.core.sql import aliases
from perfcrew.core.sql_candidates import Engine, TableFacts
from perfcrew.instruments import plan_nodes, sqlite_writes
from perfcrew.instruments.binding import Bound
from perfcrew.instruments.sessions import BUILD_S, RUN_S, Index, Refused, TookTooLong, Unknown, Written, index_name

COUNT_S = 5.0
"""No table is counted for longer."""
_STEPS = 10_000
"""Instructions of SQLite's machine between two looks at the clock, about 0.1 ms."""
_UNKNOWN = re.compile(r"no such (?P<kind>function|collation sequence): (?P<name>\w+)")
_PLAIN = re.compile(
    r"(?!(?:add|all|alter|and|as|between|by|case|check|collate|commit|create|default|delete|desc|distinct|drop|else"
    r"|escape|exists|foreign|from|group|having|in|index|insert|into|is|isnull|join|limit|not|notnull|null|on|or|order"
    r"|primary|references|select|set|table|then|to|transaction|union|unique|update|using|values|when|where)\Z)"
    r"[a-z_]\w*\Z",
    re.IGNORECASE,
)


class SqliteSession:
    """A session on a SQLite clone."""

    engine: Engine = "sqlite"

    def __init__(self, db: sqlite3.Connection) -> None:
        db.isolation_level = None
        db.execute("PRAGMA synchronous = OFF")  # of a clone: what a crash loses is made again
        self._db = db
        self._stood_in: set[str] = set()
        self._asked = 0

    def plan(self, bound: Bound, *, run: bool) -> tuple[PlanNode, ...]:
        """The plan: SQLite counts no rows, so nothing is run for it, and the application's own functions do no harm."""
        while True:
            self._asked += 1  # a text of its own: Python keeps what it prepared, with the plan of then
            try:
                with self._guarded(RUN_S):
                    text = f"/* {self._asked} */ EXPLAIN QUERY PLAN {bound.text}"
                    rows = self._db.execute(text, bound.values).fetchall()
                return plan_nodes.of_sqlite(rows, aliases(bound.text))
            except Unknown as error:
                self._stand_in(error)

    def _stand_in(self, error: Unknown) -> None:
        """Define the function or collation that the application defines, so that the statement can be planned."""
        found = _UNKNOWN.match(str(error))
        if found is None or found["name"] in self._stood_in:
            raise error
        self._stood_in.add(found["name"])
        if found["kind"] == "function":
            self._db.create_function(found["name"], -1, lambda *_: None)
        else:
            self._db.create_collation(found["name"], lambda a, b: (a > b) - (a < b))

    def run_ms(self, bound: Bound) -> float:
        """Run it once and fetch all, with writing forbidden."""
        if self._stood_in:
            raise Unknown(f"the application defines {', '.join(sorted(self._stood_in))} on its own connections")
        with self._guarded(RUN_S), self._reading():
            started = time.perf_counter()
            self._db.execute(bound.text, bound.values).fetchall()
            return (time.perf_counter() - started) * 1000

    def count(self, bound: Bound) -> int:
        """With writing forbidden."""
        with self._guarded(RUN_S), self._reading():
            return int(self._db.execute(f"SELECT count(*) FROM ({bound.text})", bound.values).fetchone()[0])

    def facts(self, names: Iterable[str]) -> Mapping[str, TableFacts]:
        """Tables by their name, without views and virtual tables, which have no indexes of their own."""
        wanted = {name.lower() for name in names}
        with self._guarded(RUN_S):
            rows = self._db.execute("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'")
            found = [name for (name,) in rows.fetchall() if name.lower() in wanted]
            return {name: self._table(name) for name in found}

    def refresh(self, facts: Mapping[str, TableFacts]) -> None:
        """Nothing: SQLite has statistics only where its owner runs ANALYZE, and the clone has those."""

    def width_bytes(self, table: str, columns: Iterable[str]) -> float | None:
        """SQLite has no such statistics."""
        return None

    def extensions(self) -> frozenset[str]:
        """None that matter to indexes."""
        return frozenset()

    def settle(self, facts: Mapping[str, TableFacts]) -> None:
        """Nothing: SQLite has no upkeep of its own."""

    def index(self, spec: IndexSpec) -> Index:
        """Its name and statement."""
        with self._guarded(RUN_S):
            taken = [name for (name,) in self._db.execute("SELECT name FROM sqlite_master").fetchall()]
        name = index_name(spec, taken)
        keys = ", ".join(k if is_expression(k) else _quoted(k) for k in (*spec.keys, *spec.include))
        where = f" WHERE {spec.where}" if spec.where else ""
        path = _quoted(name)
        return Index(name, path, f"CREATE INDEX {path} ON {_quoted(spec.table)} ({keys}){where}")

    def would_use(self, index: Index, bounds: Iterable[Bound]) -> bool | None:
        """SQLite plans with real indexes only."""
        return None

    def twin(self, index: Index) -> str:
        """By the text of its definition after its name."""
        with self._guarded(RUN_S):
            rows = self._db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
            mine = _defined(index.ddl)
            return next((name for name, text in rows.fetchall() if name != index.name and _defined(text) == mine), "")

    @contextmanager
    def without(self, indexes: Iterable[Index]) -> Iterator[None]:
        """A transaction that drops them and is rolled back."""
        with self._guarded(RUN_S):
            self._db.execute("BEGIN")
        try:
            with self._guarded(RUN_S):
                for index in indexes:
                    self._db.execute(f"DROP INDEX {index.path}")
            yield
        finally:
            self._db.execute("ROLLBACK")

    def writes(self, table: str, columns: Iterable[str], rows: int) -> Written:
        """Of new rows, known by their row ids; unique values are made up."""
        with self._guarded(RUN_S):
            self._db.execute("SAVEPOINT perfcrew_writes")
            try:
                return sqlite_writes.timed(self._db, table, tuple(columns), rows)
            finally:
                self._db.execute("ROLLBACK TO perfcrew_writes")
                self._db.execute("RELEASE perfcrew_writes")

    def build(self, index: Index) -> None:
        """Build it, with statistics only where there are some: without them production has none either."""
        with self._guarded(BUILD_S):
            self._db.execute(index.ddl)
            if self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'").fetchone():
                self._db.execute(f"ANALYZE {index.path}")

    def names(self, index: Index) -> frozenset[str]:
        """Its own."""
        return frozenset([index.name])

    def analyze(self, tables: Iterable[str]) -> None:
        """Nothing: `build` makes what statistics SQLite would have."""

    def drop(self, index: Index) -> None:
        """Drop it, its statistics with it."""
        with self._guarded(BUILD_S):
            self._db.execute(f"DROP INDEX IF EXISTS {index.path}")

    def size_bytes(self, index: Index) -> int | None:
        """Its pages; None where this SQLite was built without `dbstat`."""
        try:
            with self._guarded(RUN_S):
                sized = "SELECT pgsize FROM dbstat WHERE name = ? AND aggregate = TRUE"
                row = self._db.execute(sized, [index.name]).fetchone()
        except Refused:
            return None
        return int(row[0]) if row else None

    def _table(self, name: str) -> TableFacts:
        columns = self._db.execute("SELECT name, pk, type FROM pragma_table_info(?) ORDER BY cid", [name]).fetchall()
        key = tuple(column for column, _, _ in sorted((c for c in columns if c[1]), key=lambda c: int(c[1])))
        alias = key if len(key) == 1 and any(c[1] and c[2].upper() == "INTEGER" for c in columns) else ()
        indexes = [(self._keys(index, alias), unique) for index, unique in self._indexes(name)]
        return TableFacts(
            columns=tuple(column for column, _, _ in columns),
            rows=self._counted(name),
            indexes=tuple(keys[0] for keys, _ in indexes) + ((key,) if key else ()),
            unique=tuple(keys[1] for keys, unique in indexes if unique) + ((key,) if key else ()),
            types={column: kind.lower() for column, _, kind in columns},
        )

    def _counted(self, name: str) -> int:
        """The rows of a table; of one that takes too long to count, its last row's number, which is about as large."""
        try:
            with self._guarded(COUNT_S):
                (rows,) = self._db.execute(f"SELECT count(*) FROM {_quoted(name)}").fetchone()
        except TookTooLong:
            (rows,) = self._db.execute(f"SELECT coalesce(max(rowid), 0) FROM {_quoted(name)}").fetchone()
        return int(rows)

    def _indexes(self, table: str) -> list[tuple[str, bool]]:
        listed = 'SELECT name, "unique" FROM pragma_index_list(?) WHERE partial = 0'
        return [(name, bool(unique)) for name, unique in self._db.execute(listed, [table]).fetchall()]

    def _keys(self, index: str, rowid: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """All that the index is sorted by, the row's own key last; and its key columns alone.

        Both end at an expression, which serves no plain column.
        """
        rows = self._db.execute("SELECT cid, name, key FROM pragma_index_xinfo(?) ORDER BY seqno", [index]).fetchall()
        whole: list[str] = []
        for cid, name, _ in rows:
            if cid == -2 or (cid == -1 and not rowid):
                break
            whole.append(rowid[0] if cid == -1 else name)
        keys = [name for cid, name, key in rows if key and cid >= 0]
        return tuple(whole), tuple(keys) if len(keys) == sum(bool(key) for _, _, key in rows) else ()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        self._db.execute("PRAGMA query_only = ON")
        try:
            yield
        finally:
            self._db.execute("PRAGMA query_only = OFF")

    @contextmanager
    def _guarded(self, limit_s: float) -> Iterator[None]:
        end = time.monotonic() + limit_s
        self._db.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
        try:
            yield
        except (sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeEncodeError) as error:
            if str(error) == "interrupted":
                raise TookTooLong(f"it takes longer than {limit_s:g} s") from error
            raise (Unknown if _UNKNOWN.match(str(error)) else Refused)(str(error)) from error
        finally:
            self._db.set_progress_handler(None, 0)


def _quoted(name: str) -> str:
    """An identifier as a person would write it: in quotes where it needs them."""
    return name if _PLAIN.match(name) else '"' + name.replace('"', '""') + '"'


def _defined(ddl: str) -> str:
    """What an index is, without its name."""
    return " ".join(re.sub(r"^.*?\bON\b", "", ddl, count=1, flags=re.IGNORECASE | re.DOTALL).split()).lower()
