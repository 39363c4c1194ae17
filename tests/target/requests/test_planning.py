"""Requests for small but real applications, served by real servers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from perfcrew.core.errors import TargetFailed, UsageError
from perfcrew.core.project import Project, Scenario, ScenarioRequest, Workload
from perfcrew.core.web import Endpoint, Plan
from perfcrew.target.client import Client
from perfcrew.target.requests import TIME_USED_UP, Limits, plan
from perfcrew.target.requests.suppliers import AT_A_TIME, ROUNDS, suppliers
from perfcrew.target.routes import routes

pytestmark = pytest.mark.target
APPS = Path(__file__).parent / "apps"
Make = Callable[..., Project]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


SERVERS = {
    "fastapi": ["-m", "uvicorn", "--log-level", "error", "--host", "127.0.0.1", "--port", "{port}", "fastapi_shop:app"],
    "flask": ["-m", "flask", "--app", "flask_shop:app", "run", "--port", "{port}"],
    "django": ["manage.py", "runserver", "--noreload", "127.0.0.1:{port}"],
}


@asynccontextmanager
async def served(framework: str) -> AsyncIterator[tuple[str, int]]:
    port = free_port()
    command = [sys.executable, *(word.replace("{port}", str(port)) for word in SERVERS[framework])]
    process = subprocess.Popen(
        command,
        cwd=APPS / "django_site" if framework == "django" else APPS,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        await listening(port)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


async def listening(port: int) -> None:
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
            continue
        writer.close()
        return
    pytest.fail("the server does not listen")


async def planned(
    project: Project, base_url: str, limit: int = 5, timeout_s: float = 1.5, **limits: Any
) -> dict[str, Plan]:
    async with Client(base_url, timeout_s=timeout_s) as client:
        known = await routes(project, client, environment={})
        plans = await plan(project, known.endpoints, client, Limits(per_endpoint=limit, **limits))
    return {p.endpoint.key: p for p in plans}


def targets(one: Plan) -> list[str]:
    return [request.target for request in one.requests]


@pytest.fixture(scope="module")
def plans() -> dict[str, Plan]:
    """The plans of the FastAPI application, made once: the tests below look at different endpoints of them."""
    target = Project(
        root=APPS,
        name="x",
        framework="fastapi",
        python=Path(sys.executable),
        workdir=APPS,
        app="fastapi_shop:app",
        start=("x",),
        methods=("GET", "HEAD", "POST"),
        exclude=("/hidden", "GET /plain/*"),
    )
    return asyncio.run(of_fastapi(target))


async def of_fastapi(target: Project) -> dict[str, Plan]:
    async with served("fastapi") as (base_url, _):
        return await planned(target, base_url)


MEASURED = {
    "a listing": ("GET /api/books", ["/api/books"], "default"),
    "ids of the listing, several": (
        "GET /api/books/{book_id}",
        [f"/api/books/{n}" for n in (11, 12, 13, 14, 15)],
        "listing",
    ),
    "another field of the listed items": (
        "GET /api/books/by-isbn/{isbn}",
        [f"/api/books/by-isbn/978-{n:04}" for n in (11, 12, 13, 14, 15)],
        "listing",
    ),
    "ids of a listing whose field is called otherwise": (
        "GET /orders/{order_id}",
        [f"/orders/00000000-0000-0000-0000-00000000000{n}" for n in (1, 2, 3)],
        "listing",
    ),
    "plain texts listed in a wrapper": ("GET /sub/tags/{tag}", ["/sub/tags/red", "/sub/tags/blue"], "listing"),
    "a value within exclusive bounds": ("GET /rated/{stars}", ["/rated/4", "/rated/5"], "generated"),
    "an example": ("GET /countries/{country}", ["/countries/CH"], "example"),
    "links of a page, neither logout nor another host": (
        "GET /pages/{name}",
        ["/pages/book-11", "/pages/book-12", "/pages/book-13"],
        "listing",
    ),
    "a body by its schema": ("POST /api/books/basket", ["/api/books/basket"], "generated"),
}


@pytest.mark.parametrize("name", MEASURED)
def test_requests_that_are_answered(plans: dict[str, Plan], name: str) -> None:
    key, expected, origin = MEASURED[name]
    one = plans[key]
    assert targets(one) == expected
    assert one.requests[0].origin == origin
    assert one.skipped == ""
    assert one.measurable
    assert [f.status for f in one.fingerprints] == [200] * len(expected)


SKIPPED = {
    "GET /gone/{thing_id}": "answered 404 for {thing_id}=1, 2, 3",
    "GET /private": "answered 401",
    "GET /broken": "answered 500",
    "GET /dashboard": "answered 302 to /accounts/login/",
    "GET /logout": "its name says 'logout': asked only by a scenario of perfcrew.toml",
    "GET /ticker": "began to answer 200 (text/event-stream) and did not end within 1.5 s",
    "GET /hidden": "excluded by '/hidden' in [target] exclude",
    "GET /plain/status": "excluded by 'GET /plain/*' in [target] exclude",
    "DELETE /api/books/{book_id}": "DELETE is not asked unless [target] methods lists it",
}


@pytest.mark.parametrize("key", SKIPPED)
def test_what_is_not_measured_says_why(plans: dict[str, Plan], key: str) -> None:
    assert (plans[key].skipped, plans[key].requests) == (SKIPPED[key], ())


def test_a_book_is_asked_below_its_own_author(plans: dict[str, Plan]) -> None:
    found = [t.split("/") for t in targets(plans["GET /api/v1/authors/{author_id}/books/{book_id}"])]
    assert len(found) == 5
    assert {(int(parts[4]), int(parts[6]) % 2) for parts in found} == {(3, 1), (8, 0)}
    assert not plans["GET /api/v1/authors/{author_id}/books/{book_id}"].skipped


def test_required_query_parameters_get_words_of_the_data_choices_and_dates(plans: dict[str, Plan]) -> None:
    one = plans["GET /search"]
    assert "q=lighthouse" in targets(one)[0]
    assert {"kind=new", "kind=used"} == {part for t in targets(one) for part in t.split("&") if part.startswith("kind")}
    assert one.fingerprints[0].items == 20


def test_a_pattern_is_followed(plans: dict[str, Plan]) -> None:
    found = targets(plans["GET /codes/{code}"])
    assert found
    assert all(target.removeprefix("/codes/")[2] == "-" for target in found)


def test_the_parameter_that_bounds_the_listing_is_found_by_trying(plans: dict[str, Plan]) -> None:
    assert plans["GET /api/books"].page_size_parameter == "limit"
    assert plans["GET /orders"].page_size_parameter is None


def test_a_redirect_that_is_no_login_is_measured_as_such(plans: dict[str, Plan]) -> None:
    one = plans["GET /newest"]
    assert [(r.target, r.expect) for r in one.requests] == [("/newest", 307)]


async def test_a_scenario_a_har_file_and_a_log_come_first(project: Make, tmp_path: Path) -> None:
    har = [
        har_entry("http://shop.example/api/books/17?full=1", cookie="sid=secret"),
        har_entry("http://shop.example/api/books/18?access_token=secret"),
        har_entry("http://shop.example/api/books/19", status=404),
        har_entry("http://cdn.example/logo.png"),
    ]
    (tmp_path / "a.har").write_text(json.dumps({"log": {"entries": har}}))
    (tmp_path / "access.log").write_text(
        '1.1.1.1 - - [10/Oct/2025:13:55:36 +0000] "GET /orders/00000000-0000-0000-0000-000000000002 HTTP/1.1" 200 12\n'
        '1.1.1.1 - - [10/Oct/2025:13:55:37 +0000] "GET /orders/00000000-0000-0000-0000-000000000002 HTTP/1.1" 200 12\n'
        '1.1.1.1 - - [10/Oct/2025:13:55:36 +0000] "GET /logout HTTP/1.1" 200 12 "-" "x"\n'
    )
    target = project(
        "fastapi",
        "fastapi_shop:app",
        scenarios=(
            Scenario(
                name="s",
                requests=(
                    ScenarioRequest(path="/gone/7", expect=404),
                    ScenarioRequest(path="/sub/tags?x=1", headers={"X-A": "b"}),
                    ScenarioRequest(path="/nowhere"),
                    ScenarioRequest(method="POST", path="/api/books/basket", json_body={"book_ids": []}),
                ),
            ),
        ),
        workload=Workload(har=str(tmp_path / "a.har"), access_log=str(tmp_path / "access.log")),
        exclude=("/ticker",),
    )
    async with served("fastapi") as (base_url, _):
        found = await planned(target, base_url, limit=2)
    assert targets(found["GET /api/books/{book_id}"]) == ["/api/books/17?full=1", "/api/books/11"]
    recorded = found["GET /api/books/{book_id}"].requests[0]
    assert (recorded.origin, recorded.headers) == ("har", {"Accept": "text/html"})
    logged = found["GET /orders/{order_id}"].requests[0]
    assert (logged.origin, logged.target[-1]) == ("access-log", "2")
    counts = {p.endpoint.key: p.logged_count for p in found.values() if p.logged_count}
    assert counts == {"GET /orders/{order_id}": 2, "GET /logout": 1}, "a recorded session is no traffic"
    assert "logout" in found["GET /logout"].skipped
    assert [(r.target, r.expect) for r in found["GET /gone/{thing_id}"].requests] == [("/gone/7", 404)]
    assert targets(found["GET /sub/tags"]) == ["/sub/tags?x=1"]
    assert found["GET /nowhere"].skipped == "answered 404"
    assert found["GET /nowhere"].endpoint.source == "scenario"
    assert found["POST /api/books/basket"].skipped == "POST is not asked unless [target] methods lists it"


def har_entry(url: str, status: int = 200, cookie: str = "") -> dict[str, Any]:
    headers = [{"name": "Accept", "value": "text/html"}, {"name": "Cookie", "value": cookie}]
    headers.append({"name": "Authorization", "value": "Bearer secret"})
    return {"request": {"method": "GET", "url": url, "headers": headers}, "response": {"status": status}}


async def test_without_any_known_endpoint_recordings_tell_them(project: Make, tmp_path: Path) -> None:
    lines = [f'- - - [x] "GET /api/books/{n} HTTP/1.1" 200 1\n' for n in (11, 12)]
    (tmp_path / "access.log").write_text("".join(lines))
    target = project("fastapi", workload=Workload(access_log=str(tmp_path / "access.log")))
    async with served("fastapi") as (base_url, _), Client(base_url) as client:
        found = await plan(target, [], client)
    assert [(p.endpoint.key, p.endpoint.source) for p in found] == [("GET /api/books/{id}", "access-log")]
    assert targets(found[0]) == ["/api/books/11", "/api/books/12"]


async def test_flask_by_its_converters_and_the_ids_of_its_listing(project: Make) -> None:
    async with served("flask") as (base_url, _):
        found = await planned(project("flask", "flask_shop:app"), base_url, limit=3)
    assert targets(found["GET /blog/{post_id}"]) == ["/blog/5", "/blog/6", "/blog/7"]
    assert targets(found["GET /blog/{slug}/by-slug"])[0] == "/blog/post-5/by-slug"
    assert targets(found["GET /blog/{kind}/as"]) == ["/blog/html/as", "/blog/text/as"]
    assert targets(found["GET /blog/page/{page}"])[0] == "/blog/page/2"
    assert found["GET /blog/{token}/token"].requests[0].origin == "listing"
    assert found["GET /blog/archive/{year}"].measurable
    assert found["GET /account"].skipped == "answered 302 to /login"
    assert found["GET /blog/"].page_size_parameter == "per_page"


async def test_django_by_links_viewsets_and_converters(project: Make) -> None:
    target = project(
        "django",
        root=APPS / "django_site",
        manage_py=APPS / "django_site" / "manage.py",
        exclude=("/admin/*",),
    )
    async with served("django") as (base_url, _):
        found = await planned(target, base_url, limit=3)
    prefix = "/library/{branch}"
    assert targets(found[f"GET {prefix}/"])[0] == "/library/main/"
    books = targets(found[f"GET {prefix}/books/{{pk}}/"])
    assert {target.split("/")[-2] for target in books} == {"4", "9"}
    assert targets(found[f"GET {prefix}/copies/{{copy}}/"])[0].endswith("0007/")
    members = targets(found[f"GET {prefix}/api/members/{{pk}}/"])
    assert {target.split("/")[-2] for target in members} == {"21", "22"}
    assert "delete" in found[f"GET {prefix}/books/{{pk}}/delete/"].skipped
    assert found[f"GET {prefix}/archive/{{year}}/"].measurable
    assert found[f"GET {prefix}/list/"].measurable
    assert targets(found["GET /{_0}"]) == ["/", "/about/", "/about/us/"]


async def test_a_target_that_dies_under_way_is_an_error_that_names_the_request(project: Make) -> None:
    endpoints = [Endpoint(method="GET", path=f"/orders?x={n}", source="user") for n in range(3)]
    async with served("fastapi") as (base_url, pid), Client(base_url) as client:
        os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.3)
        with pytest.raises(TargetFailed, match="no longer listens") as raised:
            await plan(project("fastapi"), endpoints, client)
    assert "GET /orders" in raised.value.where


async def test_a_recording_that_is_missing_is_an_error_of_usage(project: Make, tmp_path: Path) -> None:
    for workload in (Workload(har="none.har"), Workload(access_log="none.log")):
        async with Client("http://127.0.0.1:9") as client:
            with pytest.raises(UsageError, match="can't be read"):
                await plan(project("fastapi", root=tmp_path, workload=workload), [], client)


WANTED = {
    "without ids": "GET /orders",
    "an id of its listing": "GET /api/books/{book_id}",
    "another field of the listed items": "GET /api/books/by-isbn/{isbn}",
    "a link of a page": "GET /pages/{name}",
    "a generated value": "GET /rated/{stars}",
    "plain texts of a wrapper": "GET /sub/tags/{tag}",
}


@pytest.fixture(scope="module")
def wanted_alone() -> dict[str, Any]:
    """The plan of each wanted endpoint, looked for alone, and the endpoints that were asked on the way."""
    return asyncio.run(each_alone())


async def each_alone() -> dict[str, Any]:
    target = Project(
        root=APPS, name="x", framework="fastapi", python=Path(sys.executable), workdir=APPS, app="fastapi_shop:app",
        start=("x",), methods=("GET",),
    )  # fmt: skip
    async with served("fastapi") as (base_url, _):
        return {key: await planned(target, base_url, only=frozenset([key])) for key in WANTED.values()}


@pytest.mark.parametrize("key", WANTED.values(), ids=WANTED)
def test_a_wanted_endpoint_alone_has_the_requests_that_it_has_among_all(
    plans: dict[str, Plan], wanted_alone: dict[str, Any], key: str
) -> None:
    alone = wanted_alone[key]
    assert (targets(alone[key]), alone[key].skipped) == (targets(plans[key]), "")
    assert all(p.skipped for k, p in alone.items() if k != key)
    assert not any(p.requests for k, p in alone.items() if k != key)


async def test_what_was_not_tried_in_time_says_so() -> None:
    target = Project(
        root=APPS, name="x", framework="fastapi", python=Path(sys.executable), workdir=APPS, app="fastapi_shop:app",
        start=("x",), methods=("GET",), exclude=("/hidden",),
    )  # fmt: skip
    async with served("fastapi") as (base_url, _):
        found = await planned(target, base_url, until=0.0)
    assert not any(p.requests for p in found.values())
    assert found["GET /orders"].skipped == TIME_USED_UP
    assert "excluded" in found["GET /hidden"].skipped


def get(path: str) -> Endpoint:
    return Endpoint(method="GET", path=path, source="openapi")


SUPPLIERS = {
    "its listing": ("/books/{book_id}", "/books"),
    "the listing of what its name says": ("/review/{author_id}", "/v1/authors"),
    "the page above it": ("/admin/pages/{pk}/edit/", "/admin/pages/"),
    "its parent's listing": ("/v1/authors/{author_id}/works/{work_id}", "/v1/authors"),
}
OTHERS = [f"/other{n}" for n in range(40)]


@pytest.mark.parametrize("name", SUPPLIERS)
def test_who_is_asked_for_ids(name: str) -> None:
    wanted, supplier = SUPPLIERS[name]
    known = [*OTHERS, "/books", "/v1/authors", "/v1/authors/{author_id}/works", "/admin/pages/", wanted]
    first, *more = suppliers([get(wanted)], [get(path) for path in known])
    assert supplier in [e.path for e in first]
    assert wanted not in [e.path for one in (first, *more) for e in one]
    assert sum(len(one) for one in (first, *more)) <= AT_A_TIME * ROUNDS


def test_nobody_is_asked_where_no_id_is_taken() -> None:
    assert suppliers([get("/books")], [get("/authors"), get("/books")]) == []
