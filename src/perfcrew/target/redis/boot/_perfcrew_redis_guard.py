"""Refuses connections to a Redis that is not this run's own, inside every Python process that perfcrew starts.

Refused are the addresses that were found to be the user's; port 6379 and sockets named after Redis, where a client of
Redis is loaded; and whatever else a client of Redis asks for, unless it began to listen after we started: a suite may
bring a server of its own. Each refusal looks like a port that nobody listens on, and is written down for perfcrew.

Standard library only, and next to nothing of it until somebody connects: this runs in the target's interpreter.
"""

from __future__ import annotations

import os
import sys
from _frozen_importlib_external import PathFinder  # importlib.machinery would import what nothing else needs

TYPE_CHECKING = False  # importing typing to know it would cost every process what it imports itself
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from typing import Any, Callable

    Call = Callable[..., Any]

VARIABLE = "PERFCREW_REDIS_GUARD"
_HERE = os.path.dirname(os.path.abspath(__file__))
_CLIENTS = frozenset({
    *("redis", "valkey", "aioredis", "aredis", "yaaredis", "coredis", "asyncio_redis", "txredisapi", "rediscluster"),
})  # fmt: skip
_OVER_THEM = ("redis_cache", "arq", "rq", "dramatiq.brokers.redis", "huey", "channels_redis", "celery.backends.redis")
_PORT = 6379
_DEPTH = 200
_LOOPBACK = ("127.", "::1", "::ffff:127.", "localhost", "0.0.0.0", "::")


def boot() -> None:
    """Guard sockets as soon as they are imported; nothing where perfcrew did not ask for it."""
    if os.environ.get(VARIABLE) and not any(isinstance(one, _Finder) for one in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
        for name in _HOOKS:
            if name in sys.modules:
                _HOOKS[name](sys.modules[name])


def go_on() -> None:
    """Run the `sitecustomize` that this one hid: the first that stands behind it."""
    paths = [os.path.abspath(entry or os.curdir) for entry in sys.path]
    behind = sys.path[paths.index(_HERE) + 1 :] if _HERE in paths else sys.path
    spec = PathFinder.find_spec("sitecustomize", behind)
    if spec is None or spec.loader is None:
        return
    import importlib.util

    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    # What it raises is not ours to catch: Python treats it as it would have without us.
    spec.loader.exec_module(module)


class _Finder:
    """Finds nothing itself: asks the other finders, then has the module guarded that they found."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in _HOOKS:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(name, path, target) if find and finder is not self else None
            if spec is not None:
                _extend(spec.loader, name)
                return spec
        return None


def _extend(loader: Any, name: str) -> None:
    original = loader.exec_module

    def exec_module(module: Any) -> None:
        original(module)
        if module.__name__ == name:  # some loaders serve many modules
            _HOOKS[name](module)

    loader.exec_module = exec_module


def _guard_socket(module: Any) -> None:
    _replace(module.socket, "connect", _connecting)
    _replace(module.socket, "connect_ex", _connecting_ex)


def _guard_uvloop(module: Any) -> None:
    """It connects in C: what it is asked for is looked at before."""
    _replace(module.Loop, "create_connection", _creating)
    _replace(module.Loop, "create_unix_connection", _creating_unix)


_HOOKS: dict[str, Callable[[Any], None]] = {
    "socket": _guard_socket,
    "gevent._socket3": _guard_socket,
    "uvloop": _guard_uvloop,
}


def _replace(owner: type, name: str, guarded: Callable[[Call], Call]) -> None:
    original = getattr(owner, name)
    if getattr(original, "perfcrew_guards", False):
        return
    ours = guarded(original)
    ours.__name__, ours.__doc__ = name, original.__doc__
    ours.perfcrew_guards = True  # type: ignore[attr-defined]
    setattr(owner, name, ours)


def _connecting(original: Call) -> Call:
    def connect(self: Any, address: Any) -> Any:
        refuse(address)
        return original(self, address)

    return connect


def _connecting_ex(original: Call) -> Call:
    def connect_ex(self: Any, address: Any) -> Any:
        try:
            refuse(address)
        except ConnectionRefusedError as error:
            return error.errno
        return original(self, address)

    return connect_ex


def _creating(original: Call) -> Call:
    def create_connection(self: Any, protocol_factory: Any, host: Any = None, port: Any = None, **more: Any) -> Any:
        if host is not None or port is not None:
            refuse((host or "localhost", port))
        return original(self, protocol_factory, host, port, **more)

    return create_connection


def _creating_unix(original: Call) -> Call:
    def create_unix_connection(self: Any, protocol_factory: Any, path: Any = None, **more: Any) -> Any:
        if path is not None:
            refuse(os.fspath(path))
        return original(self, protocol_factory, path, **more)

    return create_unix_connection


_told: dict[str, Any] = {}
_refused: set[Any] = set()


def _config() -> dict[str, Any]:
    if not _told:
        import json

        _told.update(json.loads(os.environ.get(VARIABLE) or "{}"))
    return _told


def refuse(address: Any) -> None:
    """Raise ConnectionRefusedError where this address, as `socket.connect` takes it, is not this run's Redis."""
    if isinstance(address, (str, bytes)):
        foreign = _is_foreign_path(os.fsdecode(address))
    elif isinstance(address, tuple) and len(address) >= 2:
        foreign = _is_foreign(_text(address[0]), _number(address[1]))
    else:
        return
    if foreign:
        _write_down(address)
        import errno

        where = os.fsdecode(address) if isinstance(address, (str, bytes)) else f"{_text(address[0])}:{address[1]}"
        why = f"perfcrew: {where} is not this run's Redis; {_told['do']}"
        raise ConnectionRefusedError(errno.ECONNREFUSED, why)


def _text(host: Any) -> str:
    return host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)


def _number(port: Any) -> int:
    return int(port) if isinstance(port, int) or (isinstance(port, str) and port.isdigit()) else 0


def _is_foreign(host: str, port: int) -> bool:
    told = _config()
    here = host.lower().startswith(_LOOPBACK) or host in told.get("here", ())
    if not told or (here and port == told["port"]):
        return False
    if [host, port] in told["foreign"] or (here and port in told["ports"]):
        return True
    if port == _PORT and (told["uses"] or _has_client()):
        return True
    return (not here or port in told["taken"]) and _asked_by_client()


def _is_foreign_path(path: str) -> bool:
    told = _config()
    if not told or path == told["socket"] or path.startswith("\0"):
        return False
    path = os.path.realpath(path)
    if path in told["sockets"]:
        return True
    named = "redis" in os.path.basename(path).lower() or "valkey" in os.path.basename(path).lower()
    return _is_older(path) and ((named and (told["uses"] or _has_client())) or _asked_by_client())


def _is_older(path: str) -> bool:
    """Whether it was there before we started, or lies where the system keeps its own."""
    try:
        made = os.stat(path).st_ctime
    except OSError:
        return False
    return bool(made < _told["began"]) or path.startswith(("/run/", "/var/run/", "/var/lib/"))


def _has_client() -> bool:
    return any(name in sys.modules for name in _CLIENTS) or any(name in sys.modules for name in _OVER_THEM)


def _asked_by_client() -> bool:
    """Whether a client of Redis is among those who called."""
    if not any(name in sys.modules for name in _CLIENTS):
        return False
    frame, depth = sys._getframe(1), 0
    while frame is not None and depth < _DEPTH:
        if str(frame.f_globals.get("__name__")).partition(".")[0] in _CLIENTS:
            return True
        frame, depth = frame.f_back, depth + 1  # type: ignore[assignment]
    return False


def _write_down(address: Any) -> None:
    """A line for perfcrew, once for each address of a process: the target may take the error for a missing server."""
    key = os.fsdecode(address) if isinstance(address, (str, bytes)) else (_text(address[0]), _number(address[1]))
    if (os.getpid(), key) in _refused:
        return
    _refused.add((os.getpid(), key))
    import json

    line = json.dumps({"address": key, "at": _caller()}) + "\n"
    try:
        file = os.open(_told["out"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError:
        return  # another user's process, or a sandbox: it was refused all the same
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


def _caller() -> str:
    """The line of the target's that led here: the innermost that is neither a library's nor ours."""
    library = os.path.dirname(os.__file__)
    frame: Any = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        apart = file.startswith((library, _HERE, "<")) or "site-packages" in file or "dist-packages" in file
        if not apart:
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back
    return ""
