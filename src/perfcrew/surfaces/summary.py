"""What a review came to, in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from perfcrew.core.findings import LEVELS, Finding
from perfcrew.core.report import GOES_ON, Report
from perfcrew.graphs.run import Outcome
from perfcrew.report.tallies import held

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
    if report.targets:
        console.print(f"Targets: {held(report.targets)}.", style="dim")
    if report.readiness:
        said = f"For the expected peak: {report.readiness.outcome}. {report.readiness.said.text}"
        console.print(Text(said), style="dim", soft_wrap=True)
    _models(report, console)
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


def _models(report: Report, console: Console) -> None:
    """What models were asked, for whom, and what it took; nothing where none was."""
    if not report.thought:
        return
    table = Table("asked for", "model", "answer", box=None, header_style="dim", pad_edge=False)
    for head in ("calls", "requests", "tokens in", "from the cache", "tokens out", "money"):
        table.add_column(head, justify="right")
    for t in report.thought:
        cells = (t.calls, t.requests, t.tokens_in, t.tokens_cached, t.tokens_out, t.cost)
        taken = "taken" if t.answered else "rule book"
        table.add_row(t.who, t.reasoner, taken, *(cell.text for cell in cells))
    console.print()
    console.print(table, soft_wrap=True)
    console.print(report.spent.text, style="dim")
    for why in report.limits:
        console.print(Text(f"Stopped at a limit: {why.text}. {GOES_ON}"), style="yellow", soft_wrap=True)


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
