"""sqlite3 and its stand-ins, through subclasses of connection and cursor: the C classes themselves cannot be patched.

Several packages bring an SQLite of their own behind sqlite3's interface (sqlean, pysqlite3, sqlcipher3). They all
descend from one source, whose modules are called `_sqlite3` (the C classes) and `dbapi2`, in whatever package: any
module of these names that has sqlite3's connection, cursor and version is hooked, so that it doesn't matter how it
is reached (SQLAlchemy's `module=`, a `creator`, aiosqlite's connector).

The module's own names are set to the subclasses as soon as it is imported, so that whoever derives from them
(Django's cursor does) stands above the hook, and the statement is seen as it is sent. The shortcut
`connection.execute()` goes the same way. aiosqlite is the same connection in a thread of its own; its hook
carries the context and the stack over.
"""

from __future__ import annotations

import contextvars
import functools
from typing import Any, Callable

from . import callsite, clock, statement
from .guard import guarded
from .imports import NOT_OURS, when_imported, when_imported_as
from .statement import Statement, columns_of

# For the type checker: what `super()` is, the order of inheritance decides.
_Base: Any = object
_SYSTEM = "sqlite"
_FACTORY_POSITION = 5


def install() -> None:
    for name in ("_sqlite3", "dbapi2"):
        when_imported_as(name, _hook)
    when_imported("aiosqlite.core", _hook_aiosqlite)


def _hook(module: Any) -> Any:
    if not _is_sqlite(module):
        return NOT_OURS
    if issubclass(module.Connection, _Connection):
        return None  # `dbapi2` took the names of a `_sqlite3` that is hooked
    cursor = type("Cursor", (_Cursor, module.Cursor), {"__module__": module.Cursor.__module__})
    own = {"__module__": module.Connection.__module__, "default_cursor": cursor}
    connection = type("Connection", (_Connection, module.Connection), own)
    module.Cursor, module.Connection = cursor, connection
    module.connect = _connect(module.connect, connection)
    return None


def _is_sqlite(module: Any) -> bool:
    classes = (getattr(module, name, None) for name in ("Connection", "Cursor"))
    return all(isinstance(one, type) for one in classes) and hasattr(module, "sqlite_version")


def _connect(original: Any, connection: Any) -> Any:
    @functools.wraps(original)
    def connect(*args: Any, **kwargs: Any) -> Any:
        if len(args) <= _FACTORY_POSITION:
            kwargs.setdefault("factory", connection)
        span = _operation("CONNECT", None, _namespace(args, kwargs))
        try:
            made = original(*args, **kwargs)
        finally:
            _end(span)
        _remember(made, _namespace(args, kwargs))
        return made

    return connect


def _namespace(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    database = args[0] if args else kwargs.get("database", "")
    return database.decode("utf-8", "replace") if isinstance(database, bytes) else str(database)


@guarded
def _remember(connection: Any, namespace: str) -> None:
    connection.perfcrew_namespace = namespace


@guarded
def _operation(name: str, connection: Any, namespace: str | None) -> Any:
    return statement.operation(_SYSTEM, name, connection, namespace)


@guarded
def _end(span: Any) -> None:
    if span is not None:
        span.end()


class _Connection(_Base):  # type: ignore[misc]
    """Goes before sqlite3's own connection class in the order of inheritance."""

    perfcrew_namespace: str | None = None
    default_cursor: Any = None

    def cursor(self, factory: Any = None) -> Any:
        return super().cursor(self.default_cursor if factory is None else factory)

    def execute(self, *args: Any) -> Any:
        return self.cursor().execute(*args)

    def executemany(self, *args: Any) -> Any:
        return self.cursor().executemany(*args)

    def executescript(self, *args: Any) -> Any:
        return self.cursor().executescript(*args)

    def commit(self) -> None:
        self._around("COMMIT", super().commit)

    def rollback(self) -> None:
        self._around("ROLLBACK", super().rollback)

    def __exit__(self, kind: Any, value: Any, trace: Any) -> Any:
        leave = functools.partial(super().__exit__, kind, value, trace)
        return self._around("COMMIT" if kind is None else "ROLLBACK", leave)

    def _around(self, name: str, call: Callable[[], Any]) -> Any:
        span = _operation(name, self, self.perfcrew_namespace) if self.in_transaction else None
        try:
            return call()
        finally:
            _end(span)


class _Cursor(_Base):  # type: ignore[misc]
    """Goes before sqlite3's own cursor class in the order of inheritance."""

    perfcrew_statement: Statement | None = None

    def execute(self, sql: Any, *args: Any) -> Any:
        return self._send(super().execute, (sql, *args), args[0] if args else None, None)

    def executemany(self, sql: Any, rows: Any) -> Any:
        known = isinstance(rows, (list, tuple))
        first = rows[0] if known and rows else None
        return self._send(super().executemany, (sql, rows), first, len(rows) if known else 0)

    def executescript(self, script: Any) -> Any:
        return self._send(super().executescript, (script,), None, None)

    def _send(self, call: Any, args: tuple[Any, ...], parameters: Any, many: int | None) -> Any:
        _close(self)
        sent = _begin(self, args[0], parameters, many)
        try:
            result = call(*args)
        except BaseException as error:
            _failed(sent, error)
            raise
        _sent(self, sent, many)
        return result

    def fetchone(self) -> Any:
        started_ns = clock.now_ns()
        row = super().fetchone()
        _fetched(self, int(row is not None), started_ns, row is None)
        return row

    def fetchmany(self, *args: Any, **kwargs: Any) -> Any:
        started_ns = clock.now_ns()
        rows = super().fetchmany(*args, **kwargs)
        _fetched(self, len(rows), started_ns, not rows)
        return rows

    def fetchall(self) -> Any:
        started_ns = clock.now_ns()
        rows = super().fetchall()
        _fetched(self, len(rows), started_ns, True)
        return rows

    def __next__(self) -> Any:
        started_ns = clock.now_ns()
        try:
            row = super().__next__()
        except StopIteration:
            _fetched(self, 0, started_ns, True)
            raise
        _fetched(self, 1, started_ns, False)
        return row

    def close(self) -> None:
        _close(self)
        super().close()


@guarded
def _begin(cursor: Any, sql: Any, parameters: Any, many: int | None) -> Statement:
    connection = cursor.connection
    namespace = getattr(connection, "perfcrew_namespace", None)
    return Statement(_SYSTEM, sql, parameters, connection=connection, namespace=namespace, many=many)


@guarded
def _sent(cursor: Any, sent: Statement | None, many: int | None) -> None:
    if sent is None:
        return
    if many == 0:
        # The rows came from an iterator, which is the target's to read; the driver counted them.
        sent.span.attributes["perfcrew.db.executemany"] = max(cursor.rowcount, 0)
    cursor.perfcrew_statement = sent
    sent.leaves_open(cursor.connection.in_transaction)
    sent.sent(columns_of(cursor.description), written=cursor.rowcount)


@guarded
def _failed(sent: Statement | None, error: BaseException) -> None:
    if sent is not None:
        sent.failed(error)


@guarded
def _fetched(cursor: Any, rows: int, started_ns: int, last: bool) -> None:
    if cursor.perfcrew_statement is not None:
        cursor.perfcrew_statement.fetched(rows, started_ns, last)


@guarded
def _close(cursor: Any) -> None:
    if cursor.perfcrew_statement is not None:
        cursor.perfcrew_statement.end()
        cursor.perfcrew_statement = None


def _hook_aiosqlite(module: Any) -> None:
    execute, connect = module.Connection._execute, module.Connection._connect

    @functools.wraps(execute)
    async def carried_execute(self: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
        return await execute(self, _carried(function) or function, *args, **kwargs)

    @functools.wraps(connect)
    async def carried_connect(self: Any) -> Any:
        self._connector = _carried(self._connector) or self._connector
        return await connect(self)

    module.Connection._execute, module.Connection._connect = carried_execute, carried_connect


@guarded
def _carried(function: Any) -> Any:
    """`function`, to be run in the worker thread with the caller's context and stack."""
    context = contextvars.copy_context()
    if _begins_span(function):
        context.run(callsite.handed.set, callsite.stack())
    return functools.partial(context.run, function)


def _begins_span(function: Any) -> bool:
    """A stack for each cursor made, row fetched and rollback of nothing would be wasted."""
    name = getattr(function, "__name__", "").lstrip("_")
    if name in ("commit", "rollback"):
        return bool(getattr(function.__self__, "in_transaction", True))
    return name.startswith(("execute", "connect"))
