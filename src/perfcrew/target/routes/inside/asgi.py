"""Routes of Starlette and FastAPI, through mounts, included routers and middleware around the application."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from .places import is_async, method_of, place

WRAPPED_IN = ("app", "other_asgi_app", "_app", "asgi_app", "wsgi_app", "asgi", "wsgi", "application")
VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
SCHEMAS = {
    "int": {"type": "integer", "minimum": 0},
    "float": {"type": "number"},
    "uuid": {"type": "string", "format": "uuid"},
}
LIBRARIES = ("starlette", "fastapi")

Walk = Callable[[Any, str, dict[str, Any]], None]


def walk(application: Any, prefix: str, found: dict[str, Any], other: Walk) -> None:
    """Add the routes of an application and of what is mounted in it; `other` takes applications of the WSGI kind."""
    inner = _framework_object(application)
    if inner is None:
        found["notes"].append(f"{type(application).__name__} at {prefix or '/'} has no list of routes that we know")
    elif hasattr(inner, "url_map"):
        other(inner, prefix, found)
    else:
        _document(inner, prefix, found)
        for route in _routes(inner):
            _take(route, prefix, found, other)


def _framework_object(application: Any) -> Any:
    """The object that holds the routes, inside whatever middleware is wrapped around it."""
    waiting, seen = [application], 0
    while waiting and seen < 50:
        value = waiting.pop(0)
        seen += 1
        if hasattr(value, "url_map") or isinstance(getattr(value, "routes", None), list):
            return value
        waiting += [vars(value)[name] for name in WRAPPED_IN if name in getattr(value, "__dict__", {})]
        if inspect.ismethod(value):
            waiting.append(value.__self__)
    return None


def _routes(application: Any) -> Iterable[Any]:
    """The routes with their whole paths; FastAPI's newest keep included routers as trees of their own."""
    try:
        contexts = importlib.import_module("fastapi.routing").iter_route_contexts
    except (ImportError, AttributeError):
        return list(application.routes)
    return list(contexts(application.routes))


def _document(application: Any, prefix: str, found: dict[str, Any]) -> None:
    if not callable(getattr(application, "openapi", None)):
        return
    try:
        found["documents"].append({"prefix": prefix, "document": application.openapi()})
    except Exception as error:  # noqa: BLE001 - a model that has no schema breaks the whole document, not the routes
        found["notes"].append(f"the OpenAPI document could not be made: {type(error).__name__}: {str(error)[:200]}")


def _take(route: Any, prefix: str, found: dict[str, Any], other: Walk) -> None:
    kind = type(getattr(route, "_effective_route", route)).__name__
    path = getattr(route, "path_format", None) or getattr(route, "path", None) or ""
    endpoint = getattr(route, "endpoint", None)
    if "WebSocket" in kind:
        return
    if endpoint is None:
        _mounted(route, prefix + _mount_path(route), found, other)
    elif not _is_documentation(endpoint):
        _add(route, prefix + path, endpoint, found)


def _mount_path(route: Any) -> str:
    return str(getattr(route, "path", "") or "").rstrip("/")


def _mounted(route: Any, prefix: str, found: dict[str, Any], other: Walk) -> None:
    inside = getattr(route, "app", None)
    if inside is None or "StaticFiles" in type(inside).__name__ or "Frontend" in type(inside).__name__:
        return
    if getattr(route, "host", None):
        found["notes"].append(f"routes of the host {route.host} are left out")
        return
    walk(inside, prefix, found, other)


def _is_documentation(endpoint: Any) -> bool:
    return (getattr(endpoint, "__module__", "") or "").split(".")[0] == "fastapi"


def _add(route: Any, path: str, endpoint: Any, found: dict[str, Any]) -> None:
    is_class = inspect.isclass(endpoint)
    for method in _methods(route, endpoint):
        handler = method_of(endpoint, _verb(endpoint, method), LIBRARIES) if is_class else endpoint
        found["routes"].append(
            {
                "method": method,
                "path": path or "/",
                "source": "starlette",
                "handler": place(handler),
                "is_async": is_async(handler),
                "parameters": _parameters(route),
            }
        )


def _verb(endpoint: Any, method: str) -> str:
    return method.lower() if hasattr(endpoint, method.lower()) else "get"


def _methods(route: Any, endpoint: Any) -> list[str]:
    methods = getattr(route, "methods", None)
    if methods:
        return sorted(methods)
    if inspect.isclass(endpoint):
        return [verb for verb in VERBS if hasattr(endpoint, verb.lower())]
    return ["GET"]


def _parameters(route: Any) -> list[dict[str, Any]]:
    parameters = []
    for name, convertor in (getattr(route, "param_convertors", None) or {}).items():
        kind = type(convertor).__name__.replace("Convertor", "").lower()
        kind = {"integer": "int", "string": "str"}.get(kind, kind)
        parameters.append({"name": name, "schema": SCHEMAS.get(kind, {"type": "string"}), "converter": kind})
    return parameters
