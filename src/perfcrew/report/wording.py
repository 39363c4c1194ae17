"""Sentences from evidence. Each number in them is a figure; each name of the target is inline code."""

from __future__ import annotations

from collections.abc import Sequence

from perfcrew.core.columns import column
from perfcrew.core.evidence import CpuProfile, Evidence, Memory, Neighbour, QueryPlan, Traces
from perfcrew.core.findings import Finding, Hypothesis
from perfcrew.core.numerals import uncited
from perfcrew.core.prose import Cited, Prose, Ref, join, write
from perfcrew.core.report import JudgedTarget
from perfcrew.report.book import Book, number, reading

_OF = {
    "latency": "the endpoint's latency",
    "cpu": "the endpoint's processor time",
    "startup": "the time to start",
    "memory": "the growth of memory",
    "bytes": "the bytes sent",
    "neighbours": "the waiting of other requests",
}


def code(text: str) -> str:
    """A name of the target as inline code, which no backtick of its own can end."""
    return f"`{' '.join(text.replace('`', chr(39)).split())}`"


def safe(text: str) -> str:
    """Words of somebody else, where they claim no number; empty where they do: those are shown as a quote alone."""
    return "" if uncited(Prose(text=text)) else text.strip()


def where(finding: Finding) -> str:
    """The culprit's line, and the application's line that leads there where that is another."""
    place = f"`{finding.place.file}:{finding.place.line}`"
    return place + (f", reached from `{finding.trigger.file}:{finding.trigger.line}`" if finding.trigger else "")


def share(book: Book, finding: Finding, at: Ref) -> Prose:
    """What part of the cost goes with a finding, and how that was estimated."""
    item = book.get(at.evidence)
    if finding.share is None or item is None:
        return Prose(text="How much of the cost goes with it was not estimated.")
    value, basis = number(item, f"{at.field}.share.fraction"), safe(finding.share.basis)
    template = f"It is estimated to carry {{share}} of {_OF[finding.share.of]}" + (" ({basis})." if basis else ".")
    return write(template, share=value, basis=basis)


def users(book: Book, finding: Finding, targets: Sequence[JudgedTarget]) -> Prose:
    """What it means to whoever uses the application, and to its targets."""
    if finding.endpoint is None:
        return Prose(text="Every user pays for it after a start, or while the application runs.")
    p50, p95 = (number_of(book, finding.endpoint, key) for key in ("p50", "p95"))
    held = [t for t in targets if t.subject == finding.endpoint and t.target.metric == "latency"]
    return join([_now(finding.endpoint, p50, p95), *[_held(t) for t in held]])


def number_of(book: Book, endpoint: str, key: str) -> Cited | None:
    """The number of a cell, ready for a text; None where there is none."""
    cell = reading(book, column(key), endpoint)
    if not cell.measured:
        return None
    (figure,) = cell.value.figures
    shown = cell.value.text[figure.start : figure.end]
    return Cited(shown=shown, refs=figure.refs, derivation=figure.derivation, unit=figure.unit)


def _now(endpoint: str, p50: Cited | None, p95: Cited | None) -> Prose:
    asked = code(endpoint)
    if p50 is None:
        return Prose(text=f"The latency of {asked} was not measured.")
    if p95 is None:
        return write("Whoever asks for {key} waits {p50} at the median; p95 was not measured.", key=asked, p50=p50)
    template = "Whoever asks for {key} waits {p50} at the median, and one in twenty waits {p95} or more."
    return write(template, key=asked, p50=p50, p95=p95)


def _held(judged: JudgedTarget) -> Prose:
    name = safe(judged.target.name) or code(judged.target.metric)
    said = "is met, from too few samples for a bound." if judged.outcome == "met without bound" else ""
    before, after = f"The target {name} {judged.target.operator}", said or f"is {judged.outcome}."
    return join([Prose(text=before), judged.bound, Prose(text=after)])


def seen(item: Evidence) -> Prose:
    """What one item of evidence shows; nothing where the finding's own text says it all."""
    body = item.body
    if isinstance(body, Traces):
        return _traces(item, body)
    if isinstance(body, CpuProfile) and body.functions:
        return _profile(item, body)
    if isinstance(body, QueryPlan):
        return _plan(item, body)
    if isinstance(body, Neighbour):
        beside, alone = number(item, "beside_median_ms"), number(item, "alone_median_ms")
        template = "Beside it {key} waits {beside} at the median, {alone} without it."
        return write(template, key=code(body.neighbour), beside=beside, alone=alone)
    if isinstance(body, Memory):
        return write("Resident memory grows by {slope} a request.", slope=number(item, "slope_bytes.value"))
    return Prose(text="")


def _traces(item: Evidence, body: Traces) -> Prose:
    if not body.instrumented:
        return Prose(text="Its requests could not be traced.")
    counts = write(
        "A traced request sends {statements} SQL {word}, waits {ms} for the database, fetches {rows} and answers "
        "{bytes}.",
        word="statement" if body.counts.statements_count == 1 else "statements",
        statements=number(item, "counts.statements_count"),
        ms=number(item, "counts.statements_ms"),
        rows=number(item, "counts.rows"),
        bytes=number(item, "counts.response_bytes"),
    )
    largest = sorted(range(len(body.stages)), key=lambda n: -body.stages[n].own_share)[:2]
    shares = [_stage(item, n, body.stages[n].name) for n in largest]
    if not shares:
        return counts
    return join([counts, join([Prose(text="Most of its time goes "), join(shares, " and "), Prose(text=".")], "")])


def _stage(item: Evidence, n: int, name: str) -> Prose:
    return write("into {name} ({share})", name=safe(name) or code(name), share=number(item, f"stages.{n}.own_share"))


def _profile(item: Evidence, body: CpuProfile) -> Prose:
    top = body.functions[0]
    return write(
        "Of {n} samples of the processor, {own} lie in {top} itself and {total} in it and what it calls; "
        "the process was idle for {idle} of them.",
        n=number(item, "samples_count"),
        own=number(item, "functions.0.own_share"),
        top=code(top.place.function or top.place.file),
        total=number(item, "functions.0.total_share"),
        idle=number(item, "idle_share"),
    )


def _plan(item: Evidence, body: QueryPlan) -> Prose:
    parts = []
    if body.nodes:
        parts.append(Prose(text=f"The {body.engine} plan begins with {code(body.nodes[0].operation)}."))
    if body.execution_ms is not None:
        parts.append(write("The statement ran for {ms} with its real parameters.", ms=number(item, "execution_ms")))
    if body.trial is not None:
        before, after = number(item, "trial.before_median_ms"), number(item, "trial.after_median_ms")
        parts.append(write("An index built on a clone took it from {before} to {after}.", before=before, after=after))
    return join(parts)


def strategy(book: Book, finding: Finding, at: Ref) -> Prose:
    """What to try first, what it promises, and what speaks for it."""
    if not finding.hypotheses:
        return Prose(text="No change is proposed: the pattern has to be looked at by someone who knows the code.")
    first = finding.hypotheses[0]
    change, because = safe(first.change), safe(first.because)
    parts = [
        Prose(text=f"First: {change.rstrip('.')}." if change else "What to try first stands in the table."),
        _promise(book, first, at),
        Prose(text=f"What speaks for it: {because.rstrip('.')}." if because else ""),
    ]
    return join(parts)


def _promise(book: Book, first: Hypothesis, at: Ref) -> Prose:
    item = book.get(at.evidence)
    if first.improvement is None or item is None:
        return Prose(text="What it would gain can't be said before it is measured.")
    gain = number(item, f"{at.field}.hypotheses.0.improvement")
    template = "It should improve {metric} by up to {gain}: an estimate, not a measurement."
    return write(template, metric=code(first.metric), gain=gain)


def validation(finding: Finding) -> Prose:
    """How to know that a change has worked."""
    metric = code(finding.hypotheses[0].metric) if finding.hypotheses else "latency"
    return Prose(
        text="Make the change, run the project's tests (all of them have to pass), and measure again with the command "
        f"below. It has worked where {finding.rule} is no longer found at this place, {metric} lies outside its "
        "present interval on the better side, and no other figure of the table has become worse."
    )


def monitoring(finding: Finding) -> Prose:
    """What to watch from now on."""
    if finding.endpoint is None:
        return Prose(text="Watch the time from the start command to the first healthy answer, and resident memory.")
    metric = finding.hypotheses[0].metric if finding.hypotheses else "latency"
    also = f" and {code(metric)}" if metric != "latency" else ""
    return Prose(text=f"Watch p95 of {code(finding.endpoint)}{also}; alert where p95 stays above the budget.")
