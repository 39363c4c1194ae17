"""Says when the event loop is stuck, and in which line.

A beat is scheduled on the running loop again and again; a thread looks whether it is late and, while it is,
samples the stack of the loop's thread. A loop that merely waits for work is not stuck.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from . import asgi, callsite, request, writer
from .guard import guarded

if TYPE_CHECKING:
    import asyncio

_BEAT_S = 0.005
_LATE_S = 0.020
_watched: dict[int, _Watch] = {}


def install() -> None:
    asgi.on_loop.append(_attach)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_watched.clear)


def _attach(loop: asyncio.AbstractEventLoop) -> None:
    if id(loop) not in _watched:
        _watched[id(loop)] = _Watch(loop)


class _Watch:
    """The beat and the watching thread of one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread_id = threading.get_ident()
        self._beaten = time.perf_counter()
        self._beat()
        threading.Thread(target=self._watch, name="perfcrew-watchdog", daemon=True).start()

    def _beat(self) -> None:
        self._beaten = time.perf_counter()
        self._loop.call_later(_BEAT_S, self._beat)

    @guarded
    def _watch(self) -> None:
        while not self._loop.is_closed():
            time.sleep(_BEAT_S)
            beaten = self._beaten
            if time.perf_counter() - beaten > _BEAT_S + _LATE_S:
                self._stuck(beaten)
        _watched.pop(id(self._loop), None)

    def _stuck(self, beaten: float) -> None:
        """Sample until the beat comes back, then write the block with the stack seen first."""
        seen: _Seen | None = None
        while self._beaten == beaten and not self._loop.is_closed():
            seen = seen or self._sample()
            time.sleep(_BEAT_S)
        if seen is None or not seen.stack:
            return
        duration_s = self._beaten - beaten - _BEAT_S
        ended_ns = time.time_ns() - int((time.perf_counter() - self._beaten) * 1e9)
        writer.emit(
            {
                "type": "block",
                "trace": seen.trace,
                "start_ns": ended_ns - int(duration_s * 1e9),
                "duration_ms": round(duration_s * 1e3, 3),
                "stack": seen.stack,
            }
        )
        writer.flush()

    def _sample(self) -> _Seen | None:
        frame = sys._current_frames().get(self._thread_id)
        return None if frame is None else _Seen(callsite.of_frame(frame), _trace_of(frame))


class _Seen:
    def __init__(self, stack: list[Any], trace: str | None) -> None:
        self.stack, self.trace = stack, trace


def _trace_of(frame: Any) -> str | None:
    """The request whose frame lies on the stack, or the only one under way."""
    while frame is not None:
        if frame.f_code is asgi.serve.__code__:
            observed = frame.f_locals.get("observed")
            if observed is not None:
                return str(observed.request.trace)
        frame = frame.f_back
    waiting = list(request.in_flight)
    return waiting[0].trace if len(waiting) == 1 else None
