"""One request tried over a real socket: what its answer counts as."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from perfcrew.core.web import Request
from perfcrew.target.client import Client
from perfcrew.target.requests.trying import tried

STATUSES = {"/ok": 200, "/none": 204, "/missing": 404, "/limited": 429, "/failed": 500}
REDIRECTS = {
    "/slash": "/slash/",
    "/slash/": None,
    "/there/": "/there",
    "/there": None,
    "/loop": "/loop/",
    "/loop/": "/loop",
    "/self": "/self?seen=1",
    "/to-login": "/accounts/sign-in",
    "/to-next": "/x?next=/to-next",
    "/to-sso": "https://id.example/oauth2/authorize",
    "/to-blog": "/blogging/in",
    "/to-author": "/authors/7",
}


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/slow":
            await asyncio.sleep(30)
        if request.path in REDIRECTS:
            location = REDIRECTS[request.path]
            return web.Response(status=302, headers={"Location": location}) if location else web.json_response([1])
        return web.Response(status=STATUSES[request.path])

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    async with Client(f"http://{host}:{port}", timeout_s=0.5) as one:
        yield one
    await runner.cleanup()


CASES = {
    "/ok": ("/ok", "", False),
    "/none": ("/none", "", False),
    "/missing": ("/missing", "answered 404", False),
    "/failed": ("/failed", "answered 500", False),
    "/limited": ("/limited", "answered 429", True),
    "/slow": ("/slow", "did not answer within 0.5 s", True),
    "/slash?a=1": ("/slash/?a=1", "", False),
    "/there/": ("/there", "", False),
    "/loop": ("/loop/", "", False),
    "/self": ("/self", "", False),
    "/to-login": ("/to-login", "answered 302 to /accounts/sign-in", True),
    "/to-next": ("/to-next", "answered 302 to /x", True),
    "/to-sso": ("/to-sso", "answered 302 to /oauth2/authorize", True),
    "/to-blog": ("/to-blog", "", False),
    "/to-author": ("/to-author", "", False),
}


@pytest.mark.parametrize("target", CASES)
async def test_what_an_answer_counts_as(client: Client, target: str) -> None:
    one = await tried(client, Request(endpoint="x", method="GET", target=target))
    assert (one.request.target, one.failure, one.is_final) == CASES[target]


@pytest.mark.parametrize(("expect", "failure"), [(404, ""), (200, "answered 404 where 200 was expected")])
async def test_the_user_says_what_is_expected(client: Client, expect: int, failure: str) -> None:
    one = await tried(client, Request(endpoint="x", method="GET", target="/missing", expect=expect))
    assert one.failure == failure


async def test_a_fingerprint_outlives_the_body(client: Client) -> None:
    one = await tried(client, Request(endpoint="x", method="GET", target="/slash/"))
    assert one.fingerprint.items == 1
    assert one.without_body().answer.body == b""
    assert one.without_body().fingerprint == one.fingerprint
