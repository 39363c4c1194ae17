"""Remember who asked, where code starts with no caller: in a task of its own, or in a thread.

`gather(client.get(a), client.get(b))` makes tasks whose stacks begin in the library; Django's async ORM runs its
statements in a thread. The line of the application is on the stack of the one who created them. A thread of a pool
begins with an empty context: what a request hands to it gets the request's own.
"""

from __future__ import annotations

import contextvars
import functools
from typing import Any

from . import callsite, request
from .guard import guarded
from .imports import when_imported

_TASKS = ("create_task", "ensure_future", "_ensure_future")


def install() -> None:
    when_imported("asyncio", _hook_asyncio)
    when_imported("concurrent.futures.thread", _hook_pool)
    when_imported("asgiref.sync", lambda module: _wrap_async(module.SyncToAsync, "__call__"))
    when_imported("anyio.to_thread", lambda module: _wrap_async(module, "run_sync"))


def _hook_asyncio(module: Any) -> None:
    for name in _TASKS:
        original = getattr(module.tasks, name, None)
        if original is None:
            continue
        replacement = _remembering(original, coroutine_at=0)
        setattr(module.tasks, name, replacement)
        if hasattr(module, name):
            setattr(module, name, replacement)
    group = getattr(module, "TaskGroup", None)
    if group is not None:
        group.create_task = _remembering(group.create_task, coroutine_at=1)
    if hasattr(module, "to_thread"):
        _wrap_async(module, "to_thread")


def _hook_pool(module: Any) -> None:
    original = module.ThreadPoolExecutor.submit

    @functools.wraps(original)
    def submit(self: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
        return original(self, _carried(function) or function, *args, **kwargs)

    module.ThreadPoolExecutor.submit = submit


@guarded
def _carried(function: Any) -> Any:
    """`function`, to be run with context and stack of the request that hands it over; None where there is none."""
    if request.current.get() is None:
        return None
    context = contextvars.copy_context()
    context.run(callsite.spawned.set, callsite.stack())
    return functools.partial(context.run, function)


def _remembering(original: Any, coroutine_at: int) -> Any:
    @functools.wraps(original)
    def create(*args: Any, **kwargs: Any) -> Any:
        token = _remember_for(args[coroutine_at] if len(args) > coroutine_at else None)
        try:
            return original(*args, **kwargs)
        finally:
            _forget(token)

    return create


def _wrap_async(owner: Any, name: str) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    async def call(*args: Any, **kwargs: Any) -> Any:
        token = _remember()
        try:
            return await original(*args, **kwargs)
        finally:
            _forget(token)

    setattr(owner, name, call)


def _remember_for(coroutine: Any) -> Any:
    """For a coroutine of the application nothing is needed: its own frame will be on the stack."""
    code = getattr(coroutine, "cr_code", None)
    if code is None or callsite.role(code.co_filename) == callsite.APP:
        return None
    return _remember()


@guarded
def _remember() -> Any:
    return callsite.spawned.set(callsite.stack())


@guarded
def _forget(token: Any) -> None:
    if token is not None:
        callsite.spawned.reset(token)
