"""Baselines and workloads of real servers: what is measured, what is refused, and what counts as an error."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from perfcrew.core.errors import Unmeasurable
from perfcrew.core.web import Plan
from perfcrew.instruments.baseline import BaselineRun, measure_baseline
from perfcrew.instruments.combine import combine
from perfcrew.instruments.load import Aim, Driver, LoadResult
from perfcrew.instruments.workload import combine_workload, measure_workload, mix
from tests.instruments.servers import Server, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUTES = """
@routes.get("/fast")
async def fast(request):
    return web.json_response({"a": 1})

@routes.get("/busy")
async def busy(request):
    until = time.process_time() + 0.01
    while time.process_time() < until:
        pass
    return web.json_response({"a": 1})

@routes.get("/sleeps")
async def sleeps(request):
    await asyncio.sleep(0.01)
    return web.json_response({"a": 1})

@routes.get("/slow")
async def slow(request):
    time.sleep(0.3)
    return web.json_response({"a": 1})

@routes.get("/broken")
async def broken(request):
    return web.Response(status=500)

@routes.get("/sometimes")
async def sometimes(request):
    global count
    count += 1
    return web.json_response({"a": 1}, status=503 if count % 5 == 0 else 200)
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def driver() -> AsyncIterator[Driver]:
    async with Driver() as running:
        yield running


async def measured(folder: Path, driver: Driver, target: str, runs: int = 3, seconds: float = 0.4) -> list[BaselineRun]:
    found: list[BaselineRun] = []
    for index in range(runs):
        with serving(folder, ROUTES) as server:
            plan = await server.tried(target)
            rate = found[0].rate if found else None
            found.append(
                await measure_baseline(
                    server, plan, Aim(server.base_url), run_index=index, seconds=seconds, rate=rate, driver=driver
                )
            )
    return found


async def test_a_baseline_measures_everything_that_needs_no_probe(tmp_path: Path, driver: Driver) -> None:
    runs = await measured(tmp_path, driver, "/fast")
    found = [c.measurement for c in combine(runs)]
    assert {m.metric for m in found} == {
        "latency", "latency.cold", "throughput", "cpu", "rss.peak", "rss.average", "error.rate", "lateness"
    }  # fmt: skip
    assert all(m.runs == 3 for m in found)
    assert {m.load for m in found if m.metric == "latency"} == {f"open {runs[0].rate:.3g}/s", "closed c=1"}
    cold = next(m for m in found if m.metric == "latency.cold")
    assert cold.phase == "cold" and cold.count == 3 and "p95" in cold.refused
    assert next(m for m in found if m.metric == "error.rate").statistics["value"].value == 0


async def test_processor_time_is_that_of_the_work_and_not_of_the_waiting(tmp_path: Path, driver: Driver) -> None:
    (busy,) = await measured(tmp_path, driver, "/busy", runs=1)
    (sleeps,) = await measured(tmp_path, driver, "/sleeps", runs=1)
    assert busy.cpu_ms >= 10 > sleeps.cpu_ms
    assert min(sleeps.alone.samples_ms) >= 10


async def test_a_slow_endpoint_gets_its_fewest_requests_and_no_open_loop(tmp_path: Path, driver: Driver) -> None:
    (run,) = await measured(tmp_path, driver, "/slow", runs=1, seconds=0.3)
    assert len(run.alone.samples_ms) == 5 and run.paced is None
    latency = combine([run])[0].measurement
    assert latency.load == "closed c=1" and "open loop" in latency.refused and "p95" in latency.refused


async def test_an_endpoint_that_only_answers_errors_is_not_measured(tmp_path: Path, driver: Driver) -> None:
    with serving(tmp_path, ROUTES) as server, pytest.raises(Unmeasurable, match="status 500"):
        await measure_baseline(server, server.plan("/broken"), Aim(server.base_url), driver=driver)


async def test_errors_among_good_answers_are_counted_and_not_timed(tmp_path: Path, driver: Driver) -> None:
    (run,) = await measured(tmp_path, driver, "/sometimes", runs=1)
    found = {c.measurement.metric: c.measurement for c in combine([run])}
    assert set(run.errors) == {"status 503"}
    assert found["error.rate"].statistics["value"].value == pytest.approx(0.2, abs=0.05)
    assert {"p95", "p99"}.isdisjoint(found["latency"].statistics)


def result(ms: float = 5.0, late: float = 0.1, count: int = 50, load: str = "open 10/s") -> LoadResult:
    return LoadResult(load, (ms,) * count, (0,) * count, (late,) * count, {200: count}, {}, 0, count, 5.0)


def run(index: int, paced: LoadResult | None) -> BaselineRun:
    alone = result(6.0 + index, load="closed c=1")
    return BaselineRun(index, 20.0, 1, alone, 3.0, alone, paced, 10.0, 10**6, 10.0**6, 101)


async def test_a_late_driver_gives_no_percentile_and_the_other_latency_comes_first() -> None:
    found = combine([run(0, result()), run(1, result(late=80.0)), run(2, result())])
    first, second = (c.measurement for c in found if c.measurement.metric == "latency")
    assert first.load == "closed c=1" and "p50" in first.statistics
    assert second.statistics == {} and "late" in second.refused["p95"]


@pytest.mark.parametrize(("failed", "kept"), [
    (0, {"p50", "p95", "p99", "mean", "min", "max"}),
    (2, {"p50", "p95", "min"}),  # of 152
    (15, {"p50", "min"}),
    (200, {"min"}),
])  # fmt: skip
async def test_failed_requests_count_as_the_slowest(failed: int, kept: set[str]) -> None:
    good = result()
    bad = replace(good, errors={"time-out": failed}, asked_count=good.asked_count + failed)
    found = combine([run(0, good), run(1, bad), run(2, good)])
    first = next(c.measurement for c in found if c.measurement.metric == "latency")
    assert first.load == "open 10/s"
    assert set(first.statistics) == kept
    if failed:
        assert f"{failed} of {150 + failed} requests" in first.refused["p99"]


async def test_the_latency_at_a_rate_comes_first_where_it_is_good() -> None:
    first = combine([run(n, result()) for n in range(3)])[0]
    assert first.measurement.load == "open 10/s" and first.measurement.count == 150 and first.histogram
    assert first.measurement.samples == (5.0, 5.0, 5.0)


async def test_a_mix_keeps_the_shares_spread_evenly(tmp_path: Path) -> None:
    def plan(path: str, *targets: str) -> Plan:
        return Server(None, 0, tmp_path).plan(path, *targets)  # type: ignore[arg-type]

    blend = mix([plan("/a", "/a?2"), plan("/b"), plan("/c")], {"GET /a": 0.5, "GET /b": 0.3})
    kinds = [blend.requests[i].target[:2] for i in blend.order]
    assert [kinds.count(k) for k in ("/a", "/b", "/c")] == [50, 30, 20]
    assert [kinds[n : n + 10].count("/a") for n in range(0, 100, 10)] == [5] * 10
    assert {blend.requests[i].target for i in blend.order} == {"/a", "/a?2", "/b", "/c"}
    with pytest.raises(Unmeasurable):
        mix([plan("/a")], {"GET /a": 0.0})


async def test_a_workload_is_borne_at_each_step(tmp_path: Path, driver: Driver) -> None:
    runs = []
    for _ in range(2):
        with serving(tmp_path, ROUTES) as server:
            plans = [await server.tried("/fast"), await server.tried("/sleeps")]
            warmed: list[float] = []

            async def at(warmed: list[float] = warmed) -> None:
                warmed.append(time.monotonic())

            steps = await measure_workload(
                server, plans, Aim(server.base_url), shares={}, peak_rps=40, seconds=0.5, driver=driver, warmed=at
            )
            assert len(warmed) == 1 and time.monotonic() - warmed[0] >= 1.4, "before the first step"
            assert [s.result.asked_count for s in steps] == [10, 20, 40]
            runs.append(steps)
    found = [c.measurement for c in combine_workload(runs)]
    assert [m.load for m in found if m.metric == "latency"] == [
        "0.5 x peak (20/s)", "1 x peak (40/s)", "2 x peak (80/s)"
    ]  # fmt: skip
    assert all(m.statistics["value"].value == 0 for m in found if m.metric == "error.rate")
