"""Reads the question from standard input, imports the application, prints its routes between markers."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import sys
from typing import Any

from . import asgi, django_urls, flask_map

DOES_NOT_NAME = 'names no application object; give `app = "module:attribute"`'


class CannotAsk(Exception):
    """The application can't be asked; the text says why."""


def main() -> None:
    question = json.load(sys.stdin)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the application prints goes to the log, never between our markers
    try:
        answer = _answer(question)
    except CannotAsk as error:
        answer = {"error": str(error)}
    except BaseException as error:  # noqa: BLE001 - any failure of a stranger's import, SystemExit too, is the answer
        answer = {"error": f"{type(error).__name__}: {_first_line(error)}"}
    out.write(question["marker"] + json.dumps(answer, default=str) + question["marker"])
    out.flush()
    sys.stderr.flush()
    os._exit(0)  # threads that the import started must not keep us


def _first_line(error: BaseException) -> str:
    """The first line alone, without a URL's password: what follows may repeat the values of settings."""
    line = (str(error).strip().splitlines() or [""])[0][:300]
    return re.sub(r"://[^@/\s]*@", "://***@", line)


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    sys.path[:0] = [path for path in question["paths"] if path not in sys.path]
    if question["framework"] == "django":
        return django_urls.found(_settings(question))
    return _walked(_application(question))


def _walked(application: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"routes": [], "documents": [], "notes": []}
    asgi.walk(application, "", found, flask_map.walk)
    return found


def _settings(question: dict[str, Any]) -> str:
    """The settings module: as configured, as the environment says, as manage.py sets it."""
    manage = question.get("manage_py")
    for name in (question.get("settings_module"), os.environ.get("DJANGO_SETTINGS_MODULE")):
        if name:
            return str(name)
    if manage:
        with open(manage, encoding="utf-8") as file:
            found = re.search(r"DJANGO_SETTINGS_MODULE[\"']\s*,\s*[\"']([\w.]+)", file.read())
        if found:
            return found.group(1)
    raise CannotAsk("no settings module is known")


def _application(question: dict[str, Any]) -> Any:
    name = question.get("app")
    if not name:
        raise CannotAsk(f"the configuration {DOES_NOT_NAME}")
    module_name, _, expression = name.partition(":")
    module = importlib.import_module(module_name)
    if not expression:
        expression = next((n for n in ("app", "application", "create_app") if hasattr(module, n)), "")
    value = _evaluated(module, expression, name)
    return value() if _is_factory(value, question) else value


def _is_factory(value: Any, question: dict[str, Any]) -> bool:
    looks_like_one = callable(value) and hasattr(value, "__code__")  # a plain function, not an application object
    return looks_like_one and (
        bool(question.get("factory"))
        or getattr(value, "__name__", "").startswith(("create_", "make_", "get_", "build_"))
    )


def _evaluated(module: Any, expression: str, name: str) -> Any:
    """`attribute`, `attribute.inner` or `factory("argument")`, with literal arguments only."""
    if not expression:
        raise CannotAsk(f"{name} {DOES_NOT_NAME}")
    node = ast.parse(expression, mode="eval").body
    if isinstance(node, ast.Call):
        function = _attribute(
            module, ast.unparse(node.func) if hasattr(ast, "unparse") else expression.partition("(")[0]
        )
        arguments = [ast.literal_eval(argument) for argument in node.args]
        named = {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords if keyword.arg}
        return function(*arguments, **named)
    return _attribute(module, expression)


def _attribute(module: Any, path: str) -> Any:
    value = module
    for part in path.split("."):
        value = getattr(value, part)
    return value
