"""What a request loads through SQLAlchemy, and what of it is really read.

Loaded: instances by class, and bytes by column of the values that came. Read: the mapped attributes that were
asked for from outside SQLAlchemy. Both are noted for a request only, and written at its end.
"""

from __future__ import annotations

from typing import Any

from . import request, writer
from .guard import guarded
from .imports import when_imported
from .request import Request

_PLAIN_BYTES = 8


def install() -> None:
    request.on_begin.append(_begin)
    request.on_end.append(_end)
    when_imported("sqlalchemy.orm", _hook)


class _Record:
    def __init__(self) -> None:
        self.loaded: dict[str, dict[str, Any]] = {}
        self.read: set[str] = set()


def _begin(under_way: Request) -> None:
    under_way.orm = _Record()


def _end(under_way: Request) -> None:
    record = under_way.orm
    if record is not None and (record.loaded or record.read):
        entry = {"type": "orm", "trace": under_way.trace, "loaded": record.loaded, "read": sorted(record.read)}
        writer.emit(entry)


def _hook(module: Any) -> None:
    from sqlalchemy import event
    from sqlalchemy.orm import attributes

    event.listen(module.Mapper, "load", _loaded)
    event.listen(module.Mapper, "refresh", _refreshed)
    _hook_reads(attributes.InstrumentedAttribute)


def _hook_reads(descriptor: Any) -> None:
    original = descriptor.__get__

    def get(self: Any, instance: Any, owner: Any) -> Any:
        if instance is not None:
            _read(self, instance)
        return original(self, instance, owner)

    descriptor.__get__ = get


@guarded
def _read(attribute: Any, instance: Any) -> None:
    under_way = request.current.get()
    if under_way is not None and under_way.orm is not None:
        under_way.orm.read.add(f"{type(instance).__name__}.{attribute.key}")


@guarded
def _loaded(instance: Any, context: Any) -> None:
    _count(instance, None)


@guarded
def _refreshed(instance: Any, context: Any, names: Any) -> None:
    _count(instance, names)


def _count(instance: Any, names: Any) -> None:
    under_way = request.current.get()
    if under_way is None or under_way.orm is None:
        return
    mapper = instance.__mapper__
    entry = under_way.orm.loaded.setdefault(type(instance).__name__, _entry(mapper))
    entry["instances"] += names is None
    columns, values = entry["columns"], instance.__dict__
    for key in tuple(mapper.column_attrs.keys()):
        if key in values and (names is None or key in names):
            columns[key] = columns.get(key, 0) + _bytes(values[key])


def _entry(mapper: Any) -> dict[str, Any]:
    return {"table": getattr(mapper.local_table, "name", None), "instances": 0, "columns": {}}


def _bytes(value: Any) -> int:
    """About what the value takes on the wire."""
    if value is None:
        return 0
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "replace"))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return len(value)
    if isinstance(value, (dict, list, tuple)):
        return len(repr(value))
    return _PLAIN_BYTES
