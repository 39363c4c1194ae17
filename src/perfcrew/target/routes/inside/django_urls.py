"""Routes of Django's URLconf: path and regular expressions, includes, class-based views, REST framework, ninja."""

from __future__ import annotations

import importlib
import os
import re
from typing import Any

from .places import closed_over, is_async, method_of, place

ARGUMENT = re.compile(r"<(?:([^<>:]+):)?([A-Za-z_]\w*)>")
TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.S)  # an escaped character, a set, any other character
OPENED = re.compile(r"\(\?P<(\w+)>|\(\?[^P]|\(|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.S)
LIBRARIES = ("django", "rest_framework")
LEFT_OUT = (
    "django.views.static",
    "django.contrib.staticfiles",
    "django.views.i18n",
    "drf_spectacular",
    "drf_yasg",
    "rest_framework.schemas",
    "debug_toolbar",
    "django_browser_reload",
    "silk",
)
SCHEMAS = {
    "int": {"type": "integer", "minimum": 0},
    "uuid": {"type": "string", "format": "uuid"},
    "slug": {"type": "string", "pattern": "^[-a-zA-Z0-9_]+$"},
}


def found(settings_module: str) -> dict[str, Any]:
    """All routes of the project with these settings."""
    os.environ["DJANGO_SETTINGS_MODULE"] = settings_module
    importlib.import_module("django").setup()
    resolver = importlib.import_module("django.urls").get_resolver()
    routes: list[dict[str, Any]] = []
    _walk(resolver.url_patterns, "/", [], False, routes)
    return {"routes": routes, "documents": [], "notes": []}


def _walk(patterns: Any, prefix: str, parameters: list[Any], admin: bool, routes: list[dict[str, Any]]) -> None:
    for entry in patterns:
        own = _template(entry.pattern)
        if own is None:
            continue
        path, names = prefix + own[0], parameters + own[1]
        if hasattr(entry, "url_patterns"):
            is_admin = admin or getattr(entry, "app_name", None) == "admin"
            _walk(entry.url_patterns, path, names, is_admin, routes)
        else:
            _add(entry.callback, path, names, admin, routes)


def _template(pattern: Any) -> tuple[str, list[dict[str, Any]]] | None:
    """The pattern as `books/{pk}/` with its parameters; None for a suffix such as `.json`, which repeats a route."""
    if hasattr(pattern, "_route"):
        if any("FormatSuffix" in type(converter).__name__ for converter in pattern.converters.values()):
            return None
        return ARGUMENT.sub(r"{\2}", str(pattern._route)), [_converted(n, c) for n, c in pattern.converters.items()]
    if hasattr(pattern, "language_prefix"):
        return pattern.language_prefix, []
    return _from_regex(str(pattern.regex.pattern))


def _converted(name: str, converter: Any) -> dict[str, Any]:
    kind = type(converter).__name__.replace("Converter", "").lower()
    known = {"string": {"type": "string"}, "path": {"type": "string"}, **SCHEMAS}
    schema = known.get(kind, {"type": "string", "pattern": f"^(?:{converter.regex})$"})
    return {"name": name, "schema": schema, "converter": kind}


def _from_regex(regex: str) -> tuple[str, list[dict[str, Any]]] | None:
    if "(?P<format>" in regex:
        return None
    normalize = importlib.import_module("django.utils.regex_helper").normalize
    options = normalize(regex)
    if not options:
        return None
    text, names = options[0]
    groups = _groups(regex)
    template = re.sub(r"%\((\w+)\)s", r"{\1}", text).replace("%%", "%")
    return template, [_matched(name, groups.get(name, "[^/]+")) for name in names]


def _matched(name: str, regex: str) -> dict[str, Any]:
    if re.fullmatch(r"(\\d|\[0-9\])\+", regex):
        return {"name": name, "schema": {"type": "integer", "minimum": 0}, "converter": "int", "empty": False}
    plain = regex in ("[^/]+", "[^/.]+", ".+", ".*")
    schema = {"type": "string"} if plain else {"type": "string", "pattern": f"^(?:{regex})$"}
    spans = any(re.fullmatch(regex, probe) for probe in ("a/b", "a/b/"))
    may_be_empty = re.fullmatch(regex, "") is not None
    return {"name": name, "schema": schema, "converter": "path" if spans else "regex", "empty": may_be_empty}


def _groups(regex: str) -> dict[str, str]:
    """The expression of each group by its name, those without one as Django counts them: `_0`, `_1`."""
    groups: dict[str, str] = {}
    position = unnamed = 0
    while position < len(regex):
        opened = OPENED.match(regex, position)
        if opened is None or not (opened[1] or opened[0] == "("):
            position = opened.end() if opened else position + 1
            continue
        end = _closed(regex, opened.end())
        groups[opened[1] or f"_{unnamed}"] = regex[opened.end() : end]
        unnamed += not opened[1]
        position = end
    return groups


def _closed(regex: str, position: int) -> int:
    """Where the bracket is closed that was opened just before."""
    depth = 1
    while position < len(regex):
        token = TOKEN.match(regex, position)
        assert token is not None
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if depth == 0:
            break
        position = token.end()
    return position


def _add(view: Any, path: str, parameters: list[Any], admin: bool, routes: list[dict[str, Any]]) -> None:
    owner = getattr(view, "cls", None) or getattr(view, "view_class", None)
    module = getattr(owner or view, "__module__", "") or ""
    if module.startswith(LEFT_OUT) or (module.startswith("django.contrib.admin") and path.endswith("jsi18n/")):
        return
    for method, handler in _handlers(view, owner):
        routes.append(
            {
                "method": method,
                "path": path,
                "source": "django",
                "handler": place(handler),
                "is_async": is_async(handler),
                "parameters": parameters,
                "admin": admin or module.startswith("django.contrib.admin"),
            }
        )


def _handlers(view: Any, owner: Any) -> list[tuple[str, Any]]:
    """The methods that a view answers, each with what answers it."""
    operations = getattr(getattr(view, "__self__", None), "operations", None)
    if operations:  # django-ninja
        return [(method, op.view_func) for op in operations for method in op.methods]
    if getattr(view, "actions", None):  # a viewset of REST framework
        return [(verb.upper(), method_of(owner, action, LIBRARIES)) for verb, action in view.actions.items()]
    if owner is not None:
        verbs = [verb for verb in owner.http_method_names if hasattr(owner, verb)]
        return [(verb.upper(), method_of(owner, verb, LIBRARIES)) for verb in verbs]
    return [(method, view) for method in closed_over(view, "request_method_list") or ["GET"]]
