"""The tables of a cache in the report: their columns, and what of a look at the server belongs into each row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from perfcrew.core.evidence import CacheServer, Evidence

NOT_TOLD = "–"
"""In a cell, where the server gave no number."""
SERVER = (
    ("Hit ratio", "hit_share"),
    ("Hits", "hits_count"),
    ("Misses", "misses_count"),
    ("Evicted", "evicted_count"),
    ("Expired", "expired_count"),
    ("Commands", "commands_count"),
    ("Keys", "keys_count"),
    ("Used", "used_bytes"),
    ("Peak", "peak_bytes"),
    ("Resident", "resident_bytes"),
    ("Resident of used", "fragmentation_share"),
    ("Limit", "limit_bytes"),
)
GROUP = (
    ("Sampled", "keys_count"),
    ("On the server", "estimated_count"),
    ("Without end", "without_ttl_count"),
    ("Time left", "ttl_median_s"),
    ("Median size", "median_bytes"),
    ("All sampled", "total_bytes"),
)
SLOW = (("Times", "times_count"), ("Longest", "longest_ms"))
_AFTER = {"traces": "traced requests", "workload": "workload", "redis": "a few rounds of requests"}


class Row(NamedTuple):
    """Where in the evidence a row's words and numbers stand, as dotted paths in the order of the columns."""

    names: tuple[str, ...]
    fields: tuple[str, ...]


def rows(body: CacheServer) -> Iterator[Row]:
    """The server's own row, then those of its patterns, then of its slow commands."""
    yield Row((), tuple(name for _, name in SERVER))
    for n in range(len(body.groups)):
        yield Row((f"groups.{n}.pattern",), tuple(f"groups.{n}.{name}" for _, name in GROUP))
    for n in range(len(body.slow)):
        yield Row(
            (f"slow.{n}.command", f"slow.{n}.pattern"),
            tuple(f"slow.{n}.{name}" for _, name in SLOW),
        )


def number(body: CacheServer, path: str) -> float | None:
    """The number at a row's path, None where the server gave none."""
    at: object = body
    for part in path.split("."):
        at = at[int(part)] if isinstance(at, tuple) else getattr(at, part)
    return float(at) if isinstance(at, int | float) else None


def after(item: Evidence) -> str:
    """The stage that the server was looked at after, in words."""
    stage = item.slot.rpartition("/")[2]
    return _AFTER.get(stage, stage)
