"""Searches sent to a clone: exact and by an index, in turn, in transactions that are rolled back."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import fmean, median
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from perfcrew.core.vector_sql import Nearest
from perfcrew.core.vectors import Access
from perfcrew.instruments.sessions import LOCK_S, Refused, TookTooLong
from perfcrew.instruments.vector_catalog import Column, Connection

LONGEST_S = 30.0
"""No single search is waited for longer."""
PAIRS = 40
"""Searches taken in turn with the exact one; the others are asked for their recall alone."""
_FEWEST = 5
_MEMORY = "512MB"
_NAME = "perfcrew_vectors"
_OF_PARTITIONS = """
SELECT coalesce((SELECT r.relname FROM pg_class r WHERE r.oid = pg_partition_root(c.oid)), c.relname)
FROM pg_class c JOIN pg_am m ON m.oid = c.relam WHERE m.amname IN ('ivfflat', 'hnsw') AND c.relname = ANY(%s)
"""
_SIZE = """
SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relname = %(name)s OR oid IN
  (SELECT p.relid FROM pg_class c, pg_partition_tree(c.oid) p WHERE c.relname = %(name)s)
"""


class Figures(NamedTuple):
    """One way to search, over all query vectors."""

    recall: float
    worst: float
    returned: float
    median_ms: float
    exact_ms: float
    exact_ratio: float


class Build(NamedTuple):
    """An index to build."""

    access: Access
    options: Mapping[str, int]
    operator_class: str
    column: Column


class Made(NamedTuple):
    """How long it took, and how large it is."""

    build_ms: float
    size_bytes: int


class Answer(NamedTuple):
    """The distances of the rows that came back, nearest first, and how long that took."""

    distances: list[float]
    ms: float


class Bench:
    """A connection to a clone, the search, and the exact answer to each of its query vectors."""

    def __init__(self, db: Connection) -> None:
        db.rollback()
        db.autocommit = True
        db.cursor_factory = psycopg.ClientCursor
        self.db = db
        self.queries: list[str] = []
        self._values: Mapping[str, Any] = {}
        self._truth: list[list[float]] = []
        self._texts: dict[bool, str] = {}
        self._counting = ""
        self._cut = 0

    @contextmanager
    def guarded(self, limit_s: float) -> Iterator[None]:
        """A transaction that is rolled back, with time-outs. Raises Refused in the server's words."""
        try:
            with self.db.transaction(force_rollback=True):
                self._limit(limit_s)
                self.db.execute(f"SET LOCAL lock_timeout = {int(LOCK_S * 1000)}")
                yield
        except psycopg.errors.QueryCanceled as error:
            raise TookTooLong(f"it takes longer than {max(0.0, limit_s):.3g} s") from error
        except psycopg.Error as error:
            raise Refused((error.diag.message_primary or str(error)).strip().splitlines()[0]) from error

    @contextmanager
    def undone(self, limit_s: float, session: Mapping[str, str]) -> Iterator[None]:
        """The same, with those settings for its length."""
        with self.guarded(limit_s):
            self._set(session)
            yield

    @property
    def wanted(self) -> int:
        """Rows that the search asks for."""
        return int(self._values["pv_limit"])

    def count(self, column: Column) -> int:
        row = self.db.execute(sql.SQL("SELECT count(*) FROM {}").format(column.path)).fetchone()
        return int(row[0]) if row else 0

    def refresh(self, column: Column, limit_s: float) -> list[str]:
        """Statistics as production has them, and no dead rows, beside which a new index would not be used at once."""
        command = sql.SQL("VACUUM (ANALYZE) {}").format(column.path)
        try:
            self.db.execute(f"SET statement_timeout = {_milliseconds(limit_s)}")  # VACUUM runs in no transaction
            self.db.execute(command)
        except psycopg.errors.QueryCanceled:
            return ["the table was not vacuumed within its time"]
        except psycopg.Error as error:
            raise Refused((error.diag.message_primary or str(error)).strip().splitlines()[0]) from error
        finally:
            if not self.db.closed:
                self.db.execute("RESET statement_timeout")
        return []

    def ask(self, search: Nearest, values: Mapping[str, Any], queries: Sequence[str]) -> None:
        """What is sent from now on."""
        self._texts = {own: search.probe(own=own) for own in (False, True)}
        self._counting, self._values, self.queries = search.counting(), values, list(queries)

    def exact(self, limit_s: float, fewest: int) -> float:
        """The exact answer to each query vector, as many as there is time for; the median time, ms."""
        end = time.monotonic() + limit_s
        times: list[float] = []
        with self.undone(LONGEST_S, {"enable_indexscan": "off"}):
            self._sent(self.queries[0], own=False)
            for query in self.queries:
                if len(times) >= fewest and time.monotonic() > end:
                    break
                answer = self._sent(query, own=False)
                self._truth.append(answer.distances)
                times.append(answer.ms)
        self._cut = len(self.queries) - len(times)
        self.queries = self.queries[: len(times)]
        return median(times)

    def notes(self) -> list[str]:
        """What there was no time for."""
        return [f"{len(self.queries)} query vectors: the time was used up"] if self._cut else []

    def kept(self, limit_s: float) -> int:
        """How many rows the statement's conditions leave."""
        with self.guarded(max(1.0, limit_s)):
            row = self.db.execute(self._counting, {**self._values, "pv_query": self.queries[0]}).fetchone()
            return int(row[0]) if row else 0

    def used(self, *, own: bool) -> str:
        """The vector index that the plan goes through; empty where it goes through none."""
        row = self._execute(f"EXPLAIN (FORMAT JSON) {self._texts[own]}", self.queries[0]).fetchone()
        names = list(_indexes(row[0][0]["Plan"])) if row else []
        found = self.db.execute(_OF_PARTITIONS, [names]).fetchone()
        return str(found[0]) if found else ""

    def tried(self, session: Mapping[str, str], limit_s: float) -> Figures | None:
        """Figures with that setting; None where the planner rather reads the table."""
        with self.db.transaction(force_rollback=True):
            self._set(session)
            return self.measure(own=False, limit_s=limit_s) if self.used(own=False) else None

    def measure(self, *, own: bool, limit_s: float) -> Figures:
        """Recall and time, the first searches in turn with exact ones."""
        self._limit(LONGEST_S)
        end, ms, pairs, shares, returned = time.monotonic() + limit_s, [], [], [], []
        self._sent(self.queries[0], own=own)
        for n, (query, truth) in enumerate(zip(self.queries, self._truth, strict=True)):
            if n >= _FEWEST and time.monotonic() > end:
                break
            exact_ms = self._exactly(query) if n < PAIRS and n % 2 else None
            answer = self._sent(query, own=own)
            if n < PAIRS and exact_ms is None:
                exact_ms = self._exactly(query)
            ms.append(answer.ms)
            pairs += [(exact_ms, answer.ms)] if exact_ms else []
            if truth:
                shares.append(_recall(answer.distances, truth))
                returned.append(min(1.0, len(answer.distances) / len(truth)))
        if not shares:
            raise Refused("the exact search finds no row")
        ratio = median(exact / own_ms for exact, own_ms in pairs)
        exact_ms = median(exact for exact, _ in pairs)
        return Figures(fmean(shares), min(shares), fmean(returned), median(ms), exact_ms, ratio)

    def drop(self, paths: Sequence[str]) -> None:
        """Take these indexes away until the transaction is rolled back."""
        for path in paths:
            self.db.execute(f"DROP INDEX {path}")

    def build(self, build: Build) -> Made:
        """Build it until the transaction is rolled back; without parallel workers where shared memory is too small."""
        self.db.execute(f"SET LOCAL maintenance_work_mem = '{_MEMORY}'")
        started = time.perf_counter()
        try:
            with self.db.transaction():
                self.db.execute(definition(build, _NAME))
        except (psycopg.errors.DiskFull, psycopg.errors.OutOfMemory):
            self.db.execute("SET LOCAL max_parallel_maintenance_workers = 0")
            started = time.perf_counter()
            self.db.execute(definition(build, _NAME))
        took_ms = (time.perf_counter() - started) * 1000
        row = self.db.execute(_SIZE, {"name": _NAME}).fetchone()
        return Made(took_ms, int(row[0] or 0) if row else 0)

    def _exactly(self, query: str) -> float:
        self.db.execute("SET LOCAL enable_indexscan = off")
        answer = self._sent(query, own=False)
        self.db.execute("SET LOCAL enable_indexscan = on")
        return answer.ms

    def _sent(self, query: str, *, own: bool) -> Answer:
        started = time.perf_counter()
        rows = self._execute(self._texts[own], query).fetchall()
        ms = (time.perf_counter() - started) * 1000
        return Answer(sorted(d for (d,) in rows if d is not None and not math.isnan(d)), ms)

    def _execute(self, text: str, query: str) -> psycopg.Cursor[Any]:
        return self.db.execute(text, {**self._values, "pv_query": query})

    def _set(self, session: Mapping[str, str]) -> None:
        for name, value in session.items():
            self.db.execute("SELECT set_config(%s, %s, true)", [name, value])

    def _limit(self, limit_s: float) -> None:
        self.db.execute(f"SET LOCAL statement_timeout = {_milliseconds(limit_s)}")


def definition(build: Build, name: str) -> sql.Composed:
    """CREATE INDEX, as PostgreSQL takes it."""
    options = sql.SQL(", ").join(sql.SQL(f"{o} = {v}") for o, v in build.options.items())
    return sql.SQL("CREATE INDEX {} ON {} USING {} ({} {}) WITH ({})").format(
        sql.Identifier(name),
        build.column.path,
        sql.SQL(build.access),
        sql.SQL(build.column.expression),
        sql.SQL(build.operator_class),
        options,
    )


def _recall(found: Sequence[float], truth: Sequence[float]) -> float:
    """By distance: of rows equally far, the one is as right as the other."""
    furthest = truth[-1] + 1e-9 * max(1.0, abs(truth[-1]))
    return min(len(truth), sum(1 for d in found if d <= furthest)) / len(truth)


def _indexes(plan: Mapping[str, Any]) -> Iterator[str]:
    if plan.get("Index Name"):
        yield str(plan["Index Name"])
    for child in plan.get("Plans") or ():
        yield from _indexes(child)


def _milliseconds(limit_s: float) -> int:
    """Never zero, which to PostgreSQL is no limit at all."""
    return max(1, int(limit_s * 1000))
