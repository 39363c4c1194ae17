"""Call a function when a module has been imported, without importing it ourselves."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from typing import Any, Callable

from . import writer
from .guard import report

Hook = Callable[[Any], Any]
_hooks: dict[str, list[Hook]] = {}
_hooks_by_ending: dict[str, list[Hook]] = {}
_looking: list[str] = []
#: What a hook gives back for a module that is not what it looked like by its name.
NOT_OURS = object()


def when_imported(name: str, hook: Hook) -> None:
    """Call `hook(module)` right after module `name` ran, or now where it already did."""
    _hooks.setdefault(name, []).append(hook)
    module = sys.modules.get(name)
    if module is not None:
        _run(name, module, [hook])


def when_imported_as(ending: str, hook: Hook) -> None:
    """As `when_imported`, for every module whose last name is `ending`, in whatever package it lies."""
    _hooks_by_ending.setdefault(ending, []).append(hook)
    for name, module in list(sys.modules.items()):
        if _ending(name) == ending and module is not None:
            _run(name, module, [hook])


def _ending(name: str) -> str:
    return name.rpartition(".")[2]


def _hooks_of(name: str) -> list[Hook]:
    return _hooks.get(name, []) + _hooks_by_ending.get(_ending(name), [])


def install() -> None:
    sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds nothing itself: asks the other finders, then lets the loader they found call our hooks."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name in _looking or not _hooks_of(name):
            return None
        _looking.append(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            _looking.remove(name)
        if spec is not None and spec.loader is not None:
            _extend(spec.loader, name)
        return spec


def _extend(loader: Any, name: str) -> None:
    """Let this loader run the hooks after the module. The loader stays the one that the import system made."""
    original = loader.exec_module

    def exec_module(module: Any) -> None:
        original(module)
        # Some loaders serve many modules.
        if module.__name__ == name:
            _run(name, module, _hooks_of(name))

    try:
        loader.exec_module = exec_module
    except (AttributeError, TypeError) as error:
        report("import hook of " + name, error)


def _run(name: str, module: Any, hooks: list[Hook]) -> None:
    for hook in hooks:
        if _succeeds(hook, module, name):
            writer.patched(name.split(".")[0].lstrip("_"))


def _succeeds(hook: Hook, module: Any, name: str) -> bool:
    try:
        return hook(module) is not NOT_OURS
    # The target is importing this library: our failure must not become its ImportError.
    except Exception as error:  # noqa: BLE001
        report("hook of " + name, error)
        return False
