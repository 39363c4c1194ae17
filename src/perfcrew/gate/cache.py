"""The tables of the cache server: each look of the ledger is there, whole, and each cell holds what its column says."""

from __future__ import annotations

from collections.abc import Iterator

from perfcrew.core import cache_table as table
from perfcrew.core.columns import GENERAL
from perfcrew.core.evidence import CacheServer, Evidence, Measurement
from perfcrew.core.prose import Prose, Ref
from perfcrew.core.report import CacheLook, CacheRow, CacheUse, Report
from perfcrew.gate.held import Held


def miscounted(report: Report, held: Held) -> Iterator[str]:
    """What of the tables is not the ledger's, or is kept back."""
    there = {e.id: e for e in held.of("cache server", GENERAL)}
    looks = report.cache.looks if report.cache else ()
    if [look.evidence for look in looks] != list(there):
        yield "its looks at the server are not those of the ledger"
        return
    for look in looks:
        yield from (f"after {look.after}: {reason}" for reason in _mistaken(look, there[look.evidence]))
    if report.cache:
        yield from _ratio(report.cache, held)


def _mistaken(look: CacheLook, item: Evidence) -> Iterator[str]:
    assert isinstance(item.body, CacheServer)
    given, wanted = (look.server, *look.groups, *look.slow), list(table.rows(item.body))
    if (look.after, len(look.groups), len(given)) != (table.after(item), len(item.body.groups), len(wanted)):
        yield "its rows are not those of the ledger"
        return
    for row, expected in zip(given, wanted, strict=True):
        yield from _misplaced(row, expected, item.id, item.body)
    quoted = [q.ref for q in (look.version, look.policy, *look.refused)]
    fields = ("version", "policy", *(f"refused.{name}" for name in item.body.refused))
    if quoted != [Ref(evidence=item.id, field=f) for f in fields]:
        yield "what it says of the server's settings is not the ledger's"
    if item.body.evicted_count and not any(r.field == "evicted_count" for f in look.said.figures for r in f.refs):
        yield "keys were evicted, and no sentence tells it"


def _misplaced(row: CacheRow, wanted: table.Row, evidence: str, body: CacheServer) -> Iterator[str]:
    if [name.ref for name in row.names] != [Ref(evidence=evidence, field=path) for path in wanted.names]:
        yield f"a row is not named as {', '.join(wanted.names)}"
    if len(row.cells) != len(wanted.fields):
        yield "a row has more cells or fewer than its table has columns"
        return
    for cell, path in zip(row.cells, wanted.fields, strict=True):
        if table.number(body, path) is None:
            if cell != Prose(text=table.NOT_TOLD):
                yield f"“{cell.text}” stands where the server told no {path}"
        elif not _is_figure(cell, Ref(evidence=evidence, field=path)):
            yield f"“{cell.text}” does not cite {path}"


def _is_figure(cell: Prose, ref: Ref) -> bool:
    """Whether the text is that one number, and nothing beside it."""
    spans = [(f.start, f.end, f.derivation, f.refs) for f in cell.figures]
    return spans == [(0, len(cell.text), "value", (ref,))]


def _ratio(use: CacheUse, held: Held) -> Iterator[str]:
    item = held.baseline(GENERAL, "cache.hit_ratio")
    known = item is not None and isinstance(item.body, Measurement) and "value" in item.body.statistics
    expected = Ref(evidence=item.id, field="statistics.value.value") if item and known else None
    if expected is None and use.hit_ratio.text:
        yield f"“{use.hit_ratio.text}” is no ratio of this run"
    if expected is not None and not _is_figure(use.hit_ratio, expected):
        yield f"“{use.hit_ratio.text}” is not the hit ratio of the workload"
