"""The findings of the Markdown document: an overview of all, and a section each."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from perfcrew.core.columns import column
from perfcrew.core.findings import Finding, Hypothesis
from perfcrew.core.report import FindingSection, Reading, Report
from perfcrew.report.marking import escape, fenced, inline, table, words_of
from perfcrew.report.recipes import alert_rule, regression_test
from perfcrew.report.tallies import standing
from perfcrew.report.wording import where

_RECIPE_LINES = 24


def overview(report: Report) -> list[str]:
    """All findings in a table, the costliest first."""
    rows = [_row(s, n, standing(report, s.finding)) for n, s in enumerate(report.findings, 1)]
    heads = ["No.", "Finding", "Level", "Where", "Endpoint", "Confidence", "Status"]
    none = ["No rule found its pattern in what was measured.", ""]
    return ["## Findings", "", *(table(heads, rows, 60) if rows else none)]


def _row(section: FindingSection, n: int, status: str) -> list[str]:
    f = section.finding
    endpoint = f"`{section.endpoint}`" + (f" and {len(f.also)} more" if f.also else "")
    return [str(n), f"{f.rule} {escape(f.title)}", f.level, where(f), endpoint, f"{f.confidence:.2f}", escape(status)]


def section_lines(section: FindingSection, n: int) -> list[str]:
    """One finding in full: the nine parts that every optimization has."""
    f = section.finding
    also = f" Also: {', '.join(f'`{e}`' for e in f.also)}." if f.also else ""
    return [
        f"### {n}. {f.rule}: {escape(f.title)}",
        "",
        f"{f.level} · {where(f)} · `{section.endpoint}` · found by the {section.specialist} specialist · `{f.id}`",
        "",
        f"**Problem identified.** {inline(section.problem)}{escape(also)}",
        "",
        *words_of("", section.narrative),
        f"**Profiling results.** {inline(section.profiling)} Evidence: {', '.join(f'`{e}`' for e in f.evidence)}.",
        "",
        f"**Optimization strategy.** {inline(section.strategy)}",
        "",
        *_hypotheses(f),
        f"**Code changes.** {inline(section.changes)}",
        "",
        *_recipe(f),
        f"**Benchmark results.** {inline(section.benchmark_note)} {_figures(section.benchmark)}",
        "",
        f"**Validation.** {inline(section.validation)}",
        "",
        *fenced(shlex.join(section.command)),
        "",
        *_handed_over("Regression test:", regression_test(section), "python"),
        f"**Monitoring.** {inline(section.monitoring)}{_budget(section)}",
        "",
        *_handed_over("", alert_rule(section), "yaml"),
        f"**Deployment notes.** {inline(section.deployment)} {_rollback(f)}",
        "",
        f"**Trade-offs.** {inline(section.trade_offs)}",
        "",
        "**Next steps.** " + " ".join(f"{s.who}: {inline(s.what)}." for s in section.next_steps),
        "",
    ]


def _budget(section: FindingSection) -> str:
    return f" Budget: {inline(section.budget)}." if section.budget.text else ""


def _rollback(finding: Finding) -> str:
    rollback = finding.hypotheses[0].rollback if finding.hypotheses else ""
    return f"Rollback: {escape(rollback)}" if rollback else "Rollback: revert the change."


def _figures(cells: Sequence[Reading]) -> str:
    shown = [f"{column(c.column).heading} {inline(c.value)}" for c in cells if c.measured]
    return ", ".join(shown) + "." if shown else ""


def _hypotheses(finding: Finding) -> list[str]:
    rows = [_hypothesis(h) for h in finding.hypotheses]
    rows += [["", escape(a), *[""] * 8] for h in finding.hypotheses[:1] for a in h.alternatives]
    heads = ["", "Change", "Kind", "Impact", "Evidence", "Effort", "Risk", "Reversible", "Learning", "Score"]
    return table(heads, rows, 6) if rows else []


def _hypothesis(h: Hypothesis) -> list[str]:
    s = h.scores
    scores = (s.impact, s.evidence, s.effort, s.risk, s.reversibility, s.learning, s.total)
    return [h.id, escape(h.change), h.kind, *[str(value) for value in scores]]


def _recipe(finding: Finding) -> list[str]:
    if not finding.hypotheses:
        return []
    lines, inside = [], False
    for line in finding.hypotheses[0].recipe.strip().splitlines()[:_RECIPE_LINES]:
        inside ^= line.lstrip().startswith("```")
        fence = inside or line.lstrip().startswith("```")
        lines.append(line if fence else line.lstrip("#").replace("<", "&lt;"))
    return [*lines, *(["```"] if inside else []), ""]


def _handed_over(title: str, text: str, language: str) -> list[str]:
    return [*([title, ""] if title else []), *fenced(text, language), ""] if text else []
