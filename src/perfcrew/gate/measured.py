"""How it was measured: often enough, before any change, and so that it can be repeated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perfcrew.core.comparison import Comparison, Effect, moved_from_start, paid
from perfcrew.core.evidence import Evidence, Measurement
from perfcrew.core.experiments import Kept, Outcome, Trial
from perfcrew.core.report import CheckResult, Report
from perfcrew.gate.held import Held, Limits, result
from perfcrew.stats.decide import Demand, judge

_NOTHING_CHANGED = "no change was made in this run, so there is nothing that this could refuse"


def check_baselines(report: Report, held: Held, limits: Limits) -> CheckResult:
    """There is a baseline, and it was taken before any change."""
    taken = held.of("measurement")
    silent = not taken and not report.not_measured
    reasons = ["nothing was measured, and nothing says why"] if silent else []
    first = min((e.taken_at for e in held.of("trial")), default=None)
    if first is None:
        return result("baselines", reasons, "no change was made in this run: all that was measured is a baseline")
    reasons += [f"{e.id} was taken after the first change was tried" for e in taken if e.taken_at > first]
    return result("baselines", reasons)


def check_significance(report: Report, held: Held, limits: Limits) -> CheckResult:
    """Every change that was kept was written down before it, and improved what it aimed at, beyond chance."""
    kept = _kept(held)
    reasons = [reason for outcome in kept for reason in _unproven(outcome, held, limits)]
    listed = {(s.outcome, s.decision) for s in report.experiments}
    told = {(e.id, e.body.decision) for e in held.of("outcome") if isinstance(e.body, Outcome)}
    reasons += [
        f"experiment {id} is {decision} in the ledger and not so in the report" for id, decision in told - listed
    ]
    reasons += [f"experiment {id} is not in the ledger as {decision}" for id, decision in listed - told]
    return result("significance", reasons, "" if kept else _NOTHING_CHANGED)


def _kept(held: Held) -> list[Evidence]:
    return [e for e in held.of("outcome") if isinstance(e.body, Outcome) and e.body.decision == "keep"]


def _trial(item: Evidence, held: Held) -> Trial | None:
    """The criteria of an outcome."""
    found = held.items.get(item.body.trial) if isinstance(item.body, Outcome) else None
    return found.body if found is not None and isinstance(found.body, Trial) else None


def _unproven(item: Evidence, held: Held, limits: Limits) -> Iterator[str]:
    """Judged again from the pairs themselves, not from the verdict that was written of them."""
    assert isinstance(item.body, Outcome)
    trial = held.items.get(item.body.trial)
    if trial is None or not isinstance(trial.body, Trial) or trial.taken_at > item.taken_at:
        yield f"{item.id} was kept without criteria that were written down before"
        return
    found = _compared(item.body.comparisons, held)
    aimed = [e for c in found if c.subject in (trial.body.endpoint, "application") for e in c.effects]
    effect = next((e for e in aimed if e.metric == trial.body.metric), None)
    if effect is None:
        yield f"{item.id} has no before and after of {trial.body.metric}"
    elif effect.pairs_count < limits["runs"]:
        yield f"{item.id} rests on {effect.pairs_count} pairs"
    elif again(effect, trial.body) != "improved":
        yield f"{item.id} did not improve {trial.body.metric} when its pairs are judged again"


def again(effect: Effect, trial: Trial) -> str | None:
    """The verdict on an effect from its own pairs."""
    if effect.exact:
        a, b = effect.a_samples, effect.b_samples
        lower = bool(a and b) and (max(b) < min(a) if effect.direction == "lower" else min(b) > max(a))
        return "improved" if lower else None
    margin = effect.margin_share or trial.margin_share
    demand = Demand(margin, trial.error_share, effect.weight, effect.direction)
    return judge(effect.log_ratios, demand).verdict


def _compared(ids: Sequence[str], held: Held) -> list[Comparison]:
    bodies = [held.items[i].body for i in ids if i in held.items]
    return [b for b in bodies if isinstance(b, Comparison)]


def check_tests(report: Report, held: Held, limits: Limits) -> CheckResult:
    """The project's own tests passed after every change that was kept, and its answers stayed as they were.

    Where none could run, the trial has to have said beforehand that it may be kept all the same.
    """
    kept = _kept(held)
    reasons = []
    for item in kept:
        assert isinstance(item.body, Outcome)
        steps = {s.name: s.passed for s in item.body.steps}
        reasons += [f"{item.id} was kept though {n} did not pass" for n, passed in steps.items() if passed is False]
        reasons += [f"{item.id} was kept without {n}" for n in ("tests", "answers") if n not in steps]
        trial = _trial(item, held)
        if steps.get("tests", True) is None and not (trial and trial.untested):
            reasons.append(f"{item.id} was kept though no test ran, and its trial did not allow that")
    return result("tests", reasons, "" if kept else _NOTHING_CHANGED)


def _promised(trial: Trial | None, comparison: Comparison, effect: Effect) -> bool:
    """Whether it is the price that the trial named beforehand, at its own endpoint."""
    return trial is not None and paid(comparison, effect, trial.endpoint, trial.pays)


def check_regressions(report: Report, held: Held, limits: Limits) -> CheckResult:
    """No metric of any endpoint became worse with a change that was kept, nor with all of them together."""
    kept = _kept(held)
    whole = [e for e in held.of("kept") if isinstance(e.body, Kept)]
    reasons = [
        f"{item.id} was kept though {effect.metric} of {c.subject} became worse"
        for item in kept
        for found in [_compared(item.body.comparisons if isinstance(item.body, Outcome) else (), held)]
        for c in found
        for effect in c.effects
        if effect.verdict == "regressed" and c.material(effect) and not moved_from_start(found, effect)
        if not _promised(_trial(item, held), c, effect)
    ]
    reasons += [
        f"{item.id} was kept though {doubt} was not proven to be no worse"
        for item in kept
        for c in _compared(item.body.comparisons if isinstance(item.body, Outcome) else (), held)
        for doubt in c.doubts()
    ]
    reasons += [
        f"all that was kept together: {e.body.why}" for e in whole if isinstance(e.body, Kept) and not e.body.whole
    ]
    if kept and not whole:
        reasons.append("what was kept was not measured against the base as a whole")
    return result("regressions", reasons, "" if kept else _NOTHING_CHANGED)


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
