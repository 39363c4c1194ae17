"""What makes two operations of a request the same: their shape, which is the statement or URL without its values."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import urlsplit

from perfcrew.core.sql import shape
from perfcrew.core.trace import Span

_ID = re.compile(
    r"^(\d+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{16,}|\d[\w-]*|[A-Za-z]+[-_]\d[\w-]*|[\w.+-]+@[\w.-]+)$",
    re.IGNORECASE,
)
_VERSION = re.compile(r"^v\d+(\.\d+)*$", re.IGNORECASE)


def shape_of(span: Span) -> str:
    """A statement's shape, a call's template; "" for what is neither."""
    if span.kind == "database":
        text = str(span.attributes.get("db.query.text") or "")
        return shape(text) if text else ""
    return template(span) if span.kind in ("http", "model") else ""


def digest_of(text: str) -> str:
    """Tells shapes apart, in twelve hexadecimal digits; not for secrecy."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:12]


def template(span: Span) -> str:
    """Method, host and path, parts that look like ids replaced: `GET api.example.org/stock/{}`."""
    method = span.attributes.get("http.request.method", "GET")
    url = urlsplit(str(span.attributes.get("url.full") or ""))
    path = str(span.attributes.get("url.template") or "/".join(_part(p) for p in url.path.split("/")))
    host = span.attributes.get("server.address") or url.hostname or ""
    return f"{method} {host}{path}" if path.startswith("/") else f"{method} {path}"


def _part(part: str) -> str:
    return "{}" if _ID.match(part) and not _VERSION.match(part) else part
