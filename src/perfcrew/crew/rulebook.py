"""The rule book: the reasoner that needs no model. A specialist concludes what its rules recognise; the reviewer
refutes what its evidence does not carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from perfcrew.core.base import Noun
from perfcrew.core.evidence import Evidence, Findings
from perfcrew.core.findings import Finding
from perfcrew.crew.cards import Card

NAME = "rule book"
DOUBTFUL = 0.3
"""Below this confidence a finding is struck: it is as likely to waste the reader's time as to help."""


class Objection(Noun):
    """Why a finding was struck, or doubted."""

    finding: str
    reason: str
    struck: bool


def conclude(card: Card, recognised: Sequence[Finding]) -> Findings:
    """What a specialist concludes: the findings of its own rules."""
    return Findings(
        specialist=card.name,
        reasoner=NAME,
        findings=tuple(f for f in recognised if f.rule in card.rules),
        questions=(card.question,),
    )


def refute(
    card: Card,
    findings: Sequence[Finding],
    evidence: Mapping[str, Evidence],
    refused: Mapping[str, str] | None = None,
) -> Findings:
    """The findings that stand, in their order, and an objection for each one that was struck or doubted.

    `refused` names findings that are struck in any case, with the reason.
    """
    standing: list[Finding] = []
    objections: list[str] = []
    for finding in findings:
        raised = list(_objections(finding, evidence))
        if refused and finding.id in refused:
            raised.append(_object(finding, refused[finding.id]))
        objections += [f"{finding.id}: {o.reason}" for o in raised]
        if not any(o.struck for o in raised):
            standing.append(_doubted(finding) if raised else finding)
    return Findings(
        specialist=card.name,
        reasoner=NAME,
        findings=tuple(standing),
        questions=(card.question,),
        objections=tuple(objections),
    )


def _doubted(finding: Finding) -> Finding:
    return finding.model_copy(update={"confidence": round(finding.confidence * 0.8, 3)})


def _objections(finding: Finding, evidence: Mapping[str, Evidence]) -> Iterable[Objection]:
    missing = [e for e in finding.evidence if e not in evidence]
    if missing or not finding.evidence:
        yield _object(finding, "it cites evidence that the ledger does not hold")
        return
    about = {finding.endpoint, *finding.also, "application"}
    if finding.endpoint and all(evidence[e].subject not in about for e in finding.evidence):
        yield _object(finding, "none of its evidence is about this endpoint")
    if finding.confidence < DOUBTFUL:
        yield _object(finding, "its own confidence is too low to report")
    for hypothesis in finding.hypotheses:
        if finding.share and (hypothesis.improvement or 0) > finding.share.fraction + 0.005:
            yield _object(finding, f"{hypothesis.id} promises more than the pattern was seen to cost", struck=False)


def _object(finding: Finding, reason: str, *, struck: bool = True) -> Objection:
    return Objection(finding=finding.id, reason=reason, struck=struck)
