"""asyncpg, at its protocol: the one place that every statement passes, however it was prepared.

`Connection.fetch`, a prepared statement's `fetch` (what SQLAlchemy uses) and cursors all end in
`Protocol.bind_execute`; hooking it gives one span each, with the columns of the prepared statement. A cursor
fetches its portal in portions: they are added to the statement that opened it.
"""

from __future__ import annotations

import functools
from typing import Any

from . import clock
from .guard import guarded
from .imports import when_imported
from .statement import Statement

_SYSTEM = "postgresql"


def install() -> None:
    when_imported("asyncpg.protocol.protocol", _hook)
    when_imported("asyncpg.connection", _hook_connection)


def _hook(module: Any) -> None:
    protocol = module.Protocol
    _wrap(protocol, "bind_execute", _begin_bound)
    _wrap(protocol, "bind_execute_many", _begin_many)
    _wrap(protocol, "bind", _begin_bound)
    _wrap(protocol, "query", _begin_simple)
    _wrap_fetch(protocol)
    _wrap_close(protocol)


def _hook_connection(module: Any) -> None:
    original = module.Connection.__init__

    @functools.wraps(original)
    def initialise(self: Any, protocol: Any, *args: Any, **kwargs: Any) -> None:
        original(self, protocol, *args, **kwargs)
        _remember(self, protocol)

    module.Connection.__init__ = initialise


@guarded
def _remember(connection: Any, protocol: Any) -> None:
    # The protocol keeps its connection's parameters where Python cannot read them.
    protocol.perfcrew_namespace = connection._params.database
    protocol.perfcrew_portals = {}


def _wrap(owner: Any, name: str, begin: Any) -> None:
    original = getattr(owner, name)
    guarded_begin = guarded(begin)

    @functools.wraps(original)
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        sent = guarded_begin(self, *args, **kwargs)
        try:
            result = await original(self, *args, **kwargs)
        except BaseException as error:
            _failed(sent, error)
            raise
        _sent(self, sent, {**dict(zip(("state", "args", "portal_name"), args)), **kwargs}, result)
        return result

    setattr(owner, name, call)


def _begin_bound(protocol: Any, state: Any, args: Any = (), *_: Any, **__: Any) -> Statement:
    return _statement(protocol, state.query, args)


def _begin_many(protocol: Any, state: Any, args: Any = (), *_: Any, **__: Any) -> Statement:
    known = isinstance(args, (list, tuple))
    first = args[0] if known and args else None
    return _statement(protocol, state.query, first, many=len(args) if known else 0)


def _begin_simple(protocol: Any, query: Any, *_: Any, **__: Any) -> Statement:
    return _statement(protocol, query, None)


def _statement(protocol: Any, query: Any, parameters: Any, many: int | None = None) -> Statement:
    namespace = getattr(protocol, "perfcrew_namespace", None)
    return Statement(_SYSTEM, query, parameters, connection=protocol, namespace=namespace, many=many)


@guarded
def _sent(protocol: Any, sent: Statement | None, given: dict[str, Any], result: Any) -> None:
    if sent is None:
        return
    columns = _columns(given.get("state"))
    sent.leaves_open(protocol.is_in_transaction())
    portal = given.get("portal_name")
    if portal:
        protocol.perfcrew_portals[portal] = sent
        sent.sent(columns)
        sent.rows = _rows(result)
    else:
        sent.sent(columns, _rows(result), _written(result))


def _rows(result: Any) -> int:
    """With `return_extra` the rows come first in a tuple; without rows there is a status."""
    rows = result[0] if isinstance(result, tuple) else result
    return len(rows) if isinstance(rows, list) else 0


def _written(result: Any) -> int:
    """The count that ends a status such as `UPDATE 5`; below zero where there is none."""
    status = result[1] if isinstance(result, tuple) and len(result) > 1 else result
    text = status.decode() if isinstance(status, bytes) else status if isinstance(status, str) else ""
    count = text.rpartition(" ")[2]
    return int(count) if count.isdigit() else -1


def _columns(state: Any) -> Any:
    described = getattr(state, "_get_attributes", None)
    names = [] if described is None else [attribute.name for attribute in described()]
    return names or None


@guarded
def _failed(sent: Statement | None, error: BaseException) -> None:
    if sent is not None:
        sent.failed(error)


def _wrap_fetch(owner: Any) -> None:
    original = owner.execute

    @functools.wraps(original)
    async def execute(self: Any, state: Any, portal_name: Any, *args: Any, **kwargs: Any) -> Any:
        started_ns = clock.now_ns()
        result = await original(self, state, portal_name, *args, **kwargs)
        _fetched(self, portal_name, result, started_ns)
        return result

    owner.execute = execute


@guarded
def _fetched(protocol: Any, portal_name: str, result: Any, started_ns: int) -> None:
    sent = protocol.perfcrew_portals.get(portal_name)
    if sent is not None:
        sent.fetched(_rows(result), started_ns, last=bool(isinstance(result, tuple) and result[-1]))


def _wrap_close(owner: Any) -> None:
    original = owner.close_portal

    @functools.wraps(original)
    async def close_portal(self: Any, portal_name: Any, *args: Any, **kwargs: Any) -> Any:
        _closed(self, portal_name)
        return await original(self, portal_name, *args, **kwargs)

    owner.close_portal = close_portal


@guarded
def _closed(protocol: Any, portal_name: str) -> None:
    sent = protocol.perfcrew_portals.pop(portal_name, None)
    if sent is not None:
        sent.end()
