"""Routes of Flask and Quart, from the application's url_map."""

from __future__ import annotations

import re
from typing import Any

from .places import is_async, method_of, place

ARGUMENT = re.compile(r"<(?:[^<>]*:)?([A-Za-z_]\w*)>")
LIBRARIES = ("flask", "quart", "werkzeug")


def walk(application: Any, prefix: str, found: dict[str, Any]) -> None:
    """Add the rules of a Flask or Quart application, blueprints and all, without static files and websockets."""
    for rule in application.url_map.iter_rules():
        if rule.websocket or rule.build_only or rule.endpoint.rpartition(".")[2] == "static":
            continue
        if rule.host or rule.subdomain:
            found["notes"].append(f"{rule.rule} is left out: it is answered for the host {rule.host or rule.subdomain}")
            continue
        view = application.view_functions.get(rule.endpoint)
        if view is not None and not _is_library_file(view):
            _add(rule, view, prefix, found)


def _is_library_file(view: Any) -> bool:
    return getattr(view, "__name__", "") in ("static", "send_static_file")


def _add(rule: Any, view: Any, prefix: str, found: dict[str, Any]) -> None:
    owner = getattr(view, "view_class", None)
    for method in sorted(rule.methods or ("GET",)):
        handler = view if owner is None else method_of(owner, _verb(owner, method), LIBRARIES)
        found["routes"].append(
            {
                "method": method,
                "path": prefix + ARGUMENT.sub(r"{\1}", rule.rule),
                "source": "flask",
                "handler": place(handler),
                "is_async": is_async(handler),
                "parameters": [_parameter(name, kind) for name, kind in sorted(rule._converters.items())],
                "admin": rule.endpoint.split(".")[0] == "admin",
            }
        )


def _verb(owner: Any, method: str) -> str:
    return next((name for name in (method.lower(), "get", "dispatch_request") if hasattr(owner, name)), "")


def _parameter(name: str, converter: Any) -> dict[str, Any]:
    kind = type(converter).__name__.replace("Converter", "").lower()
    return {"name": name, "schema": _schema(kind, converter), "converter": "path" if kind == "path" else kind}


def _schema(kind: str, converter: Any) -> dict[str, Any]:
    if kind in ("integer", "float"):
        bounds = {"minimum": converter.min or 0, "maximum": converter.max}
        kind = "number" if kind == "float" else kind
        return {"type": kind, **{name: bound for name, bound in bounds.items() if bound is not None}}
    if kind == "uuid":
        return {"type": "string", "format": "uuid"}
    if kind == "any":
        return {"type": "string", "enum": sorted(getattr(converter, "items", ()))}
    if kind in ("unicode", "default", "path"):
        return {"type": "string"}
    return {"type": "string", "pattern": f"^(?:{converter.regex})$"}
