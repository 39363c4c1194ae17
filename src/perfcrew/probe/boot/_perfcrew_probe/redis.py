"""redis-py, sync and asyncio: one span a round trip, whether it carries one command or a pipeline of them."""

from __future__ import annotations

import json
from typing import Any

from . import carrier, redis_operations
from .around import wrap, wrap_async
from .carrier import Span
from .imports import when_imported
from .redis_operations import plain as _plain

_MOST = redis_operations.MOST
_KEY_CHARS = 200
_LAYER = "redis"
_READS = frozenset(
    [
        "GET",
        "HGET",
        "MGET",
        "HMGET",
        "HGETALL",
        "GETEX",
        "GETDEL",
        "GETRANGE",
        "LRANGE",
        "SMEMBERS",
        "ZRANGE",
        "EXISTS",
        "JSON.GET",
    ]
)
_NO_KEY = frozenset(
    [
        "PING",
        "AUTH",
        "HELLO",
        "SELECT",
        "CLIENT",
        "INFO",
        "COMMAND",
        "MULTI",
        "EXEC",
        "PIPELINE",
        "CONFIG",
        "SCRIPT",
        "FLUSHDB",
        "DBSIZE",
        "SCAN",
    ]
)


def install() -> None:
    when_imported("redis.client", _hook)
    when_imported("redis.asyncio.client", _hook_async)
    when_imported("redis.cluster", lambda module: _wrap_command(module.RedisCluster, wrap))
    when_imported("redis.asyncio.cluster", lambda module: _wrap_command(module.RedisCluster, wrap_async))


def _hook(module: Any) -> None:
    _wrap_command(module.Redis, wrap)
    wrap(module.Pipeline, "execute", _begin_pipeline, _finish_pipeline, _LAYER)
    wrap(module.Pipeline, "immediate_execute_command", _begin, _finish, _LAYER)


def _hook_async(module: Any) -> None:
    _wrap_command(module.Redis, wrap_async)
    wrap_async(module.Pipeline, "execute", _begin_pipeline, _finish_pipeline, _LAYER)
    wrap_async(module.Pipeline, "immediate_execute_command", _begin, _finish, _LAYER)


def _wrap_command(client: Any, wrapping: Any) -> None:
    wrapping(client, "execute_command", _begin, _finish, _LAYER)


def _begin(client: Any, *command: Any, **options: Any) -> Span:
    name, key = _parts(command)
    return _start(client, name, key, [command])


def _finish(span: Span, result: Any, client: Any, *command: Any, **options: Any) -> None:
    _answered(span, [result])


def _begin_pipeline(pipeline: Any, *_: Any, **__: Any) -> Span | None:
    commands = _commands(pipeline)
    if not commands:
        return None
    names = sorted({_parts(command)[0] for command in commands})
    first_key = next((key for key in (_parts(command)[1] for command in commands) if key), None)
    span = _start(pipeline, names[0] if len(names) == 1 else "PIPELINE", first_key, commands)
    span.attributes["perfcrew.cache.pipeline"] = [_parts(command)[0] for command in commands[:100]]
    return span


def _finish_pipeline(span: Span, result: Any, *_: Any, **__: Any) -> None:
    _answered(span, result if isinstance(result, list) else [])


def _start(client: Any, name: str, key: str | None, commands: list[tuple[Any, ...]]) -> Span:
    """Its operations are kept command by command: a pipeline's stack is empty when it comes back."""
    pool = getattr(client, "connection_pool", None)
    settings = getattr(pool, "connection_kwargs", {})
    attributes = {
        "db.system.name": "redis",
        "db.operation.name": name,
        "db.namespace": str(settings.get("db", 0) or 0),
        "server.address": settings.get("host") or settings.get("path"),
        "server.port": settings.get("port"),
        "perfcrew.cache.key": key,
        "perfcrew.cache.commands": len(commands),
    }
    span = carrier.current().start("cache", name, attributes)
    span.kept = [(n, redis_operations.operations(c, k)) for c in commands[:_MOST] for n, k in [_parts(c)]]
    _tell(span)
    return span


def _answered(span: Span, results: list[Any]) -> None:
    hits: list[bool] = []
    size = 0
    for (name, found), result in zip(span.kept, results):
        if name in _READS:
            hits.append(_is_hit(result))
        redis_operations.answered(found, _READS, result, _is_hit)
    for result in results:
        size += _bytes(result)
    span.attributes["perfcrew.cache.bytes"] = size
    if hits:
        span.attributes["perfcrew.cache.hit"] = all(hits)
    _tell(span)


def _tell(span: Span) -> None:
    """As one text: OpenTelemetry's attributes hold no lists of lists."""
    each = [one for _, found in span.kept for one in found][:_MOST]
    if each:
        span.attributes["perfcrew.cache.operations"] = json.dumps(each, separators=(",", ":"))


def _is_hit(result: Any) -> bool:
    """A list of values is a hit where all of them are there: one that is not has to be fetched."""
    if isinstance(result, (list, tuple)):
        return bool(result) and all(one is not None for one in result)
    return result is not None and result != 0 and result != {} and result != set()


def _bytes(result: Any) -> int:
    if isinstance(result, str):
        return len(result.encode("utf-8", "replace"))
    if isinstance(result, (bytes, bytearray)):
        return len(result)
    if isinstance(result, dict):
        return sum(_bytes(key) + _bytes(value) for key, value in result.items())
    if isinstance(result, (list, tuple, set)):
        return sum(_bytes(one) for one in result)
    return 0


def _commands(pipeline: Any) -> list[tuple[Any, ...]]:
    """Entries are (arguments, options) pairs."""
    return [entry[0] for entry in getattr(pipeline, "command_stack", [])]


def _parts(command: tuple[Any, ...]) -> tuple[str, str | None]:
    """The command's name and its first key, capped."""
    name = _plain(command[0]).upper() if command else ""
    words = name.split()
    if not words or words[0] in _NO_KEY or len(command) < 2:
        return name, None
    return name, _plain(command[1])[:_KEY_CHARS]
