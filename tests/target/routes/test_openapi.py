"""OpenAPI documents as they occur, well made and not."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from perfcrew.target.client import Client
from perfcrew.target.routes import openapi
from perfcrew.target.routes.openapi import Document, endpoints, parameters, resolved


def keys(content: dict[str, Any], known: set[str] | None = None, **more: str) -> list[str]:
    return [e.key for e in endpoints([Document(document=content, **more)], known or set())]


PATHS: dict[str, Any] = {"/a": {"get": {}}, "/a/{id}": {"get": {}, "delete": {}, "summary": "x", "options": {}}}


def test_operations_are_endpoints() -> None:
    assert keys({"paths": PATHS}) == ["GET /a", "GET /a/{id}", "DELETE /a/{id}"]


PREFIXES = {
    "a mounted application": ({}, set(), {"prefix": "/sub"}, "GET /sub/a"),
    "a server whose path the framework knows": ({"servers": [{"url": "/v1"}]}, {"/v1/a"}, {}, "GET /v1/a"),
    "an absolute server": ({"servers": [{"url": "https://x.example/v1/"}]}, {"/v1/a"}, {}, "GET /v1/a"),
    "Swagger 2": ({"basePath": "/v1"}, {"/v1/a"}, {}, "GET /v1/a"),
    "a proxy's path that the framework does not know": ({"servers": [{"url": "/v1"}]}, {"/a"}, {}, "GET /a"),
    "a document from below its server": (
        {"servers": [{"url": "/v1"}]},
        set(),
        {"url": "/v1/openapi.json"},
        "GET /v1/a",
    ),
    "a document from elsewhere": ({"servers": [{"url": "/v1"}]}, set(), {"url": "/openapi.json"}, "GET /a"),
    "servers that are none": ({"servers": {"url": "/v1"}}, set(), {}, "GET /a"),
}


@pytest.mark.parametrize("name", PREFIXES)
def test_where_the_paths_begin(name: str) -> None:
    content, known, more, expected = PREFIXES[name]
    assert keys({"paths": PATHS, **content}, known, **more)[0] == expected


def test_references_are_replaced_and_shared_parameters_overridden() -> None:
    content = {
        "components": {
            "parameters": {"P": {"name": "id", "in": "path", "schema": {"$ref": "#/components/schemas/Id"}}},
            "schemas": {"Id": {"type": "integer"}, "a/b": {"type": "boolean"}},
        },
        "paths": {
            "/x/{id}": {
                "parameters": [{"$ref": "#/components/parameters/P"}, {"name": "q", "in": "query"}],
                "get": {"parameters": [{"name": "q", "in": "query", "required": True}], "responses": {"200": {}}},
            }
        },
    }
    (one,) = endpoints([Document(document=content)])
    first, second = parameters(one.operation)
    assert first["schema"] == {"type": "integer"}
    assert second["required"] is True
    assert "responses" not in one.operation
    assert resolved(content, {"$ref": "#/components/schemas/a~1b"}) == {"type": "boolean"}


def test_what_refers_to_itself_or_to_nothing_ends() -> None:
    tree: dict[str, Any] = {"type": "object", "properties": {n: {"$ref": "#/T"} for n in "abcdefgh"}}
    assert resolved({"T": tree}, {"$ref": "#/T"})["properties"]["a"] == {}
    assert resolved({}, {"$ref": "#/nowhere/at/all"}) == {}


@pytest.mark.parametrize(
    "item", [None, 7, [], {"get": 7}, {"get": {"parameters": 7}}, {"get": {"parameters": [7, {}]}}]
)
def test_a_malformed_document_is_read_as_far_as_it_goes(item: Any) -> None:
    found = list(endpoints([Document(document={"paths": {"/a": item}})]))
    assert all(parameters(e.operation) == [] for e in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('app = FastAPI(openapi_url="/spec.json")', ["/spec.json"]),
        ("app = FastAPI(openapi_url='/a', x=1)\nb = FastAPI(openapi_url=f\"{x}/b\")", ["/a"]),
        ("app = FastAPI(openapi_url=None)", []),
        ("app = FastAPI(openapi_url=settings.url)", []),
    ],
)
def test_addresses_that_the_source_names(text: str, expected: list[str]) -> None:
    assert openapi._literals(text) == expected


async def test_a_published_document_is_found_and_a_page_of_html_is_none(project: Any, tmp_path: Any) -> None:
    (tmp_path / "main.py").write_text('app = FastAPI(openapi_url="/deep/spec.json")')

    async def page(request: web.Request) -> web.Response:
        if request.path == "/deep/spec.json":
            return web.json_response({"openapi": "3.1.0", "paths": PATHS})
        return web.Response(text="<html>everything else is the front end</html>", content_type="text/html")

    application = web.Application()
    application.router.add_get("/{path:.*}", page)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    async with Client(f"http://{host}:{port}") as client:
        found = await openapi.fetched(client, project("fastapi", "main:app", root=tmp_path))
        nothing = await openapi.fetched(client, project("fastapi", root=tmp_path))
    await runner.cleanup()
    assert found is not None
    assert (found.url, nothing) == ("/deep/spec.json", None)
