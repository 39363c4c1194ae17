"""Targets held against what was measured: a figure that nothing bounds is not simply met."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from perfcrew.core.evidence import Estimate, Measurement, Startup
from perfcrew.core.report import JudgedTarget, Report, outcome_of
from perfcrew.core.targets import Target
from perfcrew.gate import check, seal
from perfcrew.ledger import Ledger
from perfcrew.report import html, junit, markdown
from perfcrew.report.compose import compose
from perfcrew.report.tallies import outcomes, worst_first
from perfcrew.stats import quantile
from tests.report.make_ledger import RUN, SHOP, Maker, write_frame

BELOW = Target(
    name="API p95", metric="latency", statistic="p95", operator="<", bound=500, unit="ms", measured_by="requests"
)
ABOVE = BELOW.model_copy(update={"operator": ">", "bound": 100.0, "metric": "throughput", "statistic": "p50"})
LARGEST = BELOW.model_copy(update={"statistic": "max"})


def measured(estimate: Estimate, statistic: str = "p95") -> Measurement:
    return Measurement(
        metric="latency", unit="ms", direction="lower", runs=3, count=21, statistics={statistic: estimate}
    )


def interval(value: float, low: float | None, high: float | None) -> Estimate:
    return Estimate(value=value, low=low, high=high)


OUTCOMES: dict[str, tuple[Target, Measurement, str]] = {
    "well within": (BELOW, measured(interval(200, 150, 260)), "met"),
    "within, and its interval is not": (BELOW, measured(interval(400, 300, 600)), "met"),
    "within, and nothing bounds it above": (BELOW, measured(interval(200, 150, None)), "met without bound"),
    "within, and nothing bounds it at all": (BELOW, measured(interval(200, None, None)), "met without bound"),
    "the end that does not matter is not there": (BELOW, measured(interval(200, None, 260)), "met"),
    "beyond, and nothing bounds it": (BELOW, measured(interval(700, None, None)), "missed"),
    "beyond, and its interval is not": (BELOW, measured(interval(700, 300, 900)), "missed"),
    "more is better, and nothing bounds it below": (
        ABOVE,
        measured(interval(200, None, 260), "p50"),
        "met without bound",
    ),
    "more is better, and nothing bounds it above": (ABOVE, measured(interval(200, 150, None), "p50"), "met"),
    "what was seen stands for itself": (LARGEST, measured(interval(200, None, None), "max"), "met"),
}


@pytest.mark.parametrize(("target", "body", "expected"), OUTCOMES.values(), ids=OUTCOMES)
def test_outcomes(target: Target, body: Measurement, expected: str) -> None:
    assert outcome_of(target, body, f"statistics.{target.statistic}.value") == expected


@pytest.mark.parametrize(("count", "expected"), [(21, "met without bound"), (71, "met without bound"), (72, "met")])
def test_a_p95_is_bounded_from_as_many_samples_as_order_statistics_take(count: int, expected: str) -> None:
    body = measured(quantile([float(n) for n in range(count)], 0.95))
    assert outcome_of(BELOW, body, "statistics.p95.value") == expected


@pytest.mark.parametrize(("starts", "expected"), [(3, "met without bound"), (6, "met")])
def test_few_starts_bound_no_median(starts: int, expected: str) -> None:
    assert outcome_of(BELOW, Startup(start_ms=(90.0,) * starts, median_ms=90.0), "median_ms") == expected


class Judged:
    """A run in which one endpoint was asked so often, and what its report says of the first target."""

    def __init__(self, folder: Path, **estimate: float | None) -> None:
        maker = Maker(folder, seed=1, load_steps=(), shops=SHOP[:1])
        write_frame(maker, folder)
        body = measured(Estimate.model_validate(estimate))
        maker.put("latency", body, subject=SHOP[0].key)
        self.ledger: Ledger = maker.ledger
        self.report: Report = seal(compose(self.ledger, RUN), self.ledger)
        self.target: JudgedTarget = self.report.targets[0]

    def refused(self, report: Report) -> str:
        return " ".join(r for c in check(report, self.ledger).failed if c.name == "targets" for r in c.reasons)


@pytest.fixture
def unbounded(tmp_path: Path) -> Judged:
    return Judged(tmp_path, value=200.0, low=150.0)


def test_what_nothing_bounds_is_said_so_everywhere(unbounded: Judged) -> None:
    assert unbounded.target.outcome == "met without bound"
    assert unbounded.target.shown.text == "200 ms, with no upper bound"
    assert "met without bound 1" in outcomes(unbounded.report.targets)
    assert "met without bound 1" in markdown.render(unbounded.report)
    assert "with no upper bound" in markdown.render(unbounded.report)
    assert '<span class="pill met-without-bound">met without bound</span>' in html.render(unbounded.report)
    case = Xml.fromstring(junit.render(unbounded.report)).find(f".//testcase[@name='API p95 [{SHOP[0].key}]']")
    assert case is not None and [child.tag for child in case] == ["skipped"]


def test_the_gate_refuses_a_report_that_calls_it_met(unbounded: Judged) -> None:
    assert unbounded.refused(unbounded.report) == ""
    plain = unbounded.target.model_copy(update={"outcome": "met"})
    edited = unbounded.report.model_copy(update={"targets": (plain, *unbounded.report.targets[1:])})
    assert "is said to be met, and is met without bound" in unbounded.refused(edited)


SHOWN: dict[str, tuple[dict[str, float | None], str]] = {
    "within": ({"value": 200, "low": 150, "high": 260}, "200 ms"),
    "reaches over": ({"value": 400, "low": 300, "high": 600},
                     "400 ms, though its interval reaches over the bound, to 600 ms"),
    "missed, reaches back": ({"value": 700, "low": 300},
                             "700 ms, though its interval reaches over the bound, to 300 ms"),
    "missed": ({"value": 700, "low": 600}, "700 ms"),
    "missed without an interval": ({"value": 700}, "700 ms"),
}  # fmt: skip


@pytest.mark.parametrize(("estimate", "shown"), SHOWN.values(), ids=SHOWN)
def test_what_is_shown(tmp_path: Path, estimate: dict[str, float | None], shown: str) -> None:
    found = Judged(tmp_path, **estimate)
    assert found.target.shown.text == shown
    assert found.refused(found.report) == ""


def test_the_worst_stand_first(unbounded: Judged) -> None:
    def with_outcome(outcome: str) -> JudgedTarget:
        return unbounded.target.model_copy(update={"outcome": outcome})

    every = ["met", "met without bound", "not measured", "missed"]
    assert [j.outcome for j in worst_first([with_outcome(o) for o in every])] == every[::-1]
