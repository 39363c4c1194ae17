"""What the report claims beyond its figures: findings, targets, and that nothing was left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from perfcrew.core.columns import GENERAL, start_field
from perfcrew.core.errors import LedgerError
from perfcrew.core.evidence import Findings, Frame, Measurement, NotMeasured, OutOfReach, Survey
from perfcrew.core.experiments import Kept
from perfcrew.core.founded import unfounded
from perfcrew.core.prose import Ref
from perfcrew.core.readiness import decide
from perfcrew.core.report import CheckResult, FindingSection, JudgedTarget, Report, finding_at, outcome_of, with_kept
from perfcrew.core.targets import Target
from perfcrew.gate.held import Held, Limits, result


def check_findings(report: Report, held: Held, limits: Limits) -> CheckResult:
    """Findings stand as the crew concluded them, seen in a profile or trace, in several requests and metrics."""
    reasons = []
    for n, section in enumerate(report.findings):
        reasons += [f"findings[{n}] ({section.finding.id}): {reason}" for reason in _unfounded(section, held, limits)]
    return result("findings", [*reasons, *_concealed(report, held)])


def _unfounded(section: FindingSection, held: Held, limits: Limits) -> Iterator[str]:
    finding = section.finding
    try:
        concluded = finding_at(held.get(section.source.evidence).body, section.source.field)
        cited = [held.get(e) for e in finding.evidence]
    except LedgerError as error:
        yield error.what
        return
    if concluded != finding:
        yield "is not the finding that the crew concluded"
    yield from unfounded(finding, cited, limits)
    shown = sum(cell.measured for cell in section.benchmark)
    if finding.endpoint is not None and shown < limits["metrics"]:
        yield f"looks at {shown} metric alone"


def _concealed(report: Report, held: Held) -> list[str]:
    spoken = [e.body for e in held.of("findings") if isinstance(e.body, Findings)]
    last_word = [b for b in spoken if b.specialist == "reviewer"][-1:] or spoken
    shown = {s.finding.id for s in report.findings}
    missing = {f.id for body in last_word for f in body.findings} - shown
    twice = len(report.findings) - len(shown)
    return [f"finding {f} was left out" for f in sorted(missing)] + (["a finding stands there twice"] if twice else [])


def check_targets(report: Report, held: Held, limits: Limits) -> CheckResult:
    """Each target is judged again from the ledger; what was not measured is never met."""
    frames = [e.body for e in held.of("frame") if isinstance(e.body, Frame)]
    targets = frames[0].profile.targets if frames else ()
    measured = _measured(held)
    expected = [(t, subject) for t in targets for subject in _subjects(t, measured)]
    stated = [(j.target, j.subject) for j in report.targets]
    reasons = [f"target {t.name!r} of {s} is not judged" for t, s in expected if (t, s) not in stated]
    reasons += [f"target {t.name!r} of {s} is not in the profile" for t, s in stated if (t, s) not in expected]
    for judged in report.targets:
        wrong = (*_misjudged(judged, held), *_misjudged_again(judged, held))
        reasons += [f"target {judged.target.name!r} of {judged.subject}: {r}" for r in wrong]
    return result("targets", [*reasons, *_misjudged_readiness(report, held)])


def _misjudged_readiness(report: Report, held: Held) -> Iterator[str]:
    """Ready or not is decided again, and told by the numbers that decide it."""
    decision, stated = decide(list(held.items.values())), report.readiness
    if decision is None or stated is None:
        if decision is not None or stated is not None:
            yield "whether it is ready for the peak is " + ("not told" if decision else "told, and no mix was borne")
        return
    if stated.outcome != decision.outcome:
        yield f"it is said to be {stated.outcome} for the peak, and is {decision.outcome}: {decision.why}"
    cited = {ref.evidence for figure in stated.said.figures for ref in figure.refs}
    needed = [decision.peak, *([decision.latency] if decision.outcome == "ready" and decision.latency else [])]
    yield from (f"the readiness does not cite {e.id}" for e in needed if e.id not in cited)


def _measured(held: Held) -> set[str]:
    subjects = {e.subject for e in held.of("measurement")} - {GENERAL}
    return {subject for subject in subjects if held.baseline(subject, "latency")}


def _subjects(target: Target, measured: set[str]) -> list[str]:
    if target.subject == GENERAL:
        return [GENERAL]
    return sorted(s for s in measured if fnmatchcase(s, target.subject)) or [target.subject]


def _misjudged(judged: JudgedTarget, held: Held) -> Iterator[str]:
    target, answer = judged.target, _answer(judged, held)
    if judged.ref is None:
        if judged.outcome != "not measured":
            yield f"is said to be {judged.outcome} without a measurement"
        elif answer:
            yield f"is said to be not measured, though {answer.evidence} is its measurement"
        return
    if judged.ref != answer:
        yield f"{judged.ref.evidence} is no measurement of it"
        return
    outcome = outcome_of(target, held.get(answer.evidence).body, answer.field)
    if judged.outcome != outcome:
        yield f"is said to be {judged.outcome}, and is {outcome}"
    first = judged.shown.figures[0].refs if judged.shown.figures else ()
    if first != (judged.ref,):
        yield "shows another number than it is judged by"


def _misjudged_again(judged: JudgedTarget, held: Held) -> Iterator[str]:
    """With what was kept, by the comparison of it with the base."""
    kept, whole = judged.kept, [e.body for e in held.of("kept") if isinstance(e.body, Kept) and e.body.whole]
    if kept is None or not whole:
        if (kept is None) == bool(whole):
            yield "is not judged with what was kept" if whole else "is judged with what was kept, and nothing was"
        return
    compared = [held.items[id] for id in whole[0].comparisons if id in held.items]
    answer = with_kept(compared, judged.target, judged.subject)
    if kept.ref != answer:
        yield "is judged with what was kept by another number than that of the comparison"
        return
    outcome = outcome_of(judged.target, held.get(answer.evidence).body, answer.field) if answer else "not measured"
    if kept.outcome != outcome:
        yield f"is said to be {kept.outcome} with what was kept, and is {outcome}"
    if answer and (not kept.shown.figures or kept.shown.figures[0].refs != (answer,)):
        yield "shows another number with what was kept than it is judged by"


def _answer(judged: JudgedTarget, held: Held) -> Ref | None:
    """The number in the ledger that decides a target."""
    target = judged.target
    item = held.baseline(judged.subject, target.metric, "cold" if target.metric.endswith(".cold") else "warm")
    if item is not None:
        known = isinstance(item.body, Measurement) and item.body.unit == target.unit
        there = known and isinstance(item.body, Measurement) and target.statistic in item.body.statistics
        return Ref(evidence=item.id, field=f"statistics.{target.statistic}.value") if there else None
    own, starts = start_field(target.metric, target.statistic), held.of("startup", judged.subject)
    return Ref(evidence=starts[0].id, field=own) if own and starts else None


def check_complete(report: Report, held: Held, limits: Limits) -> CheckResult:
    """Every endpoint is either in the state table or listed as not measured, and every failure is told."""
    measured = _measured(held)
    surveys = [e.body for e in held.of("survey") if isinstance(e.body, Survey)]
    skipped = {p.endpoint.key for s in surveys for p in s.plans if p.skipped and p.endpoint.key not in s.out_of_scope}
    without = skipped | {e.subject for e in held.of("not measured")}
    stated, listed = {r.endpoint for r in report.state}, {u.endpoint for u in report.not_measured}
    reasons = [f"{key} was measured, and is not in the table" for key in sorted(measured - stated)]
    reasons += [f"{key} is in the table, and was not measured" for key in sorted(stated - measured)]
    reasons += [f"{key} was not measured, and is not listed" for key in sorted(without - listed)]
    reasons += [f"{key} is listed as not measured, and was" for key in sorted(listed - without)]
    statuses = {e.subject: e.body.status for e in held.of("not measured") if isinstance(e.body, NotMeasured)}
    for one in report.not_measured:
        if one.status != statuses.get(one.endpoint):
            reasons.append(f"{one.endpoint} did not answer {one.status}")
    reasons += _unjudged(report, held)
    told = {f.what.ref.evidence for f in report.failures}
    reasons += [f"failure {e.id} is not told" for e in held.of("failure") if e.id not in told]
    return result("complete", reasons)


def _unjudged(report: Report, held: Held) -> Iterator[str]:
    """Rules whose silence says nothing, and that the report passes over."""
    told = {(r.evidence, r.field) for f in report.unjudged.figures for r in f.refs}
    for item in held.of("out of reach"):
        if isinstance(item.body, OutOfReach):
            for n, one in enumerate(item.body.rules):
                named = re.search(rf"\b{one.rule}\b", report.unjudged.text)
                if not named or (item.id, f"rules.{n}.least_rows") not in told:
                    yield f"{one.rule} could not judge for want of rows, and that is not told"
