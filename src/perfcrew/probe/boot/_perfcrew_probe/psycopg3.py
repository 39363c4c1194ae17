"""psycopg 3, sync and async, client-side and server-side cursors.

A client-side cursor has all rows when `execute` is back, so the driver's own count is exact; a server-side
one fetches them in portions.
"""

from __future__ import annotations

import functools
import weakref
from typing import Any

from . import clock, statement
from .around import wrap, wrap_async
from .guard import guarded
from .imports import when_imported
from .statement import Statement, columns_of

_SYSTEM = "postgresql"
_hooked: set[Any] = set()
# The cursors have slots and take no attribute of ours.
_open: weakref.WeakKeyDictionary[Any, Statement] = weakref.WeakKeyDictionary()


def install() -> None:
    send = ("execute", "executemany")
    when_imported("psycopg.cursor", lambda module: _hook(module.Cursor, send, asynchronous=False))
    when_imported("psycopg.cursor_async", lambda module: _hook(module.AsyncCursor, send, asynchronous=True))
    for name in ("psycopg.server_cursor", "psycopg._server_cursor", "psycopg._server_cursor_async"):
        when_imported(name, _hook_server_side)
    when_imported("psycopg.connection", _hook_connection)
    when_imported("psycopg.transaction", _hook_transaction)
    when_imported("psycopg.connection_async", _hook_async_connection)


def _hook_server_side(module: Any) -> None:
    for name in ("ServerCursor", "AsyncServerCursor"):
        cls = getattr(module, name, None)
        if cls is not None and cls not in _hooked:
            _hooked.add(cls)
            asynchronous = name.startswith("Async")
            _hook(cls, ("execute",), asynchronous=asynchronous)
            for fetch in ("fetchone", "fetchmany", "fetchall"):
                _hook_fetch(cls, fetch, asynchronous=asynchronous)


def _hook(cls: Any, names: Any, *, asynchronous: bool) -> None:
    for name in names:
        original = cls.__dict__[name]
        many = name == "executemany"
        setattr(cls, name, (_async_sender if asynchronous else _sender)(original, many))


def _sender(original: Any, many: bool) -> Any:
    @functools.wraps(original)
    def send(self: Any, query: Any, params: Any = None, *args: Any, **kwargs: Any) -> Any:
        sent = _begin(self, query, params, many)
        try:
            result = original(self, query, params, *args, **kwargs)
        except BaseException as error:
            _failed(sent, error)
            raise
        _sent(self, sent)
        return result

    return send


def _async_sender(original: Any, many: bool) -> Any:
    @functools.wraps(original)
    async def send(self: Any, query: Any, params: Any = None, *args: Any, **kwargs: Any) -> Any:
        sent = _begin(self, query, params, many)
        try:
            result = await original(self, query, params, *args, **kwargs)
        except BaseException as error:
            _failed(sent, error)
            raise
        _sent(self, sent)
        return result

    return send


@guarded
def _begin(cursor: Any, query: Any, params: Any, many: bool) -> Statement:
    text = query.as_string(cursor.connection) if hasattr(query, "as_string") else query
    known = many and isinstance(params, (list, tuple))
    first = (params[0] if params else None) if known else None
    return Statement(
        _SYSTEM,
        text,
        first if many else params,
        connection=cursor.connection,
        namespace=cursor.connection.info.dbname,
        many=(len(params) if known else 0) if many else None,
    )


@guarded
def _sent(cursor: Any, sent: Statement | None) -> None:
    if sent is None:
        return
    server_side = hasattr(cursor, "scrollable")
    columns = columns_of(cursor.description)
    result = cursor.pgresult
    if server_side:
        _open[cursor] = sent
    # 2 and 3 are INTRANS and INERROR.
    sent.leaves_open(cursor.connection.info.transaction_status in (2, 3))
    rows = None if server_side else (result.ntuples if result is not None else 0)
    sent.sent(columns, rows, None if server_side else cursor.rowcount)


@guarded
def _failed(sent: Statement | None, error: BaseException) -> None:
    if sent is not None:
        sent.failed(error)


def _hook_fetch(cls: Any, name: str, *, asynchronous: bool) -> None:
    original = getattr(cls, name)

    @functools.wraps(original)
    def fetch(self: Any, *args: Any, **kwargs: Any) -> Any:
        started_ns = clock.now_ns()
        result = original(self, *args, **kwargs)
        _fetched(self, result, started_ns, name)
        return result

    @functools.wraps(original)
    async def fetch_async(self: Any, *args: Any, **kwargs: Any) -> Any:
        started_ns = clock.now_ns()
        result = await original(self, *args, **kwargs)
        _fetched(self, result, started_ns, name)
        return result

    setattr(cls, name, fetch_async if asynchronous else fetch)


@guarded
def _fetched(cursor: Any, result: Any, started_ns: int, name: str) -> None:
    sent = _open.get(cursor)
    if sent is not None:
        rows = len(result) if isinstance(result, list) else int(result is not None)
        sent.fetched(rows, started_ns, last=name == "fetchall" or not rows)


def _hook_connection(module: Any) -> None:
    for name in ("commit", "rollback"):
        wrap(module.Connection, name, functools.partial(_boundary, name.upper()))


def _hook_async_connection(module: Any) -> None:
    for name in ("commit", "rollback"):
        wrap_async(module.AsyncConnection, name, functools.partial(_boundary, name.upper()))


def _hook_transaction(module: Any) -> None:
    """`with connection.transaction()` sends its BEGIN and COMMIT past `commit()`; an inner one is a savepoint."""
    wrap(module.Transaction, "__enter__", _begins, _begun)
    wrap(module.Transaction, "__exit__", _ends)
    wrap_async(module.AsyncTransaction, "__aenter__", _begins, _begun)
    wrap_async(module.AsyncTransaction, "__aexit__", _ends)


def _begins(transaction: Any) -> Any:
    return _boundary("BEGIN", transaction.connection, begins=True)


def _begun(span: Any, result: Any, transaction: Any) -> None:
    span.attributes["perfcrew.db.in_transaction"] = True


def _ends(transaction: Any, kind: Any = None, *_: Any) -> Any:
    if not getattr(transaction, "_outer_transaction", False):
        return None
    return _boundary("COMMIT" if kind is None else "ROLLBACK", transaction.connection)


def _boundary(name: str, connection: Any, *, begins: bool = False) -> Any:
    # 0 is IDLE: there is no transaction to end, and no round trip.
    if (connection.info.transaction_status == 0) is not begins:
        return None
    return statement.operation(_SYSTEM, name, connection, connection.info.dbname)
