"""SIGTERM and Ctrl-C, so that both leave room for the clean-up."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def terminating() -> Iterator[None]:
    """Turn the first SIGTERM or SIGINT into a cancelled task (in a running loop) or a KeyboardInterrupt.

    Later ones are passed over, so that the clean-up is never cut short. Leaves by KeyboardInterrupt, whose argument is
    the signal's number. Main thread only.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("signals are handled in the main thread only")
    task = _current_task()
    got: list[int] = []

    def on_signal(number: int, frame: Any) -> None:
        if got:
            return
        got.append(number)
        if task is None:
            raise KeyboardInterrupt(number)
        task.get_loop().call_soon_threadsafe(task.cancel)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except asyncio.CancelledError:
        if got:
            raise KeyboardInterrupt(got[0]) from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
