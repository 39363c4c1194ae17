"""The reviewer without a model strikes what the evidence does not carry, and nothing else."""

from datetime import UTC, datetime

import pytest

from perfcrew.core.evidence import Evidence, Failure, Method
from perfcrew.core.findings import Finding, Hypothesis, Scores, Share
from perfcrew.core.prose import Prose
from perfcrew.core.web import Place
from perfcrew.crew import cards, rulebook


def evidence(id: str, subject: str) -> Evidence:
    return Evidence(
        id=id,
        run="r",
        slot=id,
        subject=subject,
        body=Failure(stage="s", what="w", error="e"),
        method=Method(tool="t", version="1"),
        taken_at=datetime.now(UTC),
    )


LEDGER = {e.id: e for e in (evidence("E-books", "GET /books"), evidence("E-app", "application"))}


def finding(**changes: object) -> Finding:
    whole: dict[str, object] = {
        "rule": "DB101",
        "title": "N+1",
        "level": "high",
        "endpoint": "GET /books",
        "place": Place(file="a.py", line=3, function="f"),
        "prose": Prose(text="said"),
        "evidence": ("E-books",),
        "confidence": 0.9,
        **changes,
    }
    return Finding.model_validate(whole)


STRUCK = {
    "evidence that is not in the ledger": finding(evidence=("E-invented",)),
    "no evidence at all": finding(evidence=()),
    "evidence of another endpoint alone": finding(endpoint="GET /authors"),
    "too little confidence": finding(confidence=0.2),
}
STANDING = {
    "evidence of its endpoint": finding(),
    "evidence of an endpoint that shows it too": finding(endpoint="GET /authors", also=("GET /books",)),
    "evidence of the application": finding(endpoint="GET /authors", evidence=("E-app",)),
    "of no endpoint": finding(endpoint=None, evidence=("E-app",)),
}


@pytest.mark.parametrize("name", STRUCK)
def test_struck(name: str) -> None:
    refuted = rulebook.refute(cards.card("reviewer"), [STRUCK[name]], LEDGER)
    assert refuted.findings == ()
    assert len(refuted.objections) == 1


@pytest.mark.parametrize("name", STANDING)
def test_standing(name: str) -> None:
    refuted = rulebook.refute(cards.card("reviewer"), [STANDING[name]], LEDGER)
    assert refuted.findings == (STANDING[name],)
    assert refuted.objections == ()


def test_a_promise_larger_than_the_cost_is_doubted_not_struck() -> None:
    promise = Hypothesis(
        id="H1",
        change="load eagerly",
        metric="latency",
        improvement=0.9,
        because="of it",
        kind="code",
        recipe="",
        scores=Scores(impact=5, evidence=5, effort=5, risk=5, reversibility=5, learning=5),
    )
    doubted = finding(share=Share(fraction=0.4), hypotheses=(promise,))
    refuted = rulebook.refute(cards.card("reviewer"), [doubted], LEDGER)
    assert [f.id for f in refuted.findings] == [doubted.id]
    assert refuted.findings[0].confidence < doubted.confidence
    assert "promises more" in refuted.objections[0]


def test_a_specialist_concludes_only_what_its_own_rules_saw() -> None:
    card = cards.card("database")
    concluded = rulebook.conclude(card, [finding(), finding(rule="RT301")])
    assert [f.rule for f in concluded.findings] == ["DB101"]
    assert concluded.reasoner == "rule book"
