"""Answers are weighed as they are sent; streams and downloads by design are recognised."""

import gzip
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from perfcrew.core.errors import Unmeasurable
from perfcrew.core.web import Endpoint, Plan, Request
from perfcrew.instruments.payload import measure_payload
from perfcrew.target.client import Client, fingerprint

LIST = b'{"items": [' + b",".join(b'{"title": "The same again"}' for _ in range(400)) + b"]}"


async def plain(request: web.Request) -> web.Response:
    return web.Response(body=LIST, content_type="application/json")


async def packed(request: web.Request) -> web.Response:
    return web.Response(body=gzip.compress(LIST), content_type="application/json", headers={"Content-Encoding": "gzip"})


async def events(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(b"data: 1\n\n" * 50)
    return response


async def broken(request: web.Request) -> web.Response:
    raise web.HTTPInternalServerError


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    app = web.Application()
    for path, handler in {"/plain": plain, "/packed": packed, "/events": events, "/broken": broken}.items():
        app.router.add_get(path, handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with Client(f"http://127.0.0.1:{port}") as opened:
        yield opened
    await runner.cleanup()


async def plan(client: Client, path: str, status: int | None = None) -> Plan:
    request = Request(endpoint=f"GET {path}", method="GET", target=path)
    seen = fingerprint(await client.send(request))
    prints = (seen if status is None else seen.model_copy(update={"status": status}),)
    return Plan(endpoint=Endpoint(method="GET", path=path, source="user"), requests=(request,), fingerprints=prints)


async def test_an_uncompressed_list(client: Client) -> None:
    payload = await measure_payload(client, await plan(client, "/plain"))
    assert payload.sent_bytes == payload.decoded_bytes == len(LIST)
    assert payload.gzip_bytes < len(LIST) / 10
    assert payload.items_count == 400
    assert not payload.streamed


async def test_a_compressed_list(client: Client) -> None:
    payload = await measure_payload(client, await plan(client, "/packed"))
    assert payload.content_encoding == "gzip"
    assert payload.decoded_bytes == len(LIST)
    assert payload.sent_bytes < payload.decoded_bytes / 10


async def test_a_stream_by_design(client: Client) -> None:
    assert (await measure_payload(client, await plan(client, "/events"))).streamed


async def test_what_no_longer_answers_as_before_is_not_measured(client: Client) -> None:
    with pytest.raises(Unmeasurable, match="500"):
        await measure_payload(client, await plan(client, "/broken", status=200))
