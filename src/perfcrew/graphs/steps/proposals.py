"""What could be tried for each finding, and which experiment comes next: all told from the ledger alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from perfcrew.core.evidence import Findings
from perfcrew.core.experiments import Outcome, Proposals, Trial
from perfcrew.core.findings import Finding, Hypothesis, is_proposed
from perfcrew.core.patches import Declined, Fix
from perfcrew.crew.cards import Experiments
from perfcrew.graphs import scenes
from perfcrew.graphs.context import Context
from perfcrew.graphs.steps import patches
from perfcrew.rules import fixes
from perfcrew.rules.book import CAUGHT

RANKED = "findings/ranked"


@dataclass(frozen=True)
class Next:
    """The experiment that comes next."""

    number: int
    finding: Finding
    hypothesis: Hypothesis
    variant: str

    @property
    def key(self) -> str:
        return f"{self.finding.id}/{self.variant}"


def propose(context: Context) -> None:
    """Keep, for each finding that is open, what could be tried and what was declined."""
    application = scenes.application(context.ledger, context.run)
    there = wanted(context)
    for id in context.wanted.findings:
        if not any(f.id.startswith(id) for f in there):
            context.failed("propose", f"a change for {id}", "this review has no open finding of that id")
    for finding in there:
        slot = f"proposals/{finding.id}"
        if context.has(slot):
            continue
        try:
            answers = fixes.propose(context.root, finding, application)
        except CAUGHT as error:
            context.failed("propose", f"a change for {finding.id}", f"{type(error).__name__}: {error}")
            continue
        body = Proposals(
            finding=finding.id,
            variants=(
                *(f"{a.hypothesis}/{a.variant}" for a in answers if isinstance(a, Fix)),
                *patches.variants(context, finding),
            ),
            declined=(*_declined(context, finding, answers), *patches.declined(context, finding)),
        )
        context.put(slot, body, context.method("perfcrew fixes"), finding.endpoint or "application")


def _declined(context: Context, finding: Finding, answers: Sequence[Fix | Declined]) -> list[Declined]:
    """Why no change is written by rule; of what no rule recognised only where there is no other change either."""
    if is_proposed(finding) and patches.variants(context, finding):
        return []
    return [a for a in answers if isinstance(a, Declined)]


def wanted(context: Context) -> list[Finding]:
    """The open findings that changes are tried for, the costliest first. A slow start comes before all: it is paid
    by every experiment."""
    item = context.ledger.slot(context.run, RANKED)
    found = item.body.findings if item and isinstance(item.body, Findings) else ()
    ids = context.wanted.findings
    chosen = [f for f in found if f.status == "open" and (not ids or any(f.id.startswith(i) for i in ids))]
    return sorted(chosen, key=lambda f: f.rule != "RT305")


def upcoming(context: Context, policy: Experiments) -> Next | None:
    """The next experiment that has no outcome yet; None where all were tried, or as many as the policy allows."""
    done = len(context.ledger.find(context.run, "outcome"))
    if done >= policy.most:
        return None
    for finding in wanted(context):
        for hypothesis, variant in _open(context, finding, policy):
            return Next(done + 1, finding, hypothesis, variant)
    return None


def _open(context: Context, finding: Finding, policy: Experiments) -> Iterator[tuple[Hypothesis, str]]:
    """Variants that were not tried, unless one for the same finding was kept or enough of its hypothesis failed."""
    item = context.ledger.slot(context.run, f"proposals/{finding.id}")
    variants: Sequence[str] = item.body.variants if item and isinstance(item.body, Proposals) else ()
    outcomes = {v: _outcome(context, finding, v) for v in variants}
    if any(o is not None and o.decision == "keep" for o in outcomes.values()):
        return
    tried: dict[str, int] = {}
    for name in variants:
        hypothesis, _, _ = name.partition("/")
        if outcomes[name] is not None:
            tried[hypothesis] = tried.get(hypothesis, 0) + 1
        elif tried.get(hypothesis, 0) < policy.variants:
            yield _hypothesis(finding, hypothesis), name


def _outcome(context: Context, finding: Finding, variant: str) -> Outcome | None:
    item = context.ledger.slot(context.run, f"outcome/{finding.id}/{variant}")
    return item.body if item and isinstance(item.body, Outcome) else None


def _hypothesis(finding: Finding, id: str) -> Hypothesis:
    return next((h for h in finding.hypotheses if h.id == id), finding.hypotheses[0])


def kept(context: Context) -> list[tuple[Trial, Outcome, dict[str, str | None]]]:
    """The experiments that were kept, in their order, with the files that each one wrote."""
    import json

    found = []
    for item in context.ledger.find(context.run, "outcome"):
        if isinstance(item.body, Outcome) and item.body.decision == "keep":
            trial = context.ledger.get(item.body.trial).body
            assert isinstance(trial, Trial)
            found.append((trial, item.body, json.loads(context.ledger.blob(item.blobs["files"]))))
    return found
