"""The client that asks the target: sends what it is told, follows nothing, counts bytes before and after decoding."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol

import aiohttp
from yarl import URL

from perfcrew.core.errors import UsageError
from perfcrew.core.web import Fingerprint, Request

BODY_LIMIT_BYTES = 8 * 1024 * 1024
_DECODED_STEP_BYTES = 1024 * 1024
_TRACE = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `status` is 0 where no answer came, and `error` says why.

    `sent_bytes` is the body on the wire, `decoded_bytes` the body without its content encoding; `body` holds the first
    8 MB of the latter. Header names are lower case, those that came
    several times are joined (cookies by line breaks). `first_byte_ms` is the arrival of the status and headers.
    """

    status: int
    headers: dict[str, str]
    sent_bytes: int
    decoded_bytes: int
    body: bytes
    elapsed_ms: float
    first_byte_ms: float
    error: str | None = None
    timed_out: bool = False
    refused: bool = False
    """Nobody listens at the address any more."""

    @property
    def content_type(self) -> str:
        """The media type without its parameters, lower case; empty where none was sent."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def truncated(self) -> bool:
        """Whether `body` is less than what was sent."""
        return self.decoded_bytes > len(self.body)

    def json(self) -> Any:
        """The decoded JSON of the body. ValueError where it holds none, or only the beginning of one."""
        if self.truncated or not self.body:
            raise ValueError("the answer holds no whole JSON text")
        return json.loads(self.body)


class _Decoder(Protocol):
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...

    def flush(self) -> bytes: ...

    @property
    def unconsumed_tail(self) -> bytes: ...


class _Plain:
    """No content encoding, or one that we can't decode: the bytes are kept as they came."""

    unconsumed_tail = b""

    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def _decoder(encoding: str) -> _Decoder:
    if encoding in ("gzip", "x-gzip", "deflate"):
        return zlib.decompressobj(47)  # zlib finds out by itself whether it is gzip or zlib
    return _Plain()


@dataclass
class _Body:
    """A body as it comes in, so that an answer of gigabytes is counted without being held."""

    decoder: _Decoder
    sent_bytes: int = 0
    decoded_bytes: int = 0
    kept: bytearray = field(default_factory=bytearray)

    def take(self, chunk: bytes) -> None:
        self.sent_bytes += len(chunk)
        for piece in self._pieces(chunk):
            self._keep(piece)

    def end(self) -> None:
        self._keep(self.decoder.flush())

    def _keep(self, piece: bytes) -> None:
        self.decoded_bytes += len(piece)
        self.kept += piece[: max(0, BODY_LIMIT_BYTES - len(self.kept))]

    def _pieces(self, chunk: bytes) -> Iterator[bytes]:
        yield self.decoder.decompress(chunk, _DECODED_STEP_BYTES)
        while self.decoder.unconsumed_tail:
            yield self.decoder.decompress(self.decoder.unconsumed_tail, _DECODED_STEP_BYTES)


@dataclass
class _Reception:
    """One exchange under way: what is known of the answer when it ends, or breaks off."""

    began: float
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    first_byte_ms: float = 0.0
    body: _Body = field(default_factory=lambda: _Body(_Plain()))

    async def read(self, response: aiohttp.ClientResponse) -> None:
        self.first_byte_ms = (time.perf_counter() - self.began) * 1e3
        self.status = response.status
        self.headers = _joined(response.headers.items())
        self.body = _Body(_decoder(self.headers.get("content-encoding", "").strip().lower()))
        async for chunk in response.content.iter_any():
            self.body.take(chunk)
        self.body.end()

    def answer(self, error: str | None = None, *, timed_out: bool = False, refused: bool = False) -> Answer:
        return Answer(
            status=self.status,
            headers=self.headers,
            sent_bytes=self.body.sent_bytes,
            decoded_bytes=self.body.decoded_bytes,
            body=bytes(self.body.kept),
            elapsed_ms=(time.perf_counter() - self.began) * 1e3,
            first_byte_ms=self.first_byte_ms,
            error=error,
            timed_out=timed_out,
            refused=refused,
        )


class Client:
    """Asks one target. `headers` and `cookies` go with each request; cookies that the target sets are not kept."""

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None
        self.carry(headers or {}, cookies or {})

    def carry(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> None:
        """Send these with each request from now on, instead of those before."""
        self._headers = {"User-Agent": "perfcrew", "Accept": "*/*", **headers}
        self._carries = bool(headers or cookies)
        if cookies:
            self._headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())

    def shows_credentials(self, request: Request) -> bool:
        """Whether this request says who asks."""
        return self._carries or not {name.lower() for name in request.headers}.isdisjoint(("authorization", "cookie"))

    async def __aenter__(self) -> Client:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self.timeout_s),
            auto_decompress=False,
            skip_auto_headers=("Accept-Encoding", "Content-Type"),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(
        self,
        request: Request,
        *,
        trace: str | None = None,
        index: int = 0,
        record_functions: bool = False,
        accept_encoding: str = "identity",
        follow: bool = False,
    ) -> Answer:
        """Send one request and read its answer to the end; what went wrong on the way is in `Answer.error`.

        `trace` is 32 hexadecimal digits; with it go `traceparent`, `x-perfcrew-request` and, where functions are to be
        recorded, `x-perfcrew-record`. UsageError where the client was not entered or the trace is no trace id.
        """
        if self._session is None:
            raise UsageError("the client is not open", do="use it as `async with Client(...)`")
        headers = {**self._headers, "Accept-Encoding": accept_encoding, **request.headers}
        headers.update(_trace_headers(trace, index, record_functions))
        reception = _Reception(began=time.perf_counter())
        try:
            async with self._session.request(
                request.method,
                URL(self.base_url + request.target, encoded=True),
                headers=headers,
                data=None if request.body is None else request.body.encode(),
                allow_redirects=follow,
            ) as response:
                await reception.read(response)
        except TimeoutError:
            return reception.answer(f"no whole answer within {self.timeout_s:g} s", timed_out=True)
        except aiohttp.ClientConnectorError as error:
            return reception.answer(f"no connection: {error.os_error.strerror or error.os_error}", refused=True)
        except (aiohttp.ClientError, OSError, ValueError, zlib.error) as error:
            return reception.answer(f"{type(error).__name__}: {error}")
        return reception.answer()


def _joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """One value a name: those of a header that came several times are joined, cookies by line breaks."""
    found: dict[str, str] = {}
    for name, value in headers:
        known = found.get(name.lower())
        between = "\n" if name.lower() == "set-cookie" else ", "
        found[name.lower()] = value if known is None else known + between + value
    return found


def _trace_headers(trace: str | None, index: int, record_functions: bool) -> dict[str, str]:
    if trace is None:
        return {}
    if not _TRACE.fullmatch(trace):
        raise UsageError(f"{trace!r} is no trace id", do="give 32 hexadecimal digits in lower case")
    headers = {"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01", "x-perfcrew-request": str(index)}
    return {**headers, "x-perfcrew-record": "functions"} if record_functions else headers


_LISTS = "items results data records rows objects entries content values hits edges nodes"
LIST_FIELDS = tuple(_LISTS.split(" "))
"""Fields under which answers usually hold their list, the likeliest first."""
_ID_LIKE = re.compile(r"\d+|[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}|\d{4}-\d\d(?:-\d\d)?(?:T.*)?", re.I)
_PASSWORD_FIELD = re.compile(rb"<input[^>]+type\s*=\s*[\"']?password", re.I)


def fingerprint(answer: Answer) -> Fingerprint:
    """The status, the canonical shape, the decoded size and the number of listed items of an answer.

    Keys that are ids or dates count as one key, and null beside another type in one list as that type, so that other
    data of the same kind has the same shape. An HTML page's shape tells only whether it asks for a password.
    """
    content = _json_content(answer)
    shape = json.dumps(_shape(content.value), sort_keys=True) if content else _other_shape(answer)
    return Fingerprint(
        status=answer.status,
        shape=hashlib.sha256(shape.encode()).hexdigest()[:16],
        size_bytes=answer.decoded_bytes,
        items=_items(content.value) if content else None,
    )


def json_keys(answer: Answer) -> tuple[str, ...]:
    """Every key that occurs anywhere in the JSON answer, sorted; empty where it is not JSON."""
    content = _json_content(answer)
    return tuple(sorted(_keys(content.value))) if content else ()


@dataclass(frozen=True)
class _Content:
    value: Any


def _json_content(answer: Answer) -> _Content | None:
    if "json" not in answer.content_type:
        return None
    try:
        return _Content(answer.json())
    except (ValueError, RecursionError):
        return None


def _other_shape(answer: Answer) -> str:
    asks = "password" if answer.content_type == "text/html" and _PASSWORD_FIELD.search(answer.body) else ""
    return f"{answer.content_type} {asks}"


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        shapes = {str(key): _shape(item) for key, item in value.items()}
        if shapes and all(_ID_LIKE.fullmatch(key) for key in shapes):
            return {"*": _merged(list(shapes.values()))}
        return shapes
    if isinstance(value, list):
        return [_merged([_shape(item) for item in value])]
    return _scalar(value)


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else "string"


def _merged(shapes: list[Any]) -> Any:
    """One shape for many: what is null in some has the type of the others; keys that only some have are all kept."""
    known = [shape for shape in shapes if shape != "null"]
    if known and all(isinstance(shape, dict) for shape in known):
        keys = {key for shape in known for key in shape}
        return {key: _merged([shape[key] for shape in known if key in shape]) for key in keys}
    if known and all(isinstance(shape, list) for shape in known):
        return [_merged([shape[0] for shape in known])]
    return "|".join(sorted({name for shape in known for name in _names(shape)})) or "null"


def _names(shape: Any) -> list[str]:
    return shape.split("|") if isinstance(shape, str) else [json.dumps(shape, sort_keys=True)]


def _items(value: Any, depth: int = 0) -> int | None:
    if isinstance(value, list):
        return len(value)
    if not isinstance(value, dict):
        return None
    lists = {key: item for key, item in value.items() if isinstance(item, list)}
    known = next((lists[key] for key in LIST_FIELDS if key in lists), None)
    if known is not None or len(lists) == 1:
        return len(known if known is not None else next(iter(lists.values())))
    inner = next((value[key] for key in LIST_FIELDS if isinstance(value.get(key), dict)), None)
    return _items(inner, depth + 1) if depth == 0 else None


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*(_keys(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(_keys(item) for item in value))
    return set()
