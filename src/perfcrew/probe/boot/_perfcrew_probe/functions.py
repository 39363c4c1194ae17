"""Which of the application's functions a request executes, for requests that ask for it by header.

From Python 3.12 on by `sys.monitoring`, before by `sys.setprofile` on the threads that work for such a request.
"""

from __future__ import annotations

import dis
import functools
import os
import sys
import threading
from types import CodeType
from typing import Any

from . import callsite, request, writer
from .imports import when_imported
from .request import RECORD_HEADER, Request

_recording: set[Request] = set()
_lock = threading.Lock()
_of_app: dict[CodeType, bool] = {}
_TOOL = 4


def install() -> None:
    request.on_begin.append(_begin)
    request.on_end.append(_end)
    if _monitoring() is None:
        when_imported("concurrent.futures.thread", _hook_pool)
        when_imported("anyio.to_thread", _hook_anyio)


def _begin(under_way: Request) -> None:
    if under_way.headers.get(RECORD_HEADER) != "functions":
        return
    under_way.functions = set()
    with _lock:
        _recording.add(under_way)
        _switch(True)


def _end(under_way: Request) -> None:
    if under_way.functions is None:
        return
    with _lock:
        _recording.discard(under_way)
        if not _recording:
            _switch(False)
    seen = sorted(_described(code) for code in under_way.functions)
    writer.emit({"type": "functions", "trace": under_way.trace, "functions": seen})


def _described(code: CodeType) -> list[Any]:
    lines = [line for _, line in dis.findlinestarts(code) if line]
    name = getattr(code, "co_qualname", code.co_name)
    return [os.path.abspath(code.co_filename), code.co_firstlineno, max(lines, default=code.co_firstlineno), name]


def _executed(code: CodeType) -> None:
    known = _of_app.get(code)
    if known is None:
        known = _of_app[code] = callsite.role(code.co_filename) == callsite.APP
    if known:
        under_way = request.current.get()
        if under_way is not None and under_way.functions is not None:
            under_way.functions.add(code)


def _monitoring() -> Any:
    return getattr(sys, "monitoring", None)


def _switch(on: bool) -> None:
    monitoring = _monitoring()
    if monitoring is None:
        # Only while a request records: a profile function slows every call of its thread.
        sys.setprofile(_profile if on else None)
        return
    if monitoring.get_tool(_TOOL) is None:
        monitoring.use_tool_id(_TOOL, "perfcrew")
        monitoring.register_callback(_TOOL, monitoring.events.PY_START, _on_start)
        monitoring.register_callback(_TOOL, monitoring.events.PY_RESUME, _on_start)
    events = monitoring.events
    monitoring.set_events(_TOOL, events.PY_START | events.PY_RESUME if on else events.NO_EVENTS)


def _on_start(code: CodeType, offset: int) -> None:
    _executed(code)


def _profile(frame: Any, event: str, argument: Any) -> None:
    if event == "call":
        _executed(frame.f_code)


def _profiled(function: Any) -> Any:
    """`function`, profiled in the worker thread that it will run in, where the request that gives it records."""
    under_way = request.current.get()
    if under_way is None or under_way.functions is None:
        return function

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        before = sys.getprofile()
        # The pool's threads do not always run with the caller's context.
        token = request.current.set(under_way)
        sys.setprofile(_profile)
        try:
            return function(*args, **kwargs)
        finally:
            sys.setprofile(before)
            request.current.reset(token)

    return call


def _hook_pool(module: Any) -> None:
    original = module.ThreadPoolExecutor.submit

    @functools.wraps(original)
    def submit(self: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
        return original(self, _profiled(function), *args, **kwargs)

    module.ThreadPoolExecutor.submit = submit


def _hook_anyio(module: Any) -> None:
    original = module.run_sync

    @functools.wraps(original)
    async def run_sync(function: Any, *args: Any, **kwargs: Any) -> Any:
        return await original(_profiled(function), *args, **kwargs)

    module.run_sync = run_sync
