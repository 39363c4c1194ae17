"""Endpoints from an OpenAPI document, with parameters and bodies free of references."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from perfcrew.core.base import Noun
from perfcrew.core.project import Project
from perfcrew.core.web import Endpoint, Request
from perfcrew.target.client import Client

_METHODS = ("get", "head", "post", "put", "patch", "delete")
_KEPT = ("operationId", "summary", "tags", "deprecated", "security")
_DEPTH = 8
_USUAL = ("/openapi.json", "/api/openapi.json", "/api/v1/openapi.json")
_BY_FRAMEWORK: dict[str, tuple[str, ...]] = {
    "django": ("/openapi.json", "/api/openapi.json", "/api/schema/?format=json", "/schema/?format=json"),
    "flask": ("/openapi.json", "/api-spec.json", "/swagger.json"),
    "quart": ("/openapi.json",),
}


class Document(Noun):
    """An OpenAPI document, the path below which its application is mounted, and where it was fetched."""

    prefix: str = ""
    url: str = ""
    document: dict[str, Any]


async def fetched(client: Client, project: Project) -> Document | None:
    """The document that the running application publishes, at the usual addresses or those that its source names."""
    usual = _BY_FRAMEWORK.get(project.framework, _USUAL)
    for path in dict.fromkeys([*usual, *_named_in_source(project)]):
        answer = await client.send(Request(endpoint=path, method="GET", target=path))
        if answer.refused:
            return None
        if answer.status == 200 and (document := _document(answer)):
            return Document(document=document, url=path)
    return None


def _document(answer: Any) -> dict[str, Any] | None:
    try:
        content = answer.json()
    except (ValueError, RecursionError):
        return None
    is_one = isinstance(content, dict) and isinstance(content.get("paths"), dict)
    return content if is_one and ("openapi" in content or "swagger" in content) else None


def _named_in_source(project: Project) -> list[str]:
    """Literal `openapi_url=` of the module that holds the application; other forms are asked inside the interpreter."""
    if not project.app:
        return []
    module = project.app.partition(":")[0].replace(".", "/")
    for base in (project.workdir, project.workdir / "src", project.root, project.root / "src"):
        for file in (base / f"{module}.py", base / module / "__init__.py"):
            if file.is_file():
                return _literals(file.read_text("utf-8", "replace"))
    return []


def _literals(source: str) -> list[str]:
    pieces = source.split("openapi_url=")[1:]
    quoted = [piece[1:].split(piece[0])[0] for piece in pieces if piece[:1] in ("'", '"')]
    return [text for text in quoted if text.startswith("/") and "\n" not in text and len(text) < 200]


def endpoints(documents: Sequence[Document], known_shapes: Collection[str] = ()) -> Iterator[Endpoint]:
    """The operations of the documents, with their whole paths.

    `known_shapes` are the framework's own paths: they tell whether the path of the document's server belongs to them.
    """
    for document in documents:
        prefix = document.prefix or _server_prefix(document, known_shapes)
        for path, item in document.document["paths"].items():
            if isinstance(item, dict):
                yield from _operations(document.document, prefix + path, item)


def _server_prefix(document: Document, known_shapes: Collection[str]) -> str:
    """The path of the first server, where the framework knows more of the paths with it than without.

    Where the framework could not be asked, it counts for a document that was itself fetched from below that path.
    """
    content = document.document
    servers = [server for server in _listed(content.get("servers")) if isinstance(server, dict)]
    url = str(servers[0].get("url", "")) if servers else ""
    prefix = (urlsplit(url).path or str(content.get("basePath") or "")).rstrip("/")
    if not known_shapes:
        return prefix if prefix and document.url.startswith(prefix + "/") else ""
    static = [path for path in content["paths"] if "{" not in path]
    return prefix if sum((prefix + path in known_shapes) - (path in known_shapes) for path in static) > 0 else ""


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _operations(document: Mapping[str, Any], path: str, item: Mapping[str, Any]) -> Iterator[Endpoint]:
    shared = _listed(item.get("parameters"))
    for method in _METHODS:
        operation = item.get(method)
        if isinstance(operation, dict):
            yield Endpoint(
                method=method.upper(),
                path=path,
                source="openapi",
                operation=_kept(document, operation, shared),
            )


def _kept(document: Mapping[str, Any], operation: Mapping[str, Any], shared: Sequence[Any]) -> dict[str, object]:
    """What making requests needs of an operation; its answers' schemas would only fill the ledger."""
    listed = [resolved(document, p) for p in [*shared, *_listed(operation.get("parameters"))]]
    by_place = {(p.get("in"), p.get("name")): p for p in listed if isinstance(p, dict) and "name" in p}
    kept: dict[str, object] = {name: operation[name] for name in _KEPT if name in operation}
    kept["parameters"] = list(by_place.values())
    if "requestBody" in operation:
        kept["requestBody"] = resolved(document, operation["requestBody"])
    return kept


def parameters(operation: Mapping[str, object]) -> list[dict[str, Any]]:
    """The parameters of an endpoint's operation, path, query and others."""
    return [p for p in _listed(operation.get("parameters")) if isinstance(p, dict)]


def resolved(document: Mapping[str, Any], node: Any, within: tuple[str, ...] = ()) -> Any:
    """The node with its local references replaced; what refers to itself, or is nested too deep, becomes `{}`."""
    if isinstance(node, list):
        return [resolved(document, item, within) for item in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if not isinstance(reference, str):
        return {key: resolved(document, value, within) for key, value in node.items()}
    if reference in within or len(within) >= _DEPTH:
        return {}
    return resolved(document, _pointed(document, reference), (*within, reference))


def _pointed(document: Mapping[str, Any], reference: str) -> Any:
    node: Any = document
    for part in reference.removeprefix("#/").split("/"):
        part = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(node, dict) or part not in node:
            return {}
        node = node[part]
    return node
