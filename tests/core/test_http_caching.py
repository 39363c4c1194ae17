"""What headers allow, as RFC 9111 reads them: cases of the standard, and headers as they are found in the wild."""

from __future__ import annotations

import pytest

from perfcrew.core.http_caching import LONGEST_S, allows, conditions, directives, moment, tag

DIRECTIVES: dict[str, dict[str, str | None]] = {
    "": {},
    "no-store": {"no-store": None},
    "Max-Age=60, PRIVATE": {"max-age": "60", "private": None},
    "max-age=60,no-cache": {"max-age": "60", "no-cache": None},
    'private="set-cookie, x-user", max-age=5': {"private": "set-cookie, x-user", "max-age": "5"},
    r'ext="a \"quoted\" part", no-store': {"ext": 'a "quoted" part', "no-store": None},
    "max-age = 60": {"max-age": "60"},
    "max-age=60, max-age=0": {"max-age": "60"},
    ", , public ,,": {"public": None},
    "max-age=": {"max-age": ""},
    "max-age=60; public": {"max-age": "60;", "public": None},
    'no-store="': {"no-store": ""},
}

DATE = "Wed, 01 Jul 2026 12:00:00 GMT"
HOUR_LATER = "Wed, 01 Jul 2026 13:00:00 GMT"
FRESH: dict[str, tuple[dict[str, str], float]] = {
    "nothing said": ({}, 0),
    "for a while": ({"cache-control": "max-age=60"}, 60),
    "in quotes": ({"cache-control": 'max-age="60"'}, 60),
    "partly spent on the way": ({"cache-control": "max-age=60", "age": "20"}, 40),
    "wholly spent on the way": ({"cache-control": "max-age=60", "age": "100"}, 0),
    "to be asked each time": ({"cache-control": "max-age=60, no-cache"}, 0),
    "only a shared cache may": ({"cache-control": "s-maxage=60"}, 0),
    "unreadable": ({"cache-control": "max-age=soon", "expires": HOUR_LATER, "date": DATE}, 0),
    "negative": ({"cache-control": "max-age=-1"}, 0),
    "longer than there is": ({"cache-control": "max-age=99999999999"}, LONGEST_S),
    "until a date": ({"expires": HOUR_LATER, "date": DATE}, 3600),
    "over that date": ({"expires": HOUR_LATER, "date": DATE, "cache-control": "max-age=5"}, 5),
    "until a date that is past": ({"expires": DATE, "date": HOUR_LATER}, 0),
    "until nothing": ({"expires": "0", "date": DATE}, 0),
    "immutable for no time": ({"cache-control": "immutable"}, 0),
}

TAGS = {
    "": "",
    '"abc"': "strong",
    '""': "strong",
    'W/"abc"': "weak",
    "abc": "malformed",
    'w/"abc"': "malformed",
    '"a"b"': "malformed",
    '"a b"': "malformed",
    "'abc'": "malformed",
}


@pytest.mark.parametrize("text", DIRECTIVES)
def test_directives(text: str) -> None:
    assert directives(text) == DIRECTIVES[text]


@pytest.mark.parametrize("name", FRESH)
def test_how_long_a_browser_may_show_it(name: str) -> None:
    headers, seconds = FRESH[name]
    assert allows(headers).fresh_s == seconds


def test_who_may_keep_it() -> None:
    assert allows({"cache-control": "No-Store"}).no_store
    assert allows({"cache-control": 'private="set-cookie"'}).private
    assert not allows({"cache-control": "public, x-no-store"}).no_store
    assert not allows({"cache-control": 'note="no-store, private"'}).no_store
    assert allows({"vary": "Cookie, accept-encoding,  Cookie"}).varies == ("cookie", "accept-encoding")
    assert allows({"vary": "*"}).varies == ("*",)


@pytest.mark.parametrize("text", TAGS)
def test_tags(text: str) -> None:
    assert tag(text) == TAGS[text]


def test_dates_that_cannot_be_read_are_none() -> None:
    assert [moment(text) for text in (None, "", "0", "yesterday", "Wed, 99 Jul 2026 12:00:00 GMT")] == [None] * 5
    one, other, without_zone = moment(DATE), moment(HOUR_LATER), moment(DATE.removesuffix(" GMT"))
    assert one and other and without_zone
    assert (other - one).total_seconds() == 3600
    assert without_zone == one


def test_what_a_client_asks_with() -> None:
    assert conditions({"etag": 'W/"1"', "last-modified": DATE}) == {"If-None-Match": 'W/"1"', "If-Modified-Since": DATE}
    assert conditions({"etag": ""}) == {}
