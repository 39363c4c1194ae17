"""What the ledger holds of one run, read and verified once; and what a figure comes to when it is computed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field

from pydantic import BaseModel

from perfcrew.core.columns import GENERAL, judged_by
from perfcrew.core.errors import LedgerError
from perfcrew.core.evidence import Evidence
from perfcrew.core.prose import Figure, Prose, Ref
from perfcrew.core.report import (
    CheckResult,
    EndpointState,
    FindingSection,
    JudgedTarget,
    LoadState,
    Quote,
    Report,
    RequestLife,
)
from perfcrew.core.resolve import Computed, derived, number_at
from perfcrew.ledger import Ledger

Limits = Mapping[str, float]


@dataclass(frozen=True)
class Placed:
    """A text with its place in the report, and the subjects that it may cite; None where its sentences say which."""

    where: str
    prose: Prose
    about: frozenset[str] | None
    section: FindingSection | None = None


@dataclass(frozen=True)
class Held:
    """The evidence of one run by id, in the order it was taken, and the texts of the report that is held against it."""

    items: Mapping[str, Evidence]
    kinds: Mapping[str, tuple[Evidence, ...]]
    texts: tuple[Placed, ...] = ()
    numbers: dict[tuple[str, str], Computed] = dataclass_field(default_factory=dict)
    """Numbers already read: evidence never changes, and a report cites the same one often."""

    @classmethod
    def read(cls, ledger: Ledger, run_id: str) -> Held:
        """Everything of a run. LedgerError where there is no such run, or an item was altered."""
        run = ledger.run(run_id)
        items = ledger.find(run.id)
        kinds = {kind: tuple(e for e in items if e.kind == kind) for kind in {e.kind for e in items}}
        return cls({e.id: e for e in items}, kinds)

    def baseline(self, subject: str, metric: str, phase: str = "warm") -> Evidence | None:
        """The measurement that a subject is judged by."""
        return judged_by(self.kinds.get("measurement", ()), subject, metric, phase)

    def against(self, report: Report) -> Held:
        """The same evidence, with the texts of a report: they are asked for often, and walked once."""
        return Held(self.items, self.kinds, tuple(texts(report)), self.numbers)

    def get(self, evidence_id: str) -> Evidence:
        """LedgerError where the run holds no such item; a beginning of an id is not an id here."""
        if evidence_id not in self.items:
            raise LedgerError(f"no evidence {evidence_id!r} in this run")
        return self.items[evidence_id]

    def of(self, kind: str, subject: str | None = None) -> list[Evidence]:
        return [e for e in self.kinds.get(kind, ()) if subject in (None, e.subject)]


Check = Callable[[Report, Held, Limits], CheckResult]


def result(name: str, reasons: Sequence[str], note: str = "") -> CheckResult:
    """Passed where there is no reason against it."""
    return CheckResult(name=name, passed=not reasons, reasons=tuple(dict.fromkeys(reasons)), note=note)


_NOT_TEXT = frozenset({"charts", "evidence", "verdict", "finding", "target", "environments", "method"})


def texts(report: Report) -> Iterator[Placed]:
    """Every text of the report, and the text of each finding."""
    yield from _texts(report, "", None, None)


def _texts(at: object, where: str, about: frozenset[str] | None, section: FindingSection | None) -> Iterator[Placed]:
    if isinstance(at, Prose):
        yield Placed(where, at, about, section)
    elif isinstance(at, FindingSection):
        named = f"{where} {at.finding.id}"
        yield Placed(f"{named} finding.prose", at.finding.prose, _of_finding(at), at)
        yield from _members(at, named, _of_finding(at), at)
    elif isinstance(at, EndpointState | LoadState | RequestLife):
        yield from _members(at, where, frozenset({at.endpoint, GENERAL}), section)
    elif isinstance(at, JudgedTarget):
        yield from _members(at, where, frozenset({at.subject, GENERAL}), section)
    elif isinstance(at, BaseModel):
        yield from _members(at, where, about, section)
    elif isinstance(at, tuple):
        for n, member in enumerate(at):
            yield from _texts(member, f"{where}[{n}]", about, section)


def _members(
    at: BaseModel, where: str, about: frozenset[str] | None, section: FindingSection | None
) -> Iterator[Placed]:
    for name, value in at:
        if name not in _NOT_TEXT and isinstance(value, BaseModel | tuple):
            yield from _texts(value, f"{where}.{name}".lstrip("."), about, section)


def _of_finding(section: FindingSection) -> frozenset[str] | None:
    finding = section.finding
    return frozenset({finding.endpoint, *finding.also, GENERAL}) if finding.endpoint else None


def quotes(at: object, where: str = "") -> Iterator[tuple[str, Quote]]:
    """Every quote of the report with its place."""
    if isinstance(at, Quote):
        yield where, at
    elif isinstance(at, tuple):
        for n, member in enumerate(at):
            yield from quotes(member, f"{where}[{n}]")
    elif isinstance(at, BaseModel) and not isinstance(at, Prose | FindingSection):
        for name, value in at:
            if name not in _NOT_TEXT and isinstance(value, BaseModel | tuple):
                yield from quotes(value, f"{where}.{name}".lstrip("."))


def compute(figure: Figure, held: Held) -> Computed:
    """The figure's number, computed again from the ledger. LedgerError says why it can't be."""
    return derived(figure.derivation, [_number(ref, held) for ref in figure.refs])


def _number(ref: Ref, held: Held) -> Computed:
    key = (ref.evidence, ref.field)
    if key not in held.numbers:
        held.numbers[key] = number_at(held.items, ref)
    return held.numbers[key]
