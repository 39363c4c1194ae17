"""`--offline`: nothing of this process goes outside of this machine.

Two fences: no model outside is ever made (`near` decides), and once `enforce` was called, every attempt of whatever
library in this process to look up a name or to connect elsewhere is refused at the socket. It does not reach into the
application under review, which is started in a process of its own.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from typing import Any
from urllib.parse import urlsplit

_LOCAL_NAMES = ("", "localhost", "localhost.localdomain", "ip6-localhost")
_TRACING = ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2")
_enforced = False


class OutsideRefused(PermissionError):
    """A connection, or the lookup of a name, that would leave this machine."""


def near(url: str) -> bool:
    """Whether this base URL is on this machine."""
    return _local(urlsplit(url).hostname or "outside")


def enforced() -> bool:
    """Whether `enforce` was called in this process."""
    return _enforced


def enforce() -> None:
    """From now on, for the rest of this process. LangSmith's tracing is switched off, which would only fail."""
    global _enforced
    if not _enforced:
        _enforced = True
        sys.addaudithook(_refuse)
        _silence_tracing()


def _silence_tracing() -> None:
    import os

    os.environ.pop("LANGCHAIN_TRACING", None)  # its oldest switch: where it stands, LangChain refuses every call
    if any(os.environ.get(name) for name in _TRACING):
        import langsmith

        langsmith.configure(enabled=False)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """Called by the interpreter for everything; only a few events are of sockets."""
    if not event.startswith("socket."):
        return
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        where = arguments[1]
        if isinstance(where, tuple) and arguments[0].family in (socket.AF_INET, socket.AF_INET6):
            _check(where[0])
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        _check(arguments[0])


def _check(host: object) -> None:
    name = host.decode(errors="replace") if isinstance(host, bytes) else str(host or "")
    if not _local(name):
        raise OutsideRefused(f"offline: {name} is outside of this machine")


def _local(name: str) -> bool:
    if name.lower() in _LOCAL_NAMES:
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
