"""The neighbour's waiting beside endpoints that block the loop, and beside those that only wait themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from perfcrew.core.errors import Unmeasurable
from perfcrew.core.evidence import Neighbour
from perfcrew.core.trace import Block, Frame, Trace
from perfcrew.instruments.load import Aim, Driver
from perfcrew.instruments.neighbour import measure_neighbour, stalls_ms, with_blocks
from tests.instruments.servers import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUTES = """
@routes.get("/cheap")
async def cheap(request):
    return web.json_response({"a": 1})

@routes.get("/blocks")
async def blocks(request):
    time.sleep(0.15)
    return web.json_response({"a": 1})

@routes.get("/waits")
async def waits(request):
    await asyncio.sleep(0.15)
    return web.json_response({"a": 1})

@routes.get("/broken")
async def broken(request):
    return web.Response(status=500)
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def driver() -> AsyncIterator[Driver]:
    async with Driver() as running:
        yield running


async def beside(folder: Path, driver: Driver, target: str) -> Neighbour:
    with serving(folder, ROUTES) as server:
        plan, cheap = await server.tried(target), await server.tried("/cheap")
        return await measure_neighbour(server, plan, cheap, Aim(server.base_url), driver=driver)


async def test_a_blocked_loop_shows_in_the_neighbours_waiting(tmp_path: Path, driver: Driver) -> None:
    found = await beside(tmp_path, driver, "/blocks")
    assert found.neighbour == "GET /cheap" and found.stalls_count >= 2
    assert found.stall_max_ms >= 100 and found.request_ms >= 150


async def test_an_endpoint_that_only_waits_leaves_the_neighbour_alone(tmp_path: Path, driver: Driver) -> None:
    found = await beside(tmp_path, driver, "/waits")
    assert found.request_ms >= 150 and found.beside_median_ms < 100


async def test_nothing_is_said_beside_an_endpoint_that_answers_errors(tmp_path: Path, driver: Driver) -> None:
    with serving(tmp_path, ROUTES) as server, pytest.raises(Unmeasurable):
        plan, cheap = server.plan("/cheap"), (await server.tried("/cheap"))
        wrong = server.plan("/broken").model_copy(update={"fingerprints": cheap.fingerprints})
        await measure_neighbour(server, wrong, plan, Aim(server.base_url), driver=driver)


STALLS = {
    "none": ([0, 5, 10], [1, 1, 1], []),
    "one, seen by all that were due within it": ([0, 5, 10, 15, 20], [1, 100, 95, 90, 85], [100]),
    "two": ([0, 5, 10, 200, 205], [100, 95, 90, 80, 75], [100, 80]),
    "one after the other": ([0, 50, 101, 150], [100, 50, 99, 50], [100, 99]),
    "in any order of arrival": ([10, 5, 0], [90, 95, 100], [100]),
}


@pytest.mark.parametrize(("due", "times", "expected"), STALLS.values(), ids=STALLS.keys())
async def test_requests_within_one_stall_count_once(
    due: list[float], times: list[float], expected: list[float]
) -> None:
    assert stalls_ms(due, times, 30) == expected


def trace(*stacks: tuple[tuple[str, int], ...], repeat: int = 1) -> Trace:
    blocks = tuple(
        Block(start_ns=0, duration_ms=100 + n, stack=tuple(Frame(file=f, line=at, function="f") for f, at in stack))
        for n, stack in enumerate(stacks)
    )
    return Trace(id="t", request=0, repeat=repeat, blocks=blocks)


WAITED = Neighbour(
    neighbour="GET /cheap", alone_median_ms=1, beside_median_ms=2, beside_max_ms=90, request_ms=100,
    stalls_count=3, stall_max_ms=90,
)  # fmt: skip
APP, LIBRARY = ("/srv/app.py", 7), ("/usr/lib/python3/requests/api.py", 3)


async def test_the_place_comes_from_the_longest_block_of_warm_requests() -> None:
    root = Path("/srv")
    direct = with_blocks(WAITED, [trace((APP,)), trace((("/srv/other.py", 1),), repeat=0)], root)
    assert str(direct.stall_place) == "app.py:7 (f)" and direct.stall_trigger is None
    library = with_blocks(WAITED, [trace((APP,), (LIBRARY, APP))], root)
    assert library.stall_place and library.stall_place.file.endswith("api.py")
    assert str(library.stall_trigger) == "app.py:7 (f)"


async def test_no_place_is_named_without_a_stall_or_a_line_of_the_application() -> None:
    calm = WAITED.model_copy(update={"stalls_count": 0})
    assert with_blocks(calm, [trace((APP,))], Path("/srv")) == calm
    assert with_blocks(WAITED, [trace((LIBRARY,))], Path("/srv")) == WAITED
