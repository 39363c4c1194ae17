"""The cache server in the Markdown report: one short table, bad news in a sentence, the largest patterns."""

from __future__ import annotations

from collections.abc import Sequence

from perfcrew.core import cache_table
from perfcrew.core.report import CacheLook, CacheRow, CacheUse
from perfcrew.report.marking import escape, inline, table
from perfcrew.report.wording import code

SEEN = "The Redis that the target was started with: what it counted, its memory, and a sample of its keys."
_PATTERNS = 8
_SLOW = 5


def cache_lines(use: CacheUse | None) -> list[str]:
    """Nothing where no cache server was looked at."""
    if use is None:
        return []
    ratio = f" Hit ratio under the workload, after its warm-up: {inline(use.hit_ratio)}." if use.hit_ratio.text else ""
    rows = [[look.after, *map(inline, look.server.cells), escape(code(look.policy.text))] for look in use.looks]
    return [
        *["## Cache", "", f"{SEEN}{ratio}", ""],
        *table(["After", *_heads(cache_table.SERVER), "Policy"], rows, len(rows)),
        *[line for look in use.looks for line in _told(look)],
        *[line for look in [look for look in use.looks if look.groups][-1:] for line in _patterns(look)],
        *_slow(use.looks),
    ]


def _heads(columns: Sequence[tuple[str, str]]) -> list[str]:
    return [heading for heading, _ in columns]


def _told(look: CacheLook) -> list[str]:
    said = [f"After {look.after}: {inline(look.said)}", ""] if look.said.text else []
    refused = "; ".join(f"“{escape(why.text)}”" for why in look.refused)
    return [*said, *([f"After {look.after} it would not tell all: {refused}", ""] if refused else [])]


def _patterns(look: CacheLook) -> list[str]:
    heads = [f"Keys like, after {look.after}", *_heads(cache_table.GROUP)]
    return table(heads, [_row(row) for row in look.groups], _PATTERNS)


def _slow(looks: Sequence[CacheLook]) -> list[str]:
    rows = [[*_row(row), look.after] for look in looks for row in look.slow]
    heads = ["Slow command", "Keys like", *_heads(cache_table.SLOW), "During"]
    return table(heads, rows, _SLOW) if rows else []


def _row(row: CacheRow) -> list[str]:
    names = [escape(code(name.text)) if name.text else "" for name in row.names]
    return [*names, *map(inline, row.cells)]
