"""A run's evidence, indexed for reading, and its numbers as figures."""

from __future__ import annotations

from collections.abc import Iterable

from perfcrew.core.columns import COLUMNS, Column, judged_by
from perfcrew.core.evidence import Evidence, Measurement, Traces, field
from perfcrew.core.prose import Cited, Prose, Ref, cite, write
from perfcrew.core.report import Quote, Reading, unit_at, words_at
from perfcrew.ledger import Ledger


class Book:
    """Everything that one run left in the ledger, by kind and subject. Reads, never writes."""

    def __init__(self, ledger: Ledger, run_id: str) -> None:
        self.ledger, self.run = ledger, ledger.run(run_id)
        self.items = [e for e in ledger.find(self.run.id) if e.kind != "published"]

    def of(self, kind: str, subject: str | None = None) -> list[Evidence]:
        """The items of a kind, in the order they were taken."""
        return [e for e in self.items if e.kind == kind and subject in (None, e.subject)]

    def first(self, kind: str, subject: str | None = None) -> Evidence | None:
        return next(iter(self.of(kind, subject)), None)

    def get(self, evidence_id: str) -> Evidence | None:
        return next((e for e in self.items if e.id == evidence_id), None)

    def baseline(self, subject: str, metric: str, phase: str = "warm") -> Evidence | None:
        """The measurement that a subject is judged by, None where the metric was not measured."""
        return judged_by(self.of("measurement", subject), subject, metric, phase)

    def traces(self, subject: str) -> Evidence | None:
        """The traces at the size of data that the baseline was measured at: without a size, else the largest."""
        sized = [
            (e.body.size, e) for e in self.of("traces", subject) if isinstance(e.body, Traces) and e.body.at_once == 1
        ]
        whole = [e for size, e in sized if size is None]
        return whole[-1] if whole else max(sized, key=lambda one: one[0] or 0, default=(None, None))[1]


def ref(item: Evidence, path: str) -> Ref:
    return Ref(evidence=item.id, field=path)


def number(item: Evidence, path: str) -> Cited:
    """The number at a path of an item, ready for a text. LedgerError where there is none."""
    return cite(field(item.body, path), unit_at(item.body, path), ref(item, path))


def quote(item: Evidence, path: str) -> Quote:
    """The words at a path of an item."""
    return Quote(text=words_at(item.body, path), ref=ref(item, path))


def figure(value: Cited) -> Prose:
    return write("{value}", value=value)


def reading(book: Book, column: Column, subject: str) -> Reading:
    """One cell of a table for one subject."""
    if column.counts:
        return _counted(book.traces(subject), column)
    refused: Quote | None = None
    for metric, statistic in column.sources:
        item = book.baseline(subject, metric, column.phase)
        if item and isinstance(item.body, Measurement) and statistic in item.body.statistics:
            return measured(item, column.key, statistic)
        refused = refused or (_refusal(item, statistic) if item else None)
    other = book.first(column.body[0], subject) if column.body else None
    if column.body and other:
        return Reading(column=column.key, value=figure(number(other, column.body[1])))
    return Reading(column=column.key, value=Prose(text="refused" if refused else "not measured"), refused=refused)


def measured(item: Evidence, key: str, statistic: str) -> Reading:
    """A cell from one measurement's statistic."""
    assert isinstance(item.body, Measurement)
    estimate = item.body.statistics[statistic]
    path = f"statistics.{statistic}"
    value = figure(number(item, f"{path}.value"))
    if estimate.low is None or estimate.high is None:
        return Reading(column=key, value=value)
    low, high = number(item, f"{path}.low"), number(item, f"{path}.high")
    return Reading(column=key, value=value, interval=write("{low} to {high}", low=low, high=high))


def _refusal(item: Evidence, statistic: str) -> Quote | None:
    if isinstance(item.body, Measurement) and statistic in item.body.refused:
        return quote(item, f"refused.{statistic}")
    return None


def _counted(item: Evidence | None, column: Column) -> Reading:
    if item is None or not isinstance(item.body, Traces) or not item.body.instrumented:
        return Reading(column=column.key)
    paths = [f"counts.{name}" for name in column.counts]
    if len(paths) == 1:
        return Reading(column=column.key, value=figure(number(item, paths[0])))
    total = sum(field(item.body, p) for p in paths)
    refs = [ref(item, p) for p in paths]
    return Reading(column=column.key, value=figure(cite(total, unit_at(item.body, paths[0]), *refs, derivation="sum")))


def readings(book: Book, subject: str, keys: Iterable[str] | None = None) -> tuple[Reading, ...]:
    """The cells of one subject, of these columns or all."""
    chosen = None if keys is None else set(keys)
    return tuple(reading(book, c, subject) for c in COLUMNS if chosen is None or c.key in chosen)
