"""The set of indexes that serves a workload best: candidates built on a clone, chosen by what was measured.

The candidates come from all statements together. hypopg, where it is there, leaves out those that the planner would
not use; the rest are built. Then the one that saves most joins the set, again and again; where nothing more is to be
added, one is changed for another, or left out, as long as that serves. Each one of the set is then proven beside the
others by blocks with and without it in turns, what it adds to writes is taken off, and the whole set is held against
none.

What a planner says an index would save is a guess; only building it shows. Whether it is worth it is not said here.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from perfcrew.core.advice import AdvisedIndex, IndexAdvice, RefusedIndex, StatementTimes
from perfcrew.core.errors import ToolFailed
from perfcrew.core.evidence import IndexTrial
from perfcrew.core.index_candidates import Sent, candidates
from perfcrew.core.indexes import IndexSpec
from perfcrew.core.sql import is_read, tables
from perfcrew.core.sql_candidates import TableFacts
from perfcrew.instruments import index_writes
from perfcrew.instruments.binding import bind
from perfcrew.instruments.index_times import Built, Compared, On, Query, Times
from perfcrew.instruments.plans import reason
from perfcrew.instruments.sessions import Clone, Gone, Index, Refused, Session, session

NO_CANDIDATE = "what it compares and orders by is indexed, or in small tables"
MOST_BUILT = 28
MOST_SIZE = 2.0
"""Of a table's size, what all indexes that are tried for it may take at once: a clone is on the user's own server."""
FREE_BYTES = 64 * 1024 * 1024
"""No table's indexes are too large below that."""
LEAST_GAIN = 0.01
"""Of the workload's time as it is by then: less is not worth an index."""
LEAST_MS = 0.05
BEGUN = 0.009
"""The same where another one of the set begins with its keys: one index that serves several is worth a little."""
TIE = 0.01
"""Of the workload's time: of sets that are as fast but for this, the smallest is taken."""
COVERING_GAIN = 0.1
"""Of the time without any index that columns kept beside the keys must save beyond the same keys alone."""
MOST_WIDTH = 64.0
"""Bytes of a row that may be kept beside the keys: more make the index as large as the table."""
_MOST_STEPS, _ROUNDS = 100, 4
EXAMPLES = 2
NOTHING: On = frozenset()


class Asked(NamedTuple):
    """A statement of the workload: what was recorded of some executions, and how often a request sends it."""

    statement: str
    examples: Sequence[object]
    sent: float = 1.0
    endpoints: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    """Those of all executions, where values are written into them."""
    rows: float = 1.0
    """Written by one execution, where it writes."""


class Advised(NamedTuple):
    """The advice; for each statement that was asked, by its place, what it does for it, or why nothing; and what each
    index does for it, where its plan uses several."""

    advice: IndexAdvice
    trials: dict[int, IndexTrial | str]
    beside: dict[int, tuple[IndexTrial, ...]] = {}


def advise(clone: Clone, workload: Sequence[Asked], *, budget_s: float = 300.0) -> Advised:
    """Advice on all statements of a run together; those that write only weigh what an index adds to them.

    Statements that can't be timed are left out and told. Everything that was built is dropped again. No step is
    begun after `budget_s`. Raises ToolFailed where the connection is lost, or the engine refuses what must be asked.
    """
    with session(clone) as db:
        try:
            return _Advice(db, workload, time.monotonic() + budget_s).made()
        except Gone as error:
            raise ToolFailed(
                f"the clone went away while indexes were tried: {error}",
                do="start the database again, then `perfcrew resume`",
            ) from None
        except Refused as error:
            raise ToolFailed(
                f"no indexes can be tried: {error}", do="see the server's log; the plans don't depend on it"
            ) from None


@contextmanager
def standing(db: Session, workload: Sequence[Asked], *, budget_s: float = 300.0) -> Iterator[Times]:
    """What the advice chooses from: all candidates built on the clone, while the block runs."""
    with _Advice(db, workload, time.monotonic() + budget_s).standing() as times:
        yield times


@dataclass
class _State:
    refused: list[RefusedIndex] = field(default_factory=list)
    unmeasured: list[RefusedIndex] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)
    filtered: bool = False
    late: bool = False

    def refuse(self, spec: IndexSpec, why: str) -> None:
        self.refused.append(RefusedIndex(index=f"{spec.table} ({spec.said})", reason=why))


class _Advice:
    """One session's work."""

    def __init__(self, db: Session, workload: Sequence[Asked], until: float) -> None:
        self.db, self.workload, self.until = db, workload, until
        self.state = _State()
        self.place: list[int] = []
        """Of each query, its place in the workload."""

    def made(self) -> Advised:
        with self.standing() as times:
            return self._chosen(times)

    @contextmanager
    def standing(self) -> Iterator[Times]:
        """While the block runs, all candidates that could be built stand on the clone."""
        names = frozenset().union(*(tables(a.statement) for a in self.workload))
        facts = self.db.facts(names)
        self.db.settle(facts)
        queries = list(self._queries())
        costs = Times(self.db, queries, (), facts).each_ms(NOTHING)
        wanted = self._candidates(queries, costs, facts)
        with self._built(wanted, queries, facts) as built:
            yield Times(self.db, queries, built, facts)

    def _queries(self) -> Iterator[Query]:
        for place, asked in enumerate(self.workload):
            why = self._why_not(asked)
            if why:
                self.state.reasons[place] = why
                continue
            made = self._query(asked)
            if isinstance(made, str):
                self.state.reasons[place] = made
                self.state.unmeasured.append(RefusedIndex(index=_shape(asked), reason=made))
            else:
                self.place.append(place)
                yield made

    def _why_not(self, asked: Asked) -> str:
        return "" if is_read(asked.statement) else "the statement writes, so it is not run again and again"

    def _query(self, asked: Asked) -> Query | str:
        """Those of its examples that can be run; why not, where none can."""
        bounds, why = [], "no execution of it was recorded"
        for parameters in asked.examples[:EXAMPLES]:
            try:
                bound = bind(asked.statement, parameters, self.db.engine)
            except ToolFailed as error:
                why = error.what
                continue
            try:
                why = bound.doubt or why
                if not bound.doubt:
                    self.db.run_ms(bound)
                    bounds.append(bound)
            except Gone:
                raise
            except Refused as error:
                why = f"the statement can't be timed: {reason(bound, error)}"
        if not bounds:
            return why
        return Query(bounds[0].shape, tuple(bounds), asked.sent, asked.endpoints, tables(asked.statement))

    def _candidates(
        self, queries: Sequence[Query], costs: Sequence[float], facts: Mapping[str, TableFacts]
    ) -> list[IndexSpec]:
        sent = [
            Sent(asked.statement, [v for b in q.bounds for v in b.values], q.sent * ms, asked.texts)
            for asked, q, ms in zip((self.workload[p] for p in self.place), queries, costs, strict=True)
        ]
        found = candidates(sent, facts, self.db.engine, self.db.extensions())
        wide = [s for s in found if s.include and (self.db.width_bytes(s.table, s.include) or 0.0) > MOST_WIDTH]
        for spec in wide:
            self.state.refuse(spec, f"the columns beside its keys take more than {MOST_WIDTH:g} bytes of a row")
        found = [s for s in found if s not in wide]
        for spec in found[MOST_BUILT * 2 :]:
            self.state.refuse(spec, f"more than {MOST_BUILT * 2} were worth considering")
        return found[: MOST_BUILT * 2]

    @contextmanager
    def _built(
        self, wanted: Iterable[IndexSpec], queries: Sequence[Query], facts: Mapping[str, TableFacts]
    ) -> Iterator[list[Built]]:
        built: list[Built] = []
        try:
            for spec in wanted:
                if len(built) >= MOST_BUILT:
                    self.state.refuse(spec, f"{MOST_BUILT} others came first")
                elif self._is_late():
                    self.state.refuse(spec, "the time was over")
                elif _is_full(facts[spec.table].size_bytes, [b for b in built if b.spec.table == spec.table]):
                    self.state.refuse(spec, f"others came first, which take {MOST_SIZE:g} times the table's size")
                else:
                    self._build(spec, queries, built)
            self.db.analyze(b.spec.table for b in built if b.spec.expressions)
            yield built
        finally:
            _drop(self.db, [b.index for b in built])

    def _build(self, spec: IndexSpec, queries: Sequence[Query], built: list[Built]) -> None:
        index = self.db.index(spec)
        try:
            concerned = [b for q in queries if spec.plain_table in q.tables for b in q.bounds]
            would = self.db.would_use(index, concerned)
            self.state.filtered = self.state.filtered or would is not None
            if would is False:
                self.state.refuse(spec, "the planner would not use it")
                return
            made = _make(self.db, spec, index)
        except Gone:
            raise
        except Refused as error:
            _drop(self.db, [index])
            self.state.refuse(spec, str(error))
            return
        built.append(made)
        twin = self.db.twin(index)
        if twin:
            built.remove(made)
            _drop(self.db, [index])
            self.state.refuse(spec, f"it is the same as {twin}, which is there")

    def _is_late(self) -> bool:
        self.state.late = self.state.late or time.monotonic() > self.until
        return self.state.late

    def _chosen(self, times: Times) -> Advised:
        choice = _Choice(times, self.state, self.until, self.workload)
        on, whole = choice.made()
        advised = tuple(choice.advised[i] for i in choice.order if i in on)
        advice = IndexAdvice(
            engine=self.db.engine,
            statements=tuple(self._statements(times, on, whole)),
            advised=tuple(self._with_serves(times, on, choice, a) for a in advised),
            refused=tuple(self.state.refused),
            unmeasured=tuple(self.state.unmeasured),
            before_median_ms=_sum(times.queries, whole.before_ms, times.each_ms(NOTHING)),
            after_median_ms=_sum(times.queries, whole.after_ms, times.each_ms(on)),
            pairs_count=whole.pairs,
            verdict=whole.verdict,
            filtered=self.state.filtered,
            late=self.state.late,
        )
        return Advised(advice, *self._trials(times, on, choice, advice))

    def _statements(self, times: Times, on: On, whole: Compared) -> Iterator[StatementTimes]:
        first, last = times.each_ms(NOTHING), times.each_ms(on)
        for i, query in enumerate(times.queries):
            before, after = whole.before_ms.get(i, []), whole.after_ms.get(i, [])
            yield StatementTimes(
                shape=query.shape,
                endpoints=query.endpoints,
                sent_count=query.sent,
                before_ms=tuple(before),
                after_ms=tuple(after),
                before_median_ms=median(before) if before else first[i],
                after_median_ms=median(after) if after else last[i],
                verdict=whole.verdict_of(i) if before else "",
            )

    def _with_serves(self, times: Times, on: On, choice: _Choice, advised: AdvisedIndex) -> AdvisedIndex:
        place = next(i for i, a in choice.advised.items() if a is advised)
        serves = tuple(i for i, p in enumerate(times.plans(on)) if place in p.used)
        return advised.model_copy(update={"serves": serves, "serves_count": len(serves)})

    def _trials(
        self, times: Times, on: On, choice: _Choice, advice: IndexAdvice
    ) -> tuple[dict[int, IndexTrial | str], dict[int, tuple[IndexTrial, ...]]]:
        """Where a plan uses several, each has what it adds beside the others, the one that adds most first."""
        found: dict[int, IndexTrial | str] = dict(self.state.reasons)
        beside: dict[int, tuple[IndexTrial, ...]] = {}
        for i, place in enumerate(self.place):
            used = [a for a in advice.advised if i in a.serves]
            if len(used) < 2:
                whole = advice.statements[i]
                found[place] = self._trial(times, on, i, whole, used[0]) if used else self._in_vain(times.queries[i])
                continue
            each = [self._trial(times, on, i, choice.measured(a, i, advice.statements[i]), a) for a in used]
            found[place], *rest = sorted(each, key=lambda t: t.after_median_ms - t.before_median_ms)
            beside[place] = tuple(rest)
        return found, beside

    def _trial(self, times: Times, on: On, i: int, measured: StatementTimes, used: AdvisedIndex) -> IndexTrial:
        return IndexTrial(
            ddl=used.ddl,
            table=used.index.table,
            columns=used.index.keys,
            before_ms=measured.before_ms,
            after_ms=measured.after_ms,
            before_median_ms=measured.before_median_ms,
            after_median_ms=measured.after_median_ms,
            size_bytes=used.size_bytes,
            used=True,
            after_nodes=times.plans(on)[i].nodes,
            index=used.index,
            verdict=measured.verdict,
            partitioned=times.facts[used.index.table].partitioned,
        )

    def _in_vain(self, query: Query) -> str:
        mine = [r for r in self.state.refused if _plain(r.index.partition(" (")[0]) in query.tables]
        said = "; ".join(f"{r.index}: {r.reason}" for r in mine[:4])
        return f"indexes were tried in vain: {said}" if said else NO_CANDIDATE


class _Choice:
    """Which of the built ones make the set."""

    def __init__(self, times: Times, state: _State, until: float, workload: Sequence[Asked]) -> None:
        self.times, self.state, self.until, self.workload = times, state, until, workload
        self.advised: dict[int, AdvisedIndex] = {}
        self.order: list[int] = []
        self.usable: list[int] = []
        self._compared: dict[int, Compared] = {}
        self._beside: dict[int, On] = {}
        """What each one was proven beside, of its own table."""

    def made(self) -> tuple[On, Compared]:
        """The set, each one of it proven, and the whole of it held against none."""
        self.usable = self._usable()
        on = self.each_proven(self.best(NOTHING))
        for _ in range(_ROUNDS):  # what was not proven may have kept others out
            more = self.best(on) if not self._late() else on
            if more == on:
                break
            on = self.each_proven(more)
        for i in self.usable:
            if i not in on:
                self.state.refuse(self.times.built[i].spec, f"it saves nothing{' beside the others' if on else ''}")
        return self._weighed(*self.proven(on))

    def best(self, on: On) -> On:
        """The set that no single step makes better: adding one, changing one for another, leaving one out.

        When none is left, all is timed once more, since one moment's noise may have kept a good one out.
        """
        for _ in range(_ROUNDS):
            before = on
            for _ in range(_MOST_STEPS):
                step = None if not self.usable or self._late() else self._step(on, self.usable)
                if step is None:
                    break
                on = step
            if self._late() or not self.usable:
                break
            self.times.look_again()
            if on == before:
                break
        return on

    def _step(self, on: On, usable: Sequence[int]) -> On | None:
        added = self._best([on | {i} for i in usable if i not in on], on, LEAST_GAIN)
        return added or self._best(list(self._changes(on, usable)), on, LEAST_GAIN / 2) or self._left_out(on)

    def _changes(self, on: On, usable: Sequence[int]) -> Iterator[On]:
        """One for another of its table."""
        table = {i: self.times.built[i].spec.table for i in usable}
        for one in on:
            yield from (on - {one} | {i} for i in usable if i not in on and table[i] == table[one])

    def _left_out(self, on: On) -> On | None:
        for one in sorted(on, key=lambda i: -(self.times.built[i].size_bytes or 0)):
            rest = on - {one}
            if rest and self.times.total_ms(rest) <= self.times.total_ms(on) * (1 + self._worth(one, rest)):
                return rest
        return None

    def _usable(self) -> list[int]:
        found = []
        for i, one in enumerate(self.times.built):
            if i in self.times.used(frozenset([i])):
                found.append(i)
            else:
                self.state.refuse(one.spec, "not used by the planner")
        return found

    def _late(self) -> bool:
        self.state.late = self.state.late or time.monotonic() > self.until
        return self.state.late

    def _best(self, sets: Sequence[On], on: On, gain: float) -> On | None:
        """The set that is fastest by a part worth an index; the smallest of those that are about as fast."""
        sets = [s for s in sets if self._covers_enough(s)]
        if not sets:
            return None
        now_ms, took = self.times.total_ms(on), {s: self.times.total_ms(s) for s in sets}
        least = min(took.values())
        if now_ms - least < max(LEAST_MS, gain * now_ms):
            return None
        close = [s for s in sets if took[s] <= least + TIE * least and now_ms - took[s] >= (now_ms - least) / 2]
        return min(close, key=lambda s: (sum(self.times.built[i].size_bytes or 0 for i in s), sorted(s)))

    def _covers_enough(self, on: On) -> bool:
        """Whether the columns kept beside the keys are worth their room: while the table is written, they save less
        than on a clone that was vacuumed a moment ago."""
        return all(self._is_worth_its_columns(on, i) for i in on if self.times.built[i].spec.include)

    def _is_worth_its_columns(self, on: On, one: int) -> bool:
        bare = self.times.built[one].spec.model_copy(update={"include": ()})
        plain = [i for i in self.usable if self.times.built[i].spec == bare]
        less = (on - {one}) | frozenset(plain)
        concerned = self.times.changed(less, on)
        none, narrow, wide = (self.times.each_ms(s) for s in (NOTHING, less, on))
        sent = {i: self.times.queries[i].sent for i in concerned}
        saved = sum((narrow[i] - wide[i]) * sent[i] for i in concerned)
        return bool(concerned) and saved >= COVERING_GAIN * sum(none[i] * sent[i] for i in concerned)

    def _added(self, on: On, new: int) -> AdvisedIndex | None:
        one, compared = self.times.built[new], self.times.compare(on, on | {new}, self.until)
        if compared.verdict != "improved":
            self.state.refuse(one.spec, f"with and without it in turns: {compared.verdict or 'no plan changed'}")
            return None
        self._compared[new] = compared
        before, after = (median(side) for side in zip(*compared.totals, strict=True))
        return AdvisedIndex(
            index=one.spec,
            name=one.index.name,
            ddl=one.index.ddl,
            before_median_ms=before,
            after_median_ms=after,
            pairs_count=compared.pairs,
            verdict=compared.verdict,
            build_ms=one.build_ms,
            size_bytes=one.size_bytes,
        )

    def measured(self, advised: AdvisedIndex, query: int, whole: StatementTimes) -> StatementTimes:
        """What one index does for a statement beside the others of the set; no samples where its plan is the same."""
        place = next(i for i, b in enumerate(self.times.built) if b.spec == advised.index)
        compared = self._compared[place]
        before, after = compared.before_ms.get(query, []), compared.after_ms.get(query, [])
        return whole.model_copy(
            update={
                "before_ms": tuple(before),
                "after_ms": tuple(after),
                "before_median_ms": median(before) if before else whole.after_median_ms,
                "after_median_ms": median(after) if after else whole.after_median_ms,
                "verdict": compared.verdict_of(query) if before else "",
            }
        )

    def _worth(self, one: int, rest: On) -> float:
        """The part of the time that it must save beside the rest; more where a wider one begins with its keys."""
        spec = self.times.built[one].spec
        return BEGUN if any(spec.begins(self.times.built[i].spec) for i in rest) else LEAST_GAIN / 2

    def each_proven(self, on: On) -> On:
        """Each one beside the others, in turns with and without it; one that is not proven goes, and is not taken
        again, and its table's others are held against what is left once more."""
        waiting = sorted(on)
        while waiting:
            one = waiting.pop(0)
            beside = self._near(on, one)
            if self._beside.get(one) == beside:
                continue
            added = self._added(on - {one}, one)
            if added is not None:
                self.advised[one], self._beside[one] = added, beside
                continue
            on -= {one}
            self.usable.remove(one)
            waiting += [i for i in sorted(self._near(on, one)) if i not in waiting]
        self.order = sorted(on, key=lambda i: self.advised[i].after_median_ms - self.advised[i].before_median_ms)
        return on

    def _near(self, on: On, one: int) -> On:
        table = self.times.built[one].spec.table
        return frozenset(i for i in on if i != one and self.times.built[i].spec.table == table)

    def _weighed(self, on: On, whole: Compared) -> tuple[On, Compared]:
        """Without those that add more to writes than they save. Last, since rows that were undone stay in the table
        until it is vacuumed."""
        light = on
        for i in sorted(on):
            spec, advised = self.times.built[i].spec, self.advised[i]
            writes = index_writes.cost(self.times, on - {i}, i, _writes_to(spec.table, self.workload))
            self.advised[i] = advised.model_copy(update={"writes": writes})
            if writes.added_ms >= advised.before_median_ms - advised.after_median_ms:
                light -= {i}
                self.state.refuse(spec, "the writes that are sent would cost more than it saves")
        if light == on:
            return on, whole
        self.times.settle()
        return self.proven(light)

    def proven(self, on: On) -> tuple[On, Compared]:
        """The set as a whole against none; the last one goes while that is not better."""
        for last in [*reversed(self.order), -1]:
            whole = self.times.compare(NOTHING, on, self.until)
            if not on or whole.verdict == "improved":
                return on, whole
            if last in on:
                on -= {last}
                self.state.refuse(self.times.built[last].spec, f"the set as a whole with it: {whole.verdict}")
        return NOTHING, Compared()


def _make(db: Session, spec: IndexSpec, index: Index) -> Built:
    began = time.perf_counter()
    db.build(index)
    return Built(spec, index, db.names(index), (time.perf_counter() - began) * 1000, db.size_bytes(index))


def _is_full(table_bytes: int | None, built: Iterable[Built]) -> bool:
    taken = sum(one.size_bytes or 0 for one in built)
    return table_bytes is not None and taken > max(FREE_BYTES, MOST_SIZE * table_bytes)


def _drop(db: Session, indexes: Sequence[Index]) -> None:
    for index in indexes:
        try:
            db.drop(index)
        except Gone:
            return  # with the connection all hope of it is gone; the clone is dropped as a whole
        except Refused:
            continue


def _writes_to(table: str, workload: Iterable[Asked]) -> float:
    """Rows a request."""
    return sum(a.sent * a.rows for a in workload if not is_read(a.statement) and _plain(table) in tables(a.statement))


def _plain(table: str) -> str:
    return table.rpartition(".")[2].lower()


def _shape(asked: Asked) -> str:
    from perfcrew.core.sql import shape

    return shape(asked.statement)[:500]


def _sum(queries: Sequence[Query], samples: dict[int, list[float]], otherwise: Sequence[float]) -> float:
    each = [median(samples[i]) if samples.get(i) else otherwise[i] for i in range(len(queries))]
    return sum(q.sent * ms for q, ms in zip(queries, each, strict=True))
