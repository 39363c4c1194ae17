"""A vector search swept on a clone: the exact answer first, then indexes of both kinds over their settings.

What is measured of each: recall@k against the exact answer, latency in turn with the exact search, build time, size.
Indexes are built in transactions that are rolled back, settings are `SET LOCAL`, every statement has a time-out, so
the clone is afterwards what it was. Recall is counted by distance (ann-benchmarks: M. Aumüller, E. Bernhardsson and
A. Faithfull, 2017): a row that lies as near as the exact answer's last one is a right one.
Refuses: tables so small that reading them whole is the best plan, and columns that pgvector can't index.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from perfcrew.core.vector_sql import Amount, Nearest, nearest
from perfcrew.core.vectors import (
    Access,
    VectorGrowth,
    VectorIndex,
    VectorSearch,
    VectorSetting,
    accesses,
    operator_class,
)
from perfcrew.instruments import vector_catalog as catalog
from perfcrew.instruments.binding import Bound, bind
from perfcrew.instruments.plans import reason
from perfcrew.instruments.sessions import Clone, Refused, TookTooLong
from perfcrew.instruments.vector_bench import Bench, Build, Figures
from perfcrew.instruments.vector_growth import grown
from perfcrew.instruments.vector_queries import drawn, whole

LEAST_ROWS = 1000
"""Smaller tables are read whole in no time."""
QUERIES = 40
FEWEST_QUERIES = 5
GOOD_ENOUGH = 0.999
"""A higher setting than the one that found so much can only be slower."""
_FOR_GROWTH = 0.2
"""Of the time, for how the search grows."""
BARELY = 1.1
"""Two settings within this factor are as quick as each other: the cheaper index wins."""
_EF_SEARCH = (10, 20, 40, 80, 160, 320, 640, 1000)
_LARGEST = {"vector": 2000, "halfvec": 4000}
"""Dimensions that an index can hold."""


@dataclass(frozen=True)
class Asked:
    """What a sweep is to find. `session` is what the application sets itself, `database` the name of its own."""

    recall: float = 0.95
    budget_s: float = 120.0
    queries: int = QUERIES
    seed: int = 0
    session: Mapping[str, str] = field(default_factory=dict)
    database: str = ""
    captured: Sequence[object] = ()
    """Parameters of the statement's executions; those whose vector was recorded whole are asked again."""
    growth: bool = True


def sweep(clone: Clone, statement: str, parameters: object, asked: Asked | None = None) -> VectorSearch | str:
    """Everything measured of one vector search, or why there is nothing to measure. Times are in ms.

    Takes about `budget_s`; what was left out for want of time is among the notes. Raises ToolFailed where the
    statement can't be bound.
    """
    if clone.engine != "postgresql" or nearest(statement) is None:
        return "no search for nearest neighbours by pgvector"
    bound = bind(statement, parameters, "postgresql")
    search = nearest(bound.text)
    if search is None:
        return "the statement can't be read with its values"
    with closing(clone.connect()) as db:
        try:
            return _Sweep(Bench(db), search, bound, asked or Asked()).all()
        except Refused as error:
            return reason(bound, error)


class _Sweep:
    """One search on one connection."""

    def __init__(self, bench: Bench, search: Nearest, bound: Bound, asked: Asked) -> None:
        self.bench, self.search, self.bound, self.asked = bench, search, bound, asked
        self.began = time.monotonic()
        self.notes: list[str] = []
        self.settings: list[VectorSetting] = []

    @property
    def left_s(self) -> float:
        return self.asked.budget_s - (time.monotonic() - self.began)

    @property
    def _sweep_s(self) -> float:
        """What is left for settings: the part that growth is promised is left out."""
        return self.left_s - (_FOR_GROWTH * self.asked.budget_s if self.asked.growth else 0.0)

    def all(self) -> VectorSearch | str:
        self._look()
        if self.rows < LEAST_ROWS:
            return f"the table is small ({self.rows} rows): reading it whole is the best plan"
        self._prepare()
        current = self._current()
        self._own()
        self._built()
        self.settings = _with_frontier(self.settings)
        chosen = recommended(self.settings, self.asked.recall)
        return self._body(current, chosen, self._growth(chosen))

    def _look(self) -> None:
        bench = self.bench
        with bench.guarded(self.left_s):
            self.column = catalog.column(bench.db, self.search)
            self.owned = catalog.owned(bench.db, self.search, self.column)
            self.taken = catalog.taken(bench.db, self.column)
            self.session = catalog.session_settings(bench.db, self.asked.database, self.asked.session)
            self.rows = bench.count(self.column)
        self.wanted = self._amount(self.search.limit) + self._amount(self.search.offset)
        if self.wanted < 1:
            raise Refused("its LIMIT was not recorded")
        self._refuse_doubts()

    def _amount(self, amount: Amount) -> int:
        if amount.number is not None:
            return amount.number
        value = self.bound.values[amount.place] if amount.place is not None else None
        return int(value) if isinstance(value, (int, float)) else 0

    def _refuse_doubts(self) -> None:
        """A condition whose value was cut or not recorded would be another condition; the vector itself is replaced."""
        text = self.search.probe(own=True) + self.search.counting()
        kept = tuple(v for n, v in enumerate(self.bound.values) if f"%(pv{n})s" in text)
        if any(v is None or (isinstance(v, str) and len(v) >= 200) for v in kept):
            raise Refused("a value of its conditions was not recorded whole")

    def _prepare(self) -> None:
        """Statistics, the query vectors, and the exact answer to each."""
        bench = self.bench
        self.notes += bench.refresh(self.column, self.left_s / 4)
        values = {f"pv{n}": v for n, v in enumerate(self.bound.values)}
        captured = list(whole(self.asked.captured, self.column.dimensions))[: self.asked.queries]
        with bench.guarded(max(1.0, self.left_s / 4)):
            made = drawn(bench.db, self.column, self.asked.queries - len(captured), self.rows, self.asked.seed)
        self.captured_count = len(captured)
        bench.ask(self.search, values | {"pv_limit": self.wanted}, [*captured, *made])
        self.exact_ms = bench.exact(self.left_s / 4, FEWEST_QUERIES)
        self.kept = bench.kept(self.left_s / 8) / self.rows if self.search.filtered else 1.0
        self.notes += bench.notes()

    def _current(self) -> VectorSetting:
        """The statement as it stands: its own order, the user's indexes, its session's settings."""
        with self.bench.undone(self.left_s, self.session):
            used = self.bench.used(own=True)
            figures = self.bench.measure(own=True, limit_s=self.left_s / 4)
        index = next((o.body for o in self.owned if o.body.name == used), None)
        session = _of(index.access, self.session) if index else {}
        return _setting(figures, index.access if index else "exact", index.options if index else {}, session, index)

    def _own(self) -> None:
        """The user's own usable indexes over a session's settings: nothing needs to be built for these."""
        for one in self.owned:
            if one.body.why_not or not self._sweep_s > 0:
                continue
            try:
                with self.bench.undone(self.left_s / 2, {}):
                    self.bench.drop([o.path for o in self.owned if o.path != one.path])
                    self._over_session(one.body.access, one.body.options, one.body)
            except Refused as error:
                self.notes.append(f"{one.body.name}: {reason(self.bound, error)}")

    def _built(self) -> None:
        largest = _LARGEST[self.column.type]
        if self.column.dimensions > largest:
            self.notes.append(f"an index of {self.column.type} holds {largest} dimensions at most: cast to halfvec")
            return
        last_s: dict[Access, float] = {}
        for build in self._builds():
            said = f"{build.access} {_worded(build.options)}"
            if self._sweep_s < 1.5 * last_s.get(build.access, 0.5):
                self.notes.append(f"{said}: the time was used up")
                continue
            try:
                last_s[build.access] = self._try(build)
            except TookTooLong:
                self.notes.append(f"{said}: it takes longer than the time that was left")
            except Refused as error:
                self.notes.append(f"{said}: {reason(self.bound, error)}")

    def _try(self, build: Build) -> float:
        """Build it, search with it, and take all back; how long the build took, in seconds."""
        with self.bench.undone(self._sweep_s, {}):
            self.bench.drop([o.path for o in self.owned])
            made = self.bench.build(build)
            self._over_session(build.access, build.options, None, made.build_ms, made.size_bytes)
        return made.build_ms / 1000

    def _builds(self) -> Iterator[Build]:
        """The likeliest first; none that the user has."""
        there = [(o.body.access, o.body.options) for o in self.owned if not o.body.why_not]
        wanted = operator_class(self.column.type, self.search.operator)
        for access, options in _candidates(self.rows, accesses(self.search.operator)):
            if (access, options) not in there:
                yield Build(access, options, wanted, self.column)

    def _over_session(
        self,
        access: Access,
        options: Mapping[str, int],
        index: VectorIndex | None,
        build_ms: float | None = None,
        size_bytes: int | None = None,
    ) -> None:
        """The setting from low to high; then with iterative scans too, where a condition left it short of rows."""
        name, values = _steps(access, options, self.session, self.wanted)
        ladder = [{name: str(value)} for value in values]
        short = self._climb(ladder, access, options, index, build_ms, size_bytes)
        iterative = f"{access}.iterative_scan"
        if short and iterative in self.session:
            order = "strict_order" if access == "hnsw" else "relaxed_order"
            self._climb([{**s, iterative: order} for s in ladder], access, options, index, build_ms, size_bytes)

    def _climb(
        self,
        ladder: Sequence[Mapping[str, str]],
        access: Access,
        options: Mapping[str, int],
        index: VectorIndex | None,
        build_ms: float | None,
        size_bytes: int | None,
    ) -> bool:
        """As long as a higher setting can be of use; whether rows were short anywhere."""
        short = False
        for session in ladder:
            if self._sweep_s <= 0:
                self.notes.append(f"{access} {_worded(options)}: not all settings, the time was used up")
                break
            figures = self.bench.tried(session, self.left_s / 3)
            if figures is None:
                break
            found = _setting(figures, access, options, session, index, build_ms, size_bytes)
            self.settings.append(found)
            short = short or found.returned_share < 1
            if found.recall_share >= GOOD_ENOUGH or found.exact_ratio < 1 / BARELY:
                break
        return short

    def _growth(self, chosen: VectorSetting | None) -> tuple[VectorGrowth, ...]:
        if not self.asked.growth or self.left_s <= 0:
            self.notes.extend(["growth: the time was used up"] if self.asked.growth else [])
            return ()
        best = chosen or max(self.settings, key=lambda s: s.recall_share, default=None)
        try:
            return grown(self.bench, self.column, best, self.search.operator, self.rows, self.left_s)
        except Refused as error:
            self.notes.append(f"growth: {reason(self.bound, error)}")
            return ()

    def _body(
        self, current: VectorSetting, chosen: VectorSetting | None, growth: tuple[VectorGrowth, ...]
    ) -> VectorSearch:
        return VectorSearch(
            shape=self.bound.shape,
            table=self.column.table,
            column=self.column.name,
            column_type=self.column.type,
            expression=self.column.expression,
            operator=self.search.operator,
            operator_class=operator_class(self.column.type, self.search.operator),
            direct=self.search.direct,
            wanted_count=self.wanted,
            filtered=self.search.filtered,
            kept_share=min(1.0, self.kept),
            dimensions_count=self.column.dimensions,
            table_rows=self.rows,
            indexes=tuple(o.body for o in self.owned),
            taken=self.taken,
            session=self.session,
            queries_count=len(self.bench.queries),
            captured_count=min(self.captured_count, len(self.bench.queries)),
            asked_share=self.asked.recall,
            exact_ms=self.exact_ms,
            current=current,
            settings=tuple(self.settings),
            recommended=chosen,
            growth=growth,
            notes=tuple(self.notes),
        )


def recommended(settings: Sequence[VectorSetting], recall: float) -> VectorSetting | None:
    """The quickest that finds so much and is quicker than the exact search; None where none is.

    Of those that are about as quick: one that is there already, then the one that is built soonest.
    """
    good = [s for s in settings if s.recall_share >= recall and s.exact_ratio >= BARELY]
    if not good:
        return None
    quickest = max(s.exact_ratio for s in good)
    alike = (s for s in good if s.exact_ratio * BARELY >= quickest)
    return min(alike, key=lambda s: (not s.existing, s.build_ms or 0.0, -s.exact_ratio))


def _with_frontier(settings: Sequence[VectorSetting]) -> list[VectorSetting]:
    """By the pairs with the exact search, which a machine's other work slows on both sides alike."""

    def beaten(one: VectorSetting) -> bool:
        own = (one.recall_share, one.exact_ratio)
        others = ((s.recall_share, s.exact_ratio) for s in settings)
        return any(o != own and o[0] >= own[0] and o[1] >= own[1] for o in others)

    return [s.model_copy(update={"frontier": not beaten(s)}) for s in settings]


def _candidates(rows: int, kinds: Sequence[Access]) -> Iterator[tuple[Access, dict[str, int]]]:
    """pgvector's defaults, its advice (rows/1000 lists, √rows above a million), and either side of them."""
    by_root, by_thousand = max(1, round(math.sqrt(rows))), max(10, round(rows / 1000))
    found: list[tuple[Access, dict[str, int]]] = [
        ("hnsw", {"m": 16, "ef_construction": 64}),
        ("ivfflat", {"lists": by_root}),
        ("ivfflat", {"lists": by_thousand}),
        ("hnsw", {"m": 8, "ef_construction": 64}),
        ("hnsw", {"m": 32, "ef_construction": 128}),
    ]
    for n, (access, options) in enumerate(found):
        if access in kinds and (access, options) not in found[:n]:
            yield access, options


def _steps(
    access: Access, options: Mapping[str, int], session: Mapping[str, str], wanted: int
) -> tuple[str, list[int]]:
    """The setting that trades recall for time, and its values: doubled, and the one that holds today."""
    if access == "hnsw":
        name, values = "hnsw.ef_search", {e for e in _EF_SEARCH if e >= min(wanted, 40)}
    else:
        name, lists = "ivfflat.probes", options.get("lists", 1)
        values = {min(lists, 2**power) for power in range(lists.bit_length() + 1)} | {round(math.sqrt(lists))}
    today = int(session.get(name, 0))
    return name, sorted(values | ({today} if today else set()))


def _of(access: Access, session: Mapping[str, str]) -> dict[str, str]:
    """The settings of that kind of index, without the one that is off."""
    return {name: value for name, value in session.items() if name.startswith(f"{access}.") and value != "off"}


def _setting(
    figures: Figures,
    access: Access,
    options: Mapping[str, int],
    session: Mapping[str, str],
    index: VectorIndex | None,
    build_ms: float | None = None,
    size_bytes: int | None = None,
) -> VectorSetting:
    return VectorSetting(
        access=access,
        options=dict(options),
        session=dict(session),
        existing=index.name if index else "",
        recall_share=figures.recall,
        worst_share=figures.worst,
        returned_share=figures.returned,
        median_ms=figures.median_ms,
        exact_ms=figures.exact_ms,
        exact_ratio=figures.exact_ratio,
        build_ms=build_ms,
        size_bytes=index.size_bytes if index else size_bytes,
    )


def _worded(options: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.items())
