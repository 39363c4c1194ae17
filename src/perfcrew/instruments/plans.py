"""How the engine carries out a statement: EXPLAIN on a clone, with the parameters that the application sent.

PostgreSQL's documentation, "Using EXPLAIN"; SQLite's, "EXPLAIN QUERY PLAN". Times of the statement come from plain
runs, since EXPLAIN ANALYZE slows down what it looks at; its times by node say only where the time goes.
"""

from __future__ import annotations

import re
from statistics import median
from typing import Literal

from perfcrew.core.errors import ToolFailed
from perfcrew.core.evidence import PlanNode, QueryPlan
from perfcrew.core.sql import is_read, tables
from perfcrew.instruments.binding import Bound, bind, engine_of, refused
from perfcrew.instruments.sessions import Clone, Refused, Session, TookTooLong, Unknown, session

_RUNS = 3
_LONG_MS = 1000.0
"""Slower statements are run once."""
_ROWS = re.compile(r"\s*(INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)
"""What these do, a transaction undoes; but for a sequence's next value, which a clone may lose."""


def explain(clone: Clone, statement: str, parameters: object) -> QueryPlan:
    """The plan of a statement, with the rows of its tables and, for a read, its time in ms (median of 3 runs).

    `parameters` is what the probe recorded. Nodes have rows and times where the engine counts them (PostgreSQL).
    Writes of rows are run for their plan in a transaction that is rolled back, and never timed. What changes more
    than rows is planned and not run, as are reads whose values were not all recorded, or that take too long.
    Raises ToolFailed, with the statement's shape and none of its values, where the engine refuses it.
    """
    bound = bind(statement, parameters, engine_of(clone.engine))
    with session(clone) as db:
        try:
            facts = db.facts(tables(statement))
            db.refresh(facts)
            nodes, execution_ms = _planned(db, bound, _how(db, statement, bound))
        except Refused as error:
            raise _failed(statement, bound, error) from None  # the engine's own error quotes values
    return QueryPlan(
        engine=clone.engine,
        shape=bound.shape,
        statement=statement,
        table_rows={name: table.rows for name, table in facts.items()},
        nodes=nodes,
        execution_ms=execution_ms,
    )


_How = Literal["timed", "undone", "planned"]


def _how(db: Session, statement: str, bound: Bound) -> _How:
    """How far the statement may be run on the clone."""
    if bound.doubt:
        return "planned"
    if is_read(statement):
        return "timed"
    return "undone" if db.engine == "postgresql" and _ROWS.match(statement) else "planned"


def _planned(db: Session, bound: Bound, how: _How) -> tuple[tuple[PlanNode, ...], float | None]:
    if how == "planned":
        return db.plan(bound, run=False), None
    try:
        execution_ms = _median_ms(db, bound) if how == "timed" else None
        return db.plan(bound, run=True), execution_ms
    except (TookTooLong, Unknown):
        return db.plan(bound, run=False), None


def _median_ms(db: Session, bound: Bound) -> float:
    first_ms = db.run_ms(bound)
    return first_ms if first_ms > _LONG_MS else median(db.run_ms(bound) for _ in range(_RUNS))


def _failed(statement: str, bound: Bound, error: Refused) -> ToolFailed:
    return refused(statement, reason(bound, error), "run it by hand on a copy of the database to see why")


def reason(bound: Bound, error: Refused) -> str:
    """The engine's words without the statement's values."""
    text = str(error)
    for value in sorted((v for v in bound.values if isinstance(v, str) and v), key=len, reverse=True):
        text = text.replace(value, "?")
    return text
