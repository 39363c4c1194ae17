"""Routes from every source that has any, brought together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from perfcrew.core.base import Noun
from perfcrew.core.project import Project
from perfcrew.core.web import Endpoint, Place
from perfcrew.target.client import Client
from perfcrew.target.clone import Clone
from perfcrew.target.routes import openapi
from perfcrew.target.routes.ask import Inside, ask
from perfcrew.target.routes.place import place

_DUPLICATES = ("HEAD", "OPTIONS")
_NEVER = ("OPTIONS", "TRACE", "CONNECT")
_METHODS = re.compile(r"[A-Z]+")


class RoutesFound(Noun):
    """The endpoints, sorted by path and method, and what could not be found out about them."""

    endpoints: tuple[Endpoint, ...]
    notes: tuple[str, ...] = ()


async def routes(
    project: Project,
    client: Client,
    *,
    environment: Mapping[str, str],
    clone: Clone | None = None,
    timeout_s: float = 60.0,
) -> RoutesFound:
    """The routes of the application that `client` reaches. It is imported where the clone runs it: what an import
    writes beside itself must not come into the user's tree.

    `environment` is laid over the project's for the second process that imports the application, and must name the
    clone's database, so that an import can't touch the user's. Nothing is raised for an application that can't be
    imported or has no document: the notes say it.
    """
    inside = await ask(_as_run(project, clone), environment, timeout_s)
    copied = clone.source_root if clone else None
    published = await openapi.fetched(client, project)
    documents = [openapi.Document(**d) for d in inside.documents] + ([published] if published else [])
    asked = [e for e in (_asked(_in_the_tree(r, copied, project.root)) for r in inside.routes) if e is not None]
    described = openapi.endpoints(documents, {_shape(e.path) for e in asked})
    endpoints = _together(described, asked, project)
    return RoutesFound(endpoints=endpoints, notes=tuple(_notes(inside, endpoints)))


def _as_run(project: Project, clone: Clone | None) -> Project:
    """The project as the clone runs it: in a copy of its tree, where its database is fixed in its source."""
    if clone is None or clone.source_root is None:
        return project
    manage = project.manage_py
    return project.model_copy(
        update={
            "root": clone.source_root,
            "workdir": clone.workdir or clone.source_root,
            "manage_py": Path(clone.moved(str(manage))) if manage else None,
            "start": tuple(clone.moved(word) for word in project.start),
        }
    )


def _in_the_tree(route: Mapping[str, Any], copied: Path | None, root: Path) -> Mapping[str, Any]:
    """A route whose handler lies in the copy, as if it lay in the user's tree."""
    handler = route.get("handler")
    if copied is None or not handler:
        return route
    return {**route, "handler": {**handler, "file": str(handler["file"]).replace(str(copied), str(root), 1)}}


def _asked(route: Mapping[str, Any]) -> Endpoint | None:
    if not _METHODS.fullmatch(route["method"]) or route["method"] in _NEVER:
        return None
    handler = route.get("handler")
    return Endpoint(
        method=route["method"],
        path=route["path"],
        source=_source(route["source"]),
        handler=Place(**handler) if handler else None,
        is_async=route.get("is_async"),
        operation=_operation(route),
    )


def _source(name: str) -> Literal["django", "flask", "starlette"]:
    if name == "django":
        return "django"
    return "flask" if name == "flask" else "starlette"


def _operation(route: Mapping[str, Any]) -> dict[str, object]:
    parameters = [
        {
            "name": p["name"],
            "in": "path",
            "required": True,
            "schema": p["schema"],
            "x-converter": p["converter"],
            **({"x-may-be-empty": True} if p.get("empty") else {}),
        }
        for p in route["parameters"]
    ]
    return {"parameters": parameters, **({"x-admin": True} if route.get("admin") else {})}


def _shape(path: str) -> str:
    """The path without its parameters' names, so that two sources that name them differently agree."""
    return re.sub(r"\{[^{}]*\}", "{}", path)


def _together(described: Iterable[Endpoint], asked: Iterable[Endpoint], project: Project) -> tuple[Endpoint, ...]:
    """One endpoint a method and path: what the document describes, with the handler that the framework names."""
    by_key: dict[tuple[str, str], Endpoint] = {}
    for endpoint in described:
        by_key.setdefault((endpoint.method, _shape(endpoint.path)), endpoint)
    for endpoint in asked:
        key = (endpoint.method, _shape(endpoint.path))
        known = by_key.get(key)
        if known is None or (known.source != "openapi" and known.handler is None):
            by_key[key] = endpoint
        elif known.source == "openapi" and known.handler is None:
            by_key[key] = _merged(known, endpoint)
    paths = {shape for method, shape in by_key if method not in _DUPLICATES}
    kept = [e for (method, shape), e in by_key.items() if not (method in _DUPLICATES and shape in paths)]
    placed = [e.model_copy(update={"handler": place(e.handler, project.root)}) for e in kept]
    return tuple(sorted(placed, key=lambda e: (e.path, e.method)))


def _merged(described: Endpoint, asked: Endpoint) -> Endpoint:
    converters = [p.get("x-converter") for p in openapi.parameters(asked.operation)]
    in_path = [p for p in openapi.parameters(described.operation) if p.get("in") == "path"]
    marked = {p["name"]: c for p, c in zip(in_path, converters, strict=False) if c == "path"}
    listed = [
        {**p, "x-converter": "path"} if p.get("in") == "path" and p["name"] in marked else p
        for p in openapi.parameters(described.operation)
    ]
    operation = {**described.operation, "parameters": listed}
    return described.model_copy(
        update={"handler": asked.handler, "is_async": asked.is_async, "operation": operation},
    )


def _notes(inside: Inside, endpoints: tuple[Endpoint, ...]) -> list[str]:
    notes = [*inside.notes]
    if inside.error:
        notes.append(
            f"the application could not be imported in a second process ({inside.error}): "
            "handlers are not known, and endpoints come from the OpenAPI document alone"
        )
    if not endpoints:
        notes.append("no endpoint was found; give scenarios, a HAR file or an access log in perfcrew.toml")
    return notes
