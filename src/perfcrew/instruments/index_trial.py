"""An index that might serve a statement, built on a clone: timed before, with it, and before again, then dropped.

What a planner says an index would save is a guess; only building it shows. Whether it is worth it is not said here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median

from perfcrew.core.evidence import IndexTrial, PlanNode, QueryPlan
from perfcrew.core.sql import is_read, tables
from perfcrew.core.sql_candidates import Candidate, candidate_indexes
from perfcrew.instruments.binding import Bound, bind
from perfcrew.instruments.plans import reason
from perfcrew.instruments.sessions import Clone, Index, Refused, Session, session

NO_CANDIDATE = "what it compares and orders by is indexed, inside functions, or in small tables"
MOST_TRIED = 4
RUNS = 7
_WARM_UPS = 2
_LONG_MS = 1000.0
"""Slower statements have no warm-up, and run fewer times when the index is gone again."""
_ENOUGH = 0.5
"""No other index is tried once one leaves at most this part of the time."""


def try_index(
    clone: Clone, statement: str, parameters: object, before: QueryPlan, *, budget_s: float = 60.0
) -> IndexTrial | str:
    """The index that served best of up to four candidates, or why there is none. Times are samples in ms.

    Each is built on the clone, timed over 7 runs where the plan uses it, and dropped; the runs without it stand on
    both sides of those with it, and the faster side is kept, so that a drift of the machine is not taken for a gain.
    No further candidate is begun after `budget_s`. Raises ToolFailed where the statement can't be bound.
    """
    if not is_read(statement):
        return "the statement writes, so it is not run again and again"
    bound = bind(statement, parameters, "postgresql" if clone.engine == "postgresql" else "sqlite")
    if bound.doubt:
        return bound.doubt
    with session(clone) as db:
        try:
            candidates = candidate_indexes(statement, db.facts(tables(statement)), db.engine)
            if not candidates:
                return NO_CANDIDATE
            return _Trials(db, bound, budget_s).best(_ranked(candidates, before.nodes))
        except Refused as error:
            return f"the statement can't be timed: {reason(bound, error)}"


def _ranked(candidates: Sequence[Candidate], nodes: Sequence[PlanNode]) -> list[Candidate]:
    """Wider ones before the single columns that they begin with; tables that are read whole before others."""
    scanned = {node.relation.lower() for node in nodes if node.relation and _reads_whole(node)}
    seen: set[tuple[str, str]] = set()
    ranks = {}
    for candidate in candidates:
        narrow = len(candidate.columns) == 1 and (candidate.table, candidate.columns[0]) in seen
        seen.add((candidate.table, candidate.columns[0]))
        ranks[candidate] = (narrow, candidate.table.rpartition(".")[2].lower() not in scanned)
    return sorted(candidates, key=lambda c: ranks[c])


def _reads_whole(node: PlanNode) -> bool:
    words = node.operation.upper()
    return node.index is None and ("SCAN" in words or "AUTOMATIC" in words)


class _Trials:
    """Candidates tried in turn on one session."""

    def __init__(self, db: Session, bound: Bound, budget_s: float) -> None:
        self._db, self._bound = db, bound
        self._end = time.monotonic() + budget_s
        self._without_ms: tuple[float, ...] = ()
        self._left_aside: list[str] = []

    def best(self, candidates: Sequence[Candidate]) -> IndexTrial | str:
        """The one that left the smallest part of the time, or why there is none."""
        self._without_ms = self._samples()
        served: list[IndexTrial] = []
        for candidate in candidates:
            if len(served) + len(self._left_aside) >= MOST_TRIED or self._over(served):
                break
            if not any(t.table == candidate.table and t.columns[:1] == candidate.columns for t in served):
                self._try(candidate, served)
        return min(served, key=_left) if served else f"indexes were tried in vain: {'; '.join(self._left_aside)}"

    def _over(self, served: Sequence[IndexTrial]) -> bool:
        tried = served or self._left_aside
        return any(_left(t) <= _ENOUGH for t in served) or bool(tried and time.monotonic() > self._end)

    def _try(self, candidate: Candidate, served: list[IndexTrial]) -> None:
        index = self._db.index(*candidate)
        name = f"{candidate.table} ({', '.join(candidate.columns)})"
        try:
            with self._built(index):
                nodes = self._db.plan(self._bound, run=False)
                used = not self._db.names(index).isdisjoint({node.index for node in nodes})
                after_ms = self._samples() if used else ()
                size_bytes = self._db.size_bytes(index)
        except Refused as error:
            self._left_aside.append(f"{name}: {reason(self._bound, error)}")
            return
        if used:
            served.append(self._trial(candidate, index, after_ms, nodes, size_bytes))
        else:
            self._left_aside.append(f"{name}: not used by the planner")

    def _trial(
        self,
        candidate: Candidate,
        index: Index,
        after_ms: tuple[float, ...],
        nodes: tuple[PlanNode, ...],
        size_bytes: int | None,
    ) -> IndexTrial:
        again_ms = self._samples(again=True)
        before_ms = min(self._without_ms, again_ms, key=median)
        self._without_ms = again_ms
        return IndexTrial(
            ddl=index.ddl,
            table=candidate.table,
            columns=candidate.columns,
            before_ms=before_ms,
            after_ms=after_ms,
            before_median_ms=median(before_ms),
            after_median_ms=median(after_ms),
            size_bytes=size_bytes,
            used=True,
            after_nodes=nodes,
        )

    def _samples(self, *, again: bool = False) -> tuple[float, ...]:
        """Times of runs in a row, after some that only fill the caches."""
        first_ms = self._db.run_ms(self._bound)
        if first_ms > _LONG_MS:
            runs = 2 if again else RUNS - 1
            return (first_ms, *(self._db.run_ms(self._bound) for _ in range(runs)))
        for _ in range(_WARM_UPS - 1):
            self._db.run_ms(self._bound)
        return tuple(self._db.run_ms(self._bound) for _ in range(RUNS))

    @contextmanager
    def _built(self, index: Index) -> Iterator[None]:
        try:
            self._db.build(index)
            yield
        finally:
            self._db.drop(index)


def _left(trial: IndexTrial) -> float:
    """The part of the time that the index left."""
    return trial.after_median_ms / trial.before_median_ms if trial.before_median_ms else 1.0
