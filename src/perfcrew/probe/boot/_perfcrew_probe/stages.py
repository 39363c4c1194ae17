"""The stages of a request within the frameworks: FastAPI's dependencies, endpoint and serialization; the view and
the template of Django and Flask. What is not in a stage is middleware, routing and the server.

FastAPI that emits these spans by itself is left to do it in mode "otel"; elsewhere the hooks use its names.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import Any

from . import asgi, carrier, request
from .around import wrap, wrap_async
from .carrier import Span
from .guard import guarded
from .imports import when_imported

_CO_COROUTINE = 0x80


def install() -> None:
    when_imported("fastapi.routing", _hook_fastapi)
    when_imported("django.core.handlers.base", _hook_django)
    when_imported("django.template.backends.django", _hook_django_template)
    when_imported("flask.app", _hook_flask)
    when_imported("flask.templating", lambda module: _wrap_stage(module, "_render", "flask.render"))


def _hook_fastapi(module: Any) -> None:
    if carrier.current().name == "otel" and importlib.util.find_spec("fastapi.telemetry") is not None:
        return
    for name, stage in (
        ("solve_dependencies", "fastapi.dependencies"),
        ("run_endpoint_function", "fastapi.endpoint"),
        ("serialize_response", "fastapi.serialization"),
    ):
        wrap_async(module, name, functools.partial(_begin, stage), layer=stage, active=True)


def _begin(stage: str, *_: Any, **__: Any) -> Span:
    return carrier.current().start("stage", stage, {})


def _wrap_stage(owner: Any, name: str, stage: str) -> None:
    wrap(owner, name, functools.partial(_begin, stage), layer=stage, active=True)


def _hook_django(module: Any) -> None:
    handler = module.BaseHandler
    resolve, atomic = handler.resolve_request, handler.make_view_atomic

    @functools.wraps(resolve)
    def resolve_request(self: Any, django_request: Any) -> Any:
        match = resolve(self, django_request)
        _resolved(match)
        return match

    @functools.wraps(atomic)
    def make_view_atomic(self: Any, view: Any) -> Any:
        return _staged(atomic(self, view), "django.view")

    handler.resolve_request, handler.make_view_atomic = resolve_request, make_view_atomic


@guarded
def _resolved(match: Any) -> None:
    under_way = request.current.get()
    if under_way is not None:
        under_way.route("/" + str(match.route).lstrip("^/"))
        asgi.endpoint(under_way, getattr(match.func, "view_class", match.func))


def _staged(view: Any, stage: str) -> Any:
    """The view within a stage span; a coroutine function stays one."""
    holder = _Holder(view)
    if is_coroutine_function(view):
        wrap_async(holder, "call", functools.partial(_begin, stage), active=True)
    else:
        wrap(holder, "call", functools.partial(_begin, stage), active=True)
    return holder.call


def is_coroutine_function(function: Any) -> bool:
    """Also a function that asgiref marked as one (a class-based async view)."""
    marker = getattr(function, "_is_coroutine_marker", None) or getattr(function, "_is_coroutine", None)
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return bool(marker) or bool(code and code.co_flags & _CO_COROUTINE)


class _Holder:
    def __init__(self, view: Any) -> None:
        self.call = view


def _hook_django_template(module: Any) -> None:
    _wrap_stage(module.Template, "render", "django.render")


def _hook_flask(module: Any) -> None:
    original = module.Flask.dispatch_request

    @functools.wraps(original)
    def dispatch_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        _dispatched(self)
        return original(self, *args, **kwargs)

    module.Flask.dispatch_request = dispatch_request
    _wrap_stage(module.Flask, "dispatch_request", "flask.view")


@guarded
def _dispatched(app: Any) -> None:
    from flask import request as flask_request

    under_way = request.current.get()
    rule = flask_request.url_rule
    if under_way is not None and rule is not None:
        under_way.route(rule.rule)
        view = app.view_functions.get(rule.endpoint)
        asgi.endpoint(under_way, getattr(view, "view_class", view))
