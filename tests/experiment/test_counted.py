"""What requests send is compared exactly, where it does not vary."""

from __future__ import annotations

import pytest

from perfcrew.experiment.counted import effects
from perfcrew.experiment.engine import Reading

NAMES = ("db.statements", "db.rows", "cache.round_trips", "http.calls", "model.calls")


def readings(*statements: float, rows: float = 20.0) -> list[Reading]:
    return [Reading(dict.fromkeys(NAMES, 0.0) | {"db.statements": n, "db.rows": rows}) for n in statements]


@pytest.mark.parametrize(
    ("name", "a", "b", "verdict"),
    [
        ("an N+1 gone", (21, 21, 21), (2, 2, 2), "improved"),
        ("one more", (1, 1, 1), (2, 2, 2), "regressed"),
        ("as many", (3, 3, 3), (3, 3, 3), "equivalent"),
        ("it varies, and overlaps", (3, 4, 3), (3, 3, 4), None),
        ("it varies, and lies apart", (30, 31, 30), (3, 3, 4), "improved"),
    ],
)
def test_statements_are_compared_exactly(
    name: str, a: tuple[float, ...], b: tuple[float, ...], verdict: str | None
) -> None:
    statements, rows = effects(readings(*a), readings(*b))
    assert (statements.metric, statements.verdict) == ("db.statements", verdict)
    assert (statements.a_samples, statements.b_samples) == (a, b)
    assert (rows.metric, rows.verdict) == ("db.rows", "equivalent")


def test_what_was_never_sent_is_not_listed() -> None:
    assert effects(readings(0, 0, 0, rows=0), readings(0, 0, 0, rows=0)) == ()
    assert effects([], readings(1, 1, 1)) == ()
