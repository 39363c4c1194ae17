"""What the target's own Redis told: its counters, memory, keys by pattern and slow commands, after each stage."""

from __future__ import annotations

from collections.abc import Iterator

from perfcrew.core import cache_table as table
from perfcrew.core.columns import GENERAL
from perfcrew.core.evidence import CacheServer, Evidence, Measurement
from perfcrew.core.prose import Prose, join, write
from perfcrew.core.report import NOTHING, CacheLook, CacheRow, CacheUse
from perfcrew.report.book import Book, figure, number, quote

_FRAGMENTED = 1.5
_SWAPPED = 0.9
_LEAST_BYTES = 64_000_000
"""Of a server that uses less, what it keeps beside its data is most of what is resident."""


def cache(book: Book) -> CacheUse | None:
    """None where no cache server was looked at."""
    looks = tuple(_look(e, e.body) for e in book.of("cache server", GENERAL) if isinstance(e.body, CacheServer))
    return CacheUse(hit_ratio=_hit_ratio(book), looks=looks) if looks else None


def _hit_ratio(book: Book) -> Prose:
    item = book.baseline(GENERAL, "cache.hit_ratio")
    known = item is not None and isinstance(item.body, Measurement) and "value" in item.body.statistics
    return figure(number(item, "statistics.value.value")) if item and known else NOTHING


def _look(item: Evidence, body: CacheServer) -> CacheLook:
    server, *others = (_row(item, body, row) for row in table.rows(body))
    return CacheLook(
        evidence=item.id,
        after=table.after(item),
        version=quote(item, "version"),
        policy=quote(item, "policy"),
        server=server,
        groups=tuple(others[: len(body.groups)]),
        slow=tuple(others[len(body.groups) :]),
        refused=tuple(quote(item, f"refused.{name}") for name in body.refused),
        said=join(list(_said(item, body))),
    )


def _row(item: Evidence, body: CacheServer, row: table.Row) -> CacheRow:
    return CacheRow(
        names=tuple(quote(item, path) for path in row.names),
        cells=tuple(_cell(item, body, path) for path in row.fields),
    )


def _cell(item: Evidence, body: CacheServer, path: str) -> Prose:
    if table.number(body, path) is None:
        return Prose(text=table.NOT_TOLD)
    return figure(number(item, path))


def _said(item: Evidence, body: CacheServer) -> Iterator[Prose]:
    """What of the figures is bad news, and what they can't tell."""
    told = {name: number(item, f"{name}_{unit}") for name, unit in _TOLD}
    if body.evicted_count:
        yield write(
            "For want of memory the server dropped keys before their time: {evicted} of them, with {used} in use and "
            "{limit} allowed. What was dropped is missed and made again.",
            told,
        )
    elif not body.limit_bytes:
        yield Prose(text="It has no `maxmemory`: nothing was evicted here that a server with a limit might drop.")
    if body.used_bytes >= _LEAST_BYTES and body.fragmentation_share > _FRAGMENTED:
        yield write(
            "Its memory is fragmented: {resident} are resident for {used} in use. `activedefrag yes`, or a restart, "
            "gives the difference back.",
            told,
        )
    if body.used_bytes >= _LEAST_BYTES and 0 < body.fragmentation_share < _SWAPPED:
        yield write("Part of its memory is swapped out: {resident} are resident for {used} in use.", told)


_TOLD = (("evicted", "count"), ("used", "bytes"), ("limit", "bytes"), ("resident", "bytes"))
