"""What went wrong with a request: which kind of fault, whether it is worth another try, and when.

The SDKs tell the same thing in many ways: LangChain's ModelError, the SDK's own exception with a status or without,
a bare transport error of httpx, httpx2 or aiohttp, an error event in a stream under status 200. All are read here, and
only here. No SDK is imported: what is not loaded can't have raised.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from perfcrew.core.base import Noun
from perfcrew.crew.models.errors import AnswerUnusable, ModelFailed
from perfcrew.crew.models.offline import OutsideRefused

Kind = Literal[
    "rate limit",
    "no credit",
    "overloaded",
    "server error",
    "no connection",
    "connection broken",
    "too slow",
    "unreadable",
    "key refused",
    "not allowed",
    "no such model",
    "refused request",
    "too long a prompt",
    "offline",
    "answer",
    "unknown",
]
AGAIN: frozenset[Kind] = frozenset(
    {"rate limit", "overloaded", "server error", "no connection", "connection broken", "too slow", "unreadable"}
)
DOWN: frozenset[Kind] = AGAIN - {"rate limit", "unreadable"}
"""What speaks for the provider being down; one that limits the rate is alive."""
LASTING: frozenset[Kind] = frozenset({"key refused", "no credit", "not allowed", "no such model"})
"""What another request in this run would meet as well."""
_STATUS: dict[int, Kind] = {
    400: "refused request",
    401: "key refused",
    402: "no credit",
    403: "not allowed",
    404: "no such model",
    408: "too slow",
    409: "server error",
    413: "too long a prompt",
    422: "refused request",
    425: "server error",
    429: "rate limit",
    529: "overloaded",
}
_TYPES: dict[str, Kind] = {
    "overloaded_error": "overloaded",
    "rate_limit_error": "rate limit",
    "api_error": "server error",
    "timeout_error": "too slow",
    "server_error": "server error",
    "authentication_error": "key refused",
    "billing_error": "no credit",
    "UNAVAILABLE": "overloaded",
    "INTERNAL": "server error",
    "RESOURCE_EXHAUSTED": "rate limit",
}
_TRANSPORTS: dict[str, Kind] = {
    # a class's name of httpx, httpx2, aiohttp or the standard library -> what it means
    "ConnectTimeout": "no connection",
    "ConnectError": "no connection",
    "ClientConnectorError": "no connection",
    "TimeoutException": "too slow",
    "TransportError": "connection broken",
    "ClientConnectionError": "connection broken",
    "ClientPayloadError": "connection broken",
    "TimeoutError": "too slow",
    "ConnectionRefusedError": "no connection",
    "ConnectionError": "connection broken",
    "IncompleteReadError": "connection broken",
    "gaierror": "no connection",
    "ModelTimeoutError": "too slow",
    "ModelConnectionError": "no connection",
    "ContextOverflowError": "too long a prompt",
}
_SDKS = (
    "anthropic.",
    "openai.",
    "google.genai.",
    "langchain_anthropic.",
    "langchain_openai.",
    "langchain_google_genai.",
)
_CREDIT = re.compile(r"insufficient_quota|credit balance is too low|billing|PerDay", re.IGNORECASE)
_KEY = re.compile(r"API_KEY_INVALID|API key not valid|invalid x-api-key", re.IGNORECASE)
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)s")


_LEAST_SECRET = 8
"""Characters; what is shorter is no key, and stands in words by chance."""
_SAID = 200
_MOST_READ = 20_000
"""Characters of what a provider says: of all, and until its key is taken out."""


class Fault(Noun):
    """One request's failure. `wait_s` is what the provider asked for, None where it asked for nothing."""

    kind: Kind
    said: str
    status: int | None = None
    wait_s: float | None = None

    @property
    def again(self) -> bool:
        """Whether another request may succeed."""
        return self.kind in AGAIN


def of(error: BaseException, secret: str = "") -> Fault:
    """The fault that this exception tells of; what the provider says of it is told without the `secret` in it."""
    fault = _of(error)
    said = fault.said.replace(secret, "…") if len(secret) >= _LEAST_SECRET else fault.said
    return fault.model_copy(update={"said": said[:_SAID]})  # cut last: half a key is a key's half


def _of(error: BaseException) -> Fault:
    if isinstance(error, AnswerUnusable):
        return Fault(kind="answer", said=error.what)
    if isinstance(error, ModelFailed):
        return Fault(kind="unknown", said=error.what)
    status, body, headers = _status(error), _body(error), _headers(error)
    kind = _kind(error, status, body)
    return Fault(kind=kind, said=_said(error, body), status=status, wait_s=_wait_s(body, headers))


def _kind(error: BaseException, status: int | None, body: Any) -> Kind:
    if any(isinstance(e, OutsideRefused) for e in _all(error)):
        return "offline"
    text = json.dumps(body) if body else str(error)
    if status in (400, 402, 403, 429) and _CREDIT.search(text):
        return "no credit"
    if status == 400 and _KEY.search(text):
        return "key refused"
    if status is not None and status >= 400:
        return _by_class(error, ("ContextOverflowError",)) or _STATUS.get(
            status, "server error" if status >= 500 else "refused request"
        )
    return _typed(body) or _by_class(error) or _unreadable(error)


def _typed(body: Any) -> Kind | None:
    found = _error_of(body)
    names = (found.get("type"), found.get("status"), found.get("code"))
    return next((_TYPES[n] for n in names if isinstance(n, str) and n in _TYPES), None)


def _by_class(error: BaseException, only: tuple[str, ...] = tuple(_TRANSPORTS)) -> Kind | None:
    """By the names of its classes, the innermost cause first: an SDK wraps a refused connection in its own error."""
    for inner in reversed(list(_all(error))):
        for one in type(inner).__mro__:
            if one.__name__ in only:
                return _TRANSPORTS[one.__name__]
    return None


def _unreadable(error: BaseException) -> Kind:
    """What came is no JSON, or not of the form that its SDK, in its own code, could read: worth another try."""
    for one in _all(error):
        names = {c.__name__ for c in type(one).__mro__}
        if names & {"ModelInvalidRequestError"}:
            return "refused request"
        if names & {"JSONDecodeError", "UnknownApiResponseError", "APIResponseValidationError"} or _of_a_sdk(one):
            return "unreadable"
    return "unknown"


def _of_a_sdk(error: BaseException) -> bool:
    """Whether it was raised within a provider's packages, and so by what the provider sent."""
    trace = error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__", "")).startswith(_SDKS):
            return True
        trace = trace.tb_next
    return False


def _all(error: BaseException) -> Iterator[BaseException]:
    """The exception and its causes."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__  # a SDK that hides what it met says `from None`


def _status(error: BaseException) -> int | None:
    for one in _all(error):
        if type(one).__module__.startswith("aiohttp"):
            continue  # its parser gives a broken answer the code 400, which nobody has sent
        for name in ("status_code", "code"):
            value = getattr(one, name, None)
            if isinstance(value, int) and 100 <= value < 600:
                return value
    return None


def _body(error: BaseException) -> Any:
    for one in _all(error):
        for name in ("body", "details"):
            value = getattr(one, name, None)
            if isinstance(value, dict | list):
                return value
    return None


def _headers(error: BaseException) -> Mapping[str, str]:
    for one in _all(error):
        headers = getattr(getattr(one, "response", None), "headers", None)
        if headers is not None:
            return {str(name).lower(): str(value) for name, value in headers.items()}
    return {}


def _error_of(body: Any) -> Mapping[str, Any]:
    """The object with type, code and message, wherever the provider puts it."""
    while isinstance(body, list) and body:
        body = body[0]
    while isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"]
    return body if isinstance(body, dict) else {}


def _wait_s(body: Any, headers: Mapping[str, str]) -> float | None:
    """From `retry-after-ms`, `retry-after` (seconds or a date), or Google's RetryInfo."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    told = headers.get("retry-after")
    if told:
        return _number(told) if _number(told) is not None else _until(told)
    return _retry_info(_error_of(body).get("details"))


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < float("inf") else None


def _until(date: str) -> float | None:
    try:
        until = parsedate_to_datetime(date)
        return max(0.0, until.replace(tzinfo=until.tzinfo or UTC).timestamp() - time.time())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _retry_info(details: Any) -> float | None:
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and str(detail.get("@type", "")).endswith("RetryInfo"):
            match = _SECONDS.fullmatch(str(detail.get("retryDelay", "")))
            return float(match[1]) if match else None
    return None


def _said(error: BaseException, body: Any) -> str:
    """What the provider says, else what was met at the bottom, on one line, without what we sent."""
    message = _error_of(body).get("message")
    bottom = next((str(one) for one in reversed(list(_all(error))) if str(one)), type(error).__name__)
    text = message if isinstance(message, str) and message else bottom
    return " ".join(text[:_MOST_READ].split())
