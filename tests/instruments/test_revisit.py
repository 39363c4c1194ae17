"""Answers are asked for again over a real socket: what stays, what is honoured, what a `304` costs."""

from __future__ import annotations

import asyncio
import gzip
import secrets
import threading
import time
from collections.abc import AsyncIterator, Iterator
from email.utils import formatdate
from typing import Any

import pytest
import uvicorn

from perfcrew.core.errors import Unmeasurable
from perfcrew.core.evidence import Payload, Revisit
from perfcrew.core.web import Endpoint, Plan, Request
from perfcrew.instruments.payload import measure_payload
from perfcrew.instruments.revisit import count_conditional_bytes
from perfcrew.target.client import Client, fingerprint

BODY = b'{"items": [' + b",".join(b'{"title": "The same again"}' for _ in range(900)) + b"]}"
TAG, WEAK = '"of-this-version"', 'W/"of-this-version"'
OLD = "Wed, 01 Jul 2020 12:00:00 GMT"
BUILT_S = 0.03
"""How long the slow ones take to be built."""

# What each path sends beside its body; a function is asked anew for each answer.
SENDS: dict[str, dict[str, Any]] = {
    "/plain": {},
    "/tagged": {"etag": TAG},
    "/weak": {"etag": WEAK},
    "/both": {"etag": TAG, "last-modified": OLD},
    "/ignored": {"etag": TAG},
    "/unquoted": {"etag": "of-this-version"},
    "/moving": {"etag": lambda: f'"{secrets.token_hex(4)}"'},
    "/dated": {"last-modified": OLD},
    "/dated/ignored": {"last-modified": OLD},
    "/dated/now": {"last-modified": lambda: formatdate(usegmt=True)},
    "/dated/badly": {"last-modified": "once upon a time"},
    "/in-vain": {"etag": TAG},
    "/quick": {"etag": TAG},
    "/clock": {"etag": TAG},
    "/cookie": {"set-cookie": lambda: f"visit={secrets.token_hex(4)}"},
    "/for-an-hour": {"cache-control": "private, max-age=3600", "vary": "Cookie, Accept-Encoding"},
    "/not-kept": {"cache-control": "no-store", "etag": TAG},
    "/padded": {"content-encoding": "gzip", "etag": WEAK},
    "/refuses": {"etag": TAG},
    "/gone": {"etag": TAG},
    "/moved": {"location": "/plain"},
    "/events": {"content-type": "text/event-stream", "etag": TAG},
    "/file": {"content-disposition": "attachment; filename=a.json", "etag": TAG},
}
DEAF = ("/ignored", "/unquoted", "/dated/ignored")
STATUS = {"/gone": 410, "/moved": 302}


async def app(scope: Any, receive: Any, send: Any) -> None:
    path, asked = scope["path"], {name.decode(): value.decode() for name, value in scope["headers"]}
    sent = {n: v() if callable(v) else v for n, v in SENDS[path].items()}
    known = path not in DEAF and (
        asked.get("if-none-match", "") == sent.get("etag", "-")
        or ("etag" not in sent and asked.get("if-modified-since") == sent.get("last-modified", "-"))
    )
    if path == "/in-vain" or (path == "/quick" and not known):
        await asyncio.sleep(BUILT_S)
    status = STATUS.get(path, 304 if known else 200)
    if path == "/refuses" and "if-none-match" in asked:
        status = 500
    body = BODY + (str(time.monotonic_ns()).encode() if path == "/clock" else b"")
    body = gzip.compress(body, mtime=secrets.randbelow(2**31)) if path == "/padded" else body
    body = b"" if status == 304 else body
    headers = {"content-type": "application/json", **sent, **({"content-length": str(len(body))} if body else {})}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 10
    while not server.started and time.monotonic() < until:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
async def client(url: str) -> AsyncIterator[Client]:
    async with Client(url) as opened:
        yield opened


async def plan(client: Client, path: str, method: str = "GET", **headers: str) -> Plan:
    request = Request(endpoint=f"{method} {path}", method=method, target=path, headers=headers)
    seen = fingerprint(await client.send(request))
    endpoint = Endpoint(method=method, path=path, source="user")
    return Plan(endpoint=endpoint, requests=(request,), fingerprints=(seen,))


async def revisit(client: Client, path: str, method: str = "GET", **headers: str) -> Revisit | None:
    return (await measure_payload(client, await plan(client, path, method, **headers))).revisit


HONOURED = {"same": True, "conditional_status": 304, "conditional_bytes": 0, "turns_count": 3, "moved": ()}
DEAFLY = {"same": True, "conditional_status": 200, "conditional_bytes": len(BODY), "turns_count": 1, "moved": ()}
NOT_ASKED = {"conditional_status": None, "conditional_bytes": None, "turns_count": 0, "conditional_ms": None}
SEEN: dict[str, dict[str, object]] = {
    "/plain": {**NOT_ASKED, "same": True, "etag": "", "last_modified_age_s": None, "answers_count": 2},
    "/tagged": {**HONOURED, "etag": "strong", "answers_count": 4},
    "/weak": {**HONOURED, "etag": "weak"},
    "/both": {**HONOURED, "etag": "strong"},
    "/ignored": {**DEAFLY, "etag": "strong"},
    "/unquoted": {**DEAFLY, "etag": "malformed"},
    "/moving": {**DEAFLY, "moved": ("etag",)},
    "/dated": {**HONOURED, "etag": ""},
    "/dated/ignored": {**DEAFLY, "etag": ""},
    "/dated/badly": {**HONOURED, "last_modified_age_s": None},
    "/in-vain": HONOURED,
    "/quick": HONOURED,
    "/clock": {**NOT_ASKED, "same": False},
    "/cookie": {**NOT_ASKED, "same": True, "sets_cookies": True},
    "/for-an-hour": {**NOT_ASKED, "same": True},
    "/not-kept": {**HONOURED},
    "/padded": {**HONOURED, "etag": "weak"},
    "/refuses": {"same": True, "conditional_status": 500},
}


@pytest.mark.parametrize("path", SEEN)
async def test_what_is_seen(client: Client, path: str) -> None:
    seen = await revisit(client, path)
    assert seen is not None
    assert {name: getattr(seen, name) for name in SEEN[path]} == SEEN[path]


@pytest.mark.parametrize("path", ["/gone", "/moved", "/events", "/file"])
async def test_what_is_not_asked_again(client: Client, path: str) -> None:
    assert await revisit(client, path) is None


async def test_what_may_write_is_not_asked_again(client: Client) -> None:
    assert await revisit(client, "/tagged", "POST") is None


async def test_what_the_headers_allow(client: Client) -> None:
    hour, never = await revisit(client, "/for-an-hour"), await revisit(client, "/not-kept")
    assert hour and (hour.allows.fresh_s, hour.allows.private) == (3600, True)
    assert hour.allows.varies == ("cookie", "accept-encoding")
    assert never and never.allows.no_store


async def test_how_old_it_is(client: Client) -> None:
    old, now = await revisit(client, "/dated"), await revisit(client, "/dated/now")
    assert old and old.last_modified_age_s and old.last_modified_age_s > 5 * 365 * 86400
    assert now and now.last_modified_age_s is not None and abs(now.last_modified_age_s) <= 1


async def test_whether_it_was_asked_with_credentials(client: Client, url: str) -> None:
    plain, told = await revisit(client, "/plain"), await revisit(client, "/plain", Authorization="Bearer alice")
    assert plain and told and (plain.with_credentials, told.with_credentials) == (False, True)
    async with Client(url, cookies={"session": "alice"}) as logged_in:
        seen = await revisit(logged_in, "/plain")
    assert seen and seen.with_credentials


async def test_a_304_that_is_built_in_vain_takes_as_long(client: Client) -> None:
    vain, quick = await revisit(client, "/in-vain"), await revisit(client, "/quick")
    assert vain and vain.full_ms and vain.conditional_ms and quick and quick.full_ms and quick.conditional_ms
    assert min(vain.full_ms, vain.conditional_ms, quick.full_ms) > BUILT_S * 1e3 > quick.conditional_ms


async def test_it_takes_no_longer_than_a_few_requests(client: Client) -> None:
    asked = await plan(client, "/ignored")
    began = time.monotonic()
    await measure_payload(client, asked)
    assert time.monotonic() - began < 0.3


async def test_the_bytes_are_counted(client: Client) -> None:
    for path, sent_bytes in {"/plain": len(BODY), "/ignored": len(BODY), "/tagged": 0, "/dated": 0}.items():
        assert await count_conditional_bytes(client, await plan(client, path)) == sent_bytes
    for path, method in (("/tagged", "POST"), ("/refuses", "GET"), ("/gone", "GET"), ("/moved", "GET")):
        assert await count_conditional_bytes(client, await plan(client, path, method)) is None


async def test_a_target_that_is_gone_is_told_and_not_waited_for(url: str) -> None:
    async with Client("http://127.0.0.1:9", timeout_s=2) as nobody:
        request = Request(endpoint="GET /plain", method="GET", target="/plain")
        alone = Plan(endpoint=Endpoint(method="GET", path="/plain", source="user"), requests=(request,))
        assert await count_conditional_bytes(nobody, alone) is None
        with pytest.raises(Unmeasurable, match="no longer answers"):
            await measure_payload(nobody, alone)


def test_a_payload_of_an_older_ledger_is_read() -> None:
    older = '{"kind": "payload", "content_type": "a/b", "content_encoding": "", "sent_bytes": 1, "decoded_bytes": 1, '
    assert Payload.model_validate_json(older + '"gzip_bytes": 1}').revisit is None
