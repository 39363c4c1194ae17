"""Endpoints, requests and answers."""

from __future__ import annotations

from typing import Literal

from perfcrew.core.base import Noun


class Place(Noun):
    """A line of source. `file` is relative to the target's root where it lies below it, else absolute."""

    file: str
    line: int
    function: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" + (f" ({self.function})" if self.function else "")


class Endpoint(Noun):
    """One route of the target: `key` is `GET /books/{book_id}`."""

    method: str
    path: str
    source: Literal["openapi", "django", "flask", "starlette", "scenario", "har", "access-log", "user"]
    handler: Place | None = None
    is_async: bool | None = None
    operation: dict[str, object] = {}
    """The OpenAPI operation, or what the framework knows of the path's parameters."""

    @property
    def key(self) -> str:
        return f"{self.method} {self.path}"


class Request(Noun):
    """One request, ready to be sent. `target` is path and query."""

    endpoint: str
    method: str
    target: str
    headers: dict[str, str] = {}
    body: str | None = None
    origin: Literal["example", "listing", "generated", "scenario", "har", "access-log", "default"] = "default"
    expect: int | None = None


class Fingerprint(Noun):
    """What an answer was, so that a scenario that stops doing its work is noticed.

    `shape` is a digest of the canonical JSON structure (keys and types, list items merged), or of the content type.
    """

    status: int
    shape: str
    size_bytes: int
    items: int | None = None
    """Length of the answer's list, where it is one or holds one."""


class Plan(Noun):
    """How one endpoint is exercised: its requests in turn, and what they answered when first tried."""

    endpoint: Endpoint
    requests: tuple[Request, ...] = ()
    fingerprints: tuple[Fingerprint, ...] = ()
    page_size_parameter: str | None = None
    """A query parameter that bounds the listing, such as `limit`: lets the scaling probe vary it."""
    tried_ms: float | None = None
    """The fastest answer while requests were looked for: one sample, good for an order and no more."""
    logged_count: int = 0
    """How often the access log has it, where there is one: its share of the mix."""
    skipped: str = ""
    """Why it is not measured: `no value found for {slug}`, `answered 401`; empty where it is."""

    @property
    def measurable(self) -> bool:
        return bool(self.requests) and not self.skipped
