"""What an index adds to writing its table: rows inserted, changed and deleted on a clone with and without it in turns.

All is rolled back. Rows are copies of the table's own with keys of their own; where a constraint stands in the way,
that is said instead. Whether a kind of write became dearer is said by the pairs, never by two medians.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from statistics import median

from perfcrew.core.advice import WriteCost
from perfcrew.core.sql_candidates import LEAST_ROWS
from perfcrew.instruments.index_times import DEMAND, On, Times
from perfcrew.instruments.sessions import Gone, Refused, Written
from perfcrew.stats.decide import FEWEST, judge

ROWS = LEAST_ROWS
_MOST_PAIRS = 20
_MOST_S = 10.0
"""Fewest pairs are made even where they take longer."""


def cost(times: Times, on: On, new: int, sent: float) -> WriteCost:
    """Of the index `new` beside the set `on`; `sent` are the rows that the workload writes to its table."""
    before: list[Written] = []
    after: list[Written] = []
    try:
        for _ in _turns(before, after):
            sides = [(on, before), (on | {new}, after)]
            for side, kept in sides if len(before) % 2 else reversed(sides):
                kept.append(_written(times, side, new))
    except Gone:
        raise
    except Refused as error:
        return WriteCost(rows_count=0, sent_count=sent, refused=str(error))
    return _cost(before[1:], after[1:], sent)  # the first ones fill the caches


def _turns(before: list[Written], after: list[Written]) -> Iterator[int]:
    """Until every kind is decided, or it has taken long enough."""
    began = time.monotonic()
    for turn in range(_MOST_PAIRS + 1):
        if turn > FEWEST and (time.monotonic() - began > _MOST_S or _decided(before[1:], after[1:])):
            return
        yield turn


def _decided(before: list[Written], after: list[Written]) -> bool:
    return all(v in ("improved", "regressed", "equivalent", "") for v in _verdicts(before, after))


def _verdicts(before: list[Written], after: list[Written]) -> list[str]:
    """Of inserts, updates and deletes; empty where a kind was not written, or its clock stood still."""
    kinds = zip(zip(*before, strict=True), zip(*after, strict=True), strict=True)
    return [_verdict([float(ms) for ms in b], [float(ms) for ms in a]) for b, a in kinds]


def _verdict(before_ms: list[float], after_ms: list[float]) -> str:
    if min(*before_ms, *after_ms) <= 0:
        return ""
    ratios = [math.log(a / b) for b, a in zip(before_ms, after_ms, strict=True)]
    return judge(ratios, DEMAND).verdict or ""


def _written(times: Times, on: On, new: int) -> Written:
    spec = times.built[new].spec
    columns = [*spec.columns, *spec.include, *_named("; ".join((*spec.expressions, spec.where)))]
    with times.only(on):
        return times.db.writes(spec.table, columns, ROWS)


def _named(text: str) -> list[str]:
    """Every word that could be a column: the session knows which are."""
    return list(dict.fromkeys(re.findall(r"\w+", text)))


def _cost(before: list[Written], after: list[Written], sent: float) -> WriteCost:
    inserts, updates, deletes = _verdicts(before, after)
    return WriteCost(
        rows_count=ROWS,
        insert_before_ms=median(w.insert_ms for w in before),
        insert_after_ms=median(w.insert_ms for w in after),
        update_before_ms=median(w.update_ms for w in before),
        update_after_ms=median(w.update_ms for w in after),
        delete_before_ms=median(w.delete_ms for w in before),
        delete_after_ms=median(w.delete_ms for w in after),
        insert_verdict=inserts,
        update_verdict=updates,
        delete_verdict=deletes,
        pairs_count=len(before),
        sent_count=sent,
    )
