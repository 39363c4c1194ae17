"""Killed, interrupted, or run beside another: nothing is lost, nothing counted twice, nothing left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kill_and_resume
import pytest
from conftest import Placed
from reviews import Ended, Place, kill

pytestmark = pytest.mark.target
INSTRUMENTS = "baseline, traces, scaling"


@dataclass
class Reference:
    """A review that nobody interrupted."""

    place: Place
    ended: Ended
    measured: Counter[tuple[str, ...]]

    @property
    def run(self) -> str:
        return str(self.ended.events[-1]["run"])


@pytest.fixture(scope="module")
def reference(placed: Placed) -> Reference:
    place = placed("shop", instruments=INSTRUMENTS)
    ended = place.reviewed()
    assert ended.events[-1].get("passed"), ended.said
    measured = kill_and_resume.measured(place.root)
    kinds = {key[0] for key in measured}
    assert {"measurement", "latency", "traces", "scaling"} <= kinds
    return Reference(place, ended, measured)


def test_an_uninterrupted_run_leaves_nothing(reference: Reference) -> None:
    assert reference.ended.exit == 0
    reference.place.assert_nothing_is_left()


def test_rules_that_no_table_was_large_enough_for_are_told(reference: Reference) -> None:
    """Of its 120 rows DB105 asks for fewer; the application searches no vectors."""
    said = reference.ended.report.unjudged.text
    assert "DB103 from 1,000 rows on" in said and "the largest one, `item`, has 120 rows" in said
    assert not any(rule in said for rule in ("DB105", "DB109"))


KILLS: dict[str, tuple[dict[str, Any], str, str]] = {
    "in the middle of the baseline": (
        {"stage": "baseline 2", "done": 1},
        "instance/1/GET /items",
        "instance/1/GET /items/{item_id}",
    ),
    "in traces": (
        {"stage": "traces-120", "done": 1},
        "traces/120/GET /items",
        "traces/120/GET /items/{item_id}",
    ),
}


@pytest.mark.parametrize("name", KILLS)
def test_killed_and_gone_on_with(name: str, reference: Reference, placed: Placed) -> None:
    at, done, undone = KILLS[name]
    place = placed("shop", instruments=INSTRUMENTS)
    ended, left = place.stopped(at, kill)
    assert ended.exit == -signal.SIGKILL
    kept, blobs = place.evidence(), place.blobs()
    slots = {item["slot"] for item in map(kill_and_resume.json.loads, kept.values())}
    assert done in slots, "it was to be killed after this was measured"
    assert undone not in slots, "it was to be killed before this was measured"
    assert [p.name for p in place.temporary.iterdir()], "a killed run can't have cleared up"

    resumed = place.ended("resume", ended.events[0]["run"], "--json")
    assert resumed.exit == reference.ended.exit, resumed.said
    assert resumed.events[-1]["passed"]
    after = place.evidence()
    assert {e: after.get(e) for e in kept} == kept
    assert blobs.items() <= place.blobs().items()
    assert kill_and_resume.measured(place.root) == reference.measured
    place.assert_nothing_is_left(left)


def interrupt(running: subprocess.Popen[str]) -> None:
    """Ctrl-C of a terminal reaches the whole group: the load driver too."""
    os.killpg(running.pid, signal.SIGINT)


@pytest.mark.parametrize(
    ("stop", "exit"),
    [
        pytest.param(interrupt, 130, id="SIGINT"),
        pytest.param(subprocess.Popen.terminate, 143, id="SIGTERM"),
    ],
)
def test_a_signal_ends_all_and_says_how_to_go_on(stop: Any, exit: int, placed: Placed) -> None:
    place = placed("shop", instruments="baseline")
    ended, left = place.stopped({"stage": "baseline 1", "done": 1}, stop)
    assert ended.exit == exit
    assert f"perfcrew resume {ended.events[0]['run']}" in ended.said
    assert "Traceback" not in ended.said
    place.assert_nothing_is_left(left)


def test_two_reviews_at_once_leave_each_other_alone(placed: Placed) -> None:
    place = placed("shop")
    with ThreadPoolExecutor() as threads:
        both = [threads.submit(place.reviewed) for _ in range(2)]
        first, second = (one.result() for one in both)
    assert first.events[0]["run"] != second.events[0]["run"]
    for ended in (first, second):
        assert ended.exit == 0, ended.said
        assert ended.events[-1]["passed"]
        assert [str(f.error.text) for f in ended.report.failures] == []
        assert {s.endpoint for s in ended.report.state} == {"GET /items", "GET /items/{item_id}"}
    place.assert_nothing_is_left()


def test_a_run_that_nobody_knows(reference: Reference) -> None:
    ended = reference.place.ended("resume", "20010101-000000-abcd", "--json")
    assert ended.exit == 3
    assert "'20010101-000000-abcd' is not in the ledger's runs" in ended.said
    assert "perfcrew evidence" in ended.said


def test_a_finished_run_says_so_and_gives_its_report(reference: Reference) -> None:
    before = reference.place.evidence()
    ended = reference.place.ended("resume", reference.run, "--json")
    assert ended.exit == reference.ended.exit
    assert any("is finished" in event.get("what", "") for event in ended.events)
    assert ended.events[-1]["report"] == reference.ended.events[-1]["report"]
    assert ended.report == reference.ended.report
    assert reference.place.evidence() == before


@pytest.mark.parametrize("elsewhere", [False, True], ids=["whose report was removed", "asked for elsewhere"])
def test_a_finished_run_is_rendered_again(elsewhere: bool, reference: Reference) -> None:
    folder = Path(reference.ended.events[-1]["report"]).parent
    if not elsewhere:
        shutil.rmtree(folder)
    other = reference.place.root / ".perfcrew" / "other"
    ended = reference.place.ended("resume", reference.run, "--json", *(["--out", str(other)] if elsewhere else []))
    assert ended.exit == reference.ended.exit, ended.said
    assert Path(ended.events[-1]["report"]).parent == (other if elsewhere else folder)
    assert ended.report.state == reference.ended.report.state
    checked = reference.place.ended("gate", ended.events[-1]["report"], ".")
    assert checked.exit == 0, checked.said
