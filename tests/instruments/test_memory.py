"""Memory of real servers under the real probe: what leaks is found with its line, what warms up is not."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from perfcrew.core.errors import ToolFailed
from perfcrew.core.evidence import Memory
from perfcrew.instruments.load import Aim, Driver
from perfcrew.instruments.memory import fill, growth, measure_allocations, measure_memory
from perfcrew.probe import inject
from tests.instruments.servers import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUTES = """
class Thing:
    def __init__(self):
        self.data = bytearray(5000)

bounded = {}
latest = []

@routes.get("/leaks")
async def leaks(request):
    kept.append(Thing())
    return web.json_response({"a": 1})

@routes.get("/bounded")
async def keeps_some(request):
    latest.append(Thing())
    del latest[:-200]
    return web.json_response({"a": 1})

@routes.get("/keeps")
async def keeps(request):
    bounded[len(bounded) % 8] = Thing()
    return web.json_response({"a": 1})
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def driver() -> AsyncIterator[Driver]:
    async with Driver() as running:
        yield running


def environment(root: Path, probe_dir: Path, part: str) -> dict[str, str]:
    return {**os.environ, **inject.environment(probe_dir, root, mode="stdlib", parts=(part,), pythonpath="")}


async def memory(root: Path, driver: Driver, target: str) -> Memory:
    heap_dir, allocations_dir = root / "h", root / "a"
    with serving(root, ROUTES, environment(root, heap_dir, "heap")) as server:
        plan, aim = await server.tried(target), Aim(server.base_url)
        found = await measure_memory(server, aim, plan, heap_dir, requests=40, driver=driver)  # type: ignore[arg-type]
    with serving(root, ROUTES, environment(root, allocations_dir, "allocations")) as server:
        aim = Aim(server.base_url)
        lines = await measure_allocations(aim, plan, allocations_dir, root, requests=40, driver=driver)
    return found.model_copy(update={"allocations": lines})


@pytest.mark.target
async def test_a_leak_is_found_with_its_type_its_container_and_its_line(tmp_path: Path, driver: Driver) -> None:
    found = await memory(tmp_path, driver, "/leaks")
    thing = next(o for o in found.objects if o.type.endswith("Thing"))
    assert thing.per_request_count == 1.0 and thing.after_count - thing.before_count == found.requests_count == 40
    container = next(c for c in found.containers if c.owner.endswith("kept"))
    # The probe lists containers from 8 entries on, so the first census may not know this one yet.
    assert 40 <= container.after_count - container.before_count < 48
    line = found.allocations[0]
    source = (tmp_path / "server.py").read_text().splitlines()
    assert line.place.file == "server.py" and "bytearray(5000)" in source[line.place.line - 1]
    assert line.per_request_bytes == pytest.approx(5000, rel=0.2)


@pytest.mark.target
async def test_what_is_replaced_is_no_leak(tmp_path: Path, driver: Driver) -> None:
    found = await memory(tmp_path, driver, "/keeps")
    assert not [o for o in found.objects if o.type.endswith("Thing")]
    assert not [c for c in found.containers if c.owner.endswith("bounded")]


@pytest.mark.target
@pytest.mark.parametrize(("target", "before", "after"), [("/leaks", True, True), ("/bounded", True, False)])
async def test_what_has_a_bound_grows_until_it_is_full(
    tmp_path: Path, driver: Driver, target: str, before: bool, after: bool
) -> None:
    heap_dir = tmp_path / "h"
    with serving(tmp_path, ROUTES, environment(tmp_path, heap_dir, "heap")) as server:
        plan, aim = await server.tried(target), Aim(server.base_url)

        async def left_behind() -> list[float]:
            return await growth(aim, plan, heap_dir, rounds=2, requests=40, driver=driver)

        await fill(aim, plan, 10, driver)
        filling = await left_behind()
        await fill(aim, plan, 200, driver)
        assert ([n > 0.9 for n in filling], [n > 0.9 for n in await left_behind()]) == ([before] * 2, [after] * 2)


async def test_without_a_probe_it_says_that_nothing_answers(tmp_path: Path, driver: Driver) -> None:
    with serving(tmp_path, ROUTES) as server:
        plan, aim = await server.tried("/leaks"), Aim(server.base_url)
        with pytest.raises(ToolFailed, match="control socket"):
            await measure_memory(server, aim, plan, tmp_path, requests=8, driver=driver)  # type: ignore[arg-type]
