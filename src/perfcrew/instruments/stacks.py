"""Collapsed stacks, as py-spy's `raw` format writes them: read, weighed by line and function, made speedscope's."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from perfcrew.core.evidence import ProfileLine
from perfcrew.core.trace import Frame
from perfcrew.instruments.places import is_application, place

MOST_LINES = 60
_THREAD = re.compile(r"thread \((\d+)\)")
_FRAME = re.compile(r"(?P<function>.*) \((?P<file>.*?)(?::(?P<line>\d+))?\)\Z")


@dataclass(frozen=True)
class Stack:
    """So many samples of one stack, outermost frame first; a fraction where only a part of them was work."""

    frames: tuple[Frame, ...]
    count: float
    thread: int | None = None
    """The kernel's number of the thread, where it was told."""


def parse(text: str) -> list[Stack]:
    """The stacks of `thread (7): main;a (f.py:1);b (f.py:2) 3` lines; what is no such line or frame is left out."""
    found = []
    for line in text.splitlines():
        names, _, count = line.rpartition(" ")
        thread = _THREAD.match(names)
        parts = names.split(";")[1 if thread else 0 :]
        frames = tuple(f for f in map(_frame, parts) if f)
        if frames and count.isdigit():
            found.append(Stack(frames, int(count), int(thread[1]) if thread else None))
    return found


def working(stacks: Sequence[Stack], cpu_s: Mapping[int, float], rate: int) -> list[Stack]:
    """The stacks with as many samples a thread as its processor time explains.

    A sampler can't always tell a thread that works from one that is blocked in a system call, so a thread that read
    from a pipe all the while may have a quarter of the samples. `cpu_s` is by thread; the unknown ones are kept whole.
    """
    seen: dict[int | None, float] = defaultdict(float)
    for stack in stacks:
        seen[stack.thread] += stack.count
    factors = {t: min(1.0, cpu_s[t] * rate / seen[t]) for t in seen if t is not None and t in cpu_s}
    scaled = [replace(s, count=s.count * factors.get(s.thread or 0, 1.0)) for s in stacks]
    return [s for s in scaled if s.count > 0]


def _frame(text: str) -> Frame | None:
    match = _FRAME.fullmatch(text.strip())
    if match is None:
        return None
    return Frame(file=match["file"], line=int(match["line"] or 0), function=match["function"])


def by_line(stacks: Sequence[Stack], root: Path) -> tuple[ProfileLine, ...]:
    """Shares of all samples by line. A library's line stands once for each line of the application that leads to it."""
    return _weighed(stacks, root, lambda frame: (frame.file, frame.function, frame.line))


def by_function(stacks: Sequence[Stack], root: Path) -> tuple[ProfileLine, ...]:
    """Shares by function, placed at the line of it that was seen most."""
    return _weighed(stacks, root, lambda frame: (frame.file, frame.function))


@dataclass
class _Weight:
    own: float = 0.0
    total: float = 0.0
    seen: dict[Frame, float] = field(default_factory=lambda: defaultdict(float))
    triggers: dict[Frame, float] = field(default_factory=lambda: defaultdict(float))


def _weighed(stacks: Sequence[Stack], root: Path, key: Callable[[Frame], Hashable]) -> tuple[ProfileLine, ...]:
    whole = sum(s.count for s in stacks)
    weights: dict[Hashable, _Weight] = defaultdict(_Weight)
    for stack in stacks:
        counted: set[Hashable] = set()
        caller: Frame | None = None  # the application's innermost frame so far: stacks are deep, so no looking back
        for depth, frame in enumerate(stack.frames, 1 - len(stack.frames)):
            own = is_application(frame.file, root)
            caller, trigger = (frame, None) if own else (caller, caller)
            name = (key(frame), key(trigger) if trigger else None)
            weight = weights[name]
            weight.own += stack.count if depth == 0 else 0
            weight.total += 0 if name in counted else stack.count  # a recursion's frames are one call's time
            counted.add(name)
            weight.seen[frame] += stack.count
            if trigger:
                weight.triggers[trigger] += stack.count
    lines = [_line(w, whole, root) for w in weights.values()]
    return _largest(lines)


def _line(weight: _Weight, whole: float, root: Path) -> ProfileLine:
    frame = _most(weight.seen)
    trigger = _most(weight.triggers) if weight.triggers else None
    return ProfileLine(
        place=place(frame, root),
        own_share=min(1.0, weight.own / whole),
        total_share=min(1.0, weight.total / whole),
        application=is_application(frame.file, root),
        trigger=place(trigger, root) if trigger else None,
    )


def _most(seen: dict[Frame, float]) -> Frame:
    return max(seen, key=lambda f: (seen[f], -f.line))


def _largest(lines: Iterable[ProfileLine]) -> tuple[ProfileLine, ...]:
    """The application's largest and the rest's largest, half and half, by own share."""
    ordered = sorted(lines, key=lambda p: (-p.own_share, -p.total_share, str(p.place), str(p.trigger)))
    ours = [p for p in ordered if p.application][: MOST_LINES // 2]
    rest = [p for p in ordered if not p.application][: MOST_LINES - len(ours)]
    kept = {id(p) for p in (*ours, *rest)}
    return tuple(p for p in ordered if id(p) in kept)


def collapsed(stacks: Iterable[Stack]) -> str:
    """The stacks in the form they are read from, equal ones joined, whole samples."""
    joined: dict[str, float] = defaultdict(float)
    for stack in stacks:
        joined[";".join(f"{f.function} ({f.file}:{f.line})" for f in stack.frames)] += stack.count
    return "".join(f"{names} {round(count)}\n" for names, count in sorted(joined.items()))


def speedscope(stacks: Sequence[Stack], name: str, rate: int) -> bytes:
    """A sampled profile in speedscope's file format (https://www.speedscope.app/file-format-schema.json)."""
    numbers: dict[Frame, int] = {}
    samples, weights = [], []
    for stack in stacks:
        samples.append([numbers.setdefault(frame, len(numbers)) for frame in stack.frames])
        weights.append(round(stack.count / rate, 6))
    content = {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "name": name,
        "exporter": "perfcrew",
        "activeProfileIndex": 0,
        "shared": {"frames": [{"name": f.function, "file": f.file, "line": f.line} for f in numbers]},
        "profiles": [
            {
                "type": "sampled",
                "name": name,
                "unit": "seconds",
                "startValue": 0,
                "endValue": round(sum(weights), 6),
                "samples": samples,
                "weights": weights,
            }
        ],
    }
    return json.dumps(content, separators=(",", ":")).encode()
