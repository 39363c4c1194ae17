"""Indexes for the whole workload of a run, each built on a clone and measured; and what the database's own ones do."""

from __future__ import annotations

from typing import Literal

from perfcrew.core.base import Noun
from perfcrew.core.indexes import IndexSpec


class StatementTimes(Noun):
    """One statement of the workload, without the advised indexes and with all of them; samples of one block each."""

    shape: str
    endpoints: tuple[str, ...]
    sent_count: float
    """Times a request, over all endpoints that send it."""
    before_ms: tuple[float, ...] = ()
    after_ms: tuple[float, ...] = ()
    before_median_ms: float = 0.0
    after_median_ms: float = 0.0
    verdict: str = ""
    """Empty where the pairs were too few for one."""


class WriteCost(Noun):
    """Writing rows of the table, without the index and with it: medians in ms for `rows_count` rows, rolled back.

    None where the rows could not be written; `refused` says why. The verdicts are those of the pairs with and without
    it: empty where a kind could not be compared.
    """

    rows_count: int
    insert_before_ms: float | None = None
    insert_after_ms: float | None = None
    update_before_ms: float | None = None
    update_after_ms: float | None = None
    delete_before_ms: float | None = None
    delete_after_ms: float | None = None
    insert_verdict: str = ""
    update_verdict: str = ""
    delete_verdict: str = ""
    pairs_count: int = 0
    sent_count: float = 0.0
    """Rows that a request writes to the table, over all endpoints."""
    refused: str = ""

    @property
    def added_ms(self) -> float:
        """What the index adds to the workload by the rows that it writes; the dearest kind of write counts, of those
        that the pairs prove to have become dearer."""
        kinds = (
            (self.insert_before_ms, self.insert_after_ms, self.insert_verdict),
            (self.update_before_ms, self.update_after_ms, self.update_verdict),
            (self.delete_before_ms, self.delete_after_ms, self.delete_verdict),
        )
        proven = [(b, a) for b, a, verdict in kinds if verdict == "regressed" and b is not None and a is not None]
        more = [after - before for before, after in proven]
        return max([0.0, *more]) / self.rows_count * self.sent_count if self.rows_count else 0.0


class AdvisedIndex(Noun):
    """An index of the set: the time of the statements that it changes, without it and with it beside the others, by
    how often they are sent; and what it costs."""

    index: IndexSpec
    name: str
    ddl: str
    before_median_ms: float
    after_median_ms: float
    pairs_count: int
    verdict: str
    build_ms: float
    size_bytes: int | None = None
    serves: tuple[int, ...] = ()
    """Statements, by their place in the advice, whose plan uses it."""
    serves_count: int = 0
    writes: WriteCost | None = None


class RefusedIndex(Noun):
    """One that was considered and is not advised."""

    index: str
    reason: str


class IndexAdvice(Noun):
    """The set of indexes that serves a run's statements best. Times of the workload are sums over its statements,
    each by how often it is sent, in ms for one request of each endpoint."""

    kind: Literal["index advice"] = "index advice"
    engine: str
    statements: tuple[StatementTimes, ...]
    advised: tuple[AdvisedIndex, ...] = ()
    refused: tuple[RefusedIndex, ...] = ()
    unmeasured: tuple[RefusedIndex, ...] = ()
    """Statements, by shape, that could not be timed."""
    before_median_ms: float = 0.0
    after_median_ms: float = 0.0
    pairs_count: int = 0
    verdict: str = ""
    filtered: bool = False
    """Whether hypopg was there to leave out what the planner would not use."""
    late: bool = False
    """Whether the time was over before all that was worth trying was tried."""


class KnownIndex(Noun):
    """An index of the user's database, as its catalogue and its statistics have it."""

    name: str
    path: str = ""
    """Its schema and name as SQL takes them; empty where the engine has no schemas."""
    table: str
    ddl: str
    scans_count: int | None = None
    """None where the engine does not count."""
    table_scans_count: int | None = None
    """Of its table, by whatever way."""
    size_bytes: int | None = None
    unique: bool = False
    needed: bool = False
    """Whether a constraint stands on it, or the table is clustered or replicated by it."""
    same_as: str = ""
    """Another index that is the same, or begins with the same keys, and does all that this one does."""
    siblings_count: int = 0
    """All indexes of its table, this one among them."""
    equal: bool = False
    """Whether that other one is no wider."""
    refers_to: str = ""
    """The table of the foreign key whose columns its keys begin with: deleting rows there looks for theirs here."""


class IndexUsage(Noun):
    """How the indexes of the user's own database are used. Read, never written."""

    kind: Literal["index usage"] = "index usage"
    engine: str
    since_s: float | None = None
    """Age of the statistics; None where there are none."""
    tables_rows: dict[str, int] = {}
    indexes: tuple[KnownIndex, ...]

    @property
    def days_count(self) -> int:
        """Whole days of the statistics' age."""
        return int((self.since_s or 0) // 86400)
