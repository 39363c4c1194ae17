"""The document as a whole: sections, placeholders, length, trade-offs, drawings, and whether it is the one shipped."""

from __future__ import annotations

import re
from collections.abc import Iterator

from perfcrew.core.charts import Distribution, Frontier, ScalingPlot
from perfcrew.core.evidence import Measurement, Published, Scaling
from perfcrew.core.prose import Prose
from perfcrew.core.report import CheckResult, FindingSection, Report, digest
from perfcrew.core.vectors import VectorSearch
from perfcrew.gate.held import Held, Limits, result

_PLACEHOLDER = re.compile(
    r"\b(?:TODO|FIXME|TBD|TBA|lorem ipsum|placeholder|insert \w+ here|x{2,3})\b"
    r"|\{\{.*?\}\}|<[A-Z][A-Z _]+>|\?\?\?|\[\.\.\.\]",
    re.IGNORECASE,
)
_CODE = re.compile(r"`[^`]*`")
_OF_A_FINDING = (
    "problem",
    "profiling",
    "strategy",
    "changes",
    "benchmark_note",
    "validation",
    "monitoring",
    "deployment",
    "trade_offs",
)


def check_sections(report: Report, held: Held, limits: Limits) -> CheckResult:
    """Every section is there, no text is a placeholder, and the document keeps to its length."""
    reasons = [f"{where} is empty" for where in _empty(report)]
    found = [(p.where, _PLACEHOLDER.search(_CODE.sub("·", p.prose.text))) for p in held.texts]
    reasons += [f"{where}: “{match.group(0)}” is a placeholder" for where, match in found if match]
    if report.document_lines > limits["lines"]:
        reasons.append(f"the document has {report.document_lines} lines, more than {limits['lines']:g}")
    return result("sections", reasons)


def _empty(report: Report) -> Iterator[str]:
    if not report.title.strip():
        yield "title"
    for name in ("summary", "workload", "trade_offs"):
        if not getattr(report, name).text.strip():
            yield name
    for n, section in enumerate(report.findings):
        missing = [name for name in _OF_A_FINDING if _blank(section, name)]
        missing += [name for name in ("benchmark", "command", "next_steps") if not getattr(section, name)]
        yield from (f"findings[{n}] {section.finding.id}: {name}" for name in missing)
    if not report.state and not report.not_measured:
        yield "state"
    if not report.specialists:
        yield "specialists"
    if not report.method:
        yield "method"


def _blank(section: FindingSection, name: str) -> bool:
    text: Prose = getattr(section, name)
    return not text.text.strip()


def check_trade_offs(report: Report, held: Held, limits: Limits) -> CheckResult:
    """What each proposal costs is written down."""
    bare = [s.finding.id for s in report.findings if s.finding.hypotheses and len(s.trade_offs.text.split()) < 4]
    return result("trade-offs", [f"{finding} does not say what its change would cost" for finding in bare])


def check_drawings(report: Report, held: Held, limits: Limits) -> CheckResult:
    """Charts draw what the ledger holds."""
    charts = report.charts
    reasons = [f"{d.evidence} is not the distribution drawn" for d in charts.distributions if not _drawn(d, held)]
    reasons += [f"{s.evidence} is not the growth that is drawn" for s in charts.scaling if not _grown(s, held)]
    reasons += [f"{f.evidence} is not the frontier that is drawn" for f in charts.frontiers if not _swept(f, held)]
    pairs = [(c.evidence, c.endpoint) for c in charts.waterfalls] + [(c.evidence, c.endpoint) for c in charts.flames]
    reasons += [f"{e} is no evidence of {of}" for e, of in pairs if e not in held.items or held.items[e].subject != of]
    return result("drawings", reasons)


def _drawn(chart: Distribution, held: Held) -> bool:
    """As many requests as the evidence counts; which ones, the sealed digest says."""
    item = held.items.get(chart.evidence)
    if item is None or item.subject != chart.endpoint or not isinstance(item.body, Measurement):
        return False
    return sum(chart.counts) == item.body.count and len(chart.counts) == len(chart.values_ms)


def _grown(plot: ScalingPlot, held: Held) -> bool:
    item = held.items.get(plot.evidence)
    if item is None or item.subject != plot.endpoint or not isinstance(item.body, Scaling):
        return False
    return (plot.sizes, plot.values, plot.growth) == (item.body.sizes, item.body.values, item.body.growth)


def _swept(plot: Frontier, held: Held) -> bool:
    item = held.items.get(plot.evidence)
    if item is None or item.subject != plot.endpoint or not isinstance(item.body, VectorSearch):
        return False
    drawn = sorted(map(repr, plot.settings)) == sorted(map(repr, item.body.settings))
    return drawn and (plot.recommended, plot.asked_share) == (item.body.recommended, item.body.asked_share)


def check_published(report: Report, held: Held, limits: Limits) -> CheckResult:
    """The report is the one that was sealed: not edited since."""
    sealed = [e.body for e in held.of("published") if isinstance(e.body, Published)]
    if not sealed:
        return result("published", [], "it was not sealed yet")
    own = [p for p in sealed if p.digest == digest(report)]
    if not own:
        return result("published", ["it was edited after it was sealed: its digest is not in the ledger"])
    if report.verdict is not None and report.verdict.passed not in {p.passed for p in own}:
        return result("published", ["its verdict was edited after it was sealed"])
    return result("published", [])
