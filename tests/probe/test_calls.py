"""HTTP and model calls: one span each, at the line, never one a layer."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from probe_harness import Probe, Records

ANSWER = {"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7}}


class Upstream(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/redirect":
            self._send(302, b"", {"Location": "/plain"})
        else:
            self._send(404 if self.path == "/missing" else 200, b"p" * 321, {})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._send(200, json.dumps(ANSWER).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture(scope="module")
def records(new_probe: Callable[..., Probe], mode: str, upstream: str) -> Records:
    return new_probe(mode=mode).run("calls.py", upstream)


# mark of the line: kind, spans, status, body bytes
CALLS = {
    "httpx": ("http", 1, 200, 321),
    "requests": ("http", 1, 200, 321),
    "redirected": ("http", 1, 200, 321),
    "urllib3": ("http", 1, 200, 321),
    "urllib": ("http", 1, 200, 321),
    "httpx_async": ("http", 1, 200, 321),
    "gathered": ("http", 2, 200, 321),
    "aiohttp": ("http", 1, 200, 321),
    "missing": ("http", 1, 404, 321),
    "refused": ("http", 1, None, None),
    "model": ("model", 1, 200, len(json.dumps(ANSWER))),
    "anthropic": ("model", 1, 200, len(json.dumps(ANSWER))),
    "inbox": ("http", 1, 200, len(json.dumps(ANSWER))),
}


@pytest.mark.parametrize("mark", CALLS)
def test_each_call_has_one_span_at_its_line(records: Records, mark: str) -> None:
    kind, count, status, size = CALLS[mark]
    seen = [
        (
            span["kind"],
            span["attributes"].get("http.response.status_code"),
            span["attributes"].get("http.response.body.size"),
        )
        for span in records.at(mark)
    ]
    assert seen == [(kind, status, size)] * count


def test_nothing_else_is_a_call(records: Records) -> None:
    assert len(records.of("http") + records.of("model")) == sum(count for _, count, _, _ in CALLS.values())


def test_query_values_are_dropped(records: Records) -> None:
    attributes = records.at("httpx")[0]["attributes"]
    assert attributes["url.full"].endswith("/plain?key=") and "secret" not in json.dumps(records.all)
    assert attributes["server.address"] == "127.0.0.1" and attributes["server.port"] > 0


def test_a_model_call_tells_model_tokens_and_prompt_digest(records: Records) -> None:
    attributes = records.at("model")[0]["attributes"]
    assert attributes["gen_ai.operation.name"] == "chat" and attributes["gen_ai.request.model"] == "small"
    assert (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]) == (11, 7)
    assert (
        attributes["perfcrew.model.prompt_digest"]
        == records.at("anthropic")[0]["attributes"]["perfcrew.model.prompt_digest"]
    )
    assert "hello" not in json.dumps(attributes)


def test_a_refused_connection_names_its_error(records: Records) -> None:
    assert records.at("refused")[0]["attributes"]["error.type"] == "ConnectError"
