"""Call a function when a module has been imported, without importing it ourselves."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from typing import Any, Callable

from . import writer
from .guard import report

Hook = Callable[[Any], None]
_hooks: dict[str, list[Hook]] = {}
_looking: list[str] = []


def when_imported(name: str, hook: Hook) -> None:
    """Call `hook(module)` right after module `name` ran, or now where it already did."""
    _hooks.setdefault(name, []).append(hook)
    module = sys.modules.get(name)
    if module is not None:
        _run(name, module, [hook])


def install() -> None:
    sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds nothing itself: asks the other finders, then lets the loader they found call our hooks."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in _hooks or name in _looking:
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
            _run(name, module, _hooks[name])

    try:
        loader.exec_module = exec_module
    except (AttributeError, TypeError) as error:
        report("import hook of " + name, error)


def _run(name: str, module: Any, hooks: list[Hook]) -> None:
    for hook in list(hooks):
        if _succeeds(hook, module, name):
            writer.patched(name.split(".")[0])


def _succeeds(hook: Hook, module: Any, name: str) -> bool:
    try:
        hook(module)
    # The target is importing this library: our failure must not become its ImportError.
    except Exception as error:  # noqa: BLE001
        report("hook of " + name, error)
        return False
    return True
