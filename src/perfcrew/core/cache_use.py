"""What traces show of a cache: each access with its pattern and line, why reads missed, and what a miss costs.

Traces are taken one after the other on one server that was empty before them, so a key's history is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Literal, NamedTuple

from perfcrew.core.cache import EXPIRIES, KEEPING, READS, REMOVALS, WRITES, Operation, operations, patterns
from perfcrew.core.trace import Frame, Span, Trace

Reason = Literal["expired", "new key", "not filled", "removed", "lost"]
"""Why a read missed: its time to live was over; no request before had asked for this key; it was asked for and nobody
kept an answer; it was deleted; or it had been kept, and was gone before its time."""
_EARLY = 0.98
"""A key is over at its time to live, by a clock that is read a little apart from the server's."""


class Access(NamedTuple):
    """One command on one key, in a request."""

    trace: int
    """Index into the traces."""
    warm: bool
    span: Span
    operation: Operation
    pattern: str

    @property
    def reads(self) -> bool:
        return self.operation.command in READS and self.operation.hit is not None

    @property
    def misses(self) -> bool:
        return self.reads and self.operation.hit is False

    @property
    def line(self) -> tuple[str, int]:
        at = self.span.stack[0] if self.span.stack else Frame(file="", line=0, function="")
        return at.file, at.line


class Use(NamedTuple):
    """The accesses of one pattern from one line."""

    pattern: str
    line: tuple[str, int]
    accesses: tuple[Access, ...]

    @property
    def warm_reads(self) -> list[Access]:
        return [a for a in self.accesses if a.reads and a.warm]


class _Kept(NamedTuple):
    """A key as it was last written."""

    at_ns: int
    ttl_s: float | None
    removed: bool = False
    known: bool = True
    """Whether it is known to have been written: a script may have, or not."""


def accesses(traces: Sequence[Trace]) -> tuple[Access, ...]:
    """Every command on a key, in order of time."""
    found = [
        (number, trace.repeat > 0, span, one)
        for number, trace in enumerate(traces)
        for span in trace.of("cache")
        for one in operations(span)
    ]
    by_key = patterns(one.key for *_, one in found)
    made = [Access(number, warm, span, one, by_key[one.key]) for number, warm, span, one in found]
    return tuple(sorted(made, key=lambda a: a.span.start_ns))


def uses(found: Iterable[Access]) -> tuple[Use, ...]:
    """By pattern and innermost line, in order of their first access."""
    groups: dict[tuple[str, tuple[str, int]], list[Access]] = {}
    for one in found:
        groups.setdefault((one.pattern, one.line), []).append(one)
    return tuple(Use(pattern, line, tuple(group)) for (pattern, line), group in groups.items())


def reasons(found: Sequence[Access]) -> dict[int, Reason]:
    """Why each read missed, by its index."""
    kept: dict[str, _Kept] = {}
    asked: set[str] = set()
    why: dict[int, Reason] = {}
    for number, one in enumerate(found):
        key, command = one.operation.key, one.operation.command
        if one.misses:
            why[number] = _why(kept.get(key), key in asked, one.span.start_ns)
            asked.add(key)
        if after := _after(kept.get(key), one):
            kept[key] = after
        elif command in REMOVALS and key in kept:
            kept[key] = kept[key]._replace(removed=True)
    return why


def _after(before: _Kept | None, one: Access) -> _Kept | None:
    """The key as the command left it; None where it wrote nothing."""
    command, ttl, now = one.operation.command, one.operation.ttl_s, one.span.end_ns
    if command in WRITES:
        keeps = before.ttl_s if before and command in KEEPING else None
        return _Kept(now, ttl if ttl is not None else keeps)
    if command in EXPIRIES and before is not None and ttl is not None:
        return before._replace(at_ns=now, ttl_s=ttl)
    if command.startswith(("EVAL", "FCALL")):
        return _Kept(now, None, known=False)
    return None


def _why(kept: _Kept | None, asked: bool, now_ns: int) -> Reason:
    if kept is None:
        return "not filled" if asked else "new key"
    if not kept.known:
        return "not filled"
    if kept.removed:
        return "removed"
    if kept.ttl_s is not None and (now_ns - kept.at_ns) / 1e9 >= kept.ttl_s * _EARLY:
        return "expired"
    return "lost"


def work_ms(found: Sequence[Access]) -> dict[str, float]:
    """What it takes to make a value, by pattern: from the miss to the write of the same key in the same request."""
    missed: dict[tuple[int, str], int] = {}
    taken: dict[str, list[float]] = {}
    for one in found:
        key = (one.trace, one.operation.key)
        if one.misses:
            missed[key] = one.span.end_ns
        elif one.operation.command in WRITES and key in missed:
            taken.setdefault(one.pattern, []).append(max(0, one.span.start_ns - missed.pop(key)) / 1e6)
    return {pattern: float(median(times)) for pattern, times in taken.items()}


def stampedes(found: Sequence[Access]) -> dict[str, int]:
    """By pattern, the most reads of one key that missed before a write of it had ended. One is how a cache is filled.

    Reads of one request that follow each other are no stampede.
    """
    waiting: dict[str, list[Access]] = {}
    most: dict[str, int] = {}
    filled: dict[str, int] = {}
    for one in found:
        if one.operation.command in WRITES:
            key = one.operation.key
            filled[key] = min(filled.get(key, one.span.end_ns), one.span.end_ns)
    for one in found:
        key = one.operation.key
        if one.misses and key in filled and one.span.start_ns < filled[key]:
            before = waiting.setdefault(key, [])
            if all(one.trace != other.trace or one.span.start_ns < other.span.end_ns for other in before):
                before.append(one)
                most[one.pattern] = max(most.get(one.pattern, 0), len(before))
    return most


def lasting(found: Sequence[Access]) -> set[str]:
    """Keys that are written without a time to live, are never given one and never deleted."""
    keys: set[str] = set()
    for one in found:
        key, command = one.operation.key.split(" ")[0], one.operation.command
        if command in WRITES and one.operation.ttl_s is None and command != "SET KEEPTTL":
            keys.add(key)
    ended = {a.operation.key.split(" ")[0] for a in found if a.operation.command in (*EXPIRIES, *REMOVALS)}
    return keys - ended


def alone(span: Span) -> bool:
    """Whether the round trip carried one command for one key."""
    return span.attributes.get("perfcrew.cache.commands", 1) == 1 and len(operations(span)) == 1
