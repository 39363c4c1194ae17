"""psycopg2, through subclasses of its connection and cursor as `sqlite.py` does it: both are C classes.

The names in `psycopg2.extensions` are set to the subclasses, so that the cursors of `psycopg2.extras` derive from
them. A client-side cursor has all rows when `execute` is back (`rowcount`); a named one fetches in portions.
"""

from __future__ import annotations

import functools
from typing import Any, Callable

from . import clock, statement
from .guard import guarded
from .imports import when_imported
from .statement import Statement, columns_of

# For the type checker: what `super()` is, the order of inheritance decides.
_Base: Any = object
_SYSTEM = "postgresql"
_READY = 1


def install() -> None:
    when_imported("psycopg2.extensions", _hook_classes)
    when_imported("psycopg2", _hook_connect)


def _hook_classes(module: Any) -> None:
    cursor = type("cursor", (_Cursor, module.cursor), {"__module__": "psycopg2.extensions"})
    names = {"__module__": "psycopg2.extensions", "default_cursor": cursor}
    module.cursor, module.connection = cursor, type("connection", (_Connection, module.connection), names)


def _hook_connect(module: Any) -> None:
    original = module.connect

    @functools.wraps(original)
    def connect(dsn: Any = None, connection_factory: Any = None, cursor_factory: Any = None, **kwargs: Any) -> Any:
        span = _operation("CONNECT", None)
        try:
            return original(dsn, connection_factory or module.extensions.connection, cursor_factory, **kwargs)
        finally:
            _end(span)

    module.connect = connect


@guarded
def _operation(name: str, connection: Any) -> Any:
    return statement.operation(_SYSTEM, name, connection)


@guarded
def _end(span: Any) -> None:
    if span is not None:
        span.end()


class _Connection(_Base):  # type: ignore[misc]
    """Goes before psycopg2's own connection class in the order of inheritance."""

    default_cursor: Any = None

    def cursor(self, name: Any = None, cursor_factory: Any = None, *args: Any, **kwargs: Any) -> Any:
        factory = cursor_factory or self.cursor_factory or self.default_cursor
        return super().cursor(name, factory, *args, **kwargs)

    def commit(self) -> None:
        self._around("COMMIT", super().commit)

    def rollback(self) -> None:
        self._around("ROLLBACK", super().rollback)

    def _around(self, name: str, call: Callable[[], None]) -> None:
        # Where no transaction has begun nothing is sent.
        span = None if self.status == _READY else _operation(name, self)
        try:
            call()
        finally:
            _end(span)


class _Cursor(_Base):  # type: ignore[misc]
    """Goes before psycopg2's own cursor class in the order of inheritance."""

    perfcrew_statement: Statement | None = None

    def execute(self, query: Any, vars: Any = None) -> Any:
        return self._send(super().execute, query, vars, None)

    def executemany(self, query: Any, vars_list: Any) -> Any:
        known = isinstance(vars_list, (list, tuple))
        return self._send(super().executemany, query, vars_list, len(vars_list) if known else 0)

    def _send(self, call: Any, query: Any, vars: Any, many: int | None) -> Any:
        sent = _begin(self, query, vars, many)
        try:
            result = call(query, vars)
        except BaseException as error:
            _failed(sent, error)
            raise
        _sent(self, sent)
        return result

    def fetchone(self) -> Any:
        return _fetch(self, super().fetchone)

    def fetchmany(self, *args: Any, **kwargs: Any) -> Any:
        return _fetch(self, functools.partial(super().fetchmany, *args, **kwargs))

    def fetchall(self) -> Any:
        return _fetch(self, super().fetchall)

    def close(self) -> None:
        _close(self)
        super().close()


@guarded
def _begin(cursor: Any, query: Any, vars: Any, many: int | None) -> Statement:
    text = query.as_string(cursor.connection) if hasattr(query, "as_string") else query
    first = vars[0] if many else None
    parameters = vars if many is None else first
    namespace = cursor.connection.info.dbname
    return Statement(_SYSTEM, text, parameters, connection=cursor.connection, namespace=namespace, many=many)


@guarded
def _sent(cursor: Any, sent: Statement | None) -> None:
    if sent is None:
        return
    columns = columns_of(cursor.description)
    # 2 and 3 are INTRANS and INERROR.
    sent.leaves_open(cursor.connection.info.transaction_status in (2, 3))
    if cursor.name:
        # A named cursor knows its columns at the first fetch only.
        cursor.perfcrew_statement = sent
        sent.sent(columns or [])
    else:
        sent.sent(columns, cursor.rowcount if columns else 0, cursor.rowcount)


@guarded
def _failed(sent: Statement | None, error: BaseException) -> None:
    if sent is not None:
        sent.failed(error)


def _fetch(cursor: Any, fetch: Callable[[], Any]) -> Any:
    started_ns = clock.now_ns()
    result = fetch()
    _fetched(cursor, result, started_ns)
    return result


@guarded
def _fetched(cursor: Any, result: Any, started_ns: int) -> None:
    sent = cursor.perfcrew_statement
    if sent is not None:
        sent.span.attributes["perfcrew.db.columns"] = columns_of(cursor.description)
        rows = len(result) if isinstance(result, list) else int(result is not None)
        sent.fetched(rows, started_ns, last=not rows)


@guarded
def _close(cursor: Any) -> None:
    if cursor.perfcrew_statement is not None:
        cursor.perfcrew_statement.end()
        cursor.perfcrew_statement = None
