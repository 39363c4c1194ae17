"""What a review came to, in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from perfcrew.core.findings import LEVELS, Finding
from perfcrew.core.report import Report
from perfcrew.graphs.run import Outcome

_STYLES = {"high": "bold red", "medium": "yellow", "low": "cyan", "info": "dim"}


def summary(outcome: Outcome, console: Console | None = None) -> None:
    """Findings by cost, what was not measured, the verdict, and where the report is."""
    console = console or Console()
    report = outcome.report
    console.print()
    if outcome.findings:
        _lines(outcome.findings, console)
    else:
        console.print("Nothing found.")
    console.print(_counted(report, outcome.seconds), style="dim")
    _verdict(report, console)
    for name in ("report.html", "report.md", "report.json", "report.sarif"):
        console.print(Text(f"  {outcome.folder / name}"), soft_wrap=True)


def _lines(findings: tuple[Finding, ...], console: Console) -> None:
    """Two lines a finding: level, rule and place; endpoint and what it is."""
    for finding in sorted(findings, key=lambda f: (f.status != "open", -LEVELS.index(f.level))):
        level = finding.level if finding.status == "open" else finding.status
        style = _STYLES.get(level, "dim")
        place = f"{finding.place.file}:{finding.place.line}"
        console.print(Text.assemble((f"{level:<7}", style), f" {finding.rule}  ", place), soft_wrap=True)
        console.print(
            Text.assemble(" " * 15, (finding.endpoint or "the application", "bold"), "  ", finding.title),
            soft_wrap=True,
        )


def _counted(report: Report, seconds: float) -> str:
    said = [f"{_number(len(report.state), 'endpoint')} measured"]
    if report.not_measured:
        said.append(f"{len(report.not_measured)} not measured")
    if report.failures:
        said.append(f"{_number(len(report.failures), 'step')} failed (said in the report)")
    return f"{', '.join(said)}, in {seconds:.0f} s. {_changed(report)}"


def _changed(report: Report) -> str:
    if not report.experiments:
        return "Nothing was changed."
    kept = sum(e.decision == "keep" for e in report.experiments)
    said = f"{_number(len(report.experiments), 'change')} tried, {kept} kept."
    return (
        f"{said} See `git log {report.kept.branch}`; your working tree is as it was."
        if report.kept and report.kept.branch
        else said
    )


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _verdict(report: Report, console: Console) -> None:
    verdict = report.verdict
    if verdict is not None and verdict.passed:
        console.print("gate: passed", style="bold green")
        return
    console.print("gate: FAILED", style="bold red")
    for check in verdict.failed if verdict else ():
        for reason in check.reasons[:3]:
            console.print(Text(f"  {check.name}: {reason}"), soft_wrap=True)
