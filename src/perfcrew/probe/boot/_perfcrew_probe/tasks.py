"""Remember who started a task whose coroutine is a library's: `gather(client.get(a), client.get(b))`.

Such a task's stack begins in the library; the line of the application that asked for it is on the stack of the
one who created it.
"""

from __future__ import annotations

import asyncio
import asyncio.tasks
import functools
from typing import Any

from . import callsite
from .guard import guarded

_NAMES = ("create_task", "ensure_future", "_ensure_future")


def install() -> None:
    for name in _NAMES:
        original = getattr(asyncio.tasks, name, None)
        if original is None:
            continue
        replacement = _remembering(original, coroutine_at=0)
        setattr(asyncio.tasks, name, replacement)
        if hasattr(asyncio, name):
            setattr(asyncio, name, replacement)
    group = getattr(asyncio, "TaskGroup", None)
    if group is not None:
        group.create_task = _remembering(group.create_task, coroutine_at=1)


def _remembering(original: Any, coroutine_at: int) -> Any:
    @functools.wraps(original)
    def create(*args: Any, **kwargs: Any) -> Any:
        token = _remember(args[coroutine_at] if len(args) > coroutine_at else None)
        try:
            return original(*args, **kwargs)
        finally:
            _forget(token)

    return create


@guarded
def _remember(coroutine: Any) -> Any:
    code = getattr(coroutine, "cr_code", None)
    if code is None or callsite.role(code.co_filename) == callsite.APP:
        return None
    return callsite.spawned.set(callsite.stack())


@guarded
def _forget(token: Any) -> None:
    if token is not None:
        callsite.spawned.reset(token)
