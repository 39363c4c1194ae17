"""The report as one Markdown document of bounded length. What is cut is counted, and stands whole in JSON and HTML."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from perfcrew.core.charts import Frontier
from perfcrew.core.columns import LATENCY, column
from perfcrew.core.report import GOES_ON, JudgedTarget, Quote, Reading, Report, RequestLife
from perfcrew.core.units import show
from perfcrew.core.vectors import VectorSetting
from perfcrew.report.markdown_cache import cache_lines
from perfcrew.report.markdown_experiments import experiment_lines
from perfcrew.report.markdown_findings import overview, section_lines
from perfcrew.report.marking import bounded, escape, fenced, hidden, inline, table, words_of
from perfcrew.report.tallies import counted, grouped, machine, outcomes, verdict_words, worst_first, worst_kept

LINES = 700
"""A reader's patience: DOCTRINE B."""
_RESERVED = 30
"""Lines that are kept free for the verdict, which is written last."""
_ROWS = 40
_NAMED = 2
"""Endpoints of those that share a reason that are named."""
_WAYS = 12
_STATE = (*LATENCY, "throughput", "cpu", "rss_peak", "rss_average", "statements", "rows", "trips", "bytes")


def render(report: Report) -> str:
    """The document, ending with a line break."""
    return "\n".join(lines(report)) + "\n"


def lines(report: Report) -> list[str]:
    """The document line by line: as many findings in full as fit into its bound, the others in the overview alone."""
    head, tail = _head(report), _tail(report)
    sections = [section_lines(s, n) for n, s in enumerate(report.findings, 1)]
    verdict = _verdict(report)
    tried = experiment_lines(report, (LINES - _RESERVED - len(head) - len(tail)) // 2)
    room = LINES - _RESERVED - len(head) - len(tail) - len(tried)
    shown = 0
    while shown < len(sections) and sum(map(len, sections[: shown + 1])) <= room:
        shown += 1
    middle = [line for block in sections[:shown] for line in block]
    left = hidden(len(sections) - shown, "finding stands", "findings stand", "in full in the JSON and HTML reports")
    return [f"# {escape(report.title)}", "", *verdict, *head, *middle, *left, *tried, *tail]


def _verdict(report: Report) -> list[str]:
    said = [f"**{verdict_words(report)}**", ""]
    if report.verdict is None or report.verdict.passed:
        return said
    reasons = [f"- {check.name}: {escape(reason)}" for check in report.verdict.failed for reason in check.reasons]
    return [*said, "The gate refuses this report. Do not rely on it. Its reasons:", "", *bounded(reasons, 18), ""]


def _head(report: Report) -> list[str]:
    return [
        _line_of_facts(report),
        "",
        *_purpose(report),
        "## Summary",
        "",
        inline(report.summary),
        "",
        *words_of(report.narrator, report.narrative),
        *[f"- {line}" for line in counted(report)],
        "",
        *overview(report),
        *_state(report),
        *_targets(report.targets),
        *_workload(report),
        *_life(report),
        *_frontiers(report),
        *cache_lines(report.cache),
        *(["## Each finding in full", ""] if report.findings else []),
    ]


def _line_of_facts(report: Report) -> str:
    target = report.target
    facts = [f"`{report.run}`", f"{escape(target.framework)} on {escape(target.engine)}"]
    if target.commit:
        facts.append(f"commit `{target.commit}`" + (" with uncommitted changes" if target.dirty else ""))
    facts += [f"profile `{target.profile}`, primary metric `{target.primary_metric}`"]
    facts += [f"{report.created_at:%Y-%m-%d %H:%M} UTC"]
    return " · ".join([*facts, f"perfcrew {report.versions.perfcrew}"])


def _purpose(report: Report) -> list[str]:
    """What the user said that it is for."""
    said, must = _quoted(report.purpose.context), [_quoted(one) for one in report.purpose.constraints]
    first = [f"What it is for, in the user's words: {said}", ""] if said else []
    return first + ([f"What must hold: {'; '.join(must)}", ""] if must else [])


def _state(report: Report) -> list[str]:
    heads = ["Endpoint", *[column(k).heading for k in _STATE], "Taken from"]
    rows = [[f"`{row.endpoint}`", *[_cell(row.reading(k)) for k in _STATE], inline(row.taken)] for row in report.state]
    return [
        "## State of the System",
        "",
        "Warm figures with their 95 % intervals, slowest endpoint first; cold is the first request after a start. "
        "RSS is that of the whole target, which answered other endpoints before. "
        "Statements, rows, round trips and bytes are counted in traced requests, apart from the timed ones.",
        "",
        f"Start-up: {inline(report.startup.value)}" + _between(report.startup),
        "",
        *table(heads, rows, _ROWS),
        *_refusals(report),
    ]


def _refusals(report: Report) -> list[str]:
    alike: dict[tuple[str, str], list[str]] = {}
    for row in report.state:
        for cell in row.readings:
            if cell.refused:
                alike.setdefault((column(cell.column).heading, _quoted(cell.refused)), []).append(f"`{row.endpoint}`")
    said = [f"- {heading} of {_some(keys)}: {why}" for (heading, why), keys in alike.items()]
    return ["Refused, since too few samples allow them:", "", *bounded(said, 8), ""] if said else []


def _some(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _NAMED} more endpoints" if len(keys) > _NAMED else ""
    return ", ".join(keys[:_NAMED]) + more


def _cell(cell: Reading) -> str:
    return inline(cell.value) + _between(cell)


def _between(cell: Reading) -> str:
    return f" ({inline(cell.interval)})" if cell.interval.text else ""


def _quoted(quote: Quote | None) -> str:
    return f"“{escape(quote.text)}”" if quote else ""


def _targets(targets: Sequence[JudgedTarget]) -> list[str]:
    kept = ["With what was kept"] if any(t.kept for t in targets) else []
    heads = ["Target", "Bound", "Judged", "Worst", *kept, "Measured by"]
    rows = [_target(name, judged) for name, judged in grouped(targets)]
    none = ["The profile sets no targets.", ""]
    return ["## Targets", "", *(table(heads, rows, _ROWS) if rows else none)]


def _target(name: str, judged: Sequence[JudgedTarget]) -> list[str]:
    worst = worst_first(judged)[0]
    bound = f"{worst.target.operator} {inline(worst.bound)}"
    shown = f"`{worst.subject}`: {inline(worst.shown)}"
    return [escape(name), bound, outcomes(judged), shown, *_with_kept(judged), escape(worst.target.measured_by)]


def _with_kept(judged: Sequence[JudgedTarget]) -> list[str]:
    """The cell of what was kept, where something was."""
    again, worst = outcomes([j.kept for j in judged if j.kept]), worst_kept(judged)
    figure = f"; `{worst.subject}`: {inline(worst.kept.shown)}" if worst and worst.kept else ""
    return [again + figure] if again else []


def _workload(report: Report) -> list[str]:
    heads = ["Load", "Endpoint", "p50", "p95", "p99", "Taken from"]
    rows = [
        [escape(s.load), f"`{s.endpoint}`", *[_cell(s.reading(k)) for k in ("p50", "p95", "p99")], inline(s.taken)]
        for s in report.load
    ]
    drawn = table(heads, rows, 24) if rows else []
    ready = report.readiness
    verdict = [f"**For the expected peak: {ready.outcome}.** {inline(ready.said)}", ""] if ready else []
    return ["## Workload and load", "", inline(report.workload), "", *verdict, *drawn]


def _life(report: Report) -> list[str]:
    rows = [[f"`{one.endpoint}`", _stages(one)] for one in report.life]
    head = ["## The request's life", "", "Own time of each stage, without what lies inside it, in traced requests.", ""]
    return [*head, *(table(["Endpoint", "Stages"], rows, _ROWS) if rows else ["No request could be traced.", ""])]


def _frontiers(report: Report) -> list[str]:
    """What nothing beats in both recall and time, of each search that was swept."""
    said = []
    for plot in report.charts.frontiers:
        rows = [_way(plot, s) for s in plot.settings if s.frontier]
        if rows:
            heads = ["Setting", "Recall", "Time", "Against exact search", "Built in", "Size"]
            said += [f"### Nearest neighbours: `{plot.search}` at `{plot.endpoint}`", "", *table(heads, rows, _WAYS)]
    return said


def _way(plot: Frontier, one: VectorSetting) -> list[str]:
    name = f"`{one.said}`" + (" **recommended**" if one == plot.recommended else "")
    build = show(one.build_ms, "ms") if one.build_ms is not None else ""
    size = show(one.size_bytes, "bytes") if one.size_bytes is not None else ""
    figures = [show(one.recall_share, "fraction"), show(one.median_ms, "ms"), show(one.exact_ratio, "ratio")]
    return [name, *figures, build, size]


def _stages(one: RequestLife) -> str:
    if not one.instrumented:
        return "not instrumented"
    return " · ".join(f"{escape(s.name)} {inline(s.share)} ({inline(s.own)})" for s in one.stages) or "no stages seen"


def _tail(report: Report) -> list[str]:
    steps = [f"**{s.who}**: {inline(s.what)}." for s in report.next_steps]
    return [
        *_unmeasured(report),
        *_data(report),
        *_listed("## Assumptions", [_quoted(a) for a in report.assumptions], "None had to be made."),
        *["## Trade-offs", "", inline(report.trade_offs), ""],
        *_listed("## Next steps", steps, "None."),
        *_method(report),
        *_crew(report),
        *_evidence(report),
    ]


def _unmeasured(report: Report) -> list[str]:
    rows = [[f"`{u.endpoint}`", f"`{u.status}`" if u.status else "", _quoted(u.reason)] for u in report.not_measured]
    none = ["Every endpoint that was found was measured.", ""]
    return ["## Not measured", "", *(table(["Endpoint", "Status", "Reason"], rows, 30) if rows else none)]


def _data(report: Report) -> list[str]:
    said = ["## Data", ""]
    for use in report.data:
        said += [f"{use.engine}, rows {use.how}. {_quoted(use.note)}".strip(), ""]
        rows = [[f"`{t.table}`", inline(t.before), inline(t.after)] for t in use.tables]
        said += table(["Table", "As found", "As measured"], rows, 20) if rows else []
    return said if report.data else [*said, "No database was found.", ""]


def _listed(head: str, items: Iterable[str], none: str) -> list[str]:
    found = [f"- {item}" for item in items]
    return [head, "", *(bounded(found, 20) or [none]), ""]


def _method(report: Report) -> list[str]:
    rows = [[m.kind, escape(m.tool), escape(m.version), f"`{m.evidence}`"] for m in report.method]
    hosts = [line for row in report.environments for line in (f"Environment `{row.evidence}`: {machine(row)}.", "")]
    again = ["To repeat the whole:", "", *fenced(shlex.join(report.reproduce)), ""]
    few = [inline(report.unjudged), ""] if report.unjudged.text else []
    return ["## Method", "", *again, *hosts, *few, *table(["Measured", "Tool", "Version", "First evidence"], rows, 30)]


def _crew(report: Report) -> list[str]:
    rows = [
        [escape(s.name), escape(s.reasoner), str(len(s.findings)), "; ".join(_quoted(o) for o in s.objections[:3])]
        for s in report.specialists
    ]
    failures = [f"{escape(f.stage.text)} ({f.subject}): {_quoted(f.what)}: {_quoted(f.error)}" for f in report.failures]
    return [
        "## Specialists",
        "",
        *table(["Specialist", "Reasoner", "Findings", "Objections"], rows, 20),
        *_thought(report),
        *_listed("### What did not work", failures, "Everything that was tried worked."),
    ]


def _thought(report: Report) -> list[str]:
    """What models were asked and took; nothing where none was."""
    rows = [
        [escape(t.who), escape(t.reasoner), "taken" if t.answered else f"not taken: {_quoted(t.why)}"]
        + [inline(cell) for cell in (t.calls, t.requests, t.tokens_in, t.tokens_cached, t.tokens_out, t.cost)]
        for t in report.thought
    ]
    heads = ["Asked for", "Model", "Answer", "Calls", "Requests", "Tokens in", "From the cache", "Tokens out", "Money"]
    stopped = [f"Stopped at a limit: {_quoted(why)}. {GOES_ON}" for why in report.limits]
    said = ["### What models were asked", "", inline(report.spent), "", *stopped, *([""] if stopped else [])]
    said += table(heads, rows, 30)
    return said if rows else []


def _evidence(report: Report) -> list[str]:
    rows = [[f"`{e.id}`", e.kind, f"`{e.subject}`"] for e in report.evidence if e.kind not in ("findings", "frame")]
    return [
        "## Evidence",
        "",
        "`perfcrew evidence ID` prints an item, with its method and environment.",
        "",
        *table(["Id", "Kind", "Subject"], rows, 40),
    ]
