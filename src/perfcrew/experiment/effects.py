"""Whether the same requests leave the same data behind: the clones of both sides compared table by table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import NamedTuple

from perfcrew.core.answers import EffectsVerdict, Mask, Refusal, TableDifference
from perfcrew.core.web import Plan
from perfcrew.experiment import asking
from perfcrew.experiment.asking import Side, ask, written
from perfcrew.experiment.replies import gaps
from perfcrew.experiment.tables import ALL_ROWS, Snapshot, snapshot, table_differences


async def compare_effects(base: Side, change: Side, plans: Sequence[Plan], mask: Mask) -> EffectsVerdict:
    """Read and then write on both sides, and compare what the databases hold after each.

    Both must have been asked the same since they were started on fresh clones of the same data, and only to read.
    TargetFailed where the base no longer listens.
    """
    for question in asking.reads(plans):
        await ask(base.client, change.client, question.request)
    after_reads = await _both(base, change, mask)
    by_reads = after_reads.differences(mask)
    answers = [refusal async for refusal in compare_writes(base, change, plans, mask)]
    after_writes = await _both(base, change, mask)
    by_writes = [d for d in after_writes.differences(mask) if d.table not in {r.table for r in by_reads}]
    refusals = (*_refused_reads(by_reads), *answers, *_refused_writes(by_writes))
    uncompared = dict(after_writes.uncompared(mask))
    return EffectsVerdict(
        outcome="different" if refusals else "unknown" if _is_blind(after_writes, uncompared) else "equal",
        engine=base.clone.engine,
        tables_count=len(after_writes.base.tables),
        writes_count=len(asking.writes(plans)),
        masked=mask.tables,
        written_by_reads=tuple(d.table for d in by_reads),
        differences=(*by_reads, *by_writes),
        refusals=refusals,
        uncompared=uncompared,
    )


class _Both(NamedTuple):
    base: Snapshot
    change: Snapshot

    def differences(self, mask: Mask) -> list[TableDifference]:
        return table_differences(self.base, self.change, mask)

    def uncompared(self, mask: Mask) -> Iterator[tuple[str, str]]:
        for name, table in self.base.tables.items():
            if ALL_ROWS in mask.tables.get(name, ()):
                yield name, "two runs of the base leave different rows"
            elif table.is_counted_only:
                yield name, f"its {table.rows} rows were only counted"


async def _both(base: Side, change: Side, mask: Mask) -> _Both:
    one = await asyncio.to_thread(snapshot, base.clone, mask)
    return _Both(one, await asyncio.to_thread(snapshot, change.clone, mask))


def _is_blind(after: _Both, uncompared: dict[str, str]) -> bool:
    return not after.base.tables.keys() - uncompared.keys()


async def compare_writes(base: Side, change: Side, plans: Sequence[Plan], mask: Mask) -> AsyncIterator[Refusal]:
    """Ask both the measured requests that may write, and refuse what is answered otherwise."""
    for question in asking.writes(plans):
        replies = await ask(base.client, change.client, question.request)
        found = gaps(replies.base, replies.change, mask.of(question.key))
        if found:
            why = f"{written(question.request)}: {found[0].told}"
            yield Refusal(name="changes an answer", why=why, subject=question.request.endpoint)


def _refused_reads(found: Sequence[TableDifference]) -> Iterator[Refusal]:
    for one in found:
        why = f"after requests that only read, {_told(one)}"
        yield Refusal(name="writes when it is read", why=why)


def _refused_writes(found: Sequence[TableDifference]) -> Iterator[Refusal]:
    for one in found:
        yield Refusal(name="changes what is written", why=f"after the same requests, {_told(one)}")


def _told(one: TableDifference) -> str:
    if one.base_rows is None or one.change_rows is None:
        return f"the table {one.table} is only in the {'change' if one.base_rows is None else 'base'}'s database"
    if one.base_rows != one.change_rows:
        return f"{one.table} has {one.change_rows} rows, the base's {one.base_rows}"
    columns = ", ".join(one.columns) or "combinations of columns"
    return f"{one.table} differs in {columns}, with {one.base_rows} rows on both sides"
