"""Templates, values and refusals: tables of what fits and of what only looks so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcrew.core.project import Project
from perfcrew.core.web import Endpoint, Place, Request
from perfcrew.target.client import Answer
from perfcrew.target.requests import generated
from perfcrew.target.requests.bindings import bindings, entity, spread
from perfcrew.target.requests.harvest import Harvest, singular, snake
from perfcrew.target.requests.parameters import accepts, path_parameters, query_parameters
from perfcrew.target.requests.refusals import harmful_word, refusal
from perfcrew.target.requests.template import filled, matched, owner

BASE = "http://127.0.0.1:1"


def endpoint(path: str, method: str = "GET", **parameters: dict[str, Any]) -> Endpoint:
    listed = [{"name": n, "in": "path", "required": True, **p} for n, p in parameters.items()]
    return Endpoint(method=method, path=path, source="user", operation={"parameters": listed})


SPANNING = {"schema": {"type": "string"}, "x-converter": "path"}
MATCHES = {
    "one value": ("/books/{id}", "/books/7", {"id": "7"}),
    "a quoted value": ("/books/{id}", "/books/a%2Fb", {"id": "a/b"}),
    "a slash at the end": ("/books/{id}", "/books/7/", {"id": "7"}),
    "no slash where the template has one": ("/books/{id}/", "/books/7", {"id": "7"}),
    "two in one segment": ("/{a}.{b}", "/x.json", {"a": "x", "b": "json"}),
    "a longer path": ("/books/{id}", "/books/7/reviews", None),
    "a dot is no wildcard": ("/a.b", "/axb", None),
    "an empty value": ("/books/{id}", "/books/", None),
    "the root": ("/", "/", {}),
}


@pytest.mark.parametrize("name", MATCHES)
def test_matching(name: str) -> None:
    template, path, expected = MATCHES[name]
    assert matched(endpoint(template), path) == expected


def test_a_parameter_that_spans_segments_matches_and_is_filled_with_its_slashes() -> None:
    file = endpoint("/files/{name}", name=SPANNING)
    assert matched(file, "/files/a/b%20c") == {"name": "a/b c"}
    assert filled(file, {"name": "a/b c"}) == "/files/a/b%20c"
    assert filled(endpoint("/files/{name}"), {"name": "a/b c"}) == "/files/a%2Fb%20c"


@given(
    st.text(st.characters(blacklist_categories=["Cs"]), min_size=1),
    st.text(st.characters(blacklist_categories=["Cs"]), min_size=1),
)
def test_what_is_filled_in_is_matched_again(a: str, b: str) -> None:
    nested = endpoint("/a/{a}/b/{b}")
    assert matched(nested, filled(nested, {"a": a, "b": b})) == {"a": a, "b": b}


def test_the_endpoint_with_the_most_fixed_text_owns_a_path() -> None:
    known = [endpoint(p) for p in ("/{page}", "/books/{id}", "/books/new", "/{a}/{b}")] + [
        endpoint("/books/new", "POST")
    ]
    found = {path: owner(known, "GET", path) for path in ("/books/new", "/books/7", "/x/y", "/about", "/a/b/c")}
    assert {path: one and one.path for path, one in found.items()} == {
        "/books/new": "/books/new",
        "/books/7": "/books/{id}",
        "/x/y": "/{a}/{b}",
        "/about": "/{page}",
        "/a/b/c": None,
    }


INTEGER = {"type": "integer", "minimum": 1, "maximum": 9}
UUID = {"type": "string", "format": "uuid"}
ACCEPTED = [
    (INTEGER, 3, True),
    (INTEGER, "3", True),
    (INTEGER, 10, False),
    (INTEGER, "3.0", False),
    (INTEGER, "abc", False),
    (INTEGER, True, False),
    ({"type": "number"}, "1.5", True),
    (UUID, "00000000-0000-0000-0000-000000000001", True),
    (UUID, "17", False),
    ({"type": "string"}, 17, True),
    ({"type": "string"}, "", False),
    ({"type": "string"}, "..", False),
    ({"type": "string", "pattern": "^[a-z]+$"}, "abc", True),
    ({"type": "string", "pattern": "^[a-z]+$"}, "A1", False),
    ({"type": "string", "pattern": r"^\p{L}+$"}, "A1", True),
    ({"enum": ["a", 2]}, "2", True),
    ({"enum": ["a", 2]}, "b", False),
]


@pytest.mark.parametrize(("definition", "value", "expected"), ACCEPTED)
def test_which_values_fit(definition: dict[str, Any], value: Any, expected: bool) -> None:
    assert accepts(definition, value) is expected


GENERATED = [
    ({"type": "integer"}, [1, 2, 3]),
    ({"type": "integer", "minimum": 0}, [1, 2, 3]),
    ({"type": "integer", "minimum": 5, "maximum": 6}, [5, 6]),
    ({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 3}, [1, 2]),
    ({"type": "integer", "minimum": 3, "exclusiveMinimum": True}, [4, 5, 6]),
    ({"type": "integer", "maximum": 0}, [-2, -1, 0]),
    ({"type": "boolean"}, [True, False]),
    ({"enum": [None, "a", "b"]}, ["a", "b"]),
    ({"const": 7}, [7]),
    ({"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 4}]}, [4, 5, 6]),
    ({"type": ["null", "boolean"]}, [True, False]),
    ({"type": "array", "items": {"type": "integer"}}, [[1], [2], [3]]),
    ({"type": "string"}, ["a", "the", "test"]),
    ({"type": "string", "minLength": 4}, ["aaaa", "thea", "test"]),
    ({"type": "string", "maxLength": 1}, ["a"]),
    (
        {
            "type": "object",
            "required": ["n", "o"],
            "properties": {
                "n": {"type": "integer", "example": 9},
                "o": {"type": "object", "required": ["t"], "properties": {"t": {"type": "string", "default": "d"}}},
                "left": {"type": "string"},
            },
        },
        [{"n": 9, "o": {"t": "d"}}],
    ),
    ({"type": "string", "pattern": "^[-a-zA-Z0-9_]+$"}, ["a", "the", "test"]),
    ({"type": "string", "pattern": "^(?:[0-9]{4})$"}, ["2024", "2025"]),
    ({"type": "string", "pattern": r"^\p{L}+$"}, ["a", "the", "test"]),
    ({"type": "string", "pattern": "^(?!)$"}, []),
]


@pytest.mark.parametrize(("definition", "expected"), GENERATED)
def test_plain_values_of_a_schema(definition: dict[str, Any], expected: list[Any]) -> None:
    assert generated.values("x", definition) == expected


@pytest.mark.parametrize(
    "definition",
    [
        {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"},
        {"type": "string", "format": "hostname"},
        {"type": "integer", "multipleOf": 7, "minimum": 3, "maximum": 100},
    ],
)
def test_drawn_values_fit_are_the_same_each_time_and_leave_no_file(
    definition: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = generated.values("x", definition)
    assert first
    assert all(accepts(definition, value) for value in first)
    assert generated.values("x", definition) == first
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "expected"), [("start_date", "2000-01-01"), ("until", "2100-01-01"), ("tomato", "2024-01-15")]
)
def test_dates_by_the_side_of_the_range_that_they_bound(name: str, expected: str) -> None:
    assert generated.values(name, {"type": "string", "format": "date"})[0] == expected


def test_parameters_are_read_from_what_documents_really_hold() -> None:
    operation = {
        "parameters": [
            {
                "name": "q",
                "in": "query",
                "required": True,
                "schema": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            },
            {"name": "old", "in": "query", "type": "integer", "minimum": 2},
            {"name": "many", "in": "query", "schema": {"type": "string"}, "examples": {"a": {"value": "x"}, "b": {}}},
            {"name": "kind", "in": "query", "schema": {"enum": ["a"], "examples": ["b", "a"], "default": "a"}},
            {"name": "X-Trace", "in": "header"},
            7,
        ]
    }
    one = Endpoint(method="GET", path="/a/{undescribed}", source="openapi", operation=operation)
    q, old, many, kind = query_parameters(one)
    assert (q.type, q.required, old.type, old.definition["minimum"]) == ("integer", True, "integer", 2)
    assert (many.examples, kind.examples) == (("x",), ("a",))
    assert [(p.name, p.type) for p in path_parameters(one)] == [("undescribed", "string")]


SINGULARS = {
    "books": "book",
    "categories": "category",
    "boxes": "box",
    "order-items": "order_item",
    "status": "status",
    "class": "class",
    "addresses": "address",
    "analysis": "analysis",
}


@pytest.mark.parametrize(("noun", "expected"), SINGULARS.items())
def test_singular(noun: str, expected: str) -> None:
    assert singular(noun) == expected
    assert singular(expected) == expected


def test_names() -> None:
    assert [snake(n) for n in ("bookId", "book-id", "ISBN")] == ["book_id", "book_id", "isbn"]
    assert [entity(n) for n in ("book_id", "bookId", "book", "id", "order_item_pk")] == [
        "book",
        "book",
        "book",
        "",
        "order_item",
    ]


HARMFUL = {
    "/logout": "logout",
    "/accounts/log-out/": "log-out",
    "/users/sign_off": "sign_off",
    "/books/7/delete": "delete",
    "/newsletter/unsubscribe/x": "unsubscribe",
    "/API/Logout": "Logout",
    "/deleted": "",
    "/undeleted-items": "",
    "/catalog/outlook": "",
    "/blog-outline": "",
    "/removed": "",
    "/deletions": "",
    "/design-offers": "",
}


@pytest.mark.parametrize("path", HARMFUL)
def test_words_that_tell_of_harm(path: str) -> None:
    assert harmful_word(path) == HARMFUL[path]


def project(**more: Any) -> Project:
    given = {
        "root": Path("/x"),
        "name": "x",
        "framework": "flask",
        "python": Path("/p"),
        "workdir": Path("/x"),
        "start": (),
    }
    return Project(**{**given, **more})


REFUSED = {
    "a method": (endpoint("/a", "PUT"), {}, "PUT is not asked unless [target] methods lists it"),
    "a method that is listed": (endpoint("/a/delete", "POST"), {"methods": ("POST",)}, ""),
    "a glob": (endpoint("/admin/x"), {"exclude": ("/admin/*",)}, "excluded by '/admin/*' in [target] exclude"),
    "a key": (endpoint("/a"), {"exclude": ("GET /a",)}, "excluded by 'GET /a' in [target] exclude"),
    "a look-alike of the glob": (endpoint("/administrators"), {"exclude": ("/admin/*",)}, ""),
    "a handler that deletes": (
        endpoint("/rm/{x}").model_copy(update={"handler": Place(file="a.py", line=1, function="delete_book")}),
        {},
        "its name says 'delete': asked only by a scenario of perfcrew.toml",
    ),
    "a page that confirms a deletion": (
        endpoint("/rm/{x}").model_copy(update={"handler": Place(file="a.py", line=1, function="BookDelete.get")}),
        {},
        "",
    ),
    "a parameter of that name": (endpoint("/a/{delete}"), {}, ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    one, given_project, expected = REFUSED[name]
    assert refusal(project(**given_project), one) == expected


def told(harvest: Harvest, of: Endpoint, path: str, content: Any, content_type: str = "application/json") -> None:
    body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
    answer = Answer(200, {"content-type": content_type}, len(body), len(body), body, 1.0, 1.0)
    harvest.take(of, Request(endpoint=of.key, method="GET", target=path, origin="generated"), answer)


def values(of: Endpoint, harvest: Harvest) -> list[dict[str, Any]]:
    return [b.values for b in bindings(of, harvest) if b.origin == "listing"]


NUMBER = {"schema": {"type": "integer"}}
CHOSEN: dict[str, tuple[list[tuple[str, str, Any]], Endpoint, list[dict[str, Any]]]] = {
    "the id of the listing above": (
        [("/books", "/books", [{"id": 4, "title": "x", "pages": 9}])],
        endpoint("/books/{book_id}", book_id=NUMBER),
        [{"book_id": 4}],
    ),
    "a name in camel case": (
        [("/books", "/books", {"items": [{"bookId": 4, "id": 9}]})],
        endpoint("/books/{book_id}", book_id=NUMBER),
        [{"book_id": 4}, {"book_id": 9}],
    ),
    "a listing elsewhere of the same kind": (
        [("/api/v1/books", "/api/v1/books", [{"id": 4}])],
        endpoint("/reviews/of/{book_id}", book_id=NUMBER),
        [{"book_id": 4}],
    ),
    "an object inside another": (
        [("/orders", "/orders", [{"id": 1, "customer": {"id": 77}}])],
        endpoint("/people/{customer_id}", customer_id=NUMBER),
        [{"customer_id": 77}],
    ),
    "a field of exactly this name": (
        [("/orders", "/orders", [{"id": 1, "warehouse_id": 5}])],
        endpoint("/stock/{warehouse_id}", warehouse_id=NUMBER),
        [{"warehouse_id": 5}],
    ),
    "not the id of something else": (
        [("/orders", "/orders", [{"id": 1}])],
        endpoint("/books/{book_id}", book_id=NUMBER),
        [],
    ),
    "not a slug for a number": (
        [("/books", "/books", [{"slug": "x"}])],
        endpoint("/books/{id}", id=NUMBER),
        [],
    ),
    "a child with the parent that its own field names": (
        [("/authors", "/authors", [{"id": 1}, {"id": 2}]), ("/books", "/books", [{"id": 7, "author_id": 2}])],
        endpoint("/authors/{author_id}/books/{book_id}", author_id=NUMBER, book_id=NUMBER),
        [{"author_id": 2, "book_id": 7}],
    ),
    "a child with the parent whose listing it stood in": (
        [
            ("/authors", "/authors", [{"id": 1}, {"id": 2}]),
            ("/authors/{a}/books", "/authors/1/books", [{"id": 8}]),
            ("/authors/{a}/books", "/authors/2/books", [{"id": 9}]),
        ],
        endpoint("/authors/{author_id}/books/{book_id}", author_id=NUMBER, book_id=NUMBER),
        [{"author_id": 1, "book_id": 8}, {"author_id": 2, "book_id": 9}],
    ),
    "a child listed inside its parent's answer": (
        [("/authors/{a}", "/authors/5", {"id": 5, "books": [{"id": 6}]})],
        endpoint("/authors/{author_id}/books/{book_id}", author_id=NUMBER, book_id=NUMBER),
        [{"author_id": 5, "book_id": 6}],
    ),
    "an address that an answer gives": (
        [("/books", "/books", [{"url": f"{BASE}/novels/5/", "image": "https://cdn.example/novels/9"}])],
        endpoint("/novels/{pk}/", pk=NUMBER),
        [{"pk": "5"}],
    ),
    "not an address that logs out": (
        [("/me", "/me", {"out": "/accounts/logout", "home": "/accounts/profile"})],
        endpoint("/accounts/{page}"),
        [{"page": "profile"}],
    ),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_values_out_of_answers(name: str) -> None:
    answers, wanted, expected = CHOSEN[name]
    harvest = Harvest(BASE)
    for template, path, content in answers:
        told(harvest, endpoint(template), path, content)
    assert values(wanted, harvest) == expected


def test_links_of_a_page_are_resolved_against_it() -> None:
    harvest = Harvest(BASE)
    told(
        harvest,
        endpoint("/blog/"),
        "/blog/",
        '<a href="7/">x</a><a href="../a?b#c"><a href="//evil/9/"><a>',
        "text/html",
    )
    assert list(harvest.links) == ["/blog/7/", "/a"]


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5), lambda i: st.lists(i) | st.dictionaries(st.text(max_size=5), i)
    )
)
def test_any_answer_is_harvested_without_an_exception(content: Any) -> None:
    harvest = Harvest(BASE)
    told(harvest, endpoint("/a"), "/a", content)
    assert all(isinstance(b.values, dict) for b in bindings(endpoint("/a/{a_id}"), harvest))


def test_spreading_keeps_the_first_and_the_number() -> None:
    assert spread(list(range(100)), 4) == [0, 25, 50, 75]
    assert spread([1, 2], 4) == [1, 2]


def test_drawing_values_leaves_nothing_in_the_folder_it_is_run_from(tmp_path: Path) -> None:
    """In a process of its own: what hypothesis writes when it is first imported counts too."""
    asked = {"type": "string", "pattern": r"^[a-z]{3}-\\d+$"}
    code = f"from perfcrew.target.requests import generated; print(generated.values('code', {asked!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "aaa-" in done.stdout, done.stderr
    assert list(tmp_path.iterdir()) == []
