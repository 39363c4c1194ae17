"""Memory of real servers under the real probe: what leaks is found with its line, what warms up is not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from perfcrew.core.errors import ToolFailed, Unmeasurable
from perfcrew.core.evidence import Memory
from perfcrew.instruments.load import Aim, Driver
from perfcrew.instruments.memory import (
    AllocationRun,
    Census,
    HeapRun,
    combine_memory,
    measure_allocations,
    measure_heap,
)
from perfcrew.probe import inject
from tests.instruments.servers import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUTES = """
class Thing:
    def __init__(self):
        self.data = bytearray(5000)

bounded = {}

@routes.get("/leaks")
async def leaks(request):
    kept.append(Thing())
    return web.json_response({"a": 1})

@routes.get("/keeps")
async def keeps(request):
    bounded[len(bounded) % 8] = Thing()
    return web.json_response({"a": 1})

@routes.get("/broken")
async def broken(request):
    return web.Response(status=500)
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
        plan = await server.tried(target)
        heap = await measure_heap(server, plan, Aim(server.base_url), heap_dir, requests=40, driver=driver)
    with serving(root, ROUTES, environment(root, allocations_dir, "allocations")) as server:
        aim = Aim(server.base_url)
        allocations = await measure_allocations(plan, aim, allocations_dir, root, requests=40, driver=driver)
    return combine_memory(heap, allocations)


@pytest.mark.target
async def test_a_leak_is_found_with_its_type_its_container_and_its_line(tmp_path: Path, driver: Driver) -> None:
    found = await memory(tmp_path, driver, "/leaks")
    thing = next(o for o in found.objects if o.type.endswith("Thing"))
    assert thing.per_request_count == 1.0 and thing.after_count - thing.before_count == found.requests_count == 40
    container = next(c for c in found.containers if c.owner.endswith("kept"))
    assert container.after_count - container.before_count == 40
    line = found.allocations[0]
    source = (tmp_path / "server.py").read_text().splitlines()
    assert line.place.file == "server.py" and "bytearray(5000)" in source[line.place.line - 1]
    assert line.per_request_bytes == pytest.approx(5000, rel=0.2)
    assert len(found.rss_bytes) == 11


@pytest.mark.target
async def test_what_is_replaced_is_no_leak(tmp_path: Path, driver: Driver) -> None:
    found = await memory(tmp_path, driver, "/keeps")
    assert not [o for o in found.objects if o.type.endswith("Thing")]
    assert not [c for c in found.containers if c.owner.endswith("bounded")]


@pytest.mark.target
async def test_an_endpoint_that_answers_errors_has_no_memory_figures(tmp_path: Path, driver: Driver) -> None:
    folder = tmp_path / "h"
    with serving(tmp_path, ROUTES, environment(tmp_path, folder, "heap")) as server:
        plan = server.plan("/broken")
        with pytest.raises(Unmeasurable, match="no answer was as expected"):
            await measure_heap(server, plan, Aim(server.base_url), folder, driver=driver)


async def test_without_a_probe_it_says_that_nothing_answers(tmp_path: Path, driver: Driver) -> None:
    with serving(tmp_path, ROUTES) as server:
        plan = await server.tried("/leaks")
        with pytest.raises(Unmeasurable, match="control socket"):
            await measure_heap(server, plan, Aim(server.base_url), tmp_path, driver=driver)


GROWTHS = {
    "the same in both halves": ((0, 30, 60), True),
    "a little uneven": ((0, 20, 50), True),
    "warm-up alone": ((0, 30, 30), False),
    "a bound that is reached": ((0, 30, 40), False),
    "only lately": ((0, 0, 30), False),
    "a few": ((0, 1, 2), False),
    "shrinking": ((60, 30, 0), False),
}


@pytest.mark.parametrize(("counts", "grows"), GROWTHS.values(), ids=GROWTHS.keys())
async def test_only_what_grows_in_both_halves_is_listed(counts: tuple[int, int, int], grows: bool) -> None:
    censuses = tuple(Census({"app.T": n}, {("dict", "app.cache"): n}) for n in counts)
    heap = HeapRun(60, (0, 30, 60), (10, 10, 10), censuses)  # type: ignore[arg-type]
    found = combine_memory(heap, AllocationRun(60, ()))
    assert bool(found.objects) is bool(found.containers) is grows


@pytest.mark.parametrize("answer", [b"no json\n", b'{"error": "KeyError"}\n', b'{"types": []}\n', b"[]\n"])
async def test_nonsense_on_the_control_socket_is_said(tmp_path: Path, driver: Driver, answer: bytes) -> None:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        writer.close()

    socket = tmp_path / "9.sock"
    (tmp_path / "9.jsonl").write_text(f'{{"type":"hello","pid":9,"mode":"otel","control":"{socket}"}}\n')
    control = await asyncio.start_unix_server(reply, str(socket))
    try:
        with serving(tmp_path, ROUTES) as server:
            plan = await server.tried("/leaks")
            with pytest.raises(ToolFailed):
                await measure_heap(server, plan, Aim(server.base_url), tmp_path, driver=driver)
    finally:
        control.close()
