"""The load driver against real servers: what it counts, what it refuses, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from perfcrew.core.errors import ToolFailed
from perfcrew.core.web import Fingerprint
from perfcrew.instruments.load import Aim, Driver, LoadResult, closed_loop, in_turn, open_loop
from tests.instruments.servers import Server, serving

ROUTES = """
@routes.get("/fast")
async def fast(request):
    return web.json_response({"a": 1})

@routes.get("/large")
async def large(request):
    answer = web.json_response({"a": ["the same"] * 1000})
    answer.enable_compression()  # where the request accepts it
    return answer

@routes.get("/slow")
async def slow(request):
    await asyncio.sleep(0.2)
    return web.json_response({"a": 1})

@routes.get("/hangs")
async def hangs(request):
    await asyncio.sleep(60)

@routes.get("/broken")
async def broken(request):
    return web.json_response({"detail": "no"}, status=500)

@routes.get("/alternates")
async def alternates(request):
    global count
    count += 1
    return web.json_response({"a": 1} if count % 2 else {"error": "limit reached"})

@routes.get("/stalls")
async def stalls(request):
    global count
    count += 1
    if count == 20:
        time.sleep(0.6)
    return web.json_response({"a": 1})

@routes.get("/works-on")
async def works_on(request):
    status = 503 if working else 200
    asyncio.create_task(after(float(request.query["seconds"])))
    return web.json_response({"a": 1}, status=status)

working = False

async def after(seconds):
    global working
    working = True
    for _ in range(3):
        await asyncio.sleep(0)  # the answer goes first
    until = time.process_time() + seconds
    while time.process_time() < until:
        await asyncio.sleep(0)  # who comes meanwhile is answered
    working = False

@routes.get("/who")
async def who(request):
    right = request.headers.get("X-Key") == "k" and request.cookies.get("session") == "s"
    return web.json_response({"right": right}, status=200 if right else 401)

@routes.get("/dies")
async def dies(request):
    os._exit(3)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path, ROUTES) as running:
        yield running


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "other").mkdir()
    with serving(tmp_path / "other", ROUTES) as running:
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def driver() -> AsyncIterator[Driver]:
    async with Driver() as running:
        yield running


async def test_an_open_loop_sends_as_many_as_were_due_and_times_each(server: Server, driver: Driver) -> None:
    result = await open_loop(
        Aim(server.base_url), server.plan("/fast").requests, rate=100, duration_s=0.5, driver=driver
    )
    assert result.asked_count == len(result.samples_ms) == len(result.lateness_ms) == 50
    assert result.statuses == {200: 50} and not result.errors and result.sent_bytes == 50 * len('{"a": 1}')
    assert result.load == "open 100/s"


async def test_a_stall_is_seen_by_all_requests_that_were_due_meanwhile(server: Server, driver: Driver) -> None:
    requests = server.plan("/stalls").requests
    result = await open_loop(Aim(server.base_url), requests, rate=100, duration_s=1, driver=driver)
    assert sum(ms > 100 for ms in result.samples_ms) >= 30


async def test_a_closed_loop_of_one_sees_the_same_stall_once(server: Server, driver: Driver) -> None:
    result = await closed_loop(Aim(server.base_url), server.plan("/stalls").requests, count=100, driver=driver)
    assert result.asked_count == 100 and sum(ms > 100 for ms in result.samples_ms) == 1


async def test_requests_go_in_turn_or_in_the_order_given(server: Server, driver: Driver) -> None:
    requests = server.plan("/fast", "/fast?b").requests
    cycled = await closed_loop(Aim(server.base_url), requests, count=4, driver=driver)
    ordered = await closed_loop(Aim(server.base_url), requests, count=6, order=[1, 1, 0], driver=driver)
    assert cycled.indices == (0, 1, 0, 1) and ordered.indices == (1, 1, 0, 1, 1, 0)


async def test_a_slow_endpoint_gets_its_fewest_requests(server: Server, driver: Driver) -> None:
    requests = server.plan("/slow").requests
    result = await closed_loop(Aim(server.base_url), requests, duration_s=0.01, minimum=3, driver=driver)
    assert len(result.samples_ms) == 3 and min(result.samples_ms) >= 200


async def test_concurrent_users_are_counted_exactly(server: Server, driver: Driver) -> None:
    requests = server.plan("/fast").requests
    result = await closed_loop(Aim(server.base_url), requests, concurrency=8, count=20, driver=driver)
    assert result.asked_count == 20 and result.load == "closed c=8" and result.throughput_per_s > 0


async def test_what_an_application_compresses_is_asked_for_compressed_by_all(
    server: Server, other: Server, driver: Driver
) -> None:
    """Else a change that compresses answers could never be seen to send less; its shape is checked all the same."""
    plan, whole = server.plan("/large"), len('{"a": ["the same"]}') * 500
    asking = (plan.requests, plan.fingerprints)
    closed = await closed_loop(Aim(server.base_url), asking[0], expected=asking[1], count=2, driver=driver)
    opened = await open_loop(
        Aim(server.base_url), asking[0], expected=asking[1], rate=50, duration_s=0.1, driver=driver
    )
    aims = (Aim(server.base_url), Aim(other.base_url))
    turned = await in_turn(aims, asking[0], expected=asking[1], duration_s=0, minimum=2, driver=driver)
    for result in (closed, opened, *turned):
        assert not result.errors and 0 < result.sent_bytes / result.asked_count < whole / 10


ERRORS = {
    "a status that is not expected": ("/broken", "status 500"),
    "a time-out": ("/hangs", "time-out"),
}


@pytest.mark.parametrize(("target", "kind"), ERRORS.values(), ids=ERRORS.keys())
@pytest.mark.parametrize("rate", [None, 50.0], ids=["closed", "open"])
async def test_an_error_is_never_a_sample(
    server: Server, driver: Driver, target: str, kind: str, rate: float | None
) -> None:
    aim, requests = Aim(server.base_url, timeout_s=0.3), server.plan(target).requests
    result = await _drive(aim, requests, rate, driver)
    assert result.samples_ms == () and result.errors == {kind: result.asked_count} and result.error_share == 1.0


async def _drive(aim: Aim, requests: tuple, rate: float | None, driver: Driver) -> LoadResult:
    if rate is None:
        return await closed_loop(aim, requests, count=3, driver=driver)
    return await open_loop(aim, requests, rate=rate, duration_s=0.1, driver=driver)


async def test_an_answer_of_another_shape_is_an_error(server: Server, driver: Driver) -> None:
    plan = await server.tried("/alternates")
    result = await closed_loop(Aim(server.base_url), plan.requests, count=10, expected=plan.fingerprints, driver=driver)
    assert len(result.samples_ms) == 5 and result.errors == {"another shape than when first asked": 5}


async def test_the_expected_status_may_be_an_error_status(server: Server, driver: Driver) -> None:
    expected = [Fingerprint(status=500, shape="", size_bytes=0)]
    result = await closed_loop(
        Aim(server.base_url), server.plan("/broken").requests, count=2, expected=expected, driver=driver
    )
    assert result.statuses == {500: 2} and "status 500" not in result.errors


async def test_headers_and_cookies_go_along_and_are_not_shown(server: Server, driver: Driver) -> None:
    aim = Aim(server.base_url, {"X-Key": "k"}, {"session": "s"})
    result = await closed_loop(aim, server.plan("/who").requests, count=2, driver=driver)
    assert result.statuses == {200: 2}
    assert "'k'" not in repr(aim) and "session" not in repr(aim)


async def test_a_server_that_dies_ends_the_loop(server: Server, driver: Driver) -> None:
    requests = server.plan("/fast", "/dies").requests
    result = await closed_loop(Aim(server.base_url), requests, duration_s=20, driver=driver)
    assert result.asked_count <= 4 and result.error_count >= 1


async def test_percentiles_are_refused_where_the_driver_was_late() -> None:
    def result(late: float, ms: float) -> LoadResult:
        return LoadResult("open 10/s", (ms,) * 100, (0,) * 100, (late,) * 100, {200: 100}, {}, 0, 100, 10.0)

    assert result(0.5, 2.0).late == ""
    assert "late" in result(50.0, 2.0).late
    assert result(50.0, 1000.0).late == "", "a small part of a long time"


async def test_without_a_driver_one_is_started_and_ended(server: Server) -> None:
    before = workers()
    result = await closed_loop(Aim(server.base_url), server.plan("/fast").requests, count=1)
    assert result.asked_count == 1 and workers() == before


def workers() -> set[psutil.Process]:
    return {p for p in psutil.Process().children() if "load_worker" in " ".join(p.cmdline())}


async def test_a_driver_that_is_killed_says_so_and_the_next_job_has_another(server: Server, driver: Driver) -> None:
    job = asyncio.create_task(closed_loop(Aim(server.base_url), server.plan("/slow").requests, count=50, driver=driver))
    await asyncio.sleep(0.3)
    for worker in workers():
        os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(ToolFailed, match="died"):
        await job
    again = await closed_loop(Aim(server.base_url), server.plan("/fast").requests, count=1, driver=driver)
    assert again.asked_count == 1


async def test_a_cancelled_job_does_not_answer_for_the_next(server: Server, driver: Driver) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(
            closed_loop(Aim(server.base_url), server.plan("/slow").requests, count=50, driver=driver), 0.3
        )
    result = await closed_loop(Aim(server.base_url), server.plan("/fast").requests, count=2, driver=driver)
    assert result.asked_count == 2


async def both(
    one: Server, other: Server, target: str, driver: Driver, *, minimum: int = 6, rested: bool = True
) -> tuple[LoadResult, LoadResult]:
    aims = (Aim(one.base_url, timeout_s=2.0), Aim(other.base_url, timeout_s=2.0))
    pids = [server.process.pid for server in (one, other)] if rested else ()
    requests = one.plan(target).requests
    return await in_turn(aims, requests, duration_s=0.0, minimum=minimum, pids=pids, driver=driver)


async def test_two_servers_are_asked_in_turn_as_abba(server: Server, other: Server, driver: Driver) -> None:
    results = await both(server, other, "/fast", driver)
    sent = sorted((ms, side) for side, result in zip("AB", results, strict=True) for ms in result.due_ms)
    assert "".join(side for _, side in sent) == "ABBAABBAABBA"
    assert [r.asked_count for r in results] == [6, 6] and not any(r.restless for r in results)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel does not tell another process' time so exactly")
async def test_processor_time_is_that_of_each_request_and_of_what_it_leaves_to_do(
    server: Server, other: Server, driver: Driver
) -> None:
    one, same = await both(server, other, "/works-on?seconds=0.002", driver)
    quick, _ = await both(server, other, "/fast", driver)
    for result in (one, same, quick):
        assert len(result.cpu_ms) == len(result.samples_ms)
    worked, beside, little = (statistics.median(result.cpu_ms) for result in (one, same, quick))
    assert min(worked, beside) > 1.5 > little > 0


@pytest.mark.alone
async def test_what_a_server_does_after_its_answer_is_waited_for(server: Server, other: Server, driver: Driver) -> None:
    """Two milliseconds of work after each answer; without the waiting nearly every request meets them."""
    aims, requests = (Aim(server.base_url), Aim(server.base_url)), server.plan("/works-on?seconds=0.002").requests

    async def met(*pids: int) -> int:
        one, same = await in_turn(aims, requests, duration_s=0.0, minimum=10, pids=pids, driver=driver)
        return one.error_count + same.error_count

    # A busy machine may let the server wait for a core as long as for that work, now and then.
    assert any([await met(server.pid) < await met() / 2 for _ in range(5)])


async def test_who_never_rests_is_waited_for_a_few_times(server: Server, other: Server, driver: Driver) -> None:
    """Also on a busy machine, where the one who works on waits for a core most of the time."""
    one, _ = await both(server, other, "/works-on?seconds=0.05", driver, minimum=6)
    assert one.restless and one.asked_count == 6


async def test_errors_of_one_of_two_are_its_own_and_its_death_ends_it(
    server: Server, other: Server, driver: Driver
) -> None:
    aims = (Aim(server.base_url), Aim("http://127.0.0.1:9"))
    good, bad = await in_turn(aims, server.plan("/fast").requests, duration_s=20.0, minimum=3, driver=driver)
    assert good.asked_count == 1 and not good.errors and bad.error_count == 1
