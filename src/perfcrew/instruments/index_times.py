"""How long the statements of a workload take with any set of the indexes that were built on a clone.

All of them stand at once, and those that are not in a set are dropped in a transaction that is rolled back: going
from one set to another costs next to nothing, so two sets can be timed in turns, a block each, in an order drawn by
lot. What a planner says of a set is asked too, since a statement need not be timed again where its plan is the same.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from perfcrew.core.evidence import PlanNode
from perfcrew.core.indexes import IndexSpec
from perfcrew.core.sql_candidates import TableFacts
from perfcrew.instruments.binding import Bound
from perfcrew.instruments.sessions import RUN_S, Index, Session, TookTooLong
from perfcrew.stats.decide import FEWEST, Demand, judge
from perfcrew.stats.location import hodges_lehmann

MOST_PAIRS = 20
DEMAND = Demand(margin=0.02, error=0.01)
"""Twelve pairs decide where there is little noise."""
_QUICK_MS = 200.0
"""Slower statements are run once a block, and not to warm up; quicker ones again for about as long as that."""
_RUNS = 5
_FAR = 2.0
_SLIGHT = 0.001
"""Of the workload at its best: a statement that is less than that moves no choice."""
_CHEAP_S = 3.0
"""Where pairs took less than this in all, more of them are worth their while."""
_SEED = 20260117

On = frozenset[int]
"""A set of indexes by their place among those that were built."""


@dataclass(frozen=True)
class Query:
    """A statement of the workload, with the values of some of its executions; `sent` is its weight."""

    shape: str
    bounds: tuple[Bound, ...]
    sent: float
    endpoints: tuple[str, ...]
    tables: frozenset[str]


@dataclass
class Built:
    """An index that stands on the clone. `names` is what plans call it."""

    spec: IndexSpec
    index: Index
    names: frozenset[str]
    build_ms: float
    size_bytes: int | None


class Planned(NamedTuple):
    """A statement under a set: what its plan is told apart by, its nodes, and the indexes that it uses."""

    signature: str
    nodes: tuple[PlanNode, ...]
    used: On


@dataclass
class Compared:
    """Two sets in turns: the blocks of each statement that differs, and the verdict on their sum."""

    before_ms: dict[int, list[float]] = field(default_factory=dict)
    after_ms: dict[int, list[float]] = field(default_factory=dict)
    totals: list[tuple[float, float]] = field(default_factory=list)
    verdict: str = ""
    ratio: float = 1.0
    took_s: float = 0.0

    @property
    def pairs(self) -> int:
        return len(self.totals)

    def verdict_of(self, query: int) -> str:
        """On one statement."""
        pairs = zip(self.before_ms[query], self.after_ms[query], strict=True)
        return judge([_log_ratio(a, b) for a, b in pairs], DEMAND).verdict or ""


class Times:
    """Of one workload on one session."""

    def __init__(
        self, db: Session, queries: Sequence[Query], built: Sequence[Built], facts: Mapping[str, TableFacts]
    ) -> None:
        self.db, self.queries, self.built, self.facts = db, queries, built, facts
        self._known: dict[tuple[int, str], float] = {}
        self._plans: dict[tuple[int, On], Planned] = {}
        self._pairs: dict[tuple[int, str, str], list[tuple[float, float]]] = {}
        """Blocks in turns, by statement and its two plans."""
        self._near = [frozenset(i for i, b in enumerate(built) if b.spec.plain_table in q.tables) for q in queries]
        self._lot = random.Random(_SEED)

    def total_ms(self, on: On) -> float:
        """The workload's time with this set: each statement's, by its weight."""
        return sum(q.sent * ms for q, ms in zip(self.queries, self.each_ms(on), strict=True))

    def each_ms(self, on: On) -> list[float]:
        """Of each statement, from the first time that its plan was met."""
        plans = self.plans(on)
        missing = [i for i, p in enumerate(plans) if (i, p.signature) not in self._known]
        if missing:
            with self.only(on):
                for i in missing:
                    self._known[i, plans[i].signature] = self.sample(i, runs=_RUNS)
        return [self._known[i, p.signature] for i, p in enumerate(plans)]

    def plans(self, on: On) -> list[Planned]:
        """Of all statements with this set. A plan depends on the indexes of the statement's own tables alone."""
        keys = [(i, on & near) for i, near in enumerate(self._near)]
        missing = [key for key in keys if key not in self._plans]
        if missing:
            with self.only(on):
                for key in missing:
                    self._plans[key] = self._planned(self.queries[key[0]])
        return [self._plans[key] for key in keys]

    def look_again(self) -> None:
        """Time again every plan that may decide; the lower time is kept.

        That leaves out those far from their statement's best, those that take long enough for a moment's noise not to
        count, and statements that are next to nothing of the workload. What disturbs a machine makes things slower,
        never faster.
        """
        best = {i: min(ms for (j, _), ms in self._known.items() if j == i) for i, _ in self._known}
        slight_ms = _SLIGHT * sum(self.queries[i].sent * ms for i, ms in best.items())
        by_set: dict[On, dict[tuple[int, str], float]] = {}
        for (i, on), planned in self._plans.items():
            known = self._known.get((i, planned.signature))
            if known is None or known >= min(_QUICK_MS, _FAR * best[i]) or self.queries[i].sent * known < slight_ms:
                continue
            if not any((i, planned.signature) in group for group in by_set.values()):
                by_set.setdefault(on, {})[i, planned.signature] = known
        for on, group in by_set.items():
            with self.only(on):
                self._known |= {key: min(ms, self.sample(key[0], runs=_RUNS)) for key, ms in group.items()}

    def settle(self) -> None:
        """Undo what rolled-back writes left behind."""
        self.db.settle(self.facts)

    def used(self, on: On) -> On:
        """The indexes of the set that any plan uses."""
        return frozenset().union(*(p.used for p in self.plans(on)))

    def changed(self, a: On, b: On) -> list[int]:
        """The statements whose plans differ between two sets."""
        both = zip(self.plans(a), self.plans(b), strict=True)
        return [i for i, (before, after) in enumerate(both) if before.signature != after.signature]

    @contextmanager
    def only(self, on: On) -> Iterator[None]:
        """While the block runs, no other index of ours is there."""
        with self.db.without([b.index for i, b in enumerate(self.built) if i not in on]):
            yield

    def compare(self, a: On, b: On, until: float) -> Compared:
        """Blocks of both in pairs until there is a verdict on their sum; some pairs even where the time is over.

        Pairs of a statement's same two plans serve every comparison that they belong to.
        """
        chosen = self.changed(a, b)
        found = Compared({i: [] for i in chosen}, {i: [] for i in chosen})
        ratios: list[float] = []
        while chosen and not self._decided(found, ratios) and (len(ratios) < FEWEST or time.monotonic() < until):
            began = time.monotonic()
            ratios.append(self._pair(found, a, b))
            found.took_s += time.monotonic() - began
        if ratios:
            found.ratio = math.exp(hodges_lehmann(ratios))
            found.verdict = judge(ratios, DEMAND).verdict or "inconclusive"
        return found

    def _decided(self, found: Compared, ratios: Sequence[float]) -> bool:
        if len(ratios) >= (MOST_PAIRS if found.took_s > _CHEAP_S else MOST_PAIRS * 3):
            return True
        return len(ratios) >= FEWEST and judge(ratios, DEMAND).verdict in ("improved", "regressed", "equivalent")

    def _pair(self, found: Compared, a: On, b: On) -> float:
        before, after = self.plans(a), self.plans(b)
        keys = {i: (i, before[i].signature, after[i].signature) for i in found.before_ms}
        pairs = {i: self._pairs.setdefault(key, []) for i, key in keys.items()}
        self._measured([i for i, had in pairs.items() if len(had) == found.pairs], pairs, a, b)
        for i, had in pairs.items():
            for side, ms in zip((found.before_ms, found.after_ms), had[found.pairs], strict=True):
                side[i].append(ms)
        found.totals.append((self._last(found.before_ms), self._last(found.after_ms)))
        return _log_ratio(*found.totals[-1])

    def _measured(self, missing: Sequence[int], pairs: Mapping[int, list[tuple[float, float]]], a: On, b: On) -> None:
        """One more block of each side, in turns."""
        took: dict[On, list[float]] = {}
        for on in [] if not missing else [a, b] if self._lot.random() < 0.5 else [b, a]:
            with self.only(on):
                took[on] = [self.sample(i, runs=1) for i in missing]
        for place, i in enumerate(missing):
            pairs[i].append((took[a][place], took[b][place]))

    def _last(self, side: Mapping[int, Sequence[float]]) -> float:
        return sum(self.queries[i].sent * ms[-1] for i, ms in side.items())

    def _planned(self, query: Query) -> Planned:
        nodes = tuple(n for bound in query.bounds for n in self.db.plan(bound, run=False))
        names = {n.index for n in nodes}
        used = frozenset(i for i, b in enumerate(self.built) if not b.names.isdisjoint(names))
        signature = "|".join(f"{n.depth} {n.operation} {n.relation} {n.index} {n.condition}" for n in nodes)
        return Planned(signature, nodes, used)

    def sample(self, query: int, runs: int) -> float:
        """The mean over the statement's examples: of each one the median of some runs, caches warm. One that is ended
        at its time-out costs as much as that."""
        bounds = self.queries[query].bounds
        return sum(self._one(bound, runs) for bound in bounds) / len(bounds)

    def _one(self, bound: Bound, runs: int) -> float:
        self.db.plan(bound, run=False)  # what the transaction dropped must be read again by the planner
        try:
            return self._timed(bound, runs)
        except TookTooLong:
            return RUN_S * 1000

    def _timed(self, bound: Bound, runs: int) -> float:
        first_ms = self.db.run_ms(bound)
        if first_ms > _QUICK_MS:
            return first_ms
        wanted = max(runs, 7 if first_ms < 1 else 3 if first_ms < 5 else 1)
        return median(self.db.run_ms(bound) for _ in range(min(wanted, math.ceil(_QUICK_MS / first_ms))))


def _log_ratio(before_ms: float, after_ms: float) -> float:
    return math.log(max(after_ms, 1e-4) / max(before_ms, 1e-4))
