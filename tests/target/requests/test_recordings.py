"""HAR files and access logs: what is taken of them and what is left."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcrew.core.errors import UsageError
from perfcrew.target.requests import access_log, har
from perfcrew.target.requests.recorded import carries_secret, learned, target_of

COMMON = '127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a?b=1 HTTP/1.0" 200 2326'
LINES = {
    "common": (COMMON, "/a?b=1"),
    "combined": (COMMON + ' "http://x/start.html" "Mozilla/4.08 [en] (Win98; I)"', "/a?b=1"),
    "with the host before it": ("shop.example:443 " + COMMON, "/a?b=1"),
    "a user's name with spaces": (COMMON.replace("frank", "frank m"), "/a?b=1"),
    "uvicorn's": ('INFO:     127.0.0.1:5000 - "GET /a?b=1 HTTP/1.1" 200 OK', "/a?b=1"),
    "an absolute target": (COMMON.replace("/a?", "http://shop.example/a?"), "/a?b=1"),
    "IPv6 and no size": ('::1 - - [x] "GET /a HTTP/2.0" 304 -', "/a"),
    "HTTP/0.9": ('1.1.1.1 - - [x] "GET /a" 200 5', "/a"),
    "another request in the agent": (COMMON + ' "-" "x \\"GET /evil HTTP/1.1\\" 200"', "/a?b=1"),
}
LEFT = {
    "an error": COMMON.replace(" 200 ", " 404 "),
    "a POST, whose body no log has": COMMON.replace("GET", "POST"),
    "a server-wide OPTIONS": COMMON.replace("GET /a?b=1", "OPTIONS *"),
    "a secret in the query": COMMON.replace("b=1", "access_token=1"),
    "a handshake": '1.1.1.1 - - [x] "\\x16\\x03\\x01" 400 0',
    "no log at all": "hello world",
    "an empty line": "",
}


@pytest.mark.parametrize("name", LINES)
def test_lines_that_are_read(name: str) -> None:
    line, expected = LINES[name]
    assert [r.target for r in access_log.parsed([line.encode()])] == [expected]


@pytest.mark.parametrize("name", LEFT)
def test_lines_that_are_left(name: str) -> None:
    assert access_log.parsed([LEFT[name].encode()]) == []


def test_the_most_frequent_come_first_with_their_count() -> None:
    lines = [f'- - - [x] "GET /{name} HTTP/1.1" 200 1'.encode() for name in "abbcbc"]
    assert [(r.target, r.times) for r in access_log.parsed(lines)] == [("/b", 3), ("/c", 2), ("/a", 1)]


def test_a_packed_log_is_read_and_a_broken_one_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(COMMON.encode()))
    assert access_log.read(tmp_path / "a.log.gz")[0].target == "/a?b=1"
    (tmp_path / "b.log.gz").write_bytes(gzip.compress(COMMON.encode())[:-9])
    with pytest.raises(UsageError, match="can't be read"):
        access_log.read(tmp_path / "b.log.gz")


@given(st.lists(st.binary(max_size=200)))
def test_any_lines_are_read_without_an_exception(lines: list[bytes]) -> None:
    assert all(r.target.startswith("/") for r in access_log.parsed(lines))


@given(
    st.text(alphabet=st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters='"'), max_size=20),
    st.from_regex(r"/[a-z]{1,8}(/[0-9]{1,4})?(\?p=[0-9]{1,3})?", fullmatch=True),
)
def test_the_target_is_read_whoever_asked_for_it(user: str, target: str) -> None:
    line = f'1.2.3.4 - {user} [10/Oct/2000:13:55:36 -0700] "GET {target} HTTP/1.1" 200 12 "-" "agent"'
    assert [r.target for r in access_log.parsed([line.encode()])] == [target]


def entry(url: str = "https://x/a", method: str = "GET", status: Any = 200, **more: Any) -> dict[str, Any]:
    return {"request": {"method": method, "url": url, **more}, "response": {"status": status}}


def taken(*entries: Any) -> list[Any]:
    return har.parsed({"log": {"entries": list(entries)}})


def test_a_request_is_taken_without_who_sent_it() -> None:
    headers = [
        {"name": n, "value": "v"} for n in ("Authorization", "cookie", "X-Api-Key", "Host", "Content-Type", "Accept")
    ]
    (one,) = taken(entry("https://x/a?b=1#c", "post", headers=headers, postData={"text": "{}"}))
    assert (one.method, one.target, one.body) == ("POST", "/a?b=1", "{}")
    assert one.headers == {"Content-Type": "v", "Accept": "v"}


LEFT_OF_HAR = {
    "an error": entry(status=500),
    "one that was blocked": entry(status=0),
    "no response": {"request": {"method": "GET", "url": "https://x/a"}},
    "data of the page itself": entry("data:text/plain,x"),
    "a URL that is none": entry("http://[bad"),
    "a secret in the query": entry("https://x/a?sig=1"),
    "no request": {"response": {"status": 200}},
    "no object": 7,
}


@pytest.mark.parametrize("name", LEFT_OF_HAR)
def test_entries_that_are_left(name: str) -> None:
    assert taken(LEFT_OF_HAR[name]) == []


@pytest.mark.parametrize("content", ["{", '{"log": {}}', "[]", "7"])
def test_what_is_no_har_file_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.har").write_text(content)
    with pytest.raises(UsageError):
        har.read(tmp_path / "x.har")


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.har").write_bytes(b"\xef\xbb\xbf" + json.dumps({"log": {"entries": [entry()]}}).encode())
    assert [r.target for r in har.read(tmp_path / "x.har")] == ["/a"]


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["request", "response", "status", "url", "method", "headers", "name", "postData"]), inner
        )
    ),
    max_leaves=10,
)


@given(st.lists(JSON, max_size=4))
def test_any_entries_are_read_without_an_exception(entries: list[Any]) -> None:
    assert isinstance(taken(*entries), list)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("token=1", True),
        ("page_token=1", True),
        ("api-key=1", True),
        ("key=1", True),
        ("code=1", True),
        ("sid=1", True),
        ("monkey=1", False),
        ("author=1", False),
        ("keyword=token", False),
        ("tokens=1", False),
        ("", False),
    ],
)
def test_parameters_that_carry_secrets(query: str, expected: bool) -> None:
    assert carries_secret(f"/a?{query}") is expected


@pytest.mark.parametrize(
    ("url", "expected"), [("http://x", "/"), ("http://x/a?b", "/a?b"), ("*", ""), ("x:443", ""), ("/a", "/a")]
)
def test_targets(url: str, expected: str) -> None:
    assert target_of(url) == expected


def test_recordings_tell_endpoints_where_nothing_else_does() -> None:
    found = learned(taken(entry("https://x/a/7/b/9"), entry("https://x/a/8/b/1"), entry("https://x/a/new")))
    assert [e.key for e in found] == ["GET /a/{id}/b/{id2}", "GET /a/new"]
