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


def resent(*sent_bytes: float | None) -> list[Reading]:
    """What the probe saw, and where it was asked, what was sent again."""
    known = dict.fromkeys(NAMES, 0.0) | {"db.statements": 1.0}
    return [Reading(known | ({} if n is None else {"conditional.bytes": n})) for n in sent_bytes]


@pytest.mark.parametrize(
    ("name", "a", "b", "verdict"),
    [
        ("a validator is honoured now", (4000, 4000, 4000), (0, 0, 0), "improved"),
        ("and no longer", (0, 0, 0), (4000, 4000, 4000), "regressed"),
        ("neither is", (4000, 4000, 4000), (4000, 4000, 4000), "equivalent"),
        ("a length that varies", (4000, 4001, 4002), (4002, 4001, 4000), None),
    ],
)
def test_what_is_sent_again_is_compared_exactly(
    name: str, a: tuple[float, ...], b: tuple[float, ...], verdict: str | None
) -> None:
    (statements, again) = effects(resent(*a), resent(*b))
    assert (statements.metric, statements.verdict) == ("db.statements", "equivalent")
    assert (again.metric, again.verdict, again.pairs_count) == ("conditional.bytes", verdict, 3)


def test_what_was_not_asked_again_is_not_listed() -> None:
    assert [e.metric for e in effects(resent(None, None, None), resent(None, None, None))] == ["db.statements"]


def test_where_the_probe_saw_nothing_what_is_sent_again_is_counted_all_the_same() -> None:
    sides = ([Reading({"conditional.bytes": n})] * 3 for n in (4000.0, 0.0))
    assert [(e.metric, e.verdict) for e in effects(*sides)] == [("conditional.bytes", "improved")]


def test_what_was_never_sent_is_not_listed() -> None:
    assert effects(readings(0, 0, 0, rows=0), readings(0, 0, 0, rows=0)) == ()
    assert effects([], readings(1, 1, 1)) == ()
