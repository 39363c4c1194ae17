"""Runs the checks, and seals a report with what they decided."""

from __future__ import annotations

from pathlib import Path

import yaml

from perfcrew import rooms
from perfcrew.core.errors import UsageError
from perfcrew.core.evidence import Method, Published
from perfcrew.core.report import CheckResult, GateResult, Report, digest
from perfcrew.gate.cells import check_cells
from perfcrew.gate.claims import check_complete, check_findings, check_targets
from perfcrew.gate.figures import check_figures, check_numerals, check_quotes, check_subjects
from perfcrew.gate.held import Check, Held, Limits, result
from perfcrew.gate.measured import (
    check_baselines,
    check_method,
    check_regressions,
    check_runs,
    check_significance,
    check_tests,
)
from perfcrew.gate.whole import check_drawings, check_published, check_sections, check_trade_offs
from perfcrew.ledger import Ledger

CHECKS: tuple[Check, ...] = (
    check_baselines,
    check_runs,
    check_significance,
    check_tests,
    check_regressions,
    check_trade_offs,
    check_method,
    check_figures,
    check_numerals,
    check_subjects,
    check_cells,
    check_quotes,
    check_findings,
    check_complete,
    check_drawings,
    check_sections,
    check_targets,
)
"""In the order of DOCTRINE B. Whether a report was edited since it was sealed is asked last."""


def check(report: Report, ledger: Ledger, limits: Limits | None = None, document: str | None = None) -> GateResult:
    """Judge a report by its ledger. `document`: its Markdown, if its length is to be counted and not believed.

    LedgerError where the ledger holds no such run or was altered.
    """
    held = Held.read(ledger, report.run)
    bounds = limits if limits is not None else limits_of(Path(ledger.run(report.run).root))
    verdict = decide(report, held, bounds, document)
    checks = (*verdict.checks, check_published(report, held, bounds), _stated(report, verdict))
    return GateResult(passed=all(c.passed for c in checks), checks=checks)


def decide(report: Report, held: Held, limits: Limits, document: str | None = None) -> GateResult:
    """The verdict by what the report says, without asking whether it was sealed."""
    beside = held.against(report)
    checks = [one(report, beside, limits) for one in CHECKS]
    if document is not None:
        checks.append(_length(document, limits))
    return GateResult(passed=all(c.passed for c in checks), checks=tuple(checks))


def _length(document: str, limits: Limits) -> CheckResult:
    count = len(document.splitlines())
    long = count > limits["lines"]
    return result("length", [f"the document has {count} lines, more than {limits['lines']:g}"] if long else [])


def _stated(report: Report, verdict: GateResult) -> CheckResult:
    """A verdict that a report carries is the one that the gate comes to again."""
    if report.verdict is None:
        return result("verdict", [], "it carries no verdict yet")
    again = {c.name: c for c in verdict.checks}
    differing = [c.name for c in report.verdict.checks if c.name in again and c != again[c.name]]
    missing = sorted(set(again) - {c.name for c in report.verdict.checks})
    reasons = [f"its verdict on {name} is not the gate's" for name in (*differing, *missing)]
    if report.verdict.passed != all(c.passed for c in report.verdict.checks):
        reasons.append("its verdict contradicts its own checks")
    return result("verdict", reasons)


def seal(report: Report, ledger: Ledger, limits: Limits | None = None, document: str | None = None) -> Report:
    """The report with its verdict, its digest kept in the ledger. A report that fails is sealed too, and says so."""
    held = Held.read(ledger, report.run)
    bounds = limits if limits is not None else limits_of(Path(ledger.run(report.run).root))
    verdict = decide(report, held, bounds, document)
    sealed = report.model_copy(update={"verdict": verdict})
    own = digest(sealed)
    method = Method(tool="perfcrew gate", version=report.versions.perfcrew)
    ledger.put(report.run, f"published:{own[:16]}", Published(digest=own, passed=verdict.passed), method)
    return sealed


def limits_of(project: Path | None = None) -> dict[str, float]:
    """The bounds of config/gate.yaml, the project's own first. UsageError where one is missing or no number."""
    content = yaml.safe_load(rooms.read("config/gate.yaml", project))
    given = content if isinstance(content, dict) else {}
    wrong = [k for k in ("runs", "lines", "traced_requests", "metrics") if not _is_number(given.get(k))]
    if wrong:
        raise UsageError(f"gate.yaml has no number for {', '.join(wrong)}", where="config/gate.yaml", do="add it")
    return {str(k): float(v) for k, v in given.items()}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
