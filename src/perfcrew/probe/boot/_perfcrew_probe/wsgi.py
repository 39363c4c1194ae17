"""A span around each WSGI request: hooked at the frameworks and at the servers that serve a bare callable."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from . import callsite, request
from .guard import guarded
from .imports import when_imported
from .request import Request

_MARK = "perfcrew.request"
_FRAMEWORKS = (
    ("flask.app", "Flask"),
    ("django.core.handlers.wsgi", "WSGIHandler"),
    ("bottle", "Bottle"),
    ("falcon.app", "App"),
    ("pyramid.router", "Router"),
)


def install() -> None:
    for module, name in _FRAMEWORKS:
        when_imported(module, functools.partial(_hook_framework, name))
    when_imported("wsgiref.simple_server", _hook_wsgiref)
    when_imported("werkzeug.serving", _hook_werkzeug)
    when_imported("gunicorn.app.base", _hook_gunicorn)
    when_imported("waitress.server", _hook_waitress)


def _hook_framework(name: str, module: Any) -> None:
    framework = getattr(module, name)
    original = framework.__call__

    @functools.wraps(original)
    def call(self: Any, environ: Any, start_response: Any) -> Any:
        return serve(functools.partial(original, self), environ, start_response)

    framework.__call__ = call


def observed(app: Any) -> Any:
    """A WSGI callable that stands for `app`."""
    return functools.update_wrapper(functools.partial(serve, app), app, updated=())


def _hook_wsgiref(module: Any) -> None:
    original = module.WSGIServer.set_app
    module.WSGIServer.set_app = lambda self, app: original(self, observed(app))


def _hook_werkzeug(module: Any) -> None:
    original = module.BaseWSGIServer.__init__

    @functools.wraps(original)
    def initialise(self: Any, host: Any, port: Any, app: Any, *args: Any, **kwargs: Any) -> None:
        original(self, host, port, observed(app), *args, **kwargs)

    module.BaseWSGIServer.__init__ = initialise


def _hook_gunicorn(module: Any) -> None:
    original = module.BaseApplication.wsgi

    def wsgi(self: Any) -> Any:
        app = original(self)
        # Workers of uvicorn are given ASGI applications through the same door.
        return app if "uvicorn" in str(self.cfg.worker_class_str) else observed(app)

    module.BaseApplication.wsgi = wsgi


def _hook_waitress(module: Any) -> None:
    original = module.create_server

    @functools.wraps(original)
    def create_server(application: Any, *args: Any, **kwargs: Any) -> Any:
        return original(observed(application), *args, **kwargs)

    module.create_server = create_server


@callsite.boundary
def serve(app: Any, environ: dict[str, Any], start_response: Any) -> Any:
    """Call the application for this environ, within a request's span."""
    under_way = _begin(environ)
    if under_way is None:
        return app(environ, start_response)

    def observed_start(status: str, headers: Any, *rest: Any) -> Any:
        under_way.started(status, headers)
        return start_response(status, headers, *rest)

    under_way.enter()
    try:
        body = app(environ, observed_start)
    except BaseException as error:
        under_way.failed(error)
        raise
    finally:
        under_way.leave()
    return under_way.body(body, environ.get("wsgi.file_wrapper")) or body


@guarded
def _begin(environ: dict[str, Any]) -> _Observed | None:
    return None if _MARK in environ else _Observed(environ)


class _Observed:
    """The request of one environ."""

    def __init__(self, environ: dict[str, Any]) -> None:
        headers = {
            key[5:].replace("_", "-").lower(): value
            for key, value in environ.items()
            if key.startswith("HTTP_") and isinstance(value, str)
        }
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        self.request = Request(
            environ["REQUEST_METHOD"], path, environ.get("QUERY_STRING", ""), headers, one_thread=True
        )
        environ[_MARK] = self.request
        self._tokens: Any = None
        self.request.begin()

    @guarded
    def enter(self) -> None:
        span = self.request.span
        self._tokens = (request.current.set(self.request), span.carrier.enter(span))

    @guarded
    def leave(self) -> None:
        token, span_token = self._tokens
        request.current.reset(token)
        self.request.span.carrier.leave(span_token)

    @guarded
    def started(self, status: str, headers: Any) -> None:
        self.request.status(int(status.split(" ", 1)[0]))
        for name, value in headers:
            if name.lower() == "content-length" and value.isdigit():
                self.request.body_bytes = int(value)

    @guarded
    def failed(self, error: BaseException) -> None:
        self.request.fail(error)
        self.request.end()

    @guarded
    def body(self, body: Any, file_wrapper: Any) -> Any:
        """The body to give the server; None where it can stay what it is."""
        if isinstance(body, (list, tuple)):
            self.request.body_bytes = sum(len(part) for part in body)
            self.request.end()
            return None
        # The server sends such a file by itself, and only if it recognises the class.
        if isinstance(file_wrapper, type) and isinstance(body, file_wrapper):
            self.request.end()
            return None
        self.request.body_bytes = 0
        return _SizedBody(self, body) if hasattr(body, "__len__") else _Body(self, body)


class _Body:
    """A streamed body: each part is made within the request's context, the close ends the request."""

    def __init__(self, under_way: _Observed, body: Any) -> None:
        self._under_way, self._body = under_way, body
        self._parts: Iterator[bytes] | None = None

    def __iter__(self) -> _Body:
        return self

    @callsite.boundary
    def __next__(self) -> bytes:
        if self._parts is None:
            self._parts = iter(self._body)
        self._under_way.enter()
        try:
            part = next(self._parts)
        except StopIteration:
            self._under_way.request.end()
            raise
        finally:
            self._under_way.leave()
        self._under_way.request.body_bytes += len(part)
        return part

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        self._under_way.enter()
        try:
            if close is not None:
                close()
        finally:
            self._under_way.leave()
            self._under_way.request.end()


class _SizedBody(_Body):
    """wsgiref sends a Content-Length where the body's length is 1."""

    def __len__(self) -> int:
        return len(self._body)
