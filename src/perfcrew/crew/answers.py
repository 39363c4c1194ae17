"""The form of a model's answer: findings of a specialist, objections of the reviewer."""

from __future__ import annotations

from typing import Any, Literal

from perfcrew.core.base import Noun
from perfcrew.core.findings import Scores
from perfcrew.core.web import Place
from perfcrew.crew.cards import Card


class ProposedHypothesis(Noun):
    """`Changing X improves Y`: the change, the metric, the evidence that speaks for it, its scores."""

    change: str
    metric: str
    because: str
    evidence: tuple[str, ...]
    kind: Literal["configuration", "code", "schema", "infrastructure"]
    recipe: str
    scores: Scores
    trade_offs: str


class ProposedFinding(Noun):
    """A finding in the model's words; numbers only as they stand in the cited evidence."""

    title: str
    endpoint: str | None
    place: Place
    text: str
    evidence: tuple[str, ...]
    confidence: float
    hypotheses: tuple[ProposedHypothesis, ...]


class SpecialistAnswer(Noun):
    """Kept: ids of the rule book's findings that stand. Struck: id and reason of those that don't."""

    kept: tuple[str, ...]
    struck: dict[str, str]
    findings: tuple[ProposedFinding, ...]


class ReviewerAnswer(Noun):
    """Struck: finding id and reason. Doubted: finding id and reason."""

    struck: dict[str, str]
    doubted: dict[str, str]


def answer_schema(card: Card) -> dict[str, Any]:
    """The JSON schema of what a card's reasoner answers."""
    model: type[Noun] = ReviewerAnswer if card.name == "reviewer" else SpecialistAnswer
    return model.model_json_schema()
