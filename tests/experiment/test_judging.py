"""Keep, iterate or discard: what the measurements of a change come to."""

from __future__ import annotations

import math

import pytest

from perfcrew.core.comparison import Comparison, Effect, Ratio, Side
from perfcrew.experiment.judging import against_whole, change, ruling, seen_of_whole
from perfcrew.experiment.servers import OTHERS

BOOKS = "GET /books"
A, B = Side(label="A", what="before"), Side(label="B", what="after")


def effect(metric: str, share: float, verdict: str, a: float = 10.0) -> Effect:
    ratio = Ratio(value=1 + share, low=(1 + share) * 0.99, high=(1 + share) * 1.01, level=0.95)
    return Effect.model_validate({
        "metric": metric, "unit": "ms", "direction": "lower", "role": "deciding", "verdict": verdict, "a": a,
        "b": a * (1 + share), "ratio": ratio, "pairs_count": 20, "log_ratios": [math.log1p(share)] * 20,
    })  # fmt: skip


def compared(subject: str, *effects: Effect, verdict: str | None = "improved", **more: object) -> Comparison:
    return Comparison.model_validate({
        "subject": subject, "a": A, "b": B, "verdict": verdict, "effects": effects, "design": "instances",
        "pairs_count": 20, "margin_share": 0.02, "error_share": 0.05, "seed": 1, "spent_s": 20, "budget_s": 90, **more,
    })  # fmt: skip


def more_work(ms: float) -> Effect:
    return effect("cpu", 0.5, "regressed", a=ms)


def rows() -> Effect:
    return effect("db.rows", -0.8, "improved").model_copy(update={"metric": "latency", "exact": True, "role": "guard"})


def started(share: float, verdict: str = "improved") -> Comparison:
    return compared("application", effect("startup", share, verdict, a=2000.0))


def first(ms: float) -> Comparison:
    """Its first request takes so much longer."""
    return compared("GET /duty", effect("latency.cold", ms / 10.0, "regressed", a=10.0))


def unbounded(comparison: Comparison) -> Comparison:
    """Its pairs say that it is quicker, and not by how much at most."""
    (own,) = comparison.effects
    open_ = own.model_copy(update={"ratio": Ratio(value=0.6, low=2e-9, high=0.9, level=0.95)})
    return comparison.model_copy(update={"effects": (open_,)})


OPEN = effect("cpu", 0.1, "inconclusive")
FASTER = effect("latency", -0.4, "improved")
SAME = effect("cpu", 0.0, "equivalent")


@pytest.mark.parametrize(
    ("name", "found", "decision", "why"),
    [
        ("a gain", [compared(BOOKS, FASTER, SAME)], "keep", "-40.0 %"),
        ("nothing measured", [], "discard", "nothing was measured"),
        ("a side died", [compared(BOOKS, verdict=None, refused="exit 9")], "discard", "exit 9"),
        ("no gain", [compared(BOOKS, effect("latency", 0.0, "equivalent"))], "iterate", "did not improve: equivalent"),
        ("not certain", [compared(BOOKS, effect("latency", -0.1, "inconclusive"))], "iterate", "inconclusive, -10.0 %"),
        ("another endpoint's", [compared("GET /tags", FASTER)], "iterate", "not measured"),
        ("another metric", [compared(BOOKS, effect("cpu", -0.4, "improved"))], "iterate", "not measured"),
        ("worse elsewhere", [compared(BOOKS, FASTER), compared("GET /tags", effect("latency", 0.3, "regressed"))],
         "discard", "latency of GET /tags +30.0 %"),
        ("little more work", [compared(BOOKS, FASTER, more_work(0.2))], "keep", "less than matters"),
        ("much more work", [compared(BOOKS, FASTER, more_work(5.0))], "discard", "cpu of GET /books"),
        ("not proven beside", [compared(BOOKS, FASTER, SAME, verdict="inconclusive", unproven=("latency.cold",))],
         "iterate", "not proven: latency.cold of GET /books"),
        ("not proven elsewhere", [compared(BOOKS, FASTER), compared(OTHERS, SAME, unproven=("latency",))],
         "iterate", f"not proven: latency of {OTHERS}"),
        ("a count, and latency left open", [compared(BOOKS, rows(), OPEN, unproven=("latency",))],
         "iterate", "not proven: latency of GET /books"),
        ("not proven, and too little to matter",
         [compared(BOOKS, FASTER, effect("cpu", 0.5, "inconclusive", a=0.2), unproven=("cpu",))], "keep", "-40.0 %"),
    ],
)  # fmt: skip
def test_what_the_measurements_come_to(name: str, found: list[Comparison], decision: str, why: str) -> None:
    ruled = ruling(found, BOOKS, "latency")
    assert ruled.decision == decision and why in ruled.why, ruled


TRIPS = Effect.model_validate({
    "metric": "cache.round_trips", "unit": "count/request", "direction": "lower", "role": "guard",
    "exact": True, "verdict": "regressed", "a": 0.0, "b": 2.0, "pairs_count": 3,
    "a_samples": [0.0] * 3, "b_samples": [2.0] * 3,
})  # fmt: skip
PRICE = ("cache.round_trips",)
AIMS = {BOOKS: ("latency",)}


@pytest.mark.parametrize(
    ("name", "found", "pays", "decision", "why"),
    [
        ("its price", [compared(BOOKS, FASTER, TRIPS)], PRICE, "keep", "cache.round_trips of GET /books (0 → 2)"),
        ("nothing was said", [compared(BOOKS, FASTER, TRIPS)], (), "discard", "cache.round_trips of GET /books"),
        ("another count was said", [compared(BOOKS, FASTER, TRIPS)], ("db.rows",), "discard", "cache.round_trips"),
        ("elsewhere", [compared(BOOKS, FASTER), compared("GET /tags", TRIPS)], PRICE, "discard", "of GET /tags"),
        ("for nothing", [compared(BOOKS, SAME, TRIPS)], PRICE, "iterate", "not measured"),
        ("more than its price", [compared(BOOKS, FASTER, TRIPS, more_work(5.0))], PRICE, "discard", "cpu of GET"),
        ("a time is no price", [compared(BOOKS, FASTER, more_work(5.0))], ("cpu",), "discard", "cpu of GET /books"),
    ],
)  # fmt: skip
def test_what_a_change_said_to_pay_with_is_told_and_no_regression(
    name: str, found: list[Comparison], pays: tuple[str, ...], decision: str, why: str
) -> None:
    ruled = ruling(found, BOOKS, "latency", pays)
    assert ruled.decision == decision and why in ruled.why, ruled
    assert any("pays with" in traded for traded in ruled.trade_offs) == (name == "its price")


def test_as_a_whole_each_endpoint_pays_what_its_own_changes_said() -> None:
    found = [compared(BOOKS, FASTER, TRIPS), compared("GET /tags", FASTER)]
    assert against_whole(found, AIMS, {BOOKS: PRICE}) == "" and "pays with" in seen_of_whole(found, {BOOKS: PRICE})
    for pays in ({}, {"GET /tags": PRICE}, {BOOKS: ("db.rows",)}):
        assert against_whole(found, AIMS, pays) == "a regression of cache.round_trips of GET /books"


def test_a_bound_that_is_not_there_yet_is_not_printed() -> None:
    open_ = FASTER.model_copy(update={"ratio": Ratio(value=0.6, low=2e-9, high=4.85e8, level=0.95)})
    assert (change(open_), change(FASTER)) == ("-40.0 % (no bound yet)", "-40.0 % (-40.6 to -39.4)")


@pytest.mark.parametrize(
    ("name", "found", "against", "seen"),
    [
        ("it holds", [compared(BOOKS, FASTER)], "", "nothing became worse"),
        ("nothing measured", [], "no verdict on the whole: nothing was measured", ""),
        (
            "a side died",
            [compared(BOOKS, verdict=None, refused="exit 9")],
            "no verdict on the whole: GET /books: exit 9",
            "",
        ),
        ("worse", [compared(BOOKS, more_work(5.0))], "a regression of cpu of GET /books", ""),
        ("moved from the start", [started(-0.4), first(700.0)], "", "the first request of GET /duty pays"),
        ("as exactly as it is told", [started(-0.4), first(815.0)], "", "the first request of GET /duty pays"),
        ("more than the start saved", [started(-0.4), first(850.0)], "a regression of latency.cold of GET /duty", ""),
        (
            "nobody knows how much the start saved",
            [unbounded(started(-0.4)), first(100.0)],
            "a regression of latency.cold of GET /duty",
            "",
        ),
        ("the start saved nothing", [started(0.0, "equivalent"), first(50.0)], "a regression of latency.cold", ""),
        ("not certain", [compared(BOOKS, FASTER, verdict="inconclusive")], "", "not certain within the time: GET /b"),
        ("no gain is left", [compared(BOOKS, SAME)], "nothing that was aimed at improved as a whole", ""),
        ("the gain of another", [compared("GET /tags", FASTER)], "nothing that was aimed at improved", ""),
    ],
)
def test_all_that_was_kept_holds_only_where_a_verdict_says_so(
    name: str, found: list[Comparison], against: str, seen: str
) -> None:
    said = against_whole(found, {BOOKS: ("latency",), "application": ("startup",)})
    assert said.startswith(against) and bool(said) == bool(against)
    assert against or seen in seen_of_whole(found)
