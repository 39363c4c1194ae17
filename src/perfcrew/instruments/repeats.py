"""What repeats within a request, or takes longest: operations of one shape from one line, by medians."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from perfcrew.core.evidence import TraceGroup
from perfcrew.core.repeats import digest_of, shape_of
from perfcrew.core.trace import Frame, Span, Trace
from perfcrew.instruments.life import covered_ms, statements
from perfcrew.instruments.places import place

MOST_GROUPS = 20
MOST_COLD_GROUPS = 5
_REPEATING = 12
"""Of the groups at most so many for their number of repeats, however little they cost."""
_SHAPE_CHARS = 300
_NO_ROOT = Path("/dev/null")
"""Nothing lies below it: places stay absolute."""


class _Key(NamedTuple):
    operation: str
    shape: str
    file: str
    line: int


class _One(NamedTuple):
    """A group in one request."""

    innermost: Frame | None
    repeats: int
    parameters: int
    busy_ms: float


def groups(traces: Sequence[Trace], root: Path | None = None) -> tuple[TraceGroup, ...]:
    """The groups of the warm requests, those that repeat most and those that take longest; then cold ones.

    A cold group is kept where it repeats at least twice as often as it does later. Places are relative to `root`.
    """
    later = [t for t in traces if t.server and t.repeat > 0]
    warm, cold = _by_key(later), _by_key(t for t in traces if t.server and t.repeat == 0)
    if not later:
        return _kept(cold, MOST_GROUPS, root, cold=False)
    first = {key: ones for key, ones in cold.items() if _repeats(ones) >= max(2, 2 * _repeats(warm.get(key, ())))}
    return _kept(warm, MOST_GROUPS, root, cold=False) + _kept(first, MOST_COLD_GROUPS, root, cold=True)


def _by_key(traces: Iterable[Trace]) -> dict[_Key, list[_One]]:
    found: dict[_Key, list[_One]] = {}
    for trace in traces:
        for key, spans in _of_one(trace).items():
            found.setdefault(key, []).append(_one(spans))
    return found


def _of_one(trace: Trace) -> dict[_Key, list[Span]]:
    found: dict[_Key, list[Span]] = {}
    for span in (*statements(trace), *trace.of("http", "model")):
        at = span.stack[0] if span.stack else None
        key = _Key(span.kind, shape_of(span), at.file if at else "", at.line if at else 0)
        found.setdefault(key, []).append(span)
    return found


def _one(spans: Sequence[Span]) -> _One:
    named = "perfcrew.db.parameters_digest" if spans[0].kind == "database" else "url.full"
    told = [s.attributes.get(named) for s in spans]
    different = len({t for t in told if t}) + sum(not t for t in told)
    return _One(spans[0].stack[0] if spans[0].stack else None, len(spans), different, covered_ms(spans))


def _repeats(found: Sequence[_One]) -> float:
    return float(median(one.repeats for one in found)) if found else 0.0


def _kept(found: Mapping[_Key, Sequence[_One]], most: int, root: Path | None, *, cold: bool) -> tuple[TraceGroup, ...]:
    every = [_group(key, ones, root, cold=cold) for key, ones in found.items()]
    often = sorted((g for g in every if g.repeats_count > 1), key=lambda g: (-g.repeats_count, -g.total_ms))
    chosen = often[: min(_REPEATING, most)]
    long = sorted((g for g in every if g not in chosen), key=lambda g: -g.total_ms)
    return tuple(sorted([*chosen, *long[: most - len(chosen)]], key=lambda g: -g.total_ms))


def _group(key: _Key, ones: Sequence[_One], root: Path | None, *, cold: bool) -> TraceGroup:
    innermost = ones[0].innermost
    return TraceGroup(
        operation=key.operation,
        shape=key.shape[:_SHAPE_CHARS],
        digest=digest_of(key.shape),
        place=place(innermost, root or _NO_ROOT) if innermost else None,
        cold=cold,
        repeats_count=_repeats(ones),
        parameters_count=float(median(one.parameters for one in ones)),
        total_ms=float(median(one.busy_ms for one in ones)),
    )
