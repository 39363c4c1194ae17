"""Puts fixes and refusals together: one way for all fixers of a rule's hypotheses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from perfcrew.core.findings import Hypothesis
from perfcrew.core.patches import Declined, Fix
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Unwritable


class Draft(NamedTuple):
    """A variant before it is tied to its finding: the files, and how much less it is liked than the hypothesis."""

    variant: str
    title: str
    files: Mapping[str, str | None]
    trade_offs: Sequence[str] = ()
    lower: float = 0.0
    exact: bool = True
    ttl_s: float = 0.0
    settles_requests: int = 0
    pays: Sequence[str] = ()
    ddl: Sequence[str] = ()


def attempt(case: Case, suffix: str, *writers: Callable[[], Draft]) -> list[Fix | Declined]:
    """Every variant of one hypothesis that can be written; where none can, one refusal with all reasons."""
    hypothesis = _hypothesis(case, suffix)
    fixes: list[Fix | Declined] = []
    reasons: list[str] = []
    for writer in writers:
        try:
            fixes.append(_fix(case, suffix, hypothesis, writer()))
        except Unwritable as error:
            reasons.append(str(error))
    return fixes or [declined(case, suffix, "; ".join(dict.fromkeys(reasons)))]


def declined(case: Case, suffix: str, reason: str) -> Declined:
    """Why there is no change for the hypothesis."""
    return Declined(finding=case.finding.id, hypothesis=f"{case.finding.rule}-{suffix}", reason=reason)


def _hypothesis(case: Case, suffix: str) -> Hypothesis | None:
    name = f"{case.finding.rule}-{suffix}"
    return next((h for h in case.finding.hypotheses if h.id == name), None)


def _fix(case: Case, suffix: str, hypothesis: Hypothesis | None, draft: Draft) -> Fix:
    said = (hypothesis.trade_offs,) if hypothesis and hypothesis.trade_offs else ()
    return Fix(
        finding=case.finding.id,
        hypothesis=f"{case.finding.rule}-{suffix}",
        variant=draft.variant,
        title=draft.title,
        files=dict(draft.files),
        metrics=(hypothesis.metric,) if hypothesis else ("latency",),
        exact=draft.exact,
        ttl_s=draft.ttl_s,
        settles_requests=draft.settles_requests,
        pays=tuple(draft.pays),
        ddl=tuple(draft.ddl),
        trade_offs=(*draft.trade_offs, *said),
        rank=max(0.0, (hypothesis.scores.total if hypothesis else 0) - draft.lower),
    )
