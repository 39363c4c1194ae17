"""Memory allocated between two moments, by line, through tracemalloc. Costs several times the speed meanwhile."""

from __future__ import annotations

import gc
import operator
import tracemalloc
from typing import Any

from . import callsite

_DEPTH = 12
_MOST_LINES = 30
_before: tracemalloc.Snapshot | None = None


def start() -> dict[str, Any]:
    """Begin to trace; what lives already is not counted."""
    global _before
    gc.collect()
    tracemalloc.start(_DEPTH)
    _before = tracemalloc.take_snapshot()
    return {"started": True}


def stop() -> dict[str, Any]:
    """The lines whose memory is still held: [file, line, bytes, blocks], most bytes first.

    The line is the innermost one of the application, or the allocating one where it had no part.
    """
    global _before
    if _before is None or not tracemalloc.is_tracing():
        raise RuntimeError("allocations.start was not asked before")
    gc.collect()
    after, before, _before = tracemalloc.take_snapshot(), _before, None
    tracemalloc.stop()
    held: dict[tuple[str, int], list[int]] = {}
    for difference in after.compare_to(before, "traceback"):
        if difference.size_diff > 0:
            entry = held.setdefault(_line(difference.traceback), [0, 0])
            entry[0] += difference.size_diff
            entry[1] += difference.count_diff
    lines = [(file, line, size, count) for (file, line), (size, count) in held.items()]
    return {"lines": sorted(lines, key=operator.itemgetter(2), reverse=True)[:_MOST_LINES]}


def _line(traceback: Any) -> tuple[str, int]:
    frames = list(traceback)
    # A traceback is oldest first.
    for frame in reversed(frames):
        if callsite.role(frame.filename) == callsite.APP:
            return frame.filename, frame.lineno
    return frames[-1].filename, frames[-1].lineno
