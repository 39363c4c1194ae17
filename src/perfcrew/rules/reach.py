"""Which rules could not judge, since no table that was measured is as large as they ask: their silence says nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import chain

from perfcrew.core.evidence import Data, OutOfReach, Reach
from perfcrew.core.scene import ApplicationScene, Seen
from perfcrew.rules import book
from perfcrew.rules.limits import Limits, Thresholds


def out_of_reach(app: ApplicationScene, silent: Collection[str], thresholds: Thresholds) -> OutOfReach | None:
    """Of the rules that were `silent`, those that need more rows than there are; None where all could judge.

    A rule names the threshold of its rows as `NEEDS_ROWS`, and may tell by `concerns` whether the application does at
    all what it looks for.
    """
    data = next((scene.data for scene in app.scenes if scene.data), None)
    if data is None or not data.body.after or not _asks(app):
        return None
    table, rows = max(data.body.after.items(), key=lambda item: (item[1], item[0]))
    found = tuple(_wanting(app, rows, silent, thresholds))
    return _told(data, table, rows, found) if found else None


def _asks(app: ApplicationScene) -> bool:
    counts = (traced.seen.body.counts for traced in chain.from_iterable(scene.traced for scene in app.scenes))
    return any(count.statements_count for count in counts)


def _wanting(app: ApplicationScene, rows: int, silent: Collection[str], thresholds: Thresholds) -> Iterator[Reach]:
    for rule in book.rules(silent):
        if rule.needs_rows and (rule.concerns is None or rule.concerns(app)):
            least = Limits(rule.id, thresholds.get(rule.id, {}))[rule.needs_rows]
            if rows < least:
                yield Reach(rule=rule.id, least_rows=round(least))


def _told(data: Seen[Data], table: str, rows: int, found: tuple[Reach, ...]) -> OutOfReach:
    return OutOfReach(rules=found, table=table, largest_rows=rows, data=data.evidence)
