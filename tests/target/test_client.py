"""The client over real sockets, and what it makes of answers."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from perfcrew.core.errors import UsageError
from perfcrew.core.web import Request
from perfcrew.target.client import BODY_LIMIT_BYTES, Answer, Client, fingerprint, json_keys

TEXT = b"all work and no play " * 500


async def _echo(request: web.Request) -> web.Response:
    body = (await request.read()).decode()
    return web.json_response(
        {"path": request.raw_path, "headers": {k.lower(): v for k, v in request.headers.items()}, "body": body}
    )


async def _encoded(request: web.Request) -> web.Response:
    kind = request.match_info["kind"]
    packed = {
        "gzip": gzip.compress(TEXT, mtime=0),
        "deflate": zlib.compress(TEXT),
        "unknown": b"???",
        "broken": b"not gzip",
    }
    name = "gzip" if kind == "broken" else kind
    return web.Response(body=packed[kind], headers={"Content-Encoding": name, "Content-Type": "text/plain"})


async def _cookie(request: web.Request) -> web.Response:
    response = web.json_response({"sent": request.headers.get("Cookie")})
    response.set_cookie("tracking", "1")
    return response


async def _redirect(request: web.Request) -> web.Response:
    raise web.HTTPFound("/echo")


async def _huge(request: web.Request) -> web.Response:
    return web.Response(body=b"x" * (BODY_LIMIT_BYTES + 10))


async def _bomb(request: web.Request) -> web.Response:
    return web.Response(body=gzip.compress(b"0" * (3 * BODY_LIMIT_BYTES)), headers={"Content-Encoding": "gzip"})


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(b"data: 1\n\n")
    await asyncio.sleep(30)
    return response


async def _dies(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b"half")
    assert request.transport is not None
    request.transport.abort()
    return response


@pytest.fixture
async def base_url() -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_route("*", "/echo", _echo)
    application.router.add_get("/echo/{rest:.*}", _echo)
    application.router.add_get("/encoded/{kind}", _encoded)
    for name, handler in {"cookie": _cookie, "redirect": _redirect, "huge": _huge, "bomb": _bomb}.items():
        application.router.add_get(f"/{name}", handler)
    application.router.add_get("/endless", _endless)
    application.router.add_get("/dies", _dies)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]
    await runner.cleanup()


def get(target: str, **more: Any) -> Request:
    return Request(endpoint=f"GET {target}", method="GET", target=target, **more)


async def test_headers_of_the_session_the_request_and_the_trace_are_sent(base_url: str) -> None:
    async with Client(base_url, {"Authorization": "Bearer x"}, {"sid": "1", "csrf": "2"}) as client:
        answer = await client.send(
            get("/echo", headers={"X-Mine": "yes"}), trace="a" * 32, index=7, record_functions=True
        )
    sent = answer.json()["headers"]
    assert sent["authorization"] == "Bearer x"
    assert sent["cookie"] == "sid=1; csrf=2"
    assert sent["x-mine"] == "yes"
    assert sent["accept-encoding"] == "identity"
    assert sent["x-perfcrew-request"] == "7"
    assert sent["x-perfcrew-record"] == "functions"
    version, trace, span, flags = sent["traceparent"].split("-")
    assert (version, trace, flags, len(span)) == ("00", "a" * 32, "01", 16)


async def test_without_a_trace_nothing_of_ours_is_sent(base_url: str) -> None:
    async with Client(base_url) as client:
        sent = (await client.send(get("/echo"))).json()["headers"]
    assert not [name for name in sent if name.startswith(("x-perfcrew", "traceparent", "content-type"))]


@pytest.mark.parametrize("trace", ["", "A" * 32, "a" * 31, "../etc"])
async def test_a_trace_that_is_none_is_refused(base_url: str, trace: str) -> None:
    async with Client(base_url) as client:
        with pytest.raises(UsageError, match="no trace id"):
            await client.send(get("/echo"), trace=trace)


async def test_a_client_that_is_not_open_says_so() -> None:
    with pytest.raises(UsageError, match="not open"):
        await Client("http://127.0.0.1:1").send(get("/"))


@pytest.mark.parametrize("target", ["/echo?a=1&a=2", "/echo/%2Fetc%20x?q=%26", "/echo/a+b?x=a%2Bb"])
async def test_the_target_is_sent_as_it_is_written(base_url: str, target: str) -> None:
    async with Client(base_url) as client:
        assert (await client.send(get(target))).json()["path"] == target


async def test_a_body_is_sent(base_url: str) -> None:
    request = Request(endpoint="x", method="POST", target="/echo", body="grüße", headers={"Content-Type": "text/plain"})
    async with Client(base_url) as client:
        answer = (await client.send(request)).json()
    assert answer["body"] == "grüße"
    assert answer["headers"]["content-type"] == "text/plain"


@pytest.mark.parametrize("kind", ["gzip", "deflate"])
async def test_bytes_are_counted_before_and_after_decoding(base_url: str, kind: str) -> None:
    async with Client(base_url) as client:
        answer = await client.send(get(f"/encoded/{kind}"), accept_encoding=kind)
    assert answer.error is None
    assert answer.body == TEXT
    assert answer.decoded_bytes == len(TEXT)
    packed = {"gzip": gzip.compress(TEXT, mtime=0), "deflate": zlib.compress(TEXT)}
    assert answer.sent_bytes == len(packed[kind])
    assert answer.first_byte_ms <= answer.elapsed_ms


async def test_an_unknown_encoding_is_kept_as_it_came_and_a_broken_one_is_an_error(base_url: str) -> None:
    async with Client(base_url) as client:
        assert (await client.send(get("/encoded/unknown"))).body == b"???"
        broken = await client.send(get("/encoded/broken"))
    assert broken.status == 200
    assert broken.error is not None


async def test_redirects_are_followed_only_when_asked(base_url: str) -> None:
    async with Client(base_url) as client:
        assert (await client.send(get("/redirect"))).status == 302
        assert (await client.send(get("/redirect"), follow=True)).status == 200


async def test_cookies_that_the_target_sets_are_not_kept(base_url: str) -> None:
    async with Client(base_url, cookies={"mine": "1"}) as client:
        await client.send(get("/cookie"))
        assert (await client.send(get("/cookie"))).json() == {"sent": "mine=1"}


@pytest.mark.parametrize(("path", "size"), [("/huge", BODY_LIMIT_BYTES + 10), ("/bomb", 3 * BODY_LIMIT_BYTES)])
async def test_an_answer_of_any_size_is_counted_and_only_its_beginning_held(
    base_url: str, path: str, size: int
) -> None:
    async with Client(base_url) as client:
        answer = await client.send(get(path))
    assert (answer.decoded_bytes, len(answer.body), answer.truncated) == (size, BODY_LIMIT_BYTES, True)


async def test_what_never_ends_is_left_with_its_status_and_the_reason(base_url: str) -> None:
    async with Client(base_url, timeout_s=0.3) as client:
        answer = await client.send(get("/endless"))
    assert (answer.status, answer.timed_out, answer.body) == (200, True, b"data: 1\n\n")
    assert answer.error == "no whole answer within 0.3 s"


async def test_an_answer_that_breaks_off_is_an_error(base_url: str) -> None:
    async with Client(base_url) as client:
        answer = await client.send(get("/dies"))
    assert answer.error is not None
    assert not answer.refused


async def test_nobody_listening_is_refused() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with Client(f"http://127.0.0.1:{taken.getsockname()[1]}") as client:
            answer = await client.send(get("/"))
    assert (answer.status, answer.refused) == (0, True)


def answered(content: Any, content_type: str = "application/json", status: int = 200) -> Answer:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Answer(status, {"content-type": content_type}, len(body), len(body), body, 1.0, 0.5)


SAME = {
    "other values": ({"id": 1, "name": "a"}, {"id": 2, "name": "b"}),
    "more rows": ([{"id": 1}], [{"id": 1}, {"id": 2}]),
    "null in one of the rows": ([{"a": "x"}, {"a": None}], [{"a": "x"}, {"a": "y"}]),
    "keys in another order": ({"a": 1, "b": 2}, {"b": 1, "a": 2}),
    "ids as keys": ({"12": {"n": 1}}, {"13": {"n": 1}, "14": {"n": 2}}),
    "whole and broken numbers": ({"price": 1}, {"price": 1.5}),
    "nested lists, some empty": ([{"t": [1]}, {"t": []}], [{"t": [1, 2]}]),
}
DIFFERENT = {
    "a missing key": ({"id": 1, "name": "a"}, {"id": 1}),
    "another type": ({"id": 1}, {"id": "1"}),
    "an error in place of the list": ([{"id": 1}], {"detail": "x"}),
    "words as keys": ({"en": 1}, {"de": 1}),
    "no rows any more": ([{"id": 1}], []),
}


@pytest.mark.parametrize("name", SAME)
def test_other_data_of_the_same_kind_has_the_same_shape(name: str) -> None:
    one, other = SAME[name]
    assert fingerprint(answered(one)).shape == fingerprint(answered(other)).shape


@pytest.mark.parametrize("name", DIFFERENT)
def test_an_answer_of_another_kind_has_another_shape(name: str) -> None:
    one, other = DIFFERENT[name]
    assert fingerprint(answered(one)).shape != fingerprint(answered(other)).shape


def test_a_page_that_asks_for_a_password_has_another_shape() -> None:
    page = fingerprint(answered(b"<ul><li>1</li></ul>", "text/html; charset=utf-8"))
    longer = fingerprint(answered(b"<ul><li>1</li><li>2</li></ul>", "text/html"))
    login = fingerprint(answered(b"<form><input name=p type='password'></form>", "text/html"))
    assert page.shape == longer.shape != login.shape


ITEMS = {
    "a list": ([1, 2, 3], 3),
    "an empty list": ([], 0),
    "a wrapper": ({"results": [1, 2], "next": None, "filters": [1]}, 2),
    "the only list, whatever its name": ({"books": [1], "total": 9}, 1),
    "a wrapper in a wrapper": ({"data": {"items": [1, 2]}}, 2),
    "two lists of unknown names": ({"cats": [1], "dogs": [1]}, None),
    "an object": ({"id": 1}, None),
    "a number": (7, None),
}


@pytest.mark.parametrize("name", ITEMS)
def test_items_are_counted(name: str) -> None:
    content, expected = ITEMS[name]
    assert fingerprint(answered(content)).items == expected


def test_what_is_no_json_in_spite_of_its_type_has_no_items() -> None:
    found = fingerprint(answered(b"{oops"))
    assert (found.items, found.size_bytes) == (None, 5)
    assert json_keys(answered(b"{oops")) == ()


def test_keys_are_found_anywhere_and_only_in_json() -> None:
    content = {"a": [{"b": {"c": 1}}, {"d": []}], "a2": None}
    assert json_keys(answered(content)) == ("a", "a2", "b", "c", "d")
    assert json_keys(answered(content, "application/problem+json")) == ("a", "a2", "b", "c", "d")
    assert json_keys(answered(b'{"a": 1}', "text/plain")) == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_repeating_the_rows_of_any_list_keeps_its_shape(content: Any) -> None:
    assert fingerprint(answered([content])).shape == fingerprint(answered([content, content])).shape


@given(st.lists(JSON, min_size=1, max_size=4))
def test_the_order_of_the_rows_does_not_matter(rows: list[Any]) -> None:
    assert fingerprint(answered(rows)).shape == fingerprint(answered(rows[::-1])).shape
