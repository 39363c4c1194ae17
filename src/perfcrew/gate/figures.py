"""Every number of every text: resolved, computed again, in its unit, rounded rightly, about the right subject."""

from __future__ import annotations

import re
from collections.abc import Iterator

from perfcrew.core.columns import GENERAL
from perfcrew.core.errors import LedgerError
from perfcrew.core.evidence import Evidence, Findings, Survey
from perfcrew.core.numerals import touching, uncited
from perfcrew.core.prose import Figure, Prose
from perfcrew.core.report import CheckResult, FindingSection, Report, finding_at, words_at
from perfcrew.core.resolve import Computed, kind_of
from perfcrew.core.units import read
from perfcrew.gate.held import Held, Limits, Placed, compute, quotes, result


def check_figures(report: Report, held: Held, limits: Limits) -> CheckResult:
    """Each figure resolves to the ledger, and its text is what the ledger says, in a unit of that kind."""
    return result("figures", [reason for placed in held.texts for reason in _wrong(placed, held)])


def _wrong(placed: Placed, held: Held) -> Iterator[str]:
    at = 0
    for figure in sorted(placed.prose.figures, key=lambda f: f.start):
        if not at <= figure.start < figure.end <= len(placed.prose.text):
            yield f"{placed.where}: a figure lies outside its text, or over another one"
            continue
        at = figure.end
        shown = placed.prose.text[figure.start : figure.end]
        if reason := _refuted(shown, figure, held):
            yield f"{placed.where}: “{shown}” {reason}"


def _refuted(shown: str, figure: Figure, held: Held) -> str:
    try:
        computed = compute(figure, held)
    except LedgerError as error:
        return f"does not resolve: {error.what}"
    if not _same_kind(figure.unit, computed):
        return f"is said to be in {figure.unit}, the ledger has {computed.unit}"
    number = read(shown, figure.unit)
    if number is None:
        return f"is no number in {figure.unit}"
    value = computed.value * kind_of(computed.unit)[1] / kind_of(figure.unit)[1]
    return "" if number.stands_for(value) else f"is not what the ledger gives: {value:.6g} {figure.unit}"


def _same_kind(unit: str, computed: Computed) -> bool:
    return kind_of(unit)[0] == kind_of(computed.unit)[0]


def check_numerals(report: Report, held: Held, limits: Limits) -> CheckResult:
    """No numeral stands in a text without being cited or part of a name, and nothing around a figure changes it."""
    reasons = [f"{p.where}: {found!r} is not cited" for p in held.texts for found in uncited(p.prose)]
    reasons += [
        f"{p.where}: {found!r} is changed by its surroundings" for p in held.texts for found in touching(p.prose)
    ]
    for n, section in enumerate(report.findings):
        reasons += [
            f"findings[{n}] {section.finding.id} {name}: {found!r} is not cited" for name, found in _claims(section)
        ]
    return result("numerals", reasons)


def _claims(section: FindingSection) -> Iterator[tuple[str, str]]:
    """Uncited numerals in the words of a finding that claim something; what proposes something may name numbers."""
    finding = section.finding
    said = {"title": finding.title, "share.basis": finding.share.basis if finding.share else ""}
    said |= {f"hypotheses[{n}].because": h.because for n, h in enumerate(finding.hypotheses)}
    names = sorted(
        (finding.endpoint or "", *finding.also, finding.place.file, finding.place.function, finding.subject), key=len
    )
    for name, text in said.items():
        for known in reversed([n for n in names if n]):
            text = text.replace(known, "·")
        yield from ((name, found) for found in uncited(Prose(text=text)))


def check_subjects(report: Report, held: Held, limits: Limits) -> CheckResult:
    """A figure cites evidence of what its text is about: the finding's or the row's endpoint, or its sentence's."""
    endpoints = _endpoints(held)
    reasons = []
    for placed in held.texts:
        for figure in placed.prose.figures:
            about = _sentence(placed.prose, figure, endpoints) if placed.about is None else placed.about
            cited = [held.items[r.evidence] for r in figure.refs if r.evidence in held.items]
            shown = placed.prose.text[figure.start : figure.end]
            reasons += [
                f"{placed.where}: “{shown}” cites {item.id} about {item.subject}"
                for item in cited
                if about is not None and not _belongs(item, figure, about, placed.section)
            ]
    return result("subjects", reasons)


def _belongs(item: Evidence, figure: Figure, about: frozenset[str], section: FindingSection | None) -> bool:
    if isinstance(item.body, Findings):
        return any(_same_finding(item, r.field, section, about) for r in figure.refs if r.evidence == item.id)
    return item.subject in about


def _same_finding(item: Evidence, path: str, section: FindingSection | None, about: frozenset[str]) -> bool:
    try:
        finding = finding_at(item.body, ".".join(path.split(".")[:2]))
    except LedgerError:
        return False
    return finding == section.finding if section else (finding.endpoint or GENERAL) in about


def _endpoints(held: Held) -> frozenset[str]:
    surveyed = {p.endpoint.key for e in held.of("survey") if isinstance(e.body, Survey) for p in e.body.plans}
    return frozenset(surveyed | {e.subject for e in held.of("measurement")} - {GENERAL})


def _sentence(prose: Prose, figure: Figure, endpoints: frozenset[str]) -> frozenset[str] | None:
    """The endpoints named, as code, in the sentence that a figure stands in; None where it names none."""
    ends = [m.end() for m in re.finditer(r"[.!?](?=\s)", prose.text)]
    start = max((e for e in ends if e <= figure.start), default=0)
    end = min((e for e in ends if e >= figure.end), default=len(prose.text))
    named = endpoints & set(re.findall(r"`([^`]+)`", prose.text[start:end]))
    return frozenset(named | {GENERAL}) if named else None


def check_quotes(report: Report, held: Held, limits: Limits) -> CheckResult:
    """Words that are given as the ledger's stand there so."""
    reasons = []
    for where, quote in quotes(report):
        try:
            there = words_at(held.get(quote.ref.evidence).body, quote.ref.field)
        except LedgerError as error:
            reasons.append(f"{where}: {error.what}")
            continue
        if there != quote.text:
            reasons.append(f"{where}: “{quote.text[:60]}” is not what the ledger says")
    return result("quotes", reasons)
