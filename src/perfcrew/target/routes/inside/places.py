"""Where a handler stands: the user's own function behind decorators, partials and classes."""

from __future__ import annotations

import functools
import inspect
import os
from typing import Any

VARIADIC = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS


def unwrapped(function: Any) -> Any:
    """The function behind `functools.wraps`, partials, bound methods and wrappers that don't say what they wrap."""
    for _ in range(30):
        inner = _inner(function)
        if inner is None:
            break
        function = inner
    return function


def _inner(function: Any) -> Any:
    if isinstance(function, functools.partial):
        return function.func
    for name in ("__wrapped__", "__func__"):
        found = getattr(function, name, None)
        if callable(found) and found is not function:
            return found
    return _enclosed(function)


def _enclosed(function: Any) -> Any:
    """What a `(*args, **kwargs)` wrapper closes over, where that is one single function."""
    code = getattr(function, "__code__", None)
    if code is None or code.co_flags & VARIADIC != VARIADIC:
        return None
    found = [cell for cell in _cells(function) if inspect.isfunction(cell) or inspect.iscoroutinefunction(cell)]
    return found[0] if len(found) == 1 else None


def _cells(function: Any) -> list[Any]:
    cells = []
    for cell in getattr(function, "__closure__", None) or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:  # an empty cell: a name that is not bound yet
            continue
    return cells


def closed_over(function: Any, name: str) -> Any:
    """The value that any layer of decorators closes over under this name, None where none does."""
    for _ in range(30):
        code = getattr(function, "__code__", None)
        if code is not None and name in code.co_freevars:
            return function.__closure__[code.co_freevars.index(name)].cell_contents
        inner = _inner(function)
        if inner is None:
            return None
        function = inner
    return None


def place(thing: Any) -> dict[str, Any] | None:
    """File, first line and qualified name of a function or a class; None for what was not written in Python."""
    target = thing if inspect.isclass(thing) else unwrapped(thing)
    if not inspect.isclass(target) and not hasattr(target, "__code__"):
        target = type(target)
    try:
        file = inspect.getsourcefile(target)
        line = target.__code__.co_firstlineno if hasattr(target, "__code__") else inspect.getsourcelines(target)[1]
    except (TypeError, OSError):
        return None
    name = getattr(target, "__qualname__", getattr(target, "__name__", ""))
    return {"file": os.path.abspath(file), "line": max(1, line), "function": name} if file else None


def is_async(function: Any) -> bool:
    target = unwrapped(function)
    return inspect.iscoroutinefunction(target) or inspect.isasyncgenfunction(target)


def method_of(owner: Any, name: str, libraries: tuple[str, ...]) -> Any:
    """A class's method, or the class itself where a library wrote the method."""
    function = getattr(owner, name, None)
    module = getattr(unwrapped(function), "__module__", "") or ""
    return owner if function is None or module.split(".")[0] in libraries else function
