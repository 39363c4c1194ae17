"""How the time for measuring is shared, where it does not suffice for every endpoint."""

from __future__ import annotations

import pytest

from perfcrew import settings
from perfcrew.core.evidence import Survey
from perfcrew.core.web import Endpoint, Plan, Request
from perfcrew.graphs.budget import WEIGHTS, Budget
from perfcrew.graphs.steps.baseline import SLACK, instance_until
from perfcrew.graphs.steps.survey import slowest_first

MEASURING = settings.load().measuring


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("budget_s", "runs"), [(900.0, 3), (80.0, 3), (80.0, 10)])
def test_all_instances_at_the_pace_of_the_first_fill_the_share_of_the_baseline(budget_s: float, runs: int) -> None:
    first_s = instance_until(100.0, 100.0 + budget_s, 0, runs) - 100.0
    assert first_s > 0
    assert first_s * runs == pytest.approx(budget_s)


def test_later_instances_may_be_slower_but_not_take_the_time_of_the_other_stages() -> None:
    ends = [instance_until(100.0, 190.0, index, 3) - 100.0 for index in range(3)]
    assert ends == pytest.approx([30.0, 60.0 * SLACK, 90.0 * SLACK])


def test_no_share_is_left_of_time_that_is_over() -> None:
    assert instance_until(100.0, 90.0, 0, 3) < 100.0


def test_measuring_begins_when_the_survey_ends() -> None:
    clock = Clock()
    budget = Budget(60.0, 120.0, clock=clock)
    clock.now += 500  # of a survey
    budget.begin()
    assert not budget.spent()
    clock.now += 61
    assert budget.spent()


def test_a_run_that_is_resumed_behind_its_survey_has_the_whole_time() -> None:
    clock = Clock()
    budget = Budget(60.0, 120.0, clock=clock)
    clock.now += 500
    assert budget.end == clock.now + 60


def test_a_stage_that_needs_less_leaves_it_to_the_later_ones() -> None:
    clock = Clock()
    budget = Budget(100.0, 120.0, clock=clock)
    budget.begin()
    planned = budget.until("baseline")
    assert planned - clock.now == pytest.approx(100 * WEIGHTS["baseline"] / sum(WEIGHTS.values()))
    late, early = planned, clock.now + 1
    clock.now = early
    early_share = budget.until("traces") - clock.now
    clock.now = late
    assert early_share > budget.until("traces") - clock.now > 0


def test_the_last_stage_has_all_that_is_left() -> None:
    budget = Budget(100.0, 120.0, ("baseline", "traces", "profile"), Clock())
    assert budget.until("profile") == budget.end


@pytest.mark.parametrize(("stage", "beside"), [("memory", "traces"), ("allocations", "traces")])
def test_what_runs_beside_another_stage_ends_with_it(stage: str, beside: str) -> None:
    budget = Budget(100.0, 120.0, clock=Clock())
    assert budget.until(stage) == budget.until(beside)


def test_no_stage_begins_when_the_time_is_over() -> None:
    clock = Clock()
    budget = Budget(100.0, 120.0, clock=clock)
    budget.begin()
    clock.now += 200
    assert all(budget.until(stage) <= clock.now for stage in WEIGHTS)


@pytest.mark.parametrize(("budget_s", "survey_s"), [(900.0, 120.0), (30.0, 30.0)])
def test_the_survey_is_bounded_and_never_longer_than_the_measuring(budget_s: float, survey_s: float) -> None:
    assert Budget(budget_s, 120.0).survey_limit_s == survey_s


def surveyed(**tried_ms: float) -> Survey:
    plans = []
    for name, took_ms in tried_ms.items():
        endpoint = Endpoint(method="GET", path=f"/{name}", source="openapi")
        request = Request(endpoint=endpoint.key, method="GET", target=endpoint.path)
        plans.append(Plan(endpoint=endpoint, requests=(request,), tried_ms=took_ms))
    return Survey(plans=tuple(plans))


@pytest.mark.parametrize(
    ("budget_s", "order"),
    [
        pytest.param(900.0, "a b c d", id="time enough: as they are"),
        pytest.param(400.0, "b d a c", id="too little: the slowest first, the one that would take it all last"),
    ],
)
def test_what_is_measured_first(budget_s: float, order: str) -> None:
    found = surveyed(a=5, b=300, c=5000, d=40)
    measuring = MEASURING.model_copy(update={"budget_s": budget_s, "seconds": 0.6, "runs": 3, "minimum_requests": 7})
    # c alone takes minutes: 5 s a request, seven of them twice on each of three instances
    assert [p.endpoint.path[1:] for p in slowest_first(found, measuring).plans] == order.split()
