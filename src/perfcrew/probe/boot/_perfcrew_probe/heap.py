"""Live objects by type, and the containers that live as long as the process does."""

from __future__ import annotations

import collections
import gc
import sys
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

from . import callsite

_MOST_TYPES = 2_000
_MOST_CONTAINERS = 20
_SHORTEST = 8
_CONTAINERS = (dict, list, set, collections.deque)
# Python's own tables, in every process.
_OWN_NAMES = frozenset(["__builtins__", "__annotations__", "__dict__", "__path__", "__slots__"])


class _Container(NamedTuple):
    kind: str
    length: int
    where: str


def census() -> dict[str, Any]:
    """Counts after a full collection, so that what is merely waiting for it is not counted."""
    gc.collect()
    counts: dict[str, int] = {}
    for one in gc.get_objects():
        name = _type_name(type(one))
        counts[name] = counts.get(name, 0) + 1
    most = sorted(counts.items(), key=lambda item: -item[1])[:_MOST_TYPES]
    return {"types": dict(most), "containers": [_shown(one) for one in containers()]}


def containers() -> list[_Container]:
    """The longest containers held by modules and classes, and the fillings of their lru_caches."""
    found: dict[int, _Container] = {}
    for name, module in list(sys.modules.items()):
        if isinstance(module, types.ModuleType) and _is_watched(module):
            for container in _of_module(name, module):
                found.setdefault(hash(container.where), container)
    long = [one for one in found.values() if one.length >= _SHORTEST]
    return sorted(long, key=lambda one: -one.length)[:_MOST_CONTAINERS]


def _shown(container: _Container) -> dict[str, Any]:
    return {"type": container.kind, "len": container.length, "where": container.where}


def _type_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _is_watched(module: types.ModuleType) -> bool:
    """The application's modules; a library's tables are long and do not grow with requests."""
    file = module.__dict__.get("__file__")
    return isinstance(file, str) and callsite.role(file) == callsite.APP


def _of_module(name: str, module: types.ModuleType) -> Iterator[_Container]:
    for key, value in list(vars(module).items()):
        if key in _OWN_NAMES:
            continue
        where = f"{name}.{key}"
        yield from _of_value(where, value)
        if isinstance(value, type) and value.__module__ == name:
            for attribute, held in list(vars(value).items()):
                if attribute not in _OWN_NAMES:
                    yield from _of_value(f"{where}.{attribute}", held)
        elif type(value).__module__ == name:
            yield from _of_instance(where, value)


def _of_instance(where: str, instance: Any) -> Iterator[_Container]:
    """An object of the application that a module holds: its attributes, one level down."""
    # Not `vars()`: a proxy would answer for the object that it stands for.
    held = type(instance).__dict__.get("__dict__")
    attributes = held.__get__(instance) if isinstance(held, types.GetSetDescriptorType) else {}
    for name, value in list(attributes.items()):
        yield from _of_value(f"{where}.{name}", value)


def _of_value(where: str, value: Any) -> Iterator[_Container]:
    # By `type()`: asking `isinstance` of a proxy would wake it.
    kind = type(value)
    if issubclass(kind, _CONTAINERS):
        yield _Container(kind.__name__, len(value), where)
    elif kind.__name__ == "_lru_cache_wrapper":
        yield _Container("lru_cache", value.cache_info().currsize, where)
    elif issubclass(kind, (staticmethod, classmethod)):
        yield from _of_value(where, value.__func__)
