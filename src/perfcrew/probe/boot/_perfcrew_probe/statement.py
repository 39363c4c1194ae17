"""One statement sent to a database: when it began, what came back, and the moment at which it is over.

A statement's span lasts as long as the driver was busy with it: the call that sent it and the calls that fetched
its rows, not the work that the application did in between. It is written when the rows are used up, the cursor is
closed or used again, or the request ends.
"""

from __future__ import annotations

import datetime
import decimal
import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from . import carrier, clock, request
from .guard import guarded

_VALUE_CHARS = 200
_MOST_VALUES = 200
_TEXT_CHARS = 20_000
_FIRST_WORD = re.compile(r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*([a-zA-Z]+)", re.DOTALL)
_BOUNDARIES = frozenset(["BEGIN", "START", "COMMIT", "ROLLBACK", "END"])
# What ORMs, drivers and frameworks ask for themselves.
_FRAMEWORK_WORDS = frozenset(["SAVEPOINT", "RELEASE", "PRAGMA", "SHOW", "SET", "DISCARD", "DEALLOCATE"])
_FRAMEWORK_TEXT = re.compile(
    r"^\s*SELECT QUOTE\(|sqlite_compileoption_used\(|\bsqlite_(?:master|schema)\b|pg_catalog\.|\bpg_type\b"
    r"|information_schema\."
    r"|current_schema\(\)|current_setting\('jit'\)|last_insert_rowid\(\)|^\s*ROLLBACK TO|^\s*SELECT CAST\('test",
    re.IGNORECASE,
)


class Statement:
    """From its begin on; `system` as in OpenTelemetry's db.system.name."""

    def __init__(
        self,
        system: str,
        text: Any,
        parameters: Any = None,
        *,
        connection: Any = None,
        namespace: str | None = None,
        many: int | None = None,
    ) -> None:
        sql = _text(text)
        operation = operation_of(sql)
        attributes = {
            "db.system.name": system,
            "db.namespace": namespace,
            "db.operation.name": operation,
            "perfcrew.db.connection": format(id(connection), "x") if connection is not None else None,
            "perfcrew.db.executemany": many,
        }
        if operation not in _BOUNDARIES or _is_savepoint(sql):
            attributes.update(described(sql, parameters))
        else:
            attributes["perfcrew.framework"] = True
        self.span = carrier.current().start("database", operation or system, attributes)
        self._busy_ns = 0
        self.rows = 0
        under_way = request.current.get()
        if under_way is not None and not under_way.span.ended:
            under_way.closers.append(self.end)

    def sent(self, columns: list[str] | None = None, rows: int | None = None, written: int | None = None) -> None:
        """The driver's call came back. Without columns there are no rows to wait for; with `rows` all are here.

        `written` are the rows that it changed, by the driver's count; below zero where the driver has none.
        """
        self._busy_ns = clock.now_ns() - self.span.start_ns
        if columns is None and written is not None and written >= 0:
            self.span.attributes["perfcrew.db.written_rows"] = written
        if columns is not None:
            self.span.attributes["perfcrew.db.columns"] = columns
        if columns is None or rows is not None:
            self.rows = rows or 0
            self.end()

    def leaves_open(self, transaction: bool) -> None:
        """Say whether the connection is within a transaction now that the statement was sent."""
        if transaction:
            self.span.attributes["perfcrew.db.in_transaction"] = True

    def failed(self, error: BaseException) -> None:
        self._busy_ns = clock.now_ns() - self.span.start_ns
        self.span.fail(error)
        self.end()

    def fetched(self, rows: int, started_ns: int, last: bool = False) -> None:
        """Rows came in a call that began at `started_ns`; `last` where there are no more."""
        self.rows += rows
        self._busy_ns += clock.now_ns() - started_ns
        if last:
            self.end()

    @guarded
    def end(self) -> None:
        if not self.span.ended:
            self.span.attributes["db.response.returned_rows"] = self.rows
            self.span.end(self.span.start_ns + self._busy_ns if self._busy_ns else None)

    def __del__(self) -> None:
        self.end()


def described(sql: str, parameters: Any) -> dict[str, Any]:
    """The attributes that a statement's text and parameters give."""
    return {
        "db.query.text": sql[:_TEXT_CHARS],
        "perfcrew.db.parameters": None if parameters is None else json.dumps(shown(parameters)),
        "perfcrew.db.parameters_digest": None if parameters is None else digest(parameters),
        "perfcrew.framework": True if is_framework(sql) else None,
    }


def operation_of(sql: str) -> str:
    """The statement's first word in capitals, "" where there is none."""
    found = _FIRST_WORD.match(sql)
    return found.group(1).upper() if found else ""


def is_framework(sql: str) -> bool:
    return operation_of(sql) in _FRAMEWORK_WORDS or _FRAMEWORK_TEXT.search(sql) is not None


def _is_savepoint(sql: str) -> bool:
    return re.match(r"\s*ROLLBACK\s+TO\b", sql, re.IGNORECASE) is not None


def _text(text: Any) -> str:
    if isinstance(text, bytes):
        return text.decode("utf-8", "replace")
    return text if isinstance(text, str) else str(text)


def shown(parameters: Any) -> Any:
    """Values as JSON can hold them: long text cut, what has no plain form as None."""
    if isinstance(parameters, Mapping):
        return {str(key): _shown(value) for key, value in list(parameters.items())[:_MOST_VALUES]}
    if isinstance(parameters, (list, tuple)):
        return [_shown(value) for value in parameters[:_MOST_VALUES]]
    return None


def _shown(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return value[:_VALUE_CHARS]
    if isinstance(value, (datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, uuid.UUID)):
        return str(value)
    if isinstance(value, (list, tuple)) and len(value) <= _MOST_VALUES:
        return [_shown(one) for one in value]
    return None


def digest(parameters: Any) -> str:
    """Tells equal parameters from others; not for secrecy."""
    return hashlib.sha1(repr(parameters).encode("utf-8", "replace"), usedforsecurity=False).hexdigest()[:16]


def columns_of(description: Iterable[Any] | None) -> list[str] | None:
    """Column names of a DB-API cursor's description."""
    return None if description is None else [str(column[0]) for column in description]


@guarded
def begin(*args: Any, **kwargs: Any) -> Statement | None:
    """As `Statement(…)`, but None where describing it failed."""
    return Statement(*args, **kwargs)


def operation(system: str, name: str, connection: Any = None, namespace: str | None = None) -> carrier.Span:
    """A span for CONNECT, COMMIT or ROLLBACK: a round trip without a statement."""
    attributes = {
        "db.system.name": system,
        "db.namespace": namespace,
        "db.operation.name": name,
        "perfcrew.db.connection": format(id(connection), "x") if connection is not None else None,
    }
    return carrier.current().start("database", name, attributes)
