"""The request under way: what hooks find through one context variable."""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import Any, Callable

from . import carrier, writer
from .carrier import Identity, Span
from .guard import guarded

RECORD_HEADER = "x-perfcrew-record"
current: ContextVar[Request | None] = ContextVar("perfcrew_request", default=None)
in_flight: set[Request] = set()
#: Called with each request at its begin and at its end (parts: functions, orm).
on_begin: list[Callable[[Request], None]] = []
on_end: list[Callable[[Request], None]] = []


class Request:
    """One request from its first byte to the end of its body."""

    def __init__(self, method: str, path: str, query: str, headers: dict[str, str], one_thread: bool) -> None:
        self.headers = headers
        attributes: dict[str, Any] = {
            "http.request.method": method,
            "url.path": path,
            "url.query": query or None,
            "perfcrew.request": headers.get("x-perfcrew-request"),
        }
        remote = _traceparent(headers.get("traceparent", ""))
        self.span: Span = carrier.current().start("server", f"{method} {path}", attributes, remote)
        self.closers: list[Callable[[], None]] = []
        self.orm: Any = None
        self.functions: Any = None
        self.body_bytes = 0
        # A thread serves one WSGI request at a time; an event loop and its workers' processor time are a
        # request's own only while it is alone.
        self._clock = time.thread_time_ns if one_thread else time.process_time_ns
        self._alone = one_thread or not in_flight
        self._started_cpu_ns = self._clock()

    @property
    def trace(self) -> str:
        return format(self.span.identity.trace, "032x")

    def begin(self) -> None:
        if self._clock is time.process_time_ns:
            for other in list(in_flight):
                other._alone = False
        in_flight.add(self)
        writer.request_began()
        for begun in on_begin:
            begun(self)

    def status(self, code: int) -> None:
        self.span.attributes["http.response.status_code"] = code

    def fail(self, error: BaseException) -> None:
        self.span.fail(error)
        self.span.attributes.setdefault("http.response.status_code", 500)

    def route(self, template: str | None) -> None:
        if template:
            self.span.attributes["http.route"] = template
            self.span.name = "{} {}".format(self.span.attributes["http.request.method"], template)

    @guarded
    def end(self) -> None:
        """The body is out: end what is still open, write all. A second call does nothing."""
        if self.span.ended:
            return
        for close in self.closers:
            close()
        self.closers.clear()
        self.span.attributes["http.response.body.size"] = self.body_bytes
        if self._alone:
            self.span.attributes["perfcrew.cpu_ns"] = self._clock() - self._started_cpu_ns
        in_flight.discard(self)
        for ended in on_end:
            ended(self)
        self.span.end()
        writer.request_ended()


def _traceparent(header: str) -> Identity | None:
    """W3C: version-trace-parent-flags, in hexadecimal; anything else starts a trace of its own."""
    parts = header.strip().split("-")
    if len(parts) < 4 or len(parts[1]) != 32 or len(parts[2]) != 16:
        return None
    try:
        identity = Identity(int(parts[1], 16), int(parts[2], 16))
    except ValueError:
        return None
    return identity if identity.trace and identity.span else None
