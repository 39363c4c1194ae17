"""Counts of what a report holds, made from its lists when it is rendered, so that they can't be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from perfcrew.core.findings import LEVELS
from perfcrew.core.report import EnvironmentRow, JudgedTarget, Report
from perfcrew.core.targets import Outcome


def verdict_words(report: Report) -> str:
    """The gate's verdict, for the head of the report."""
    if report.verdict is None:
        return "Not yet judged by the gate"
    return "Gate: passed" if report.verdict.passed else "Gate: FAILED"


def counted(report: Report) -> list[str]:
    """Endpoints, findings by level, and targets by outcome, a line each."""
    levels = [f"{n} {level}" for level in reversed(LEVELS) if (n := _at(report, level))]
    put_aside = len(report.findings) - len(report.open_findings)
    findings = f"Findings: {len(report.open_findings)}" + (f" ({', '.join(levels)})" if levels else "")
    return [
        f"Endpoints measured: {len(report.state)}; not measured: {len(report.not_measured)}",
        findings + (f"; ignored or acknowledged: {put_aside}" if put_aside else ""),
        f"Targets: {outcomes(report.targets) or 'none set'}",
        tried(report),
    ]


def tried(report: Report) -> str:
    """How many experiments there were, and what became of them."""
    if not report.experiments:
        return "Nothing was changed and no fix was tried: what is recommended are hypotheses"
    kept = sum(e.decision == "keep" for e in report.experiments)
    where = (
        f"; the branch is {report.kept.branch}, the working tree is as it was"
        if report.kept and report.kept.branch
        else ""
    )
    return f"Changes tried: {len(report.experiments)}; kept: {kept}; dropped: {len(report.experiments) - kept}{where}"


def _at(report: Report, level: str) -> int:
    return sum(s.finding.level == level for s in report.open_findings)


def grouped(targets: Sequence[JudgedTarget]) -> list[tuple[str, list[JudgedTarget]]]:
    """The targets by name, in the profile's order."""
    names = dict.fromkeys(t.target.name for t in targets)
    return [(name, [t for t in targets if t.target.name == name]) for name in names]


def outcomes(targets: Sequence[JudgedTarget]) -> str:
    """`met 7, missed 1`: how many of each outcome there are."""
    counts = [(o, sum(t.outcome == o for t in targets)) for o in get_args(Outcome)]
    return ", ".join(f"{outcome} {n}" for outcome, n in counts if n)


def machine(row: EnvironmentRow) -> str:
    """The machine that was measured on, in a line."""
    host = row.environment
    memory = f"{host.memory_bytes / 1e9:.1f} GB"
    facts = [host.cpu_model, f"{host.cores} cores", memory, f"kernel {host.kernel}", f"Python {host.python}"]
    return ", ".join([*facts, f"load average {host.load_average:g} at the start"])


def worst_first(judged: Sequence[JudgedTarget]) -> list[JudgedTarget]:
    """Missed ones before those that were not measured, and those that were met at the end."""
    order = ("missed", "not measured", "met without bound", "met")
    return sorted(judged, key=lambda j: order.index(j.outcome))
