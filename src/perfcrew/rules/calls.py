"""Outgoing calls of the traces: HTTP and models, by URL template and by the line of the application that asks."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from perfcrew.core.trace import Frame, Span, Trace
from perfcrew.core.web import Place
from perfcrew.rules import source
from perfcrew.rules.places import Site, named, own, place, site


def asking(root: Path, span: Span, handler: Place | None) -> Site | None:
    """The line that asks: a shared client's own line is everybody's, so the first line outside of the client's file.

    Where the call itself stands in a loop, or all lies in one file, it is the innermost line.
    """
    frames = own(root, span.stack)
    if not frames or frames[0] is not span.stack[0]:
        return site(root, span.stack, handler)
    loop = next((i for i, f in enumerate(frames) if _in_loop(f)), None)
    reach = frames[: loop + 1] if loop is not None else frames[:-1] or frames
    culprit = frames[0] if loop == 0 else next((f for f in reach if f.file != frames[0].file), frames[0])
    trigger = frames[loop] if loop is not None and frames[loop] is not culprit else None
    return Site(place(root, culprit), place(root, trigger) if trigger else None)


def _in_loop(frame: Frame) -> bool:
    code = source.read(frame.file)
    return bool(code and code.in_loop(frame.line))


class Branch(NamedTuple):
    """Calls that one function of the application makes in a request, by the function's line."""

    file: str
    name: str
    lines: dict[int, list[Span]]

    @property
    def spans(self) -> list[Span]:
        """In order of their start."""
        return sorted((s for spans in self.lines.values() for s in spans), key=lambda s: s.start_ns)

    def place(self, root: Path, line: int) -> Place:
        return place(root, Frame(file=self.file, line=line, function=self.name))


def branches(root: Path, spans: Sequence[Span]) -> list[Branch]:
    """Every function of the application below which calls were made, the innermost first."""
    found: dict[tuple[str, str], dict[int, list[Span]]] = {}
    depth: dict[tuple[str, str], int] = {}
    for span in spans:
        met: set[tuple[str, str]] = set()
        for height, frame in enumerate(own(root, span.stack)):
            function = (frame.file, named(frame))
            if function not in met:
                met.add(function)
                found.setdefault(function, {}).setdefault(frame.line, []).append(span)
                depth[function] = max(depth.get(function, 0), height)
    return [Branch(*function, found[function]) for function in sorted(found, key=lambda f: depth[f])]


def sequential(groups: Iterable[Sequence[Span]]) -> bool:
    """Whether no group overlaps another in time."""
    ranges = sorted((min(s.start_ns for s in g), max(s.end_ns for s in g)) for g in groups if g)
    return all(a[1] <= b[0] for a, b in itertools.pairwise(ranges))


def outgoing(trace: Trace) -> tuple[Span, ...]:
    """HTTP and model calls in order of their start."""
    return tuple(sorted(trace.of("http", "model"), key=lambda s: s.start_ns))
