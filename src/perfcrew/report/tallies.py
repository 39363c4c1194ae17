"""Counts of what a report holds, made from its lists when it is rendered, so that they can't be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from perfcrew.core.findings import LEVELS, Finding
from perfcrew.core.report import EnvironmentRow, JudgedTarget, KeptTarget, Report
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
        f"Targets: {held(report.targets) or 'none set'}",
        *([f"For the expected peak: {report.readiness.outcome}"] if report.readiness else []),
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


def held(targets: Sequence[JudgedTarget]) -> str:
    """The outcomes of all targets, and again with what was kept, where something was."""
    again = outcomes([t.kept for t in targets if t.kept])
    return outcomes(targets) + (f"; with what was kept: {again}" if again else "")


def outcomes(targets: Sequence[JudgedTarget | KeptTarget]) -> str:
    """`met 7, missed 1`: how many of each outcome there are."""
    counts = [(o, sum(t.outcome == o for t in targets)) for o in get_args(Outcome)]
    return ", ".join(f"{outcome} {n}" for outcome, n in counts if n)


def standing(report: Report, finding: Finding) -> str:
    """`open`, or why it is not; and what came of the changes that were tried for it."""
    said = f"{finding.status}: {finding.status_reason}" if finding.status_reason else finding.status
    decided = {e.decision for e in report.experiments if e.finding == finding.id}
    if "keep" in decided:
        return "fixed on the branch" if report.kept is not None and report.kept.branch else "a fix was kept"
    return f"{said}, tried in vain" if decided else said


def machine(row: EnvironmentRow) -> str:
    """The machine that was measured on, in a line."""
    host = row.environment
    memory = f"{host.memory_bytes / 1e9:.1f} GB"
    facts = [host.cpu_model, f"{host.cores} cores", memory, f"kernel {host.kernel}", f"Python {host.python}"]
    return ", ".join([*facts, f"load average {host.load_average:g} at the start"])


def worst_first(judged: Sequence[JudgedTarget]) -> list[JudgedTarget]:
    """Missed ones before those that were not measured, and those that were met at the end."""
    return sorted(judged, key=lambda j: _WORST.index(j.outcome))


def worst_kept(judged: Sequence[JudgedTarget]) -> JudgedTarget | None:
    """The one that is furthest from met with what was kept, of those that were compared; None where none was."""
    again = [(_WORST.index(j.kept.outcome), n) for n, j in enumerate(judged) if j.kept and j.kept.ref]
    return judged[min(again)[1]] if again else None


_WORST = ("missed", "not measured", "met without bound", "met")
