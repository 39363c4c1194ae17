"""Runs the rules over an application: merges, settles and ranks what they find.

A rule that fails is recorded with its endpoint, and the others go on. Only errors of data and of our own making are
caught (`CAUGHT`): a rule meets traces, plans and sources of any project, and one surprise in one of them must not
end a review that took minutes to measure. The failure is part of the result, so it is never mistaken for silence.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from perfcrew.core.errors import PerfcrewError, UsageError
from perfcrew.core.findings import LEVELS, Finding
from perfcrew.core.scene import ApplicationScene, Scene
from perfcrew.rules import catalog
from perfcrew.rules.costs import latency_ms
from perfcrew.rules.limits import Limits, Thresholds
from perfcrew.rules.precedence import settle

CAUGHT = (PerfcrewError, ValueError, KeyError, TypeError, AttributeError, IndexError, ZeroDivisionError)

OfScene = Callable[[Scene, Limits], list[Finding]]
OfApplication = Callable[[ApplicationScene, Limits], list[Finding]]


class RuleFailure(NamedTuple):
    """A rule that could not do its work on one endpoint (`application`: on the whole)."""

    rule: str
    endpoint: str
    error: str


class RuleRun(NamedTuple):
    """What the rules found, the most costly first, what failed, and which rules had nothing to say."""

    findings: list[Finding]
    failures: list[RuleFailure]
    silent: tuple[str, ...]


class Rule(NamedTuple):
    """A rule's verb: one of the two, by what it looks at."""

    id: str
    of_scene: OfScene | None
    of_application: OfApplication | None
    needs_rows: str | None = None
    """The threshold of the rows that a table must have, so that it can judge; None where it needs none."""
    concerns: Callable[[ApplicationScene], bool] | None = None
    """Whether the application does what the rule looks for at all; None where that can't be told beforehand."""


def rules(only: Collection[str] | None = None) -> list[Rule]:
    """The rules, imported. Raises UsageError for an id in `only` that is none."""
    found = catalog.entries()
    unknown = set(only or ()) - {entry.id for entry in found}
    if unknown:
        raise UsageError(f"no rule {', '.join(sorted(unknown))}", do=f"known rules: {', '.join(e.id for e in found)}")
    return [_load(entry.id, entry.path) for entry in found if only is None or entry.id in only]


def _load(rule: str, path: str) -> Rule:
    module = importlib.import_module(f"perfcrew.rules.{Path(path).stem}")
    return Rule(
        rule,
        getattr(module, "recognise", None),
        getattr(module, "recognise_application", None),
        getattr(module, "NEEDS_ROWS", None),
        getattr(module, "concerns", None),
    )


def recognise(app: ApplicationScene, thresholds: Thresholds, only: Collection[str] | None = None) -> RuleRun:
    """All rules on all endpoints. `thresholds` holds every rule's: `settings.load(…).rules`."""
    found: list[Finding] = []
    failures: list[RuleFailure] = []
    chosen = rules(only)
    for rule in chosen:
        for endpoint, run in _runs(rule, app, Limits(rule.id, thresholds.get(rule.id, {}))):
            try:
                found += run()
            except CAUGHT as error:
                failures.append(RuleFailure(rule.id, endpoint, f"{type(error).__name__}: {error}"))
    merged = ranked(merge(settle(found), app), app)
    spoken = {f.rule for f in found} | {f.rule for f in failures}
    return RuleRun(merged, failures, tuple(r.id for r in chosen if r.id not in spoken))


def _runs(rule: Rule, app: ApplicationScene, limits: Limits) -> Iterable[tuple[str, Callable[[], list[Finding]]]]:
    whole, part = rule.of_application, rule.of_scene
    if whole is not None:
        yield "application", lambda: whole(app, limits)
    if part is not None:
        for scene in app.scenes:
            yield scene.endpoint.key, lambda scene=scene: part(scene, limits)  # type: ignore[misc]


def merge(findings: Iterable[Finding], app: ApplicationScene) -> list[Finding]:
    """One finding an id (rule, file, function, subject): where it costs most, the other endpoints as `also`."""
    same: dict[str, list[Finding]] = {}
    for finding in findings:
        same.setdefault(finding.id, []).append(finding)
    return [_merged(ranked(group, app)) for group in same.values()]


def _merged(group: list[Finding]) -> Finding:
    first, *others = group
    also = dict.fromkeys(f.endpoint for f in others if f.endpoint and f.endpoint != first.endpoint)
    evidence = dict.fromkeys(e for f in group for e in f.evidence)
    return first.model_copy(update={"also": tuple(also), "evidence": tuple(evidence)})


def ranked(findings: Iterable[Finding], app: ApplicationScene | None = None) -> list[Finding]:
    """By level, then by the time that the share stands for, then by confidence; equal ones in a stable order.

    Without the application the latencies are not known, and the shares alone are compared.
    """
    latency = {scene.endpoint.key: latency_ms(scene) for scene in app.scenes} if app else None
    order = [(f, _cost(f, latency)) for f in findings]
    order.sort(
        key=lambda pair: (-LEVELS.index(pair[0].level), -pair[1], -pair[0].confidence, pair[0].rule, str(pair[0].place))
    )
    return [finding for finding, _ in order]


def _cost(finding: Finding, latency: Mapping[str, float] | None) -> float:
    """Share × latency over all endpoints that the finding is at, ms; a start is paid once and comes after."""
    part = finding.share.fraction if finding.share else 0.0
    if latency is None:
        return part
    return part * sum(latency.get(key, 0.0) for key in (finding.endpoint, *finding.also) if key)
