"""The form of a model's answer: findings of a specialist, objections of the reviewer, patches, the narrator's texts."""

from __future__ import annotations

from typing import Any, Literal

from perfcrew.core.base import Noun
from perfcrew.core.findings import Scores
from perfcrew.crew.cards import Card


class ProposedHypothesis(Noun):
    """`Changing X improves Y`: the change, the metric, the evidence that speaks for it, its scores (each 1 to 5)."""

    change: str
    metric: str
    because: str
    evidence: tuple[str, ...]
    kind: Literal["configuration", "code", "schema", "infrastructure"]
    recipe: str
    scores: Scores
    trade_offs: str


class ProposedFinding(Noun):
    """A finding in the model's words. `share`: reference to the fraction of the cost that goes with it, or null."""

    title: str
    endpoint: str | None
    file: str
    line: int
    text: str
    evidence: tuple[str, ...]
    confidence: float
    share: str | None
    hypotheses: tuple[ProposedHypothesis, ...]


class Doubt(Noun):
    """Why the evidence does not carry a finding; `finding` is its id."""

    finding: str
    reason: str
    evidence: tuple[str, ...]


class Further(Noun):
    """Hypotheses beside those that a finding has already; `finding` is its id."""

    finding: str
    hypotheses: tuple[ProposedHypothesis, ...]


class SpecialistAnswer(Noun):
    """What the rule book saw and the evidence does not carry, further hypotheses for it, and what it missed."""

    doubted: tuple[Doubt, ...]
    further: tuple[Further, ...]
    findings: tuple[ProposedFinding, ...]


class ReviewerAnswer(Noun):
    """Struck: findings that the evidence refutes. Doubted: findings that it carries only in part."""

    struck: tuple[Doubt, ...]
    doubted: tuple[Doubt, ...]


class ProposedEdit(Noun):
    """Lines that stand in the file exactly once, whole, and what stands there instead; an empty `old`: a new file."""

    file: str
    old: str
    new: str


class ProposedPatch(Noun):
    """A change for one hypothesis: either `edits`, or a unified `diff`. `cache_seconds`: how old answers may be."""

    hypothesis: str
    title: str
    edits: tuple[ProposedEdit, ...] = ()
    diff: str = ""
    metrics: tuple[str, ...]
    cache_seconds: float = 0.0
    trade_offs: tuple[str, ...]


class PatchAnswer(Noun):
    """Patches, the best first; hypotheses that no patch can carry out are left out."""

    patches: tuple[ProposedPatch, ...]


class ProposedParagraph(Noun):
    """A text about `summary` or about a finding by its id, with the evidence that its numbers come from."""

    about: str
    text: str
    evidence: tuple[str, ...]


class NarratorAnswer(Noun):
    """The paragraphs of a report, the summary first."""

    paragraphs: tuple[ProposedParagraph, ...]


def form(card: Card) -> type[Noun]:
    """What a card's reasoner answers."""
    return ReviewerAnswer if card.name == "reviewer" else SpecialistAnswer


def answer_schema(card: Card) -> dict[str, Any]:
    """The JSON schema of what a card's reasoner answers."""
    return form(card).model_json_schema()
