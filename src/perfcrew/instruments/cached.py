"""What traced requests did with a cache, by pattern of key and line: counts, hits, why reads missed, what they took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from perfcrew.core.cache import WRITES
from perfcrew.core.cache_use import Access, Reason, Use, accesses, alone, lasting, reasons, stampedes, uses, work_ms
from perfcrew.core.evidence import CacheGroup
from perfcrew.core.trace import Trace
from perfcrew.instruments.life import covered_ms
from perfcrew.instruments.places import place

MOST_GROUPS = 30


def cache_groups(traces: Sequence[Trace], root: Path) -> tuple[CacheGroup, ...]:
    """The groups that take longest, at most `MOST_GROUPS`; none where no cache was asked."""
    found = accesses(traces)
    why = {id(found[number]): reason for number, reason in reasons(found).items()}
    work, stays, crowds = work_ms(found), lasting(found), stampedes(found)
    made = [
        _group(use, why, work.get(use.pattern), stays, root).model_copy(
            update={"stampede_count": crowds.get(use.pattern, 0) if any(a.misses for a in use.accesses) else 0}
        )
        for use in uses(found)
    ]
    return tuple(sorted(made, key=lambda g: (-g.total_ms, -g.trips_count, g.pattern))[:MOST_GROUPS])


def _group(use: Use, why: Mapping[int, Reason], work: float | None, stays: set[str], root: Path) -> CacheGroup:
    reads = use.warm_reads
    hits = [a for a in reads if a.operation.hit]
    written = [a for a in use.accesses if a.operation.command in WRITES]
    lives = [a.operation.ttl_s for a in written if a.operation.ttl_s is not None]
    missed = Counter(why[id(a)] for a in reads if a.misses)
    stack = use.accesses[0].span.stack
    return CacheGroup(
        pattern=use.pattern,
        place=place(stack[0], root) if stack else None,
        commands=tuple(sorted({a.operation.command for a in use.accesses})),
        reads_count=len(reads),
        hits_count=len(hits),
        misses_count=len(reads) - len(hits),
        hit_share=len(hits) / len(reads) if reads else None,
        writes_count=len(written),
        without_ttl_count=len({a.operation.key.split(" ")[0] for a in written} & stays),
        keys_count=len({a.operation.key for a in use.accesses}),
        trips_count=_trips(use.accesses),
        total_ms=_total_ms(use.accesses),
        largest_bytes=max(a.operation.size_bytes for a in use.accesses),
        ttl_s=float(median(lives)) if lives else None,
        hit_ms=float(median(a.span.duration_ms for a in hits)) if hits else None,
        work_ms=work,
        expired_count=missed["expired"],
        new_keys_count=missed["new key"],
        not_filled_count=missed["not filled"],
        removed_count=missed["removed"],
        lost_count=missed["lost"],
    )


def _by_trace(found: Sequence[Access]) -> list[list[Access]]:
    """Of the warm requests, of all where none is."""
    groups: dict[int, list[Access]] = {}
    for one in found:
        if one.warm or not any(a.warm for a in found):
            groups.setdefault(one.trace, []).append(one)
    return list(groups.values())


def _trips(found: Sequence[Access]) -> float:
    return float(median(sum(alone(a.span) for a in group) for group in _by_trace(found)))


def _total_ms(found: Sequence[Access]) -> float:
    return float(median(covered_ms({id(a.span): a.span for a in group}.values()) for group in _by_trace(found)))
