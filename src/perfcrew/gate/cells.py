"""The tables: each cell holds the number that its column promises, and no measured number is left out."""

from __future__ import annotations

from collections.abc import Iterator

from perfcrew.core.columns import GENERAL, Column, column, is_load_step
from perfcrew.core.evidence import Evidence, Measurement, Traces
from perfcrew.core.prose import Prose, Ref
from perfcrew.core.report import CheckResult, EndpointState, LoadState, Reading, Report, RequestLife
from perfcrew.gate.cache import miscounted
from perfcrew.gate.held import Held, Limits, result


def check_cells(report: Report, held: Held, limits: Limits) -> CheckResult:
    """Each cell's evidence is of its column's metric and statistic, and a cell is empty only where nothing is."""
    reasons = []
    for where, subject, cell in _cells(report):
        reasons += [f"{where}.{cell.column}: {reason}" for reason in _misplaced(cell, subject, held)]
    for n, one in enumerate(report.life):
        reasons += [f"life[{n}]: {reason}" for reason in _stages(one, held)]
    rows: tuple[EndpointState | LoadState, ...] = (*report.state, *report.load)
    for row in rows:
        reasons += [f"{row.endpoint}: {reason}" for reason in _taken(row, held)]
    reasons += [f"cache: {reason}" for reason in miscounted(report, held)]
    return result("cells", reasons)


def _cells(report: Report) -> Iterator[tuple[str, str, Reading]]:
    yield "startup", GENERAL, report.startup
    for n, row in enumerate(report.state):
        yield from ((f"state[{n}]", row.endpoint, cell) for cell in row.readings)
    for n, step in enumerate(report.load):
        yield from ((f"load[{n}]", step.endpoint, cell) for cell in step.readings)
    for n, section in enumerate(report.findings):
        yield from (
            (f"findings[{n}] {section.finding.id} benchmark", section.endpoint, cell) for cell in section.benchmark
        )


def _misplaced(cell: Reading, subject: str, held: Held) -> Iterator[str]:
    wanted = column(cell.column)
    if not cell.measured:
        yield from _unmeasured(cell, wanted, subject, held)
        return
    if not _whole(cell.value):
        yield "holds more than one figure"
        return
    refs = cell.value.figures[0].refs
    if not all(_promised(wanted, ref, subject, held) for ref in refs) or len(refs) != max(1, len(wanted.counts)):
        yield f"“{cell.value.text}” does not cite {wanted.heading} of {subject}"
    yield from _interval(cell, refs[0])


def _unmeasured(cell: Reading, wanted: Column, subject: str, held: Held) -> Iterator[str]:
    if cell.value.text not in ("not measured", "refused"):
        yield f"“{cell.value.text}” is neither a figure nor “not measured”"
    elif _there(wanted, subject, held):
        yield "is said to be not measured, though the ledger holds it"
    elif cell.refused and not any(_refused(cell.refused.ref, s, subject, held) for s in wanted.sources):
        yield "gives a reason that belongs to another number"


def _refused(ref: Ref, source: tuple[str, str], subject: str, held: Held) -> bool:
    item = held.items.get(ref.evidence)
    if item is None or item.subject != subject or not isinstance(item.body, Measurement):
        return False
    return (item.body.metric, f"refused.{source[1]}") == (source[0], ref.field)


def _whole(value: Prose) -> bool:
    return len(value.figures) == 1 and (value.figures[0].start, value.figures[0].end) == (0, len(value.text))


def _promised(wanted: Column, ref: Ref, subject: str, held: Held) -> bool:
    item = held.items.get(ref.evidence)
    if item is None or item.subject != subject:
        return False
    if wanted.counts:
        return isinstance(item.body, Traces) and ref.field in {f"counts.{c}" for c in wanted.counts}
    if wanted.body == (item.kind, ref.field):
        return True
    fields = {f"statistics.{s}.value" for m, s in wanted.sources if _measures(item, m, wanted.phase, held)}
    return ref.field in fields


def _measures(item: Evidence, metric: str, phase: str, held: Held) -> bool:
    """The measurement that its subject is judged by, or a step of the load."""
    body = item.body
    if not isinstance(body, Measurement) or body.metric != metric:
        return False
    return is_load_step(body.load) or held.baseline(item.subject, metric, phase) is item


def _interval(cell: Reading, ref: Ref) -> Iterator[str]:
    ends = [r for f in cell.interval.figures for r in f.refs]
    base = ref.field.rpartition(".")[0]
    if cell.interval.text and ends != [Ref(evidence=ref.evidence, field=f"{base}.{end}") for end in ("low", "high")]:
        yield "its interval is not the one of its number"


def _there(wanted: Column, subject: str, held: Held) -> bool:
    if wanted.counts:
        found = [e.body for e in held.of("traces", subject) if isinstance(e.body, Traces)]
        last = [body for body in found if body.size is None and body.at_once == 1][-1:]
        return any(body.instrumented for body in last)
    if wanted.body and held.of(wanted.body[0], subject):
        return True
    baselines = [(held.baseline(subject, metric, wanted.phase), s) for metric, s in wanted.sources]
    return any(e and isinstance(e.body, Measurement) and s in e.body.statistics for e, s in baselines)


def _stages(one: RequestLife, held: Held) -> Iterator[str]:
    item = held.items.get(one.evidence)
    if item is None or not isinstance(item.body, Traces) or item.subject != one.endpoint:
        yield f"its evidence {one.evidence} is no trace of {one.endpoint}"
        return
    if one.instrumented != item.body.instrumented or len(one.stages) != len(item.body.stages):
        yield "its stages are not those of the ledger"
        return
    for n, (row, stage) in enumerate(zip(one.stages, item.body.stages, strict=True)):
        cited = [r.field for p in (row.own, row.share) for f in p.figures for r in f.refs]
        if row.name != stage.name or cited != [f"stages.{n}.own_ms", f"stages.{n}.own_share"]:
            yield f"stage {row.name!r} is not the ledger's {stage.name!r}"


def _taken(row: EndpointState | LoadState, held: Held) -> Iterator[str]:
    refs = [r for f in row.taken.figures for r in f.refs]
    items = [held.items.get(r.evidence) for r in refs]
    right = all(i is not None and i.subject == row.endpoint and _measures(i, "latency", "warm", held) for i in items)
    if [r.field for r in refs] != ["count", "runs"] or not right:
        yield "does not say how many requests and runs stand behind its latency"
