"""HTTP calls that the target makes: httpx, requests, urllib3, aiohttp, urllib. One span a call, never one a layer.

A call to a language model is recognised by its path and gets kind "model". Query values are dropped: they
carry keys often enough.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from . import carrier, model
from .around import wrap, wrap_async
from .carrier import Span
from .imports import when_imported

_LAYER = "http"
_PORTS = {"http": 80, "https": 443}


def install() -> None:
    for name in ("httpx._client", "httpx2._client"):
        when_imported(name, _hook_httpx)
    when_imported("requests.sessions", _hook_requests)
    when_imported("urllib3.connectionpool", _hook_urllib3)
    when_imported("aiohttp.client", _hook_aiohttp)
    when_imported("urllib.request", _hook_urllib)


def _hook_httpx(module: Any) -> None:
    wrap(module.Client, "send", _begin_httpx, _finish_httpx, _LAYER)
    wrap_async(module.AsyncClient, "send", _begin_httpx, _finish_httpx, _LAYER)


def _begin_httpx(client: Any, request: Any, *_: Any, **__: Any) -> Span:
    # A streamed body has no content to look at before it is sent.
    body = getattr(request, "_content", None)
    return _start(request.method, str(request.url), request.headers, body)


def _finish_httpx(span: Span, response: Any, *_: Any, **__: Any) -> None:
    content = getattr(response, "_content", None)
    _answered(span, response.status_code, response.headers, content)


def _hook_requests(module: Any) -> None:
    wrap(module.Session, "send", _begin_requests, _finish_requests, _LAYER)


def _begin_requests(session: Any, request: Any, **_: Any) -> Span:
    return _start(request.method, request.url, request.headers, request.body)


def _finish_requests(span: Span, response: Any, *_: Any, **__: Any) -> None:
    # False until the body has been read: reading it here would take a stream from the target.
    content = response._content if isinstance(response._content, bytes) else None
    _answered(span, response.status_code, response.headers, content)


def _hook_urllib3(module: Any) -> None:
    wrap(module.HTTPConnectionPool, "urlopen", _begin_urllib3, _finish_urllib3, _LAYER)


def _begin_urllib3(pool: Any, method: str, url: str, body: Any = None, headers: Any = None, *_: Any, **__: Any) -> Span:
    port = f":{pool.port}" if pool.port else ""
    whole = url if "://" in url else f"{pool.scheme}://{pool.host}{port}{url}"
    return _start(method, whole, headers or pool.headers or {}, body)


def _finish_urllib3(span: Span, response: Any, *_: Any, **__: Any) -> None:
    content = getattr(response, "_body", None)
    _answered(span, response.status, response.headers, content if isinstance(content, bytes) else None)


def _hook_aiohttp(module: Any) -> None:
    wrap_async(module.ClientSession, "_request", _begin_aiohttp, _finish_aiohttp, _LAYER)


def _begin_aiohttp(session: Any, method: str, url: Any, **options: Any) -> Span:
    whole = str(session._build_url(url)) if hasattr(session, "_build_url") else str(url)
    body = options.get("json") if options.get("json") is not None else options.get("data")
    return _start(method, whole, options.get("headers") or {}, body)


def _finish_aiohttp(span: Span, response: Any, *_: Any, **__: Any) -> None:
    _answered(span, response.status, response.headers, None)


def _hook_urllib(module: Any) -> None:
    wrap(module.OpenerDirector, "open", _begin_urllib, _finish_urllib, _LAYER)


def _begin_urllib(opener: Any, fullurl: Any, data: Any = None, *_: Any, **__: Any) -> Span | None:
    url = fullurl if isinstance(fullurl, str) else fullurl.full_url
    # It opens files and data URLs too.
    if not url.startswith("http"):
        return None
    if isinstance(fullurl, str):
        return _start("POST" if data else "GET", url, {}, data)
    return _start(fullurl.get_method(), url, dict(fullurl.header_items()), data or fullurl.data)


def _finish_urllib(span: Span, response: Any, *_: Any, **__: Any) -> None:
    _answered(span, getattr(response, "status", None), response.headers, None)


def _start(method: Any, url: str, headers: Any, body: Any) -> Span:
    method = str(method or "GET").upper()
    parts = urlsplit(url)
    called = model.recognise(parts.hostname or "", parts.path, headers, body)
    attributes = {
        "http.request.method": method,
        "url.full": without_values(url),
        "server.address": parts.hostname,
        "server.port": parts.port or _PORTS.get(parts.scheme),
        **called,
    }
    kind = "model" if called else "http"
    return carrier.current().start(kind, f"{method} {parts.hostname}", attributes)


def without_values(url: str) -> str:
    """The URL without user, password, fragment and the values of its query."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    place = f"{host}:{parts.port}" if parts.port else host
    names = "&".join(pair.split("=", 1)[0] + "=" for pair in parts.query.split("&") if pair)
    return "{}://{}{}{}".format(parts.scheme, place, parts.path, "?" + names if names else "")


def _answered(span: Span, status: int | None, headers: Any, content: bytes | None) -> None:
    span.attributes["http.response.status_code"] = status
    length = headers.get("content-length")
    span.attributes["http.response.body.size"] = _size(content, length)
    if span.kind == "model" and content:
        span.attributes.update(model.usage(content))


def _size(content: bytes | None, length: Any) -> int | None:
    if content is not None:
        return len(content)
    return int(length) if length is not None and str(length).isdigit() else None
