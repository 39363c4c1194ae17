"""The mix of requests: what part of it each endpoint is, and what of it the application could bear."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from perfcrew.core.project import Scenario, ScenarioRequest
from perfcrew.core.web import Endpoint, Plan, Request
from perfcrew.instruments.workload import capacity_of, logged_shares, scenario_shares, weights_of


def plan(key: str, logged: int = 0, asked: bool = True) -> Plan:
    method, path = key.split()
    request = Request(endpoint=key, method=method, target=path)
    endpoint = Endpoint(method=method, path=path, source="openapi")
    return Plan(endpoint=endpoint, requests=(request,) * asked, logged_count=logged)


def scenario(share: float | None, *paths: str) -> Scenario:
    return Scenario(name="s", requests=tuple(ScenarioRequest(path=path) for path in paths), share=share)


FAST_AND_SLOW = {"GET /fast": 1000.0, "GET /slow": 5.0}
CAPACITIES: dict[str, tuple[dict[str, float], Mapping[str, float], float]] = {
    "a rare slow one costs what its share says": ({"GET /fast": 0.99, "GET /slow": 0.01}, FAST_AND_SLOW, 334.4),
    "equal shares are the plain harmonic mean": ({"GET /fast": 0.5, "GET /slow": 0.5}, FAST_AND_SLOW, 9.95),
    "one endpoint alone": ({"GET /slow": 1.0}, FAST_AND_SLOW, 5.0),
    "one whose rate is not known is left out of both": ({"GET /fast": 0.2, "GET /new": 0.8}, FAST_AND_SLOW, 1000.0),
    "no rate is known": ({"GET /new": 1.0}, FAST_AND_SLOW, 0.0),
    "a rate of nothing is none": ({"GET /fast": 0.5, "GET /off": 0.5}, {"GET /fast": 10.0, "GET /off": 0.0}, 10.0),
}


@pytest.mark.parametrize(("weights", "rates", "expected"), CAPACITIES.values(), ids=CAPACITIES)
def test_capacity(weights: dict[str, float], rates: Mapping[str, float], expected: float) -> None:
    assert capacity_of(weights, rates) == pytest.approx(expected, rel=1e-3)


def test_the_shares_that_are_given_decide_the_capacity() -> None:
    weights = weights_of([plan("GET /fast"), plan("GET /slow")], {"GET /slow": 0.01})
    assert capacity_of(weights, FAST_AND_SLOW) == pytest.approx(334.4, rel=1e-3)


ASKED: dict[str, tuple[list[Scenario], dict[str, float]]] = {
    "one endpoint": ([scenario(0.3, "/books?q=a")], {"GET /books": 0.3}),
    "a flow over two": ([scenario(0.6, "/books", "/books/7", "/books/8")], {"GET /books": 0.2, "GET /books/{id}": 0.4}),
    "two of one endpoint": ([scenario(0.3, "/books"), scenario(0.2, "/books")], {"GET /books": 0.5}),
    "the fixed path goes before the template": ([scenario(0.1, "/books/best")], {"GET /books/best": 0.1}),
    "none was given one": ([scenario(None, "/books")], {}),
    "an endpoint that there is not": ([scenario(0.5, "/shops")], {}),
}


@pytest.mark.parametrize(("scenarios", "expected"), ASKED.values(), ids=ASKED)
def test_shares_of_scenarios(scenarios: list[Scenario], expected: dict[str, float]) -> None:
    plans = [plan("GET /books"), plan("GET /books/{id}"), plan("GET /books/best", asked=False)]
    assert scenario_shares(scenarios, plans) == pytest.approx(expected)


LOGGED: dict[str, tuple[list[Plan], dict[str, float]]] = {
    "as often as logged": (
        [plan("GET /a", 30), plan("GET /b", 10), plan("GET /c")],
        {"GET /a": 0.75, "GET /b": 0.25, "GET /c": 0.0},
    ),
    "a write keeps its part, for no log has its body": (
        [plan("GET /a", 9), plan("GET /b", 1), plan("POST /c")],
        {"GET /a": 0.6, "GET /b": 2 / 30},
    ),
    "one that can't be asked has no part": ([plan("GET /a", 4), plan("GET /b", 96, asked=False)], {"GET /a": 1.0}),
    "a log that has none of them says nothing": ([plan("GET /a"), plan("GET /b")], {}),
    "nothing is measured": ([], {}),
}


@pytest.mark.parametrize(("plans", "expected"), LOGGED.values(), ids=LOGGED)
def test_shares_of_an_access_log(plans: list[Plan], expected: dict[str, float]) -> None:
    assert logged_shares(plans) == pytest.approx(expected)
    if expected:
        assert sum(weights_of(plans, logged_shares(plans)).values()) == pytest.approx(1)
