"""A review of an application that uses Redis: it gets its own, which is looked at, and no key reaches the report."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from conftest import Placed
from reviews import Ended, Place

from perfcrew.core.evidence import CacheServer, Measurement, Traces, TtlCurve
from perfcrew.graphs import scenes
from perfcrew.graphs.context import Context, workspace
from perfcrew.graphs.run import _context
from perfcrew.graphs.steps.asked import measure
from perfcrew.ledger import Ledger
from perfcrew.target.leftovers import Registry

pytestmark = [pytest.mark.target, pytest.mark.redis]
SCENARIOS = """
[[scenarios]]
name = "people"
requests = [{ path = "/people/1" }, { path = "/people/2" }]
"""


@pytest.fixture(scope="module")
def place(placed: Placed) -> Place:
    found: Place = placed("kept", instruments="baseline, traces, workload, redis")
    policy = found.root / ".perfcrew" / "workflows" / "review.yaml"
    policy.write_text(policy.read_text().replace("[profiler, database]", "[caching]"))
    config = found.root / "perfcrew.toml"
    short = config.read_text().replace(
        "trace_repeats = 20", "trace_repeats = 4\nruns = 2\nminimum_requests = 10\nworkload_seconds = 0.2"
    )
    config.write_text(short + SCENARIOS)
    return Place(found.root, found.temporary)


@pytest.fixture(scope="module")
def review(place: Place) -> Ended:
    return place.reviewed()


def bodies(place: Place, kind: str) -> dict[str, object]:
    with Ledger.existing(place.root) as ledger:
        run = ledger.runs()[-1]
        return {e.slot: e.body for e in ledger.find(run.id, kind)}


def test_the_server_is_looked_at_after_both_stages(review: Ended, place: Place) -> None:
    found = bodies(place, "cache server")
    assert set(found) == {"redis/traces", "redis/workload"}
    for body in found.values():
        assert isinstance(body, CacheServer)
        assert {g.pattern for g in body.groups} == {"ranking", "person:{n}:{email}"}
        assert body.refused == {}
        assert body.hits_count > 0
    told = review.report.cache
    assert told is not None and told.hit_ratio.figures
    assert [look.after for look in told.looks] == ["traced requests", "workload"]
    assert review.report.verdict is not None
    failed = [check for check in review.report.verdict.checks if not check.passed]
    assert [check.name for check in failed] == ["runs"], "the shop is measured twice here, to be quick"


def test_uses_are_told_by_pattern(review: Ended, place: Place) -> None:
    found = bodies(place, "traces")
    ranking = found["at once/GET /ranking"]
    assert isinstance(ranking, Traces)
    assert (ranking.at_once, max(g.stampede_count for g in ranking.cache)) == (5, 5)
    people = next(b for slot, b in found.items() if slot.endswith("/GET /people/{person_id}"))
    assert isinstance(people, Traces)
    assert {g.pattern for g in people.cache} == {"person:{n}:{email}"}


def test_times_to_live_are_tried_on_the_model_and_the_ratio_is_a_figure(review: Ended, place: Place) -> None:
    curves = bodies(place, "ttl curve").values()
    assert {c.group for c in curves if isinstance(c, TtlCurve)} >= {"ranking", "person:{n}:{email}"}
    ratio = bodies(place, "measurement")["workload/hit ratio"]
    assert isinstance(ratio, Measurement) and 0 < ratio.statistics["value"].value < 1
    told = {(t.target.metric, t.outcome) for t in review.report.targets}
    outcomes = {outcome for metric, outcome in told if metric == "cache.hit_ratio"}
    assert len(outcomes) == 1 and outcomes < {"met", "missed"}, "it is judged"
    page = Path(review.events[-1]["report"]).with_name("report.html").read_text()
    assert "What a time to live would give" in page


def test_the_rules_find_what_is_planted(review: Ended) -> None:
    found = {(s.finding.rule, s.finding.endpoint) for s in review.report.findings}
    assert ("CA205", "GET /ranking") in found
    assert ("CA204", "GET /people/{person_id}") in found
    assert ("CA203", "GET /people/{person_id}") in found
    assert ("CA208", "GET /ranking") in found


def test_no_key_reaches_the_report_and_nothing_is_left(review: Ended, place: Place) -> None:
    written = [p.read_text(errors="replace") for p in Path(review.events[-1]["report"]).parent.iterdir() if p.is_file()]
    assert written
    assert not any("example.org" in text for text in written)
    place.assert_nothing_is_left()


@asynccontextmanager
async def gone_on_with(place: Place) -> AsyncIterator[Context]:
    """The finished run, as a specialist's instruments see it."""
    with Ledger.existing(place.root) as ledger:
        run = ledger.runs()[-1]
        registry = Registry(place.root / ".perfcrew" / "leftovers", run.id)
        async with workspace(registry, run.id) as folder:
            context = _context(ledger, run, registry, folder, lambda told: None, None)
            try:
                yield context
            finally:
                context.close()


async def test_a_specialist_may_have_a_sample_of_one_endpoint_alone(review: Ended, place: Place) -> None:
    """On an instance of its own, once; the report's table and the rules go on with those of the whole application."""
    async with gone_on_with(place) as context:
        (one,) = await measure(context, "redis", "GET /ranking")
        again = await measure(context, "redis", "GET /ranking")
        seen = scenes.application(context.ledger, context.run).caches
    assert isinstance(one.body, CacheServer)
    assert {g.pattern for g in one.body.groups} == {"ranking"}
    assert [e.id for e in again] == [one.id]
    assert len(seen) == 2 and one.id not in {cache.evidence for cache in seen}
    place.assert_nothing_is_left()
