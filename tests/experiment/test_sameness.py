"""What counts against a change of all that differs, and what nothing is known of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfcrew.core.answers import (
    AnswersVerdict,
    Difference,
    EffectsVerdict,
    FootprintVerdict,
    FreshnessVerdict,
    Name,
    Refusal,
    Role,
)
from perfcrew.experiment.sameness import Sameness

BOOKS, TAGS = "GET /books", "GET /tags"


def differing(endpoint: str, what: str = "value", role: Role = "measured") -> Difference:
    return Difference(
        endpoint=endpoint, request=endpoint, role=role, what=what, where="$", base="1", change="2"
    )  # fmt: skip


def same(
    *differences: Difference, uncompared: dict[str, str] | None = None, leaks: bool = False, nothing: bool = False
) -> Sameness:
    names: dict[Role, Name] = {"measured": "changes an answer", "wrong input": "changes the answer to wrong input"}
    refusals = tuple(Refusal(name=names[d.role], why=d.what, subject=d.endpoint) for d in differences)
    return Sameness(
        AnswersVerdict(
            outcome="unknown" if nothing else "different" if refusals else "equal",
            measured_count=3, held_out_count=2, wrong_input_count=1,
            differences=differences, refusals=refusals, uncompared=uncompared or {},
        ),
        EffectsVerdict(outcome="unknown" if nothing else "equal", engine="sqlite", tables_count=1, writes_count=0),
        FreshnessVerdict(outcome="equal", declared_s=0),
        FootprintVerdict(
            outcome="equal", requests_count=1, base=(), change=(),
            refusals=(Refusal(name="leaks threads", why="9"),) if leaks else (),
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "found", "exact", "against"),
    [
        ("the same", same(), True, []),
        ("another answer", same(differing(BOOKS)), True, ["changes an answer"]),
        ("another answer, as it says", same(differing(BOOKS)), False, []),
        ("another status, which it did not say", same(differing(BOOKS, "status")), False, ["changes an answer"]),
        ("another status to wrong input", same(differing(BOOKS, "status", "wrong input")), False, []),
        ("another endpoint's answer", same(differing(TAGS)), False, ["changes an answer"]),
        ("it leaks", same(differing(BOOKS), leaks=True), False, ["leaks threads"]),
    ],
)
def test_what_counts_against_a_change(name: str, found: Sameness, exact: bool, against: list[str]) -> None:
    assert [refusal.name for refusal in found.against(BOOKS, exact=exact)] == against


def test_what_was_not_looked_for_is_told() -> None:
    footprint = FootprintVerdict(outcome="unknown", requests_count=0, base=(), change=(), notes=("nothing was asked",))
    found = replace(same(), footprint=footprint)
    assert found.refusals == ()
    assert found.left() == "nothing was asked"
    assert same().left() == "nothing is left behind"


@pytest.mark.parametrize(
    ("name", "found", "why"),
    [
        ("compared", same(), ""),
        ("not compared", same(uncompared={BOOKS: "time ran out"}), "its answers could not be compared: time ran out"),
        ("another one was not", same(uncompared={TAGS: "time ran out"}), ""),
        ("nothing was", same(nothing=True), "no answers could be compared"),
    ],
)
def test_what_was_not_compared_is_no_pass(name: str, found: Sameness, why: str) -> None:
    assert found.unseen(BOOKS) == why
    assert ("not compared" in found.told(exact=True)) == bool(found.answers.uncompared)
