"""MySQL and MariaDB: PyMySQL, mysqlclient, aiomysql and asyncmy, at the cursors that all of their calls end in.

A buffered cursor has all rows when `execute` is back, so the driver's own count is exact; one that fetches in portions
(`SSCursor`) tells none. `executemany` sends its rows through `execute`: that is one statement for us.
"""

from __future__ import annotations

import functools
from typing import Any

from . import statement
from .around import wrap, wrap_async
from .guard import guarded
from .imports import when_imported
from .statement import Statement, columns_of

_SYSTEM = "mysql"
_IN_TRANSACTION = 1
"""SERVER_STATUS_IN_TRANS of the protocol."""
_below_of: dict[Any, Any] = {}


def install() -> None:
    for name in ("pymysql", "MySQLdb"):
        when_imported(f"{name}.cursors", functools.partial(_hook, wrap_one=_sender))
        when_imported(f"{name}.connections", functools.partial(_hook_connection, around=wrap))
    when_imported("aiomysql.cursors", functools.partial(_hook, wrap_one=_async_sender))
    for name in ("aiomysql", "asyncmy"):
        when_imported(f"{name}.connection", functools.partial(_hook_connection, around=wrap_async))
    when_imported("asyncmy.connection", _hook_factory)


def _hook(module: Any, wrap_one: Any) -> None:
    """mysqlclient's cursors share a base of another name."""
    cls = getattr(module, "BaseCursor", None) or module.Cursor
    for name in ("execute", "executemany"):
        setattr(cls, name, wrap_one(cls.__dict__[name], name == "executemany"))


def _hook_factory(module: Any) -> None:
    """asyncmy's cursors are compiled and take no method of ours: its connections give those of classes below them."""
    original = module.Connection.cursor

    @functools.wraps(original)
    def cursor(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = original(self, *args, **kwargs)
        return _below(made, self) or made

    module.Connection.cursor = cursor


@guarded
def _below(made: Any, connection: Any) -> Any:
    told = {"query_callback": made._query_callback} if hasattr(made, "_query_callback") else {}
    return _watched(type(made))(connection, echo=bool(made._echo), **told)


def _watched(cls: Any) -> Any:
    if cls not in _below_of:
        send = ("execute", "executemany")
        methods = {name: _async_sender(getattr(cls, name), name == "executemany") for name in send}
        _below_of[cls] = type(cls.__name__, (cls,), methods)
    return _below_of[cls]


def _sender(original: Any, many: bool) -> Any:
    @functools.wraps(original)
    def send(self: Any, query: Any, args: Any = None, *more: Any, **kwargs: Any) -> Any:
        if _inner(self):
            return original(self, query, args, *more, **kwargs)
        sent = _begin(self, query, args, many)
        try:
            result = original(self, query, args, *more, **kwargs)
        except BaseException as error:
            _failed(self, sent, error)
            raise
        _sent(self, sent)
        return result

    return send


def _async_sender(original: Any, many: bool) -> Any:
    @functools.wraps(original)
    async def send(self: Any, query: Any, args: Any = None, *more: Any, **kwargs: Any) -> Any:
        if _inner(self):
            return await original(self, query, args, *more, **kwargs)
        sent = _begin(self, query, args, many)
        try:
            result = await original(self, query, args, *more, **kwargs)
        except BaseException as error:
            _failed(self, sent, error)
            raise
        _sent(self, sent)
        return result

    return send


def _inner(cursor: Any) -> bool:
    return getattr(cursor, "perfcrew_sending", False)


@guarded
def _begin(cursor: Any, query: Any, args: Any, many: bool) -> Statement:
    connection = _connection(cursor)
    known = many and isinstance(args, (list, tuple))
    first = (args[0] if args else None) if known else None
    made = Statement(
        _SYSTEM,
        query,
        first if many else args,
        connection=connection,
        namespace=_namespace(connection),
        many=(len(args) if known else 0) if many else None,
    )
    cursor.perfcrew_sending = True
    return made


@guarded
def _sent(cursor: Any, sent: Statement | None) -> None:
    cursor.perfcrew_sending = False
    if sent is None:
        return
    sent.leaves_open(bool((getattr(_connection(cursor), "server_status", 0) or 0) & _IN_TRANSACTION))
    columns = columns_of(cursor.description)
    rows = cursor.rowcount if isinstance(cursor.rowcount, int) else -1
    unbuffered = "SS" in type(cursor).__name__
    sent.sent(columns, 0 if unbuffered else max(rows, 0) if columns else 0, rows if rows < 1 << 63 else -1)


@guarded
def _failed(cursor: Any, sent: Statement | None, error: BaseException) -> None:
    cursor.perfcrew_sending = False
    if sent is not None:
        sent.failed(error)


def _connection(cursor: Any) -> Any:
    found = getattr(cursor, "connection", None)
    # mysqlclient's cursor holds its connection by a proxy or a reference.
    return found() if callable(found) else found


def _namespace(connection: Any) -> str | None:
    name = getattr(connection, "db", None) or getattr(connection, "_db", None)
    if isinstance(name, bytes):
        return name.decode("utf-8", "replace")
    return name if isinstance(name, str) else None


def _hook_connection(module: Any, around: Any) -> None:
    for name in ("commit", "rollback"):
        around(module.Connection, name, functools.partial(_boundary, name.upper()))


def _boundary(name: str, connection: Any, *_: Any, **__: Any) -> Any:
    # Where no transaction is open there is nothing to end, though the drivers send it all the same.
    status = getattr(connection, "server_status", None)
    if status is not None and not status & _IN_TRANSACTION:
        return None
    return statement.operation(_SYSTEM, name, connection, _namespace(connection))
