"""Answers held against each other, without an application: what is a difference, and what the mask lets differ."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcrew.core.answers import Footprint, Mask
from perfcrew.core.web import Endpoint, Plan, Request
from perfcrew.experiment.asking import Question, written
from perfcrew.experiment.canonical import json_gaps
from perfcrew.experiment.footprint import judged
from perfcrew.experiment.heldout import wrong_inputs
from perfcrew.experiment.markup import page_gaps
from perfcrew.experiment.replies import EVERYTHING, gaps, learned
from perfcrew.target.client import Answer

NONE: frozenset[str] = frozenset()


@pytest.mark.parametrize(("base", "change", "found"), [
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
    ({"a": 1}, {"a": 1.0}, ["value $.a"]),
    ({"a": 1}, {"a": True}, ["type $.a"]),
    ({"a": None}, {}, ["presence $.a"]),
    ({"a": "x"}, {"a": ""}, ["type $.a"]),
    ([1, 2, 3], [1, 3, 2], ["order $"]),
    ([1, 2, 3], [1, 2], ["length $"]),
    ([1, 2, 3], [1, 2, 4], ["value $[]"]),
    ([{"id": 1, "p": 5}, {"id": 2, "p": 9}], [{"id": 2, "p": 9}, {"id": 1, "p": 5}], ["order $"]),
    ([{"id": 1, "p": 5}, {"id": 2, "p": 9}], [{"id": 1, "p": 9}, {"id": 2, "p": 5}], ["value $[].p", "value $[].p"]),
    ({"17": "a", "18": "b"}, {"17": "a", "19": "b"}, ["keys $"]),
    (0.1 + 0.2, 0.3, ["value $"]),
    (float("nan"), float("nan"), []),
])  # fmt: skip
def test_json_is_compared_by_path(base: Any, change: Any, found: list[str]) -> None:
    assert [gap.entry for gap in json_gaps(base, change, NONE)] == found


@pytest.mark.parametrize(("allowed", "base", "change", "found"), [
    ("value $.at", {"at": "10:31", "n": 1}, {"at": "10:32", "n": 1}, []),
    ("value $.at", {"at": "10:31"}, {"at": 5}, ["type $.at"]),
    ("value $.at", {"at": "10:31"}, {}, ["presence $.at"]),
    ("order $", [1, 2, 3], [3, 2, 1], []),
    ("order $", [1, 2, 3], [3, 2, 2], ["value $[]"]),
    ("order $|value $[].t", [{"a": 1, "t": 7}, {"a": 2, "t": 8}], [{"a": 2, "t": 1}, {"a": 1, "t": 0}], []),
    ("order $|value $[].t", [{"a": 1, "t": 7}, {"a": 2, "t": 8}], [{"a": 3, "t": 1}, {"a": 1, "t": 0}],
     ["value $[].a"]),
    ("order $", [{"a": 1, "p": 1}, {"a": 2, "p": 2}], [{"a": 2, "p": 3}, {"a": 1, "p": 1}], ["value $[].p"]),
    ("keys $", {"17": "a", "18": "b"}, {"19": "b", "20": "a"}, []),
    ("keys $", {"17": "a", "18": "b"}, {"19": "b", "20": "c"}, ["value $.*[]"] * 2),
])  # fmt: skip
def test_what_may_differ_may_and_nothing_else(allowed: str, base: Any, change: Any, found: list[str]) -> None:
    assert [gap.entry for gap in json_gaps(base, change, frozenset(allowed.split("|")))] == found


def answer(body: Any, status: int = 200, **headers: str) -> Answer:
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    named = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Answer(status, named, len(content), len(content), content, 1.0, 1.0)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcde"), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_a_value_equals_itself(value: Any) -> None:
    assert json_gaps(value, json.loads(json.dumps(value)), NONE) == []


@given(VALUES, VALUES)
def test_what_is_not_equal_has_a_gap_and_a_mask_learned_from_both_has_none(one: Any, other: Any) -> None:
    found = json_gaps(one, other, NONE)
    assert bool(found) == (json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True))
    allowed = learned([answer(one), answer(other)], NONE)
    assert gaps(answer(one), answer(other), allowed) == [] == gaps(answer(other), answer(one), allowed)


@given(
    st.lists(st.tuples(st.integers(), st.text(max_size=5)), min_size=2, unique_by=lambda pair: pair[0]), st.randoms()
)
def test_an_unordered_listing_with_tokens_keeps_its_ids_and_names(
    rows: list[tuple[int, str]], chance: random.Random
) -> None:
    def listing() -> list[dict[str, Any]]:
        found = [{"a_token": chance.random(), "id": number, "name": name} for number, name in rows]
        return chance.sample(found, len(found))

    allowed = learned([answer(listing()) for _ in range(4)], NONE)
    assert {entry for entry in allowed if entry.startswith("value")} <= {"value $[].a_token"}


@pytest.mark.parametrize(("base", "change", "found"), [
    ({"etag": "1"}, {"etag": "2"}, []),
    ({"etag": "1"}, {}, ["header etag"]),
    ({}, {"etag": "2"}, []),
    ({"vary": "Cookie"}, {"vary": "accept-encoding, cookie"}, []),
    ({"vary": "Cookie, Origin"}, {"vary": "Cookie"}, ["header vary"]),
    ({"cache_control": "private, max-age=5"}, {"cache_control": "max-age=5,private"}, []),
    ({"cache_control": "private"}, {"cache_control": "public"}, ["header cache-control"]),
    ({"set_cookie": "s=1; Path=/; HttpOnly"}, {"set_cookie": "s=2; HttpOnly; Path=/"}, []),
    ({"set_cookie": "s=1; HttpOnly"}, {"set_cookie": "s=1"}, ["header set-cookie"]),
    ({"set_cookie": "s=1\nt=2"}, {"set_cookie": "t=2\ns=1"}, []),
    ({"location": "/a"}, {"location": "/b"}, ["header location"]),
    ({"x_total_count": "5"}, {}, ["header x-total-count"]),
    ({"date": "x", "x_request_id": "1"}, {}, []),
    ({}, {"content_encoding": "gzip", "x_new": "1"}, []),
    ({"content_type": "text/html; charset=utf-8"}, {"content_type": "text/html;charset=UTF-8"}, []),
])  # fmt: skip
def test_headers_that_matter(base: dict[str, str], change: dict[str, str], found: list[str]) -> None:
    one, other = answer([1], **base), answer([1], **change)
    assert [gap.entry for gap in gaps(one, other, NONE)] == found


@pytest.mark.parametrize(("base", "change", "found"), [
    ("<p>a  b</p>", "<p>a\nb</p>\n", []),
    ("<p>a</p>", "<P class='x'>a</P>", ["presence p@class"]),
    ("<ul><li>a<li>b</ul>", "<ul><li>a<li>c</ul>", ["value ul/li/li/text"]),
    ("<pre>a  b</pre>", "<pre>a b</pre>", ["value pre/text"]),
    ("<input name=csrf value=1>", "<input name=csrf value=2>", ["value input[csrf]@value"]),
    ("<p>a</p>", "<p>a</p><p>b</p>", ["presence p", "presence p/text"]),
    ("<p>1 &amp; 2</p>", "<p>1 &#38; 2</p>", []),
])  # fmt: skip
def test_pages_are_compared_as_they_show(base: str, change: str, found: list[str]) -> None:
    assert [gap.entry for gap in page_gaps(base, change, NONE)] == found


@given(st.text(alphabet="<>/pa ='\"!-&;", max_size=60), st.text(alphabet="<>/pa ='\"!-&;", max_size=60))
def test_no_page_breaks_the_comparison(one: str, other: str) -> None:
    assert page_gaps(one, one, NONE) == []
    page_gaps(one, other, NONE)


def test_an_answer_that_never_settles_is_not_compared() -> None:
    nested = answer("[" * 500 + "]" * 500)
    other = answer("[" * 500 + "1" + "]" * 500)
    assert [gap.kind for gap in gaps(nested, other, NONE)] == ["text"]
    assert gaps(answer(1), answer(2, 500), frozenset([EVERYTHING])) == []


def test_masks_join() -> None:
    one = Mask(endpoints={"GET /a": ("value $.x",)}, tables={"t": ("at",)})
    joined = one.joined(Mask(endpoints={"GET /a": ("order $",), "GET /b": ("text",)}))
    assert joined.endpoints == {"GET /a": ("order $", "value $.x"), "GET /b": ("text",)}
    assert joined.tables == {"t": ("at",)}


def test_secrets_in_queries_are_not_written_down() -> None:
    request = Request(endpoint="GET /a", method="GET", target="/a?api_key=hunter2&q=x")
    assert written(request) == "GET /a?api_key=%2A%2A%2A&q=x"
    assert Question(request, "wrong input").key == "GET /a (wrong input)"


def test_wrong_input_is_a_missing_id_and_a_wrong_type() -> None:
    listed = [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}},
        {"name": "page", "in": "query", "schema": {"type": "integer"}},
    ]
    endpoint = Endpoint(method="GET", path="/a/{id}", source="openapi", operation={"parameters": listed})
    plan = Plan(endpoint=endpoint, requests=(Request(endpoint=endpoint.key, method="GET", target="/a/7?x=1"),))
    assert [request.target for request in wrong_inputs(plan)] == [
        "/a/999999999?x=1", "/a/not-a-number?x=1", "/a/7?x=1&page=1000000", "/a/7?x=1&page=-1",
    ]  # fmt: skip


def footprint(**more: Any) -> Footprint:
    usual = {"processes_count": 1, "unreaped_count": 0, "threads_count": 4, "files_count": 9, "sockets_count": 3}
    return Footprint(**{**usual, "listening_ports": (), "rss_bytes": 100_000_000, **more})


PLAIN = [footprint()] * 3


@pytest.mark.parametrize(("base", "change", "names"), [
    (PLAIN, PLAIN, []),
    (PLAIN, [footprint(), footprint(threads_count=40), footprint(threads_count=40)], []),
    (PLAIN, [footprint(), footprint(threads_count=40), footprint(threads_count=80)], ["leaks threads"]),
    (PLAIN, [footprint(), footprint(sockets_count=60), footprint(sockets_count=120)], ["leaks sockets"]),
    (PLAIN, [footprint(), footprint(processes_count=2), footprint(processes_count=2)], ["leaks processes"]),
    ([footprint(), footprint(processes_count=2), footprint(processes_count=2)], PLAIN, []),
    (PLAIN, [footprint(), footprint(), footprint(listening_ports=(8125,))], ["opens a port"]),
    (PLAIN, [footprint(), footprint(), footprint(rss_bytes=149_000_000)], []),
    (PLAIN, [footprint(), footprint(), footprint(rss_bytes=151_000_000)], ["takes much more memory"]),
])  # fmt: skip
def test_pools_are_no_leaks(base: list[Footprint], change: list[Footprint], names: list[str]) -> None:
    assert [refusal.name for refusal in judged(base, change, 60)] == names
