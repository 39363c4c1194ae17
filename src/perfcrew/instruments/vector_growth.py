"""How a vector search grows with its table: the same searches on samples of it, exact and by an index."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from statistics import fmean, median
from typing import Any, NamedTuple

from psycopg import sql

from perfcrew.core.vectors import Access, VectorGrowth, VectorSetting, operator_class
from perfcrew.instruments.vector_bench import LONGEST_S, Bench, Build
from perfcrew.instruments.vector_catalog import Column
from perfcrew.stats.growth import likeliest

PARTS = (16, 8, 4, 2)
"""The samples: a sixteenth of the rows, and so on."""
_TIMED, _PLANNED = 15, 6
_TABLE = sql.Identifier("perfcrew_vectors_part")
_FORCED = {"enable_seqscan": "off"}
"""Small samples would rather be read whole; how the index grows is what is asked."""


class _Point(NamedTuple):
    ms: float
    pages: float


def grown(
    bench: Bench, column: Column, best: VectorSetting | None, operator: str, rows: int, limit_s: float
) -> tuple[VectorGrowth, ...]:
    """The exact search, and the one by `best`, at up to four sizes. Raises Refused where no sample can be made."""
    end, took_s = time.monotonic() + limit_s, 0.0
    points: dict[Access, dict[float, _Point]] = {"exact": {}}
    for part in PARTS:
        if time.monotonic() + 2.5 * took_s > end:
            break
        began = time.monotonic()
        with bench.undone(end - began, {}):
            for access, size, point in _at(bench, column, best, operator, part, rows):
                points.setdefault(access, {})[size] = point
        took_s = time.monotonic() - began
    return tuple(_named(access, found) for access, found in points.items() if found)


def _named(access: Access, found: Mapping[float, _Point]) -> VectorGrowth:
    sizes = tuple(found)
    values = tuple(p.ms for p in found.values())
    pages = tuple(p.pages for p in found.values())
    return VectorGrowth(
        access=access,
        sizes=sizes,
        values_ms=values,
        pages=pages,
        by_time=likeliest(sizes, values),
        by_plan=likeliest(sizes, pages),
    )


def _at(
    bench: Bench, column: Column, best: VectorSetting | None, operator: str, part: int, rows: int
) -> Iterator[tuple[Access, float, _Point]]:
    """One sample, exact and by the index."""
    made = sql.SQL(
        f"CREATE UNLOGGED TABLE {{}} AS SELECT {{}}::{column.type}({column.dimensions}) AS v "
        "FROM {} TABLESAMPLE BERNOULLI ({}) REPEATABLE (0) WHERE {} IS NOT NULL"
    )
    held = (sql.SQL(column.expression), column.path, 100.0 / part, sql.Identifier(column.name))
    bench.db.execute(made.format(_TABLE, *held))
    bench.db.execute(sql.SQL("ANALYZE {}").format(_TABLE))
    sample = column._replace(path=_TABLE, expression="v", name="v")
    size = float(bench.count(sample))
    yield "exact", size, _point(bench, operator, {"enable_indexscan": "off"})
    if best is not None and best.access != "exact":
        scale = (size / rows) ** 0.5 if best.access == "ivfflat" else 1.0
        options = {name: max(1, round(value * scale)) for name, value in best.options.items()}
        bench.build(Build(best.access, options, operator_class(column.type, operator), sample))
        session = {n: _scaled(v, scale) for n, v in best.session.items()}
        yield best.access, size, _point(bench, operator, {**_FORCED, **session})


def _scaled(value: str, scale: float) -> str:
    return str(max(1, round(int(value) * scale))) if value.isdigit() else value


def _point(bench: Bench, operator: str, session: Mapping[str, str]) -> _Point:
    text = (
        f"SELECT v OPERATOR({operator}) %(q)s FROM perfcrew_vectors_part ORDER BY v OPERATOR({operator}) %(q)s LIMIT 10"
    )
    with bench.db.transaction(force_rollback=True):
        bench.db.execute(f"SET LOCAL statement_timeout = {int(LONGEST_S * 1000)}")
        for name, value in session.items():
            bench.db.execute("SELECT set_config(%s, %s, true)", [name, value])
        asked = bench.queries[:_TIMED]
        times = [_ms(bench, text, query) for query in (asked[0], *asked)][1:]
        return _Point(median(times), fmean(_pages(bench, text, query) for query in asked[:_PLANNED]))


def _ms(bench: Bench, text: str, query: str) -> float:
    started = time.perf_counter()
    bench.db.execute(text, {"q": query}).fetchall()
    return (time.perf_counter() - started) * 1000


def _pages(bench: Bench, text: str, query: str) -> float:
    row = bench.db.execute(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {text}", {"q": query}).fetchone()
    plan: Mapping[str, Any] = row[0][0]["Plan"] if row else {}
    return float(plan.get("Shared Hit Blocks", 0)) + float(plan.get("Shared Read Blocks", 0))
