"""Progress: what a node tells while it works. Surfaces show it; nothing depends on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
Tell = Callable[[dict[str, Any]], None]


@dataclass
class Progress:
    """Tells the stage, what is under way, and how long it may still take (s), estimated from what is done."""

    tell: Tell
    stage: str
    started: float = field(default_factory=time.monotonic)
    until: float | None = None
    """When the stage's time ends, on the monotonic clock: no more than that is left, however much is to be done."""

    def note(self, what: str, done: int = 0, total: int = 0) -> None:
        """One event; `done` of `total` items are finished."""
        passed = time.monotonic() - self.started
        left = passed / done * (total - done) if done and total else None
        if left is not None and self.until is not None:
            left = min(left, max(0.0, self.until - time.monotonic()))
        self.tell({"stage": self.stage, "what": what, "done": done, "total": total, "left_s": left})

    def over(self, items: Iterable[T], name: Callable[[T], str] = str) -> Iterator[T]:
        """Go through the items and tell each one."""
        known = list(items)
        for number, item in enumerate(known):
            self.note(name(item), number, len(known))
            yield item
        self.note("", len(known), len(known))
