"""One verdict over several metrics: what decides, what speaks against, and what is only waited for."""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import dataclass, replace

import pytest

from perfcrew.experiment.commands import CPU, READY, WALL
from perfcrew.experiment.engine import Pair, Reading, Rules, Watched, log_ratios
from perfcrew.experiment.verdict import Overall, overall
from perfcrew.stats.decide import Demand, Judged, judge

PAIRS = 60


@dataclass(frozen=True)
class Drawn:
    """Log ratios of a metric: share by which B lies above A, and the noise of a pair."""

    share: float = 0.0
    noise: float = 0.01
    pairs: int = PAIRS

    def ratios(self, seed: int) -> list[float]:
        draw = random.Random(seed)
        return [math.log1p(self.share) + draw.gauss(0, self.noise) for _ in range(self.pairs)]


STILL = Drawn(noise=0.0)
UNSEEN = Drawn(noise=0.5)
SLOWER, FASTER = Drawn(0.1), Drawn(-0.1)


def over(cpu: Drawn, ready: Drawn, wall: Drawn, last: bool = True) -> Overall:
    watched, rules = (CPU, READY, WALL), Rules()
    drawn = {w.name: d.ratios(n) for n, (w, d) in enumerate(zip(watched, (cpu, ready, wall), strict=True))}
    drawn = {name: ratios for name, ratios in drawn.items() if ratios}
    judged = {
        w.name: judge(drawn[w.name], Demand(rules.margin, rules.error, w.weight)) for w in watched if w.name in drawn
    }
    pairs = [
        Pair(Reading({name: 100.0 for name in drawn}), Reading({n: 100 * math.exp(r[i]) for n, r in drawn.items()}))
        for i in range(min(len(r) for r in drawn.values()))
    ]
    return overall(watched, judged, pairs, rules, last=last)


@pytest.mark.parametrize(
    ("name", "cpu", "ready", "wall", "verdict", "rests_on"),
    [
        ("all even", Drawn(), Drawn(), Drawn(noise=0.1), "equivalent", "cpu"),
        ("all slower", SLOWER, SLOWER, SLOWER, "regressed", "cpu"),
        ("all faster", FASTER, FASTER, FASTER, "improved", "cpu"),
        ("slower by processor time, the rest unseen", SLOWER, UNSEEN, UNSEEN, "regressed", "cpu"),
        ("waits longer, works as much", Drawn(), SLOWER, SLOWER, "regressed", READY.name),
        ("waits less, works as much", Drawn(), FASTER, FASTER, "improved", READY.name),
        ("works less, and that nobody waits longer is not proven", FASTER, UNSEEN, UNSEEN, "inconclusive", "cpu"),
        ("works less and waits longer", FASTER, SLOWER, SLOWER, "regressed", READY.name),
        ("works more and waits less, as with more cores", SLOWER, FASTER, FASTER, "improved", READY.name),
        ("works less, the guard speaks against it", FASTER, Drawn(), SLOWER, "inconclusive", "cpu"),
        ("works more, the guard speaks against it", SLOWER, Drawn(), FASTER, "inconclusive", "cpu"),
        ("even, the rest within the guard", Drawn(), Drawn(noise=0.035), UNSEEN, "equivalent", "cpu"),
        ("even by processor time, the rest unseen", Drawn(), UNSEEN, UNSEEN, "inconclusive", ""),
        ("nothing seen", UNSEEN, UNSEEN, UNSEEN, "inconclusive", ""),
        ("half a margin more", Drawn(0.01, 0.004), Drawn(0.01, 0.004), UNSEEN, "equivalent", "cpu"),
    ],
)
def test_what_several_metrics_come_to(
    name: str, cpu: Drawn, ready: Drawn, wall: Drawn, verdict: str, rests_on: str
) -> None:
    found = over(cpu, ready, wall)
    assert (found.verdict, found.rests_on) == (verdict, rests_on), found


@pytest.mark.parametrize(
    ("cpu", "verdict"), [(FASTER, "inconclusive"), (Drawn(), "inconclusive"), (SLOWER, "regressed")]
)
def test_a_metric_that_was_not_measured_is_no_pass(cpu: Drawn, verdict: str) -> None:
    """Where the wait for a core was not told in one pair, that nobody waits longer is not known."""
    found = over(cpu, replace(Drawn(), pairs=0), Drawn())
    assert found.verdict == verdict and (READY.name in found.unproven) == (verdict == "inconclusive")


def test_what_is_not_certain_is_told_by_name() -> None:
    assert over(Drawn(), UNSEEN, UNSEEN).unproven == (READY.name,)
    assert over(Drawn(), Drawn(), UNSEEN).unproven == ()


def test_a_trade_off_is_named_with_both_of_its_sides() -> None:
    found = over(FASTER, SLOWER, SLOWER)
    assert found.notes == (f"a trade-off: cpu improved, {READY.name} regressed",)


@pytest.mark.parametrize(
    ("name", "cpu", "ready"),
    [
        ("zero variance", STILL, Drawn()),
        ("zero variance of what passes", Drawn(), STILL),
        ("too few", Drawn(pairs=5), Drawn(pairs=5)),
    ],
)
def test_one_deciding_metric_that_means_nothing_refuses_all(name: str, cpu: Drawn, ready: Drawn) -> None:
    found = over(cpu, ready, Drawn(pairs=cpu.pairs))
    assert found.verdict is None and found.refused


def test_nothing_that_decides_is_no_verdict() -> None:
    assert overall((WALL,), {"wall": Judged("improved", None)}, [], Rules(), last=True).verdict is None


def test_a_loss_waits_for_what_may_be_a_gain_of_time_unless_it_is_the_last_pair() -> None:
    """More cores: works more, and time may have been saved, which is not proven yet."""
    seems_faster = Drawn(-0.3, 0.7)
    early, late = (over(SLOWER, seems_faster, UNSEEN, last=last) for last in (False, True))
    assert (early.verdict, early.final) == ("inconclusive", False)
    assert (late.verdict, late.final) == ("regressed", True)


@pytest.mark.parametrize(
    ("name", "cpu", "tail", "verdict", "rests_on"),
    [
        ("all even", 100.0, 100.0, "equivalent", "cpu"),
        ("the tail alone got longer", 100.0, 300.0, "regressed", "latency.p95"),
        ("faster, and the tail got longer", 60.0, 300.0, "inconclusive", "cpu"),
        ("slower, and the tail got shorter", 150.0, 30.0, "regressed", "cpu"),
        ("the tail alone got shorter", 100.0, 30.0, "equivalent", "cpu"),
    ],
)
def test_a_longer_tail_is_a_regression_and_a_shorter_one_excuses_nothing(
    name: str, cpu: float, tail: float, verdict: str, rests_on: str
) -> None:
    watched = (CPU, Watched("latency.p95", "ms", "guard", weight=0.1, alone=True))
    draw, rules = random.Random(5), Rules()
    pairs = [
        Pair(
            Reading({"cpu": 100.0 + draw.uniform(-1, 1), "latency.p95": 100.0 + draw.uniform(-9, 9)}),
            Reading({"cpu": cpu + draw.uniform(-1, 1), "latency.p95": tail + draw.uniform(-9, 9)}),
        )
        for _ in range(40)
    ]
    judged = {w.name: judge(log_ratios(pairs, w.name), Demand(weight=w.weight)) for w in watched}
    found = overall(watched, judged, pairs, rules, last=True)
    assert (found.verdict, found.rests_on) == (verdict, rests_on), found.why


@pytest.mark.parametrize(("share", "verdict"), [(0.1, "equivalent"), (0.6, "inconclusive")])
def test_sides_are_not_called_even_while_the_tail_seems_longer(share: float, verdict: str) -> None:
    tail = Watched("latency.p95", "ms", "guard", weight=0.1, alone=True)
    draw, rules = random.Random(5), Rules()
    sides = [
        Reading({"cpu": 100.0 + draw.uniform(-1, 1), tail.name: 100 * draw.lognormvariate(0, 0.9)}) for _ in "ab" * 20
    ]
    pairs = [
        Pair(a, Reading({**b.values, tail.name: b.values[tail.name] * (1 + share)}))
        for a, b in zip(sides[::2], sides[1::2], strict=True)
    ]
    ratios = {w.name: log_ratios(pairs, w.name) for w in (CPU, tail)}
    middle = statistics.median(ratios[tail.name])
    ratios[tail.name] = [x - middle + math.log1p(share) for x in ratios[tail.name]]
    judged = {w.name: judge(ratios[w.name], Demand(weight=w.weight)) for w in (CPU, tail)}
    found = overall((CPU, tail), judged, pairs, rules, last=False)
    assert (found.verdict, found.unproven) == (verdict, () if verdict == "equivalent" else (tail.name,)), found.why


def test_a_gain_stands_only_where_first_requests_are_proven_to_be_no_worse() -> None:
    cold = Watched("latency.cold", "ms", "guard", weight=0.1, margin=0.3)
    draw, watched, rules = random.Random(3), (CPU, cold), Rules()
    for share, unproven in ((0.0, ()), (0.4, ("latency.cold",))):
        values = [
            (90 * math.exp(draw.gauss(0, 0.01)), 100 * (1 + share) * math.exp(draw.gauss(0, 0.1))) for _ in range(15)
        ]
        pairs = [
            Pair(Reading({"cpu": 100.0, "latency.cold": 100.0}), Reading({"cpu": cpu, "latency.cold": first}))
            for cpu, first in values
        ]
        judged = {"cpu": judge([math.log(cpu / 100) for cpu, _ in values], Demand(rules.margin, rules.error))}
        found = overall(watched, judged, pairs, rules, last=True)
        assert (found.verdict, found.unproven) == ("inconclusive" if unproven else "improved", unproven)
