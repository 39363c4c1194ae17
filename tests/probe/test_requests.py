"""Requests through real servers: the server span, its stages, and what belongs to it."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator

import pytest
from probe_harness import Probe, Server, app_line, until, uvicorn

pytestmark = pytest.mark.target


@pytest.fixture(scope="module")
def fast(new_probe: Callable[..., Probe], mode: str) -> Iterator[Server]:
    with new_probe(mode=mode).serve("fast.py", *uvicorn("fast:app")) as server:
        yield server


@pytest.fixture(scope="module")
def flask(new_probe: Callable[..., Probe], mode: str) -> Iterator[Server]:
    command = ("flask", "--app", "flasky", "run", "--port", "{port}", "--no-reload")
    with new_probe(mode=mode).serve("flasky.py", *command) as server:
        yield server


@pytest.fixture(scope="module")
def django(new_probe: Callable[..., Probe], mode: str) -> Iterator[Server]:
    with new_probe(mode=mode).serve("djangoed.py", *uvicorn("djangoed:asgi")) as server:
        yield server


def statements(server: Server, trace: str) -> list[dict]:
    spans = server.records.of("database", trace)
    texts = [span for span in spans if "db.query.text" in span["attributes"]]
    return [span for span in texts if not span["attributes"].get("perfcrew.framework")]


def lines(server: Server, spans: list[dict]) -> list[int | None]:
    return [app_line(span["stack"], server.records.source) for span in spans]


def test_a_request_is_one_server_span_below_its_traceparent(fast: Server) -> None:
    answer = fast.get("/v1/books/3?deep=1", trace="a" * 32, x_perfcrew_request="list#1")
    (span,) = fast.records.of("server", "a" * 32)
    assert span["parent"] == "2" * 16
    attributes = span["attributes"]
    assert attributes["http.route"] == "/v1/books/{count}" and attributes["url.path"] == "/v1/books/3"
    assert attributes["url.query"] == "deep=1" and attributes["http.request.method"] == "GET"
    assert attributes["http.response.status_code"] == 200
    assert attributes["http.response.body.size"] == len(answer.body)
    assert attributes["perfcrew.request"] == "list#1"
    assert attributes["perfcrew.cpu_ns"] > 0
    assert attributes["code.function.name"] == "books"


def test_an_n_plus_one_is_n_plus_one_spans_at_two_lines(fast: Server) -> None:
    fast.get("/v1/books/6", trace="b" * 32)
    spans = statements(fast, "b" * 32)
    assert lines(fast, spans) == [fast.records.line("list")] + [fast.records.line("each")] * 6
    assert [span["attributes"]["db.response.returned_rows"] for span in spans] == [6] + [1] * 6


def test_spans_hang_below_the_stage_that_asked_for_them(fast: Server) -> None:
    fast.get("/v1/books/1", trace="c" * 32)
    (endpoint,) = [span for span in fast.records.of("stage", "c" * 32) if span["name"] == "fastapi.endpoint"]
    assert {span["parent"] for span in statements(fast, "c" * 32)} == {endpoint["span"]}
    names = {span["name"] for span in fast.records.of("stage", "c" * 32)}
    assert names == {"fastapi.dependencies", "fastapi.endpoint", "fastapi.serialization"}


def test_without_a_traceparent_the_request_is_one_trace_of_its_own(fast: Server) -> None:
    before = len(fast.records.of("server"))
    urllib.request.urlopen(f"http://127.0.0.1:{fast.port}/v1/sync", timeout=10).read()
    until(lambda: len(fast.records.of("server")) > before)
    span = fast.records.of("server")[-1]
    assert span["parent"] is None
    assert lines(fast, statements(fast, span["trace"])) == [fast.records.line("sync")]


def test_a_sync_endpoint_in_a_thread_keeps_trace_and_line(fast: Server) -> None:
    fast.get("/v1/sync", trace="d" * 32)
    (span,) = statements(fast, "d" * 32)
    assert lines(fast, [span]) == [fast.records.line("sync")]
    assert span["attributes"]["db.response.returned_rows"] == 7


def test_what_a_request_hands_to_a_pool_of_threads_is_its_own(fast: Server) -> None:
    """And the threads, which live on, keep nothing of it."""
    for trace in ("2b" * 16, "3b" * 16):
        fast.get("/v1/pool", trace=trace)
        spans = statements(fast, trace)
        assert lines(fast, spans) == [fast.records.line("sync")] * 2
        assert len({span["parent"] for span in spans}) == 1


def test_a_streamed_answer_ends_with_its_body(fast: Server) -> None:
    fast.get("/v1/stream", trace="e" * 32)
    (span,) = fast.records.of("server", "e" * 32)
    assert span["attributes"]["http.response.body.size"] == 300
    inside = statements(fast, "e" * 32)
    assert lines(fast, inside) == [fast.records.line("stream")] * 3
    assert all(span["start_ns"] <= one["start_ns"] and one["end_ns"] <= span["end_ns"] for one in inside)


def test_a_failing_request_is_a_500_with_its_error(fast: Server) -> None:
    assert fast.get("/v1/fail", trace="f" * 32).status == 500
    (span,) = fast.records.of("server", "f" * 32)
    assert span["attributes"]["http.response.status_code"] == 500


def test_work_after_the_answer_is_not_in_the_request_but_in_its_trace(fast: Server) -> None:
    fast.get("/v1/background", trace="1a" * 16)
    until(lambda: bool(statements(fast, "1a" * 16)))
    (server,), (span,) = fast.records.of("server", "1a" * 16), statements(fast, "1a" * 16)
    assert span["start_ns"] >= server["end_ns"] - 5_000_000
    assert lines(fast, [span]) == [fast.records.line("afterwards")]


def test_flask_has_route_stages_and_lines(flask: Server) -> None:
    answer = flask.get("/items/4", trace="a" * 32)
    (span,) = flask.records.of("server", "a" * 32)
    assert span["attributes"]["http.route"] == "/items/<int:count>"
    assert span["attributes"]["http.response.body.size"] == len(answer.body) == len("4 items")
    assert span["attributes"]["perfcrew.cpu_ns"] > 0
    asked = [one for one in statements(flask, "a" * 32) if one["attributes"]["db.operation.name"] == "SELECT"]
    assert lines(flask, asked) == [flask.records.line("each")] * 4
    assert {one["name"] for one in flask.records.of("stage", "a" * 32)} == {"flask.view", "flask.render"}


def test_flask_streams_within_the_request(flask: Server) -> None:
    flask.get("/stream", trace="b" * 32)
    (span,) = flask.records.of("server", "b" * 32)
    assert span["attributes"]["http.response.body.size"] == 150
    assert lines(flask, statements(flask, "b" * 32)) == [flask.records.line("stream")] * 3


def test_flask_failing_is_a_500(flask: Server) -> None:
    assert flask.get("/fail", trace="c" * 32).status == 500
    assert [span["attributes"]["http.response.status_code"] for span in flask.records.of("server", "c" * 32)] == [500]


def test_django_lazy_loading_in_a_template_names_the_line_that_rendered(django: Server) -> None:
    django.get("/books/3", trace="a" * 32)
    (span,) = django.records.of("server", "a" * 32)
    assert span["attributes"]["http.route"] == "/books/<int:count>"
    spans = statements(django, "a" * 32)
    assert lines(django, spans) == [django.records.line("render")] * 4
    innermost = [one["stack"][0][0] for one in spans]
    assert all("django/template" in file for file in innermost)
    assert {one["name"] for one in django.records.of("stage", "a" * 32)} == {"django.view", "django.render"}


def test_django_statements_are_told_as_they_are_sent(django: Server) -> None:
    django.get("/title", trace="b" * 32)
    (span,) = statements(django, "b" * 32)
    assert lines(django, [span]) == [django.records.line("get")]
    assert '"shop_book"."title" = ?' in span["attributes"]["db.query.text"]
    assert span["attributes"]["db.response.returned_rows"] == 1


def test_django_async_view(django: Server) -> None:
    django.get("/titles", trace="c" * 32)
    spans = statements(django, "c" * 32)
    assert [span["attributes"]["db.response.returned_rows"] for span in spans] == [3]
    assert lines(django, spans) == [django.records.line("async")]


def test_no_hook_failed(fast: Server, flask: Server, django: Server) -> None:
    assert [server.records.hello["notes"] for server in (fast, flask, django)] == [[], [], []]
