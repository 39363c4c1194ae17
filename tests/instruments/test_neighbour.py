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
from perfcrew.instruments.neighbour import measure_alone, measure_neighbour, with_blocks
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
async def drivers() -> AsyncIterator[tuple[Driver, Driver]]:
    async with Driver() as one, Driver() as other:
        yield one, other


async def beside(folder: Path, drivers: tuple[Driver, Driver], target: str) -> Neighbour:
    with serving(folder, ROUTES) as server:
        plan, cheap, aim = await server.tried(target), await server.tried("/cheap"), Aim(server.base_url)
        alone_ms = await measure_alone(aim, cheap, seconds=0.3, driver=drivers[0])
        return await measure_neighbour(aim, plan, cheap, alone_ms, seconds=0.4, drivers=drivers)


async def test_a_blocked_loop_shows_in_the_neighbours_waiting(tmp_path: Path, drivers: tuple[Driver, Driver]) -> None:
    found = await beside(tmp_path, drivers, "/blocks")
    assert found.neighbour == "GET /cheap" and found.beside_max_ms >= 100 and found.request_ms >= 150


async def test_an_endpoint_that_only_waits_leaves_it_alone(tmp_path: Path, drivers: tuple[Driver, Driver]) -> None:
    found = await beside(tmp_path, drivers, "/waits")
    assert found.request_ms >= 150 and found.beside_median_ms < 100


async def test_nothing_is_said_beside_an_endpoint_that_answers_errors(
    tmp_path: Path, drivers: tuple[Driver, Driver]
) -> None:
    with serving(tmp_path, ROUTES) as server:
        cheap, aim = await server.tried("/cheap"), Aim(server.base_url)
        with pytest.raises(Unmeasurable):
            await measure_neighbour(aim, server.plan("/broken"), cheap, 1.0, seconds=0.1, drivers=drivers)
        with pytest.raises(Unmeasurable):
            await measure_alone(aim, server.plan("/broken"), seconds=0.1, driver=drivers[0])


def trace(*stacks: tuple[tuple[str, int], ...], repeat: int = 1) -> Trace:
    blocks = tuple(
        Block(start_ns=0, duration_ms=100 + n, stack=tuple(Frame(file=f, line=at, function="f") for f, at in stack))
        for n, stack in enumerate(stacks)
    )
    return Trace(id="t", request=0, repeat=repeat, blocks=blocks)


WAITED = Neighbour(
    neighbour="GET /cheap", alone_median_ms=1, beside_median_ms=2, beside_max_ms=90, request_ms=100,
    stalls_count=0, stall_max_ms=0,
)  # fmt: skip
APP, LIBRARY = ("/srv/app.py", 7), ("/usr/lib/python3/requests/api.py", 3)


async def test_the_place_comes_from_the_longest_block() -> None:
    root = Path("/srv")
    direct = with_blocks(WAITED, [trace((("/srv/other.py", 1),), (APP,))], root)
    assert str(direct.stall_place) == "app.py:7 (f)" and direct.stall_trigger is None
    library = with_blocks(WAITED, [trace((APP,), (LIBRARY, APP))], root)
    assert library.stall_place and library.stall_place.file.endswith("api.py")
    assert str(library.stall_trigger) == "app.py:7 (f)"


async def test_no_place_is_named_without_a_block() -> None:
    assert with_blocks(WAITED, [trace()], Path("/srv")) == WAITED
