"""Connections opened, taken from a pool and given back: how long a request waits for one, and how long it keeps it.

CONNECT opens one, at the driver. CHECKOUT lasts from asking a pool until the connection is there; what was opened or
asked of the server meanwhile lies below it, so that the rest is waiting. CHECKIN gives it back. Connections of a
checkout have the id that the driver's own statements have.
"""

from __future__ import annotations

from typing import Any

from . import statement
from .around import wrap, wrap_async
from .carrier import Span
from .guard import guarded
from .imports import when_imported

_POSTGRESQL = "postgresql"
_LAYER = "pool"


def install() -> None:
    when_imported("psycopg.connection", lambda module: _hook_connect(module.Connection, wrap))
    when_imported("psycopg.connection_async", lambda module: _hook_connect(module.AsyncConnection, wrap_async))
    when_imported("asyncpg.connect_utils", lambda module: wrap_async(module, "_connect", _connecting))
    when_imported("asyncpg.pool", _hook_asyncpg)
    when_imported("psycopg_pool.pool", lambda module: _hook_psycopg(module.ConnectionPool, wrap))
    when_imported("psycopg_pool.pool_async", lambda module: _hook_psycopg(module.AsyncConnectionPool, wrap_async))
    when_imported("sqlalchemy.pool.base", lambda module: wrap(module.Pool, "connect", _asks, _has, _LAYER, active=True))
    # Its events are there when the whole of it is.
    when_imported("sqlalchemy", _hook_checkin)


def _hook_connect(cls: Any, wrapping: Any) -> None:
    """`connect` is a class method: the function below it is wrapped, so that subclasses stay what they are."""
    holder = _Holder(cls.__dict__["connect"].__func__)
    wrapping(holder, "call", _connecting)
    cls.connect = classmethod(holder.call)


class _Holder:
    def __init__(self, function: Any) -> None:
        self.call = function


def _connecting(*_: Any, **__: Any) -> Span:
    return statement.operation(_POSTGRESQL, "CONNECT")


def _hook_asyncpg(module: Any) -> None:
    wrap_async(module.Pool, "_acquire", _asyncpg_asks, _asyncpg_has, _LAYER, active=True)
    wrap_async(module.Pool, "release", _asyncpg_gives_back)


def _asyncpg_asks(pool: Any, *_: Any, **__: Any) -> Span:
    return _checkout(_POSTGRESQL, pool, pool.get_max_size(), 0)


def _asyncpg_has(span: Span, proxy: Any, *_: Any, **__: Any) -> None:
    _taken(span, proxy._con)


def _asyncpg_gives_back(pool: Any, proxy: Any, *_: Any, **__: Any) -> Span | None:
    # A second release does nothing.
    return None if proxy._con is None else _checkin(_POSTGRESQL, proxy._con)


def _hook_psycopg(cls: Any, wrapping: Any) -> None:
    wrapping(cls, "getconn", _psycopg_asks, _psycopg_has, _LAYER, active=True)
    wrapping(cls, "putconn", _psycopg_gives_back)


def _psycopg_asks(pool: Any, *_: Any, **__: Any) -> Span:
    return _checkout(_POSTGRESQL, pool, pool.max_size, 0)


def _psycopg_has(span: Span, connection: Any, *_: Any, **__: Any) -> None:
    _taken(span, connection)


def _psycopg_gives_back(pool: Any, connection: Any, *_: Any, **__: Any) -> Span:
    return _checkin(_POSTGRESQL, connection)


def _hook_checkin(module: Any) -> None:
    from sqlalchemy import event, pool

    event.listen(pool.Pool, "checkin", _gives_back)


def _asks(pool: Any) -> Span:
    """A pool without a bound (NullPool, StaticPool) has no size to tell."""
    size = getattr(pool, "size", None)
    return _checkout(_system(pool), pool, size() if callable(size) else None, getattr(pool, "_max_overflow", None))


def _has(span: Span, fairy: Any, pool: Any) -> None:
    _taken(span, fairy.dbapi_connection)


@guarded
def _gives_back(connection: Any, record: Any) -> None:
    # One that was broken comes back as nothing.
    if connection is not None:
        pool = getattr(record, "_ConnectionRecord__pool", None)
        _checkin(_system(pool), connection).end()


def _system(pool: Any) -> str:
    return str(getattr(getattr(pool, "_dialect", None), "name", "other_sql"))


def _checkout(system: str, pool: Any, size: Any, overflow: Any) -> Span:
    span = statement.operation(system, "CHECKOUT")
    span.attributes["perfcrew.db.pool"] = format(id(pool), "x")
    span.attributes["perfcrew.db.pool_size"] = size
    span.attributes["perfcrew.db.pool_overflow"] = overflow
    return span


def _checkin(system: str, connection: Any) -> Span:
    return statement.operation(system, "CHECKIN", driver(connection))


def _taken(span: Span, connection: Any) -> None:
    span.attributes["perfcrew.db.connection"] = format(id(driver(connection)), "x")


def driver(connection: Any) -> Any:
    """What the driver's statements are known by: SQLAlchemy's async adapters and asyncpg wrap it once or twice."""
    inner = getattr(connection, "_connection", None) or connection
    inner = getattr(inner, "_conn", None) or inner
    return getattr(inner, "_protocol", None) or inner
