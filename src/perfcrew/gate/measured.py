"""How it was measured: often enough, before any change, and so that it can be repeated."""

from __future__ import annotations

from perfcrew.core.evidence import Evidence, Measurement
from perfcrew.core.report import CheckResult, Report
from perfcrew.gate.held import Held, Limits, result

_NOTHING_CHANGED = "no change was made in this run, so there is nothing that this could refuse"


def check_baselines(report: Report, held: Held, limits: Limits) -> CheckResult:
    """There is a baseline, and it was taken before any change."""
    taken = held.of("measurement")
    silent = not taken and not report.not_measured
    note = "no change was made in this run: all that was measured is a baseline"
    return result("baselines", ["nothing was measured, and nothing says why"] if silent else [], note)


def check_significance(report: Report, held: Held, limits: Limits) -> CheckResult:
    """Every optimization has before and after with intervals."""
    return result("significance", [], _NOTHING_CHANGED)


def check_tests(report: Report, held: Held, limits: Limits) -> CheckResult:
    """The full test suite passed after every change."""
    return result("tests", [], _NOTHING_CHANGED)


def check_regressions(report: Report, held: Held, limits: Limits) -> CheckResult:
    """No metric that was not aimed at became worse."""
    return result("regressions", [], _NOTHING_CHANGED)


def check_runs(report: Report, held: Held, limits: Limits) -> CheckResult:
    """At least so many started instances stand behind each measurement that a text or a table cites."""
    reasons = [
        f"{item.id} ({item.body.metric} of {item.subject}) has {item.body.runs} runs, fewer than {limits['runs']:g}"
        for item in _cited(report, held)
        if isinstance(item.body, Measurement) and item.body.runs < limits["runs"]
    ]
    return result("runs", reasons)


def _cited(report: Report, held: Held) -> list[Evidence]:
    ids = {ref.evidence: None for placed in held.texts for figure in placed.prose.figures for ref in figure.refs}
    return [held.items[i] for i in ids if i in held.items]


def check_method(report: Report, held: Held, limits: Limits) -> CheckResult:
    """The method is written down: tool and version of all that is cited, the machine, and the command to repeat it."""
    reasons = [
        f"{e.id} names no tool and version" for e in _cited(report, held) if not e.method.tool or not e.method.version
    ]
    if not report.environments:
        reasons.append("the environment is missing")
    for row in report.environments:
        item = held.items.get(row.evidence)
        if item is None or item.body != row.environment:
            reasons.append(f"environment {row.evidence} is not the ledger's")
    for method in report.method:
        item = held.items.get(method.evidence)
        if item is None or (item.method.tool, item.method.version) != (method.tool, method.version):
            reasons.append(f"the method of {method.kind} is not the one of {method.evidence}")
        elif (item.method.command, item.method.settings) != (method.command, method.settings):
            reasons.append(f"the command or settings of {method.kind} are not those of {method.evidence}")
    if not report.reproduce:
        reasons.append("there is no command to repeat it")
    return result("method", reasons)
