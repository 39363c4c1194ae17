"""Patterns of keys: what is a name of the cache's own stays, what is somebody's value does not."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from perfcrew.core.cache import Operation, operations, pattern, patterns, sealed, words_of
from perfcrew.core.trace import Span

PATTERNS = {
    "greeting": "greeting",
    "book:17": "book:{n}",
    "v2:book:17:blurb": "v2:book:{n}:blurb",
    "shop:1.4:book": "shop:{n}:book",
    "page-17": "page-{n}",
    "books_by_genre:9": "books_by_genre:{n}",
    "blurb:0c3a9f0cbb0e4f0d": "blurb:{hash}",
    "cart:7d444840-9dc0-11d1-b245-5ffdce74fad2": "cart:{uuid}",
    ":1:views.decorators.cache.cache_page..GET.0cc175b9c0f1b6a831c399e269772661.en-us.UTC": ":{n}:{hash}",
    "day:2026-11-21:sum": "day:{date}:sum",
    "limit:10.1.2.3": "limit:{ip}",
    "mail:ada@example.org": "mail:{email}",
    "ada.l+x@example.org": "{email}",
    "user:ada": "user:{}",
    "user:ada:orders": "user:{}:orders",
    "username/Ada Lovelace": "username/{} {}",
    "search:shoes": "search:{}",
    "/books?author=ada&page=2": "/books?author={}&page={n}",
    "session:Zk3x-9aQ": "session:{}",
    "jwt:eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9": "jwt:{hash}",
    "greet:Åsa": "greet:{}",
    "user:7 name": "user:{n} name",
    "": "",
}

WORDS = words_of(["v2:book:{}:blurb", "user:{name}:orders", "/books?author=%s&page=%d", "a text of peter: no key"])


@pytest.mark.parametrize("key", PATTERNS)
def test_pattern(key: str) -> None:
    assert pattern(key, WORDS) == PATTERNS[key]


def test_many_words_at_one_place_are_values() -> None:
    people = [f"greet:{name}:card" for name in ("ada", "bob", "cy", "di", "ed", "flo", "gus", "hal", "ivy")]
    found = patterns([*people, "greet:all:sum"])
    assert {found[one] for one in people} == {"greet:{}:card"}
    assert found["greet:all:sum"] == "greet:all:sum"


def test_no_word_is_shown_that_the_source_does_not_have() -> None:
    """However few they are: eight people are as private as a thousand."""
    people = ("ada", "bob", "cy", "di", "ed", "flo", "gus", "hal")
    assert set(patterns(f"cart:{name}" for name in people).values()) == {"cart:{}"}
    many = {f"cart:{a}{b}:{b}{a}" for a in people for b in people}
    assert set(patterns(many).values()) == {"cart:{}:{}"}
    for key in ("notes:peter:diagnosis-hiv", "reset:aB3xK9q", ":1:notes:peter", "v2:notes:peter", "notes:7:peter"):
        assert not {"peter", "hiv", "aB"} & set(re.split("[^a-zA-Z]", pattern(key, WORDS))), key


def test_a_text_of_the_source_that_is_no_key_gives_no_words() -> None:
    assert words_of(["hello peter", "peter", "see: peter and paul", "{peter}:x"]) == {"x"}
    assert words_of(["cart:{user}:items", "rate/%(who)s/limit"]) == {"cart", "items", "rate", "limit"}


def test_a_sealed_key_shows_its_pattern_alone() -> None:
    keys = ["cart:ada", "cart:bob", "user:7 name", "user:7", "who/Ada Lovelace"]
    found = sealed(keys, (), "here")
    assert set(patterns(found.values()).values()) == {"cart:{}", "user:{n} name", "user:{n}", "who/{} {}"}
    assert not any(word in " ".join(found.values()) for word in ("ada", "bob", "Ada", "Lovelace"))
    assert found["cart:ada"] != found["cart:bob"]
    assert found["user:7 name"].split(" ")[0] == found["user:7"], "a hash and its fields"
    assert sealed(keys, (), "here") == found and sealed(keys, (), "elsewhere") != found
    assert sealed(found.values(), (), "elsewhere") == {one: one for one in found.values()}


def test_few_words_are_names() -> None:
    keys = ["books:new", "books:best", "authors:new"]
    assert patterns(keys, WORDS | {"new", "best"}) == {key: key for key in keys}


@settings(deadline=None, max_examples=30)
@given(some.emails(), some.sampled_from(["{}", "mail:{}", "a:{}:b", "x={}", "{}:profile"]))
def test_no_address_is_left(address: str, around: str) -> None:
    assert address not in pattern(around.replace("{}", address))


@settings(deadline=None)
@given(some.uuids(), some.integers(min_value=10**5), some.sampled_from(["k:{}", "k-{}", "{}", "a/{}/b"]))
def test_no_id_is_left(uuid: object, number: int, around: str) -> None:
    assert str(number) not in pattern(around.replace("{}", str(number)))
    assert str(uuid) not in pattern(around.replace("{}", str(uuid)))


@settings(deadline=None)
@given(some.lists(some.text(max_size=40), max_size=30))
def test_every_key_has_a_pattern_of_its_own_shape(keys: list[str]) -> None:
    found = patterns(keys)
    assert set(found) == set(keys)
    assert patterns(keys) == found


def test_operations_of_a_span() -> None:
    told = json.dumps([["GET", "a", True, 5, None], ["SET", "b", None, 2, 1.5]])
    one = Span(trace="t", span="s", kind="cache", name="GET", start_ns=0, end_ns=1)
    assert operations(one) == ()
    spans = one.model_copy(update={"attributes": {"perfcrew.cache.operations": told}})
    assert operations(spans) == (Operation("GET", "a", True, 5, None), Operation("SET", "b", None, 2, 1.5))
