"""The loop: when it ends, what it refuses, and what it keeps."""

from __future__ import annotations

import math
import time

import pytest

from perfcrew.experiment.commands import READY
from perfcrew.experiment.engine import Rules, Taken, Watched, exact, is_over
from perfcrew.stats.decide import too_coarse
from tests.experiment.samplers import Drawn, compared

ROWS = Watched("rows", "count", "guard", exact=True)


@pytest.mark.parametrize(
    ("name", "ratios", "verdict", "rests_on"),
    [
        ("nothing changed", {}, "equivalent", "cpu"),
        ("everything slower", {"cpu": 1.1, READY.name: 1.1, "wall": 1.1}, "regressed", "cpu"),
        ("everything faster", {"cpu": 0.9, READY.name: 0.9, "wall": 0.9}, "improved", "cpu"),
        ("waits longer", {READY.name: 1.3, "wall": 1.3}, "regressed", READY.name),
        ("waits less", {READY.name: 0.7, "wall": 0.7}, "improved", READY.name),
        ("a real change that does not matter", {"cpu": 1.004, READY.name: 1.004, "wall": 1.004}, "equivalent", "cpu"),
    ],
)
async def test_the_verdict_names_the_metric_it_rests_on(
    name: str, ratios: dict[str, float], verdict: str, rests_on: str
) -> None:
    found = (await compared(Drawn(ratios), Rules(most=200)))[0]
    assert (found.verdict, found.rests_on) == (verdict, rests_on), found.why


async def test_it_ends_as_soon_as_the_answer_is_certain() -> None:
    large, small = Drawn({"cpu": 1.5, READY.name: 1.5}), Drawn({"cpu": 1.02, READY.name: 1.02})
    pairs = [(await compared(sampler, Rules(most=300)))[0].pairs_count for sampler in (large, small)]
    assert 6 <= pairs[0] < pairs[1] < 300


async def test_noise_that_hides_everything_is_inconclusive_and_says_what_could_have_been_seen() -> None:
    found = (await compared(Drawn({"cpu": 1.01}, noise=30), Rules(most=30)))[0]
    cpu = found.effect("cpu")
    assert (found.verdict, found.pairs_count) == ("inconclusive", 30)
    assert cpu is not None and cpu.ratio is not None and cpu.visible_share is not None
    middle = math.log(cpu.ratio.value)
    half = max(math.log(cpu.ratio.high) - middle, middle - math.log(cpu.ratio.low))
    assert cpu.visible_share == pytest.approx(math.expm1(half))


async def test_at_the_last_pair_what_lies_within_the_guard_is_even_and_before_it_is_waited_for() -> None:
    """Also where the number of pairs ends it, and not the time."""
    ends, goes_on = (Drawn({READY.name: 1.018}, seed=1) for _ in range(2))
    found = (await compared(ends, Rules(most=24, error=0.01)))[0]
    assert (found.verdict, found.pairs_count) == ("equivalent", 24)
    assert (await compared(goes_on, Rules(most=60)))[0].pairs_count > 24


async def test_too_little_time_is_no_verdict() -> None:
    found = (await compared(Drawn({"cpu": 2.0}), Rules(budget_s=1e-9)))[0]
    assert (found.verdict, found.pairs_count) == (None, 1)
    assert "too few" in found.refused


async def test_which_side_comes_first_is_drawn_by_lot_from_the_seed() -> None:
    one, again, other = Drawn({}), Drawn({}), Drawn({})
    for sampler, seed in ((one, 3), (again, 3), (other, 4)):
        await compared(sampler, Rules(most=40, seed=seed, margin=0.0001))
    assert one.orders == again.orders != other.orders
    assert 8 <= sum(one.orders) <= 32


@pytest.mark.parametrize("pair", [1, 3, 9])
async def test_a_side_that_dies_ends_it_without_a_verdict(pair: int) -> None:
    found = (await compared(Drawn({"cpu": 1.02}, dies_at=pair)))[0]
    assert (found.verdict, found.pairs_count) == (None, pair - 1)
    assert "could not be measured" in found.refused and "exit: 9" in found.refused
    assert all(effect.verdict is None for effect in found.effects)


@pytest.mark.parametrize(
    ("name", "checks", "a", "b", "refused"),
    [
        ("the same", "must agree", lambda n: "x", lambda n: "x", ""),
        ("not the same", "must agree", lambda n: "x", lambda n: "y", "A answered 'x', B 'y'"),
        ("only one tells", "must agree", lambda n: "x", lambda n: "", "A answered 'x', B ''"),
        ("once something else", "must agree", lambda n: "x", lambda n: "y" if n == 4 else "x", "(it differs from run"),
        ("printed, not the same", "if constant", lambda n: "x", lambda n: "y", "did not do the same work"),
        ("printed, a time", "if constant", lambda n: f"x{n}", lambda n: f"y{n}", ""),
        ("printed, one varies", "if constant", lambda n: "x", lambda n: f"y{n}", ""),
        ("not asked", "none", lambda n: "x", lambda n: "y", ""),
    ],
)
async def test_sides_that_do_different_work_get_no_verdict(name, checks, a, b, refused) -> None:  # type: ignore[no-untyped-def]
    found = (await compared(Drawn({"cpu": 1.2, READY.name: 1.2}, checks=checks, answers=(a, b))))[0]
    assert (found.verdict is None) == bool(refused), found.why
    assert refused in found.refused
    assert all((e.verdict is None) == bool(refused) for e in found.effects if e.role == "deciding")


@pytest.mark.parametrize(
    ("name", "role", "a", "b", "verdict"),
    [
        ("equal", "guard", [4, 4], [4, 4], "equivalent"),
        ("fewer", "guard", [4, 4], [3, 3], "improved"),
        ("more", "guard", [4, 4], [5, 5], "regressed"),
        ("varies and overlaps", "guard", [4, 6], [5, 5], None),
        ("varies and lies apart", "guard", [4, 5], [7, 9], "regressed"),
        ("a command's own, varies and lies apart", "shown", [4, 5], [7, 9], None),
        ("a command's own, more", "shown", [4, 4], [5, 5], "regressed"),
        ("nothing", "guard", [], [], None),
    ],
)
def test_what_is_counted_is_compared_as_it_is(name, role, a, b, verdict) -> None:  # type: ignore[no-untyped-def]
    assert exact(Watched("rows", "count", role, exact=True), a, b).verdict == verdict


async def test_a_gain_of_time_that_costs_more_rows_is_a_trade_off() -> None:
    faster = Drawn({"cpu": 0.8, READY.name: 0.8}, more=(ROWS,), counts=lambda n: (4.0, 9.0))
    found = (await compared(faster))[0]
    assert found.verdict == "inconclusive" and "rows the opposite" in found.why


@pytest.mark.parametrize(
    ("name", "a", "b", "said"),
    [
        ("fine", [61.234, 60.117, 63.9, 62.2, 60.6, 64.4], [61.3, 60.2, 63.8, 62.1, 60.5, 64.3], ""),
        ("six seconds to the tenth", [6.1, 6.2, 6.1, 6.2, 6.1, 6.2], [6.1, 6.2, 6.1, 6.2, 6.1, 6.2], "steps of 0.1"),
        ("ticks of 10 ms", [60.0, 70.0, 60.0, 60.0, 70.0, 60.0], [70.0, 60.0, 70.0, 70.0, 60.0, 80.0], "steps of 10"),
        ("microseconds of a long run", [9000.001, 9000.002] * 3, [9000.002, 9000.001] * 3, ""),
        ("too short", [0.5, 0.51, 0.52, 0.53, 0.54, 0.55], [0.5, 0.51, 0.52, 0.53, 0.54, 0.55], "less than 1"),
        ("one side too short", [5.1, 5.2, 5.3, 5.4, 5.5, 5.6], [0.5, 0.51, 0.52, 0.53, 0.54, 0.55], "less than 1"),
        ("one side made up", [50.0] * 6, [51.3, 52.1, 50.7, 50.2, 51.9, 52.6], "measurement of A"),
        ("too few to tell", [50.0] * 3, [51.3, 52.1, 50.7], ""),
    ],
)
def test_a_clock_that_is_too_coarse_is_told(name: str, a: list[float], b: list[float], said: str) -> None:
    found = too_coarse(a, b, 1.0)
    assert said in found and bool(said) == bool(found)


async def test_outliers_and_all_pairs_are_kept() -> None:
    found = (await compared(Drawn({"cpu": 1.1, READY.name: 1.1}, noise=5)))[0]
    for effect in found.effects:
        assert len(effect.log_ratios) == len(effect.a_samples) == len(effect.b_samples) == found.pairs_count
        for a, b, ratio in zip(effect.a_samples, effect.b_samples, effect.log_ratios, strict=True):
            assert math.log(b / a) == pytest.approx(ratio)


async def test_several_subjects_end_when_those_that_are_asked_for_are_certain() -> None:
    sampler = Drawn({"cpu": 1.1, READY.name: 1.1}, subjects={"asked": "verdict", "beside": "none"})
    found = {c.subject: c for c in await compared(sampler)}
    assert found["asked"].verdict == "regressed"
    assert found["beside"].pairs_count == found["asked"].pairs_count


async def test_no_worse_is_proven_and_not_merely_unseen() -> None:
    goals = {"other": "not worse"}
    calm = (await compared(Drawn({}, subjects=goals), Rules(most=120, margin=0.05)))[0]  # type: ignore[arg-type]
    noisy = (await compared(Drawn({}, subjects=goals, noise=30), Rules(most=30, margin=0.05)))[0]  # type: ignore[arg-type]
    assert calm.verdict == "equivalent"
    assert noisy.verdict == "inconclusive" and noisy.why.startswith("not proven")


@pytest.mark.parametrize(
    ("name", "spent_s", "rounds", "enough", "longest_s", "over"),
    [
        ("within the budget", 9.0, 3, 0, 0.0, False),
        ("the budget is spent", 11.0, 3, 0, 0.0, True),
        ("slow pairs, not enough of them", 11.0, 3, 14, 0.0, False),
        ("slow pairs, enough", 30.0, 14, 14, 0.0, True),
        ("slow pairs, far beyond", 41.0, 3, 14, 0.0, True),
        ("pairs of minutes, too few for any verdict", 410.0, 3, 14, 900.0, False),
        ("pairs of minutes, twice the fewest", 800.0, 12, 14, 900.0, True),
        ("pairs of minutes, and all time is spent", 901.0, 3, 14, 900.0, True),
        ("as many as there may be", 1.0, 1000, 0, 900.0, True),
    ],
)
def test_when_no_further_pair_is_measured(
    name: str, spent_s: float, rounds: int, enough: int, longest_s: float, over: bool
) -> None:
    taken = Taken(rounds=rounds, began=time.monotonic() - spent_s)
    assert is_over(taken, Rules(budget_s=10.0, enough=enough, longest_s=longest_s)) == over
