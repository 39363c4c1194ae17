"""What an index adds to writing its table: rows inserted, changed and deleted on a clone with and without it in turns.

All is rolled back. Rows are copies of the table's own with keys of their own; where a constraint stands in the way,
that is said instead.
"""

from __future__ import annotations

import re
from statistics import median

from perfcrew.core.advice import WriteCost
from perfcrew.core.sql_candidates import LEAST_ROWS
from perfcrew.instruments.index_times import On, Times
from perfcrew.instruments.sessions import Gone, Refused, Written

ROWS = LEAST_ROWS
_PAIRS = 5


def cost(times: Times, on: On, new: int, sent: float) -> WriteCost:
    """Of the index `new` beside the set `on`; `sent` are the writes that the workload sends to its table."""
    before: list[Written] = []
    after: list[Written] = []
    try:
        for pair in range(_PAIRS + 1):
            sides = [(on, before), (on | {new}, after)]
            for side, kept in sides if pair % 2 else reversed(sides):
                kept.append(_written(times, side, new))
    except Gone:
        raise
    except Refused as error:
        return WriteCost(rows_count=0, sent_count=sent, refused=str(error))
    return _cost(before[1:], after[1:], sent)  # the first ones fill the caches


def _written(times: Times, on: On, new: int) -> Written:
    spec = times.built[new].spec
    columns = [*spec.columns, *spec.include, *_named("; ".join((*spec.expressions, spec.where)))]
    with times.only(on):
        return times.db.writes(spec.table, columns, ROWS)


def _named(text: str) -> list[str]:
    """Every word that could be a column: the session knows which are."""
    return list(dict.fromkeys(re.findall(r"\w+", text)))


def _cost(before: list[Written], after: list[Written], sent: float) -> WriteCost:
    return WriteCost(
        rows_count=ROWS,
        insert_before_ms=median(w.insert_ms for w in before),
        insert_after_ms=median(w.insert_ms for w in after),
        update_before_ms=median(w.update_ms for w in before),
        update_after_ms=median(w.update_ms for w in after),
        delete_before_ms=median(w.delete_ms for w in before),
        delete_after_ms=median(w.delete_ms for w in after),
        sent_count=sent,
    )
