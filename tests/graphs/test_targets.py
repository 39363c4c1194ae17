"""Applications that misbehave: what can be measured is, the rest is listed with the reason, nothing counts as fast."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from conftest import Placed
from reviews import Ended, Place

from perfcrew.graphs.steps.each import TIME_USED_UP

pytestmark = pytest.mark.target


@dataclass
class Troubled:
    """A review of an application with every trouble but hanging."""

    place: Place
    ended: Ended


def measured(ended: Ended) -> set[str]:
    return {row.endpoint for row in ended.report.state}


def not_measured(ended: Ended) -> dict[str, str]:
    return {one.endpoint: one.reason.text for one in ended.report.not_measured}


def failures(ended: Ended) -> str:
    return "\n".join(f"{f.stage.text} {f.what.text}: {f.error.text}" for f in ended.report.failures)


def assert_ended_well(ended: Ended) -> None:
    assert ended.exit in (0, 1), ended.said
    assert ended.events[-1]["passed"]
    assert "Traceback" not in ended.said


def assert_no_figure_names(ended: Ended, *endpoints: str) -> None:
    """Neither in the ledger's measurements nor in what the report says of the system."""
    for endpoint in endpoints:
        assert endpoint not in measured(ended)
        assert not [e for e in ended.report.evidence if e.subject == endpoint and e.kind == "measurement"]
        assert not [f for f in ended.events[-1]["findings"] if f["endpoint"] == endpoint]


@pytest.fixture(scope="module")
def troubled(placed: Placed) -> Troubled:
    place = placed("falls", instruments="baseline")
    return Troubled(place, place.reviewed())


def test_what_ends_the_application_costs_itself_alone(troubled: Troubled) -> None:
    ended = troubled.ended
    assert_ended_well(ended)
    assert measured(ended) == {"GET /prints", "GET /well"}
    assert "the application ended when this was asked" in not_measured(ended)["GET /crash"]
    assert "0 of 3 started instances" in not_measured(ended)["GET /tires"]
    assert "GET /tires" in failures(ended)
    assert_no_figure_names(ended, "GET /crash", "GET /tires")
    logs = [content for content in troubled.place.evidence().values() if '"kind":"log"' in content]
    assert any("about to fall over" in log for log in logs)
    assert any("too tired to go on" in log for log in logs)
    troubled.place.assert_nothing_is_left()


def test_endpoints_that_answer_errors_are_listed_with_their_status(troubled: Troubled) -> None:
    refused = {one.endpoint: one.status for one in troubled.ended.report.not_measured if one.status}
    assert refused == {"GET /broken": 500, "GET /gone": 404, "GET /secret": 401}
    assert_no_figure_names(troubled.ended, *refused)


def test_one_that_prints_megabytes_is_measured_and_its_log_is_bounded(troubled: Troubled) -> None:
    assert "GET /prints" in measured(troubled.ended)
    largest_bytes = max(len(blob) for blob in troubled.place.blobs().values())
    assert largest_bytes > 4_000_000, "what it printed was kept"
    assert largest_bytes < 17_000_000


def test_what_hangs_costs_itself_alone(placed: Placed) -> None:
    place = placed("hangs", instruments="baseline")
    ended = place.reviewed()
    assert_ended_well(ended)
    assert measured(ended) == {"GET /fine", "GET /well"}
    assert "the application no longer answered anything when this was asked" in not_measured(ended)["GET /hang"]
    assert "GET /stalls" in failures(ended)
    assert "time-out" in failures(ended)
    assert_no_figure_names(ended, "GET /hang", "GET /stalls")
    place.assert_nothing_is_left()


@pytest.mark.parametrize(
    ("never", "said"),
    [
        pytest.param("raises", ["the target ended before it answered", "no licence for horses"], id="raises"),
        pytest.param("hangs", ["did not listen on port", "within 6 s", "looking for the licence"], id="hangs"),
    ],
)
def test_one_that_never_starts_is_an_error_with_its_log(never: str, said: list[str], placed: Placed) -> None:
    start = 'start = "python -u -m uvicorn main:app --host {host} --port {port}"\n'
    place = placed("never", f'{start}[target.environment]\nNEVER = "{never}"\n')
    (place.root / "perfcrew.toml").write_text(
        (place.root / "perfcrew.toml").read_text().replace("start_timeout_s = 15", "start_timeout_s = 6")
    )
    place.__post_init__()
    ended = place.reviewed()
    assert ended.exit == 3
    assert [words for words in said if words not in ended.said] == []
    place.assert_nothing_is_left()


@pytest.mark.parametrize("status", [500, 401, 404])
def test_one_that_only_refuses_is_an_error_with_the_statuses_and_its_log(status: int, placed: Placed) -> None:
    place = placed("refuses", f'[target.environment]\nREFUSES = "{status}"\n')
    ended = place.reviewed()
    assert ended.exit == 3
    assert "no endpoint could be measured" in ended.said
    for endpoint in ("one", "other"):
        assert f"GET /{endpoint}: answered {status}" in ended.said
    assert f'"GET /other HTTP/1.1" {status}' in ended.said, "the end of its log"
    assert not [e for e in place.evidence().values() if '"kind":"measurement"' in e]
    place.assert_nothing_is_left()


def test_what_did_not_fit_into_the_time_is_listed_with_that_reason(placed: Placed) -> None:
    place = placed("slow", instruments="baseline")
    ended = place.reviewed("--budget", "9")
    assert_ended_well(ended)
    every = {f"GET /slow-{number}" for number in range(8)}
    late = not_measured(ended)
    assert measured(ended), "some fit"
    assert late, "not all fit"
    assert measured(ended) | set(late) == every
    assert not measured(ended) & set(late)
    assert {*late.values()} == {TIME_USED_UP}
    assert_no_figure_names(ended, *late)
    place.assert_nothing_is_left()
