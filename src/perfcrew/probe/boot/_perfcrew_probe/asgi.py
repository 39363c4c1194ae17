"""A span around each ASGI request, whatever the framework: hooked at the server and at the frameworks.

The outermost hook that sees a request makes its span; a mark in the scope tells the others.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, Callable

from . import callsite, carrier, request
from .guard import guarded
from .imports import when_imported
from .request import Request

if TYPE_CHECKING:
    import asyncio

_MARK = "perfcrew.request"
_FRAMEWORKS = (
    ("starlette.applications", "Starlette"),
    ("quart.app", "Quart"),
    ("django.core.handlers.asgi", "ASGIHandler"),
    ("litestar.app", "Litestar"),
    ("falcon.asgi.app", "App"),
    ("sanic.app", "Sanic"),
)
#: Called with the running loop when the first scope of it arrives (part: watchdog).
on_loop: list[Callable[[asyncio.AbstractEventLoop], None]] = []


def install() -> None:
    when_imported("uvicorn.config", _hook_uvicorn)
    for module, name in _FRAMEWORKS:
        when_imported(module, functools.partial(_hook_framework, name))


def _hook_uvicorn(module: Any) -> None:
    original = module.Config.load

    @functools.wraps(original)
    def load(self: Any) -> Any:
        result = original(self)
        self.loaded_app = Observed(self.loaded_app)
        return result

    module.Config.load = load


def _hook_framework(name: str, module: Any) -> None:
    framework = getattr(module, name)
    original = framework.__call__

    @functools.wraps(original)
    async def call(self: Any, scope: Any, receive: Any, send: Any) -> Any:
        return await serve(functools.partial(original, self), scope, receive, send)

    framework.__call__ = call


class Observed:
    """An ASGI application that stands for another."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        return await serve(self.app, scope, receive, send)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.app, name)


@callsite.boundary
async def serve(app: Any, scope: Any, receive: Any, send: Any) -> Any:
    """Call the application for this scope, within a request's span where it is one."""
    observed = _begin(scope)
    if observed is None:
        return await app(scope, receive, send)

    async def observed_send(message: Any) -> None:
        await send(message)
        observed.sent(message)

    try:
        return await app(scope, receive, observed_send)
    except BaseException as error:
        observed.failed(error)
        raise
    finally:
        observed.done()


@guarded
def _begin(scope: Any) -> _Observed | None:
    for seen in on_loop:
        seen(sys.modules["asyncio"].get_running_loop())
    if scope["type"] != "http" or _MARK in scope:
        return None
    return _Observed(scope)


class _Observed:
    """The request of one scope."""

    def __init__(self, scope: dict[str, Any]) -> None:
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        query = scope.get("query_string", b"").decode("latin-1")
        self.scope = scope
        self.request = Request(scope["method"], scope["path"], query, headers, one_thread=False)
        scope[_MARK] = self.request
        self._span_token = carrier.current().enter(self.request.span)
        self._token = request.current.set(self.request)
        self.request.begin()

    @guarded
    def sent(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.request.status(message["status"])
        elif message["type"] == "http.response.body":
            self.request.body_bytes += len(message.get("body", b""))
            if not message.get("more_body", False):
                self._end()

    @guarded
    def failed(self, error: BaseException) -> None:
        self.request.fail(error)

    @guarded
    def done(self) -> None:
        self._end()
        request.current.reset(self._token)
        self.request.span.carrier.leave(self._span_token)

    def _end(self) -> None:
        if not self.request.span.ended:
            _describe(self.request, self.scope)
            self.request.end()


@guarded
def _describe(under_way: Request, scope: dict[str, Any]) -> None:
    """The route and the endpoint, which the router left in the scope."""
    under_way.route(_template(scope))
    endpoint(under_way, scope.get("endpoint"))


def _template(scope: dict[str, Any]) -> str | None:
    route = scope.get("route")
    effective = _effective_fastapi_route(scope)
    template = (
        getattr(effective, "path_format", None) or getattr(route, "path_format", None) or getattr(route, "path", None)
    )
    if template is None:
        return None
    root, outer = scope.get("root_path", ""), scope.get("app_root_path", "")
    mounted = root[len(outer) :] if root.startswith(outer) else root
    return str(template) if str(template).startswith(mounted or "\0") else mounted + str(template)


def _effective_fastapi_route(scope: dict[str, Any]) -> Any:
    """FastAPI that keeps included routers apart has the whole path, prefix and all, in its part of the scope."""
    own = scope.get("fastapi")
    return own.get("effective_route_context") if isinstance(own, dict) else None


def endpoint(under_way: Request, function: Any) -> None:
    """Which function of the application answers, as OpenTelemetry's `code.*` attributes."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    if code is not None:
        under_way.span.attributes["code.file.path"] = code.co_filename
        under_way.span.attributes["code.line.number"] = code.co_firstlineno
        under_way.span.attributes["code.function.name"] = function.__qualname__
