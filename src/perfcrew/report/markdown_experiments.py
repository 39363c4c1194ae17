"""The experiments of the Markdown document: what was tried, and what became of it, the dropped ones too."""

from __future__ import annotations

from collections.abc import Sequence

from perfcrew.core.report import ChangedMetric, ExperimentSection, KeptSection, Report
from perfcrew.report.marking import bounded, escape, fenced, inline, table

_DIFF_LINES = 30
_METRIC_ROWS = 12


def experiment_lines(report: Report, room: int) -> list[str]:
    """All in a table, then as many in full as fit into `room` lines, the kept ones first. Nothing where none were."""
    if not report.experiments and not report.declined:
        return []
    said = ["## Experiments", "", *_overview(report), *_declined(report)]
    said += _kept(report.kept) if report.kept else []
    ordered = sorted(report.experiments, key=lambda e: e.decision != "keep")
    shown = 0
    for one in ordered:
        block = _section(one)
        if len(said) + len(block) > room:
            break
        said += block
        shown += 1
    left = len(ordered) - shown
    return said + ([f"{left} more stand in full in the JSON and HTML reports.", ""] if left else [])


def _overview(report: Report) -> list[str]:
    rows = [
        [f"`{e.finding}`", f"`{e.endpoint}`", escape(e.title.text), e.decision, escape(e.why.text[:220])]
        for e in report.experiments
    ]
    none = ["No change could be written safely by rule.", ""]
    return table(["Finding", "Endpoint", "Change", "Decision", "Why"], rows, 40) if rows else none


def _declined(report: Report) -> list[str]:
    said = [f"- `{d.finding}`: {escape(d.reason.text)}" for d in report.declined]
    return ["Not tried, since no safe change could be written:", "", *bounded(said, 12), ""] if said else []


def _kept(kept: KeptSection) -> list[str]:
    return [
        "### All that was kept, against the base",
        "",
        f"{_where(kept)} on `{kept.base_commit[:12]}`: {escape(kept.why.text)}. Evidence: `{kept.evidence}`.",
        "",
        *metrics(kept.metrics),
    ]


def _where(kept: KeptSection) -> str:
    return f"Branch `{kept.branch}`" if kept.branch else "No branch was made; the patch lies beside this report,"


def _section(one: ExperimentSection) -> list[str]:
    steps = "; ".join(f"{s.name}: {escape(s.said.text[:200])}" for s in one.steps)
    traded = "; ".join(escape(t.text.rstrip(".")) for t in one.trade_offs)
    diff = one.diff.splitlines()
    cut = [f"… {len(diff) - _DIFF_LINES} more lines stand in the JSON report"] if len(diff) > _DIFF_LINES else []
    return [
        f"### {escape(one.title.text)}: {one.decision}",
        "",
        f"`{one.finding}` · `{one.endpoint}` · trial `{one.trial}` · outcome `{one.outcome}`",
        "",
        f"Hypothesis: {escape(one.hypothesis.text)}. {inline(one.expected)} Written down before it ran; "
        f"success: {escape(one.criteria[0].text)}; failure: {escape(one.criteria[1].text)}; "
        f"stop: {escape(one.criteria[2].text)}.",
        "",
        f"Steps: {steps}.",
        "",
        *([f"Trade-offs: {traded}.", ""] if traded else []),
        *metrics(one.metrics),
        *fenced("\n".join(diff[:_DIFF_LINES] + cut), "diff"),
        "",
    ]


def metrics(rows: Sequence[ChangedMetric]) -> list[str]:
    """Before and after with the ratio and its interval."""
    told = [
        [f"`{m.subject}`", escape(m.metric), inline(m.before), inline(m.after), inline(m.ratio), m.verdict]
        for m in rows
    ]
    heads = ["Subject", "Metric", "Before", "After", "After / before", "Verdict"]
    return table(heads, told, _METRIC_ROWS) if told else []
