"""Addresses of Redis as applications write them, and the same addresses for another server."""

from __future__ import annotations

import errno
import re
import socket
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

URL = re.compile(r"((redis|valkey)s?|(redis|valkey)\+(socket|cluster|sentinel)|sentinel|unix)://[^\s]*", re.IGNORECASE)
NAMED = re.compile(r"REDIS|VALKEY|CACHE|BROKER|CELERY|RESULT_BACKEND|CHANNEL|QUEUE|(^|_)RQ", re.IGNORECASE)
"""A variable of such a name may carry a bare `unix://` of Redis; others carry Docker's or a web server's."""
PORT = 6379
_CONNECT_S = 0.5
_NOBODY = frozenset({
    *(errno.ECONNREFUSED, errno.ENOENT, errno.ENOTDIR, errno.ENOTSOCK, errno.ENAMETOOLONG),
    *(errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.ENETUNREACH),
})  # fmt: skip
"""Refused, no such socket, or an address of a kind that this machine has no way to."""
_OF_TLS = re.compile(r"ssl|tls", re.IGNORECASE)


class Where(NamedTuple):
    """What a URL says: a host and port, or a socket's path. `many`: a cluster's or a sentinel's, not one server's."""

    host: str
    port: int
    path: str
    database: int
    many: bool


def is_url(text: str, name: str = "") -> bool:
    """Whether it is the URL of a Redis; `name` is the variable's."""
    if not URL.match(text.strip()):
        return False
    return not text.lower().startswith("unix:") or bool(NAMED.search(name))


def where(url: str) -> Where:
    """Where it points; of several, to the first."""
    first = re.split(r"[;,]", url.strip())[0]
    parts = urlsplit(first)
    query = dict(parse_qsl(parts.query))
    scheme = parts.scheme.lower()
    path = unquote(parts.path) if scheme == "unix" or scheme.endswith("+socket") else ""
    named = query.get("db") or query.get("virtual_host") or ("" if path else parts.path.strip("/"))
    many = "sentinel" in scheme or "cluster" in scheme or bool(re.search(r",[\w.-]+:\d+", url))
    return Where(parts.hostname or "localhost", _port(parts.netloc), path, int(named) if named.isdigit() else 0, many)


def _port(netloc: str) -> int:
    found = re.search(r":(\d+)$", netloc)
    return int(found[1]) if found else PORT


def moved(url: str, host: str, port: int, password: str = "") -> str:
    """The same URL, database and options for a server at `host`, without TLS."""
    one, parts = where(url), urlsplit(re.split(r"[;,]", url.strip())[0])
    scheme = "valkey" if parts.scheme.lower().startswith("valkey") else "redis"
    dropped = ("db", "virtual_host", "password", "username")
    kept = [(k, v) for k, v in parse_qsl(parts.query) if not _OF_TLS.search(k) and k not in dropped]
    query = f"?{urlencode(kept)}" if kept else ""
    login = f":{quote(password, safe='')}@" if password else ""
    return f"{scheme}://{login}{host}:{port}/{one.database}{query}"


def without_password(url: str) -> str:
    """The URL as it may be written down; of several, each. A password may hold an @ that should have been quoted."""
    each = re.split(r"([;,])(?=\w[\w+]*://)", re.sub(r"(?i)(password=)[^&\s]*", r"\1***", url))
    return "".join(re.sub(r"(://)\S*@", r"\1***@", one) for one in each)


def answers(url: str) -> bool:
    """Whether somebody may be there. Only a refusal, no such name or no way to it say no: who is slow may be."""
    at = where(url)
    if at.path:
        return _takes(socket.AF_UNIX, at.path)
    try:
        found = socket.getaddrinfo(at.host, at.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError, OverflowError):
        return False
    return any(_takes(family, told) for family, _, _, _, told in found)


def _takes(family: int, told: object) -> bool:
    try:
        with socket.socket(family) as one:
            one.settimeout(_CONNECT_S)
            one.connect(told)  # type: ignore[arg-type]
    except OSError as error:
        return error.errno not in _NOBODY
    return True


def endpoints(url: str) -> set[tuple[str, int]]:
    """The network addresses that the URL's host resolves to, with the port; empty for sockets and unknown hosts."""
    at = where(url)
    if at.path:
        return set()
    try:
        found = socket.getaddrinfo(at.host, at.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, OverflowError):
        return set()
    return {(str(entry[4][0]), at.port) for entry in found}
