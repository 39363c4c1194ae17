"""Composes the report of one run from its ledger: reads, and decides nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from perfcrew import __version__
from perfcrew.core.columns import GENERAL, STARTUP
from perfcrew.core.errors import LedgerError
from perfcrew.core.evidence import Data, Environment, Evidence, Failure, Findings, Frame, OutOfReach
from perfcrew.core.prose import Prose, join, write
from perfcrew.core.report import (
    DataUse,
    EndpointState,
    EnvironmentRow,
    EvidenceEntry,
    FailureRow,
    FindingSection,
    MethodRow,
    Purpose,
    Quote,
    Report,
    SpecialistStatus,
    Step,
    TableRows,
    TargetSummary,
    Versions,
)
from perfcrew.core.thinking import Narrative
from perfcrew.ledger import Ledger
from perfcrew.report import experiments as tried
from perfcrew.report import state as told
from perfcrew.report.book import Book, figure, number, quote, reading
from perfcrew.report.cache import cache
from perfcrew.report.drawing import charts
from perfcrew.report.markdown import lines
from perfcrew.report.readiness import readiness
from perfcrew.report.sections import sections
from perfcrew.report.thought import SUMMARY, narrated, paragraph, spent, thought, written
from perfcrew.report.wording import code, number_of, where

_NOT_A_METHOD = (
    *("findings", "failure", "not measured", "frame", "published", "log", "out of reach"),
    *("lookup", "exchange", "narrative", "written patches"),
)


def compose(ledger: Ledger, run_id: str, narrative: Narrative | None = None) -> Report:
    """The report of a run, before the gate. The same ledger gives the same report.

    `narrative`: one that is not in the ledger yet. LedgerError where there is no such run, or its frame was never
    written.
    """
    book = Book(ledger, run_id)
    frame = _frame(book)
    targets = told.targets(book)
    words = narrative or written(book)
    found = narrated(book, sections(book, targets), words)
    state = told.state(book)
    endpoints = tuple(row.endpoint for row in state)
    with_findings = tuple(dict.fromkeys(s.endpoint for s in found if s.endpoint in endpoints))
    report = Report(
        id=f"report-{book.run.id}",
        run=book.run.id,
        title=f"Performance review of {frame.project.name}",
        created_at=_created(book),
        versions=Versions(perfcrew=__version__),
        target=_target(book, frame),
        purpose=_purpose(book, frame),
        summary=_summary(book, state, found),
        narrative=paragraph(book, words, SUMMARY),
        narrator=words.reasoner if words else "",
        state=state,
        startup=reading(book, STARTUP, GENERAL),
        targets=targets,
        workload=_workload(book),
        load=told.load(book),
        readiness=readiness(book),
        life=tuple(one for key in endpoints if (one := told.life(book, key))),
        cache=cache(book),
        findings=found,
        experiments=tried.experiments(book),
        declined=tried.declined(book),
        kept=tried.kept(book),
        not_measured=told.unmeasured(book),
        data=_data(book),
        assumptions=_assumptions(book),
        method=_method(book),
        unjudged=_unjudged(book),
        reproduce=_again(book, frame),
        environments=_environments(book),
        specialists=_specialists(book),
        thought=thought(book),
        spent=spent(book),
        failures=_failures(book),
        trade_offs=_TRADED if book.first("outcome") else _TRADE_OFFS,
        next_steps=_next_steps(found),
        charts=charts(book, endpoints, with_findings),
        evidence=tuple(_entry(e) for e in book.items),
    )
    return report.model_copy(update={"document_lines": len(lines(report))})


_TRADE_OFFS = Prose(
    text="This review changed nothing, so nothing was traded yet. Each finding says what its change would cost: "
    "latency against memory, freshness against speed, simplicity against both."
)


_TRADED = Prose(
    text="What a change would trade is written with its experiment, before it ran; what made another metric worse was "
    "discarded, and says so. A change that was kept still costs a reader some lines more."
)


def _frame(book: Book) -> Frame:
    item = book.first("frame")
    if item is None or not isinstance(item.body, Frame):
        raise LedgerError(f"run {book.run.id} has no frame", do="take it to its end with `perfcrew resume`")
    return item.body


def _created(book: Book) -> datetime:
    return max((e.taken_at for e in book.items), default=book.run.started_at)


def _target(book: Book, frame: Frame) -> TargetSummary:
    data, environment = book.first("data"), book.first("environment")
    host = environment.body if environment and isinstance(environment.body, Environment) else None
    return TargetSummary(
        name=frame.project.name,
        framework=frame.project.framework,
        root=str(frame.project.root),
        engine=data.body.engine if data and isinstance(data.body, Data) else "none",
        profile=frame.profile.name,
        scope=frame.scope,
        base=frame.base,
        primary_metric=frame.primary_metric,
        commit=host.commit if host else None,
        dirty=host.dirty if host else None,
    )


def _purpose(book: Book, frame: Frame) -> Purpose:
    item = book.first("frame")
    if item is None:
        return Purpose()
    return Purpose(
        context=quote(item, "context") if frame.context else None,
        constraints=tuple(quote(item, f"constraints.{n}") for n in range(len(frame.constraints))),
    )


def _again(book: Book, frame: Frame) -> tuple[str, ...]:
    if book.run.workflow == "optimize":
        return ("perfcrew", "optimize", "--path", book.run.root, *_scope(frame))
    return ("perfcrew", "review", book.run.root, *_scope(frame))


def _scope(frame: Frame) -> tuple[str, ...]:
    if frame.scope == "changed" and frame.base:
        return ("--base", frame.base)
    return ("--all",) if frame.scope == "all" else ()


def _summary(book: Book, state: tuple[EndpointState, ...], found: tuple[FindingSection, ...]) -> Prose:
    return join([_slowest(book, state), _start(book), _costliest(book, found)])


def _slowest(book: Book, state: tuple[EndpointState, ...]) -> Prose:
    if not state:
        return Prose(text="No endpoint could be measured; the reasons stand under “Not measured”.")
    key = state[0].endpoint
    p50, p95 = number_of(book, key, "p50"), number_of(book, key, "p95")
    if p50 is None:
        return Prose(text=f"{code(key)} was measured, but too seldom for a median.")
    if p95 is None:
        return write("{key} is the slowest endpoint, with {p50} at the median.", key=code(key), p50=p50)
    template = "{key} is the slowest endpoint, with {p50} at the median and {p95} at p95."
    return write(template, key=code(key), p50=p50, p95=p95)


def _start(book: Book) -> Prose:
    cell = reading(book, STARTUP, GENERAL)
    if not cell.measured:
        return Prose(text="")
    return join([Prose(text="The application needs "), cell.value, Prose(text=" to its first answer.")], "")


def _costliest(book: Book, found: tuple[FindingSection, ...]) -> Prose:
    first = next((s for s in found if s.finding.status == "open"), None)
    if first is None:
        return Prose(text="No costly pattern was found in what was measured.")
    finding, at = first.finding, first.source
    item = book.get(at.evidence)
    place = f"What costs most is {finding.rule} at {where(finding)}"
    if finding.share is None or item is None:
        return Prose(text=place + ".")
    share = number(item, f"{at.field}.share.fraction")
    of = "of the time of {key}" if finding.endpoint and finding.share.of == "latency" else f"of its {finding.share.of}"
    template = "{place}: an estimated {share} " + of + "."
    return write(template, place=place, share=share, key=code(finding.endpoint or ""))


def _workload(book: Book) -> Prose:
    item, frame = book.first("frame"), _frame(book)
    said = [Prose(text="Each endpoint was asked by itself on freshly started instances, first cold and then warm.")]
    if item and frame.profile.users is not None and not book.of("peak"):
        said.append(write("The profile expects {users} users.", users=number(item, "profile.users")))
    if not told.load(book):
        said.append(Prose(text="The mix of endpoints under multiples of the expected peak was not measured."))
    return join(said)


def _data(book: Book) -> tuple[DataUse, ...]:
    return tuple(_data_use(e, e.body) for e in book.of("data") if isinstance(e.body, Data))


def _data_use(item: Evidence, body: Data) -> DataUse:
    return DataUse(
        evidence=item.id,
        engine=body.engine,
        how=body.how,
        note=quote(item, "note") if body.note else None,
        tables=tuple(
            TableRows(table=t, before=_rows(item, "before", t), after=_rows(item, "after", t))
            for t in sorted(body.after, key=lambda t: (-body.after[t], t))
        ),
    )


def _rows(item: Evidence, when: str, table: str) -> Prose:
    """Rows of a table; a name with a dot in it is no path, so its count is left to the ledger."""
    known = getattr(item.body, when)
    if table not in known or "." in table:
        return Prose(text="see the evidence" if table in known else "not there")
    return figure(number(item, f"{when}.{table}"))


def _assumptions(book: Book) -> tuple[Quote, ...]:
    return tuple(
        quote(e, f"assumptions.{n}")
        for e in book.of("frame")
        if isinstance(e.body, Frame)
        for n in range(len(e.body.assumptions))
    )


def _method(book: Book) -> tuple[MethodRow, ...]:
    rows: dict[tuple[str, str, str], MethodRow] = {}
    for item in book.items:
        kind = getattr(item.body, "metric", item.kind) if item.kind == "measurement" else item.kind
        if item.kind in _NOT_A_METHOD or (kind, item.method.tool, item.method.version) in rows:
            continue
        rows[kind, item.method.tool, item.method.version] = MethodRow(
            kind=kind,
            tool=item.method.tool,
            version=item.method.version,
            command=item.method.command,
            settings=item.method.settings,
            evidence=item.id,
        )
    return tuple(rows.values())


def _unjudged(book: Book) -> Prose:
    """Which rules' silence says nothing, for want of rows."""
    item = book.first("out of reach")
    if item is None or not isinstance(item.body, OutOfReach):
        return Prose(text="")
    parts = [
        write(f"{one.rule} from {{rows}} on", rows=number(item, f"rules.{n}.least_rows"))
        for n, one in enumerate(item.body.rules)
    ]
    template = (
        "; the largest one, {table}, has {rows}. Their silence says nothing: measure on more rows (`[data] sizes`)."
    )
    end = write(template, table=code(item.body.table), rows=number(item, "largest_rows"))
    return join([Prose(text="No table was large enough for these rules to judge: "), join(parts, ", "), end], "")


def _environments(book: Book) -> tuple[EnvironmentRow, ...]:
    found = book.of("environment")
    return tuple(EnvironmentRow(evidence=e.id, environment=e.body) for e in found if isinstance(e.body, Environment))


def _specialists(book: Book) -> tuple[SpecialistStatus, ...]:
    """The specialists and the reviewer, each with its last word; lists that only bring theirs together are left out."""
    spoken = [(e, e.body) for e in book.of("findings") if isinstance(e.body, Findings)]
    last = {body.specialist: (e, body) for e, body in spoken if body.specialist not in ("rule book", "crew")}
    return tuple(
        SpecialistStatus(
            name=name,
            reasoner=body.reasoner,
            findings=tuple(f.id for f in body.findings),
            objections=tuple(quote(item, f"objections.{n}") for n in range(len(body.objections))),
        )
        for name, (item, body) in last.items()
    )


def _failures(book: Book) -> tuple[FailureRow, ...]:
    return tuple(
        FailureRow(stage=quote(e, "stage"), what=quote(e, "what"), error=quote(e, "error"), subject=e.subject)
        for e in book.of("failure")
        if isinstance(e.body, Failure)
    )


def _next_steps(found: Iterable[FindingSection]) -> tuple[Step, ...]:
    """Who acts first: the findings' steps by who takes them, in the order of the findings."""
    by_who: dict[str, list[str]] = {}
    for section in found:
        if section.finding.status == "open":
            for step in section.next_steps:
                by_who.setdefault(step.who, []).append(section.finding.id)
    return tuple(
        Step(who=who, what=Prose(text=f"{_TASKS[who]}: {', '.join(dict.fromkeys(ids))}")) for who, ids in by_who.items()
    )


_TASKS = {
    "Code review": "look at the changes proposed, and for the same patterns elsewhere",
    "DevOps": "prepare the roll-out",
    "Tests": "add a regression test each",
    "Product": "decide what users need",
}


def _entry(item: Evidence) -> EvidenceEntry:
    return EvidenceEntry(id=item.id, kind=item.kind, subject=item.subject, slot=item.slot, taken_at=item.taken_at)
