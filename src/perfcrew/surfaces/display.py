"""Shows a run's progress: a live line with what is left where there is a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Tell = Callable[[dict[str, Any]], None]
_EVERY_S = 5.0


@contextmanager
def display(*, quiet: bool, as_json: bool) -> Iterator[Tell]:
    """A function that takes progress events (`stage`, `what`, `done`, `total`, `left_s`) and shows them on stderr."""
    if quiet:
        yield lambda event: None
    elif as_json:
        yield lambda event: print(json.dumps({"event": "progress", **event}), flush=True)
    elif sys.stderr.isatty():
        with _live() as tell:
            yield _stages(tell)
    else:
        yield _stages(Lines())


def _stages(tell: Tell) -> Tell:
    """People are shown stages; which node has begun is for machines."""
    return lambda event: tell(event) if "stage" in event else None


class Lines:
    """Plain lines: each stage when it begins, and at most one line each few seconds within it."""

    def __init__(self) -> None:
        self._stage, self._said = "", 0.0

    def __call__(self, event: dict[str, Any]) -> None:
        new, now = event["stage"] != self._stage, time.monotonic()
        if not new and now - self._said < _EVERY_S:
            return
        self._stage, self._said = event["stage"], now
        print(text(event), file=sys.stderr, flush=True)


def text(event: dict[str, Any]) -> str:
    """`baseline 12/31 GET /books (about 40 s left)`."""
    count = f" {event['done']}/{event['total']}" if event.get("total") else ""
    what = f"  {event['what']}" if event.get("what") else ""
    left = f"  (about {event['left_s']:.0f} s left)" if event.get("left_s") else ""
    return f"{event['stage']}{count}{what}{left}"


@contextmanager
def _live() -> Iterator[Tell]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("[bold]{task.fields[stage]:<11}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks: dict[str, Any] = {}

        def tell(event: dict[str, Any]) -> None:
            if event["stage"] not in tasks:
                tasks[event["stage"]] = progress.add_task("", total=max(event["total"], 1), stage=event["stage"])
            left = f"about {event['left_s']:.0f} s left  " if event.get("left_s") else ""
            whole = event["total"] or 1
            done = event["done"] if event["total"] else (0 if event["what"] else 1)
            progress.update(
                tasks[event["stage"]], completed=done, total=whole, description=f"{left}{event['what']}"[:70]
            )

        yield tell
