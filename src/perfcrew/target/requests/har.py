"""Requests of a HAR file (https://w3c.github.io/web-performance/specs/HAR/Overview.html), without what identifies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from perfcrew.core.errors import UsageError
from perfcrew.target.requests.recorded import Recorded, carries_secret, target_of

_REPLAYED_HEADERS = ("accept", "content-type", "x-requested-with", "accept-language")


def read(path: Path) -> list[Recorded]:
    """The requests that were answered without an error, in their order. UsageError where it is no HAR file."""
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"the HAR file can't be read: {error.strerror}", where=str(path)) from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the HAR file is not JSON: {error}", where=str(path), do="export it again") from None
    return parsed(content, str(path))


def parsed(content: Any, where: str = "") -> list[Recorded]:
    """The requests of a HAR's content; authorization and cookies are never taken over."""
    log = content.get("log") if isinstance(content, dict) else None
    entries = log.get("entries") if isinstance(log, dict) else None
    if not isinstance(entries, list):
        raise UsageError("the file holds no `log.entries`", where=where, do="give a HAR file as browsers save it")
    return [recorded for recorded in map(_recorded, entries) if recorded is not None]


def _recorded(entry: Any) -> Recorded | None:
    request = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(request, dict) or not _was_answered(entry.get("response")):
        return None
    method, target = str(request.get("method", "")).upper(), target_of(str(request.get("url", "")))
    if not method.isalpha() or not target or carries_secret(target):
        return None
    return Recorded(method=method, target=target, origin="har", headers=_headers(request), body=_body(request))


def _was_answered(response: Any) -> bool:
    status = response.get("status") if isinstance(response, dict) else None
    return isinstance(status, int) and 200 <= status < 400


def _headers(request: dict[str, Any]) -> dict[str, str]:
    listed = request.get("headers")
    pairs = [h for h in listed if isinstance(h, dict)] if isinstance(listed, list) else []
    return {
        str(h["name"]): str(h.get("value", "")) for h in pairs if str(h.get("name", "")).lower() in _REPLAYED_HEADERS
    }


def _body(request: dict[str, Any]) -> str | None:
    posted = request.get("postData")
    text = posted.get("text") if isinstance(posted, dict) else None
    return text if isinstance(text, str) else None
