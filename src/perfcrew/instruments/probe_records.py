"""What the probe wrote: JSON lines, one file a process of the target.

They come from another process that may be killed in mid-line, and hold what the target's users typed: lines that
don't parse are counted and left out, and what is too much is cut and said.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from perfcrew.core.engines import evened
from perfcrew.core.trace import Block, Frame, Function, LoadedEntity, Span

MOST_BYTES = 256 * 1024 * 1024
"""Read of one folder at once."""
MOST_SPANS = 20_000
"""Kept of one trace."""
LOOK_AGAIN_S = 0.02


@dataclass
class OneTrace:
    """What was recorded under one trace id."""

    server: Span | None = None
    spans: list[Span] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    loaded: dict[str, LoadedEntity] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)
    cut: int = 0


@dataclass(frozen=True)
class Hello:
    """How the probe stands in one process."""

    pid: int
    mode: str
    notes: tuple[str, ...] = ()
    patched: tuple[str, ...] = ()
    control: str | None = None


class Records:
    """Reads a probe's folder bit by bit: each `read` takes what was written since, of the traces that are wanted.

    `beyond` lets a reader begin at the present end of the files, for a target that has been asked before.
    """

    def __init__(self, folder: Path, wanted: Collection[str] | None = None, *, beyond: bool = False) -> None:
        self._folder, self.wanted = folder, wanted
        self._at = {path: _whole(path) for path in _files(folder)} if beyond else {}
        self._left_bytes = MOST_BYTES
        self.traces: dict[str, OneTrace] = {}
        self.loose_blocks: list[Block] = []
        """Seen while no request, or more than one, was under way."""
        self.unreadable = 0
        self.too_much = False

    def read(self) -> None:
        """Take in the whole lines that were written since the last call."""
        for path in _files(self._folder):
            for line in self._new_lines(path):
                self._take(line)

    async def wait(self, whole: Callable[[], bool], limit_s: float) -> bool:
        """Read until `whole()` or for `limit_s`; whether it became whole."""
        until = time.monotonic() + limit_s
        while True:
            self.read()
            if whole():
                return True
            if time.monotonic() >= until:
                return False
            await asyncio.sleep(LOOK_AGAIN_S)

    def served(self, trace: str) -> bool:
        """Whether that request's server span has come."""
        return trace in self.traces and self.traces[trace].server is not None

    def _new_lines(self, path: Path) -> Iterator[bytes]:
        start = self._at.get(path, 0)
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(self._left_bytes + 1)
        if len(data) > self._left_bytes:
            self.too_much, data = True, data[: self._left_bytes]
        end = data.rfind(b"\n") + 1  # a line that is still being written waits for its end
        self._at[path] = start + end
        self._left_bytes -= end
        yield from data[:end].splitlines()

    def _take(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            if isinstance(record, dict) and record.get("type") in _TAKERS:
                self._sort_in(record)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self.unreadable += 1

    def _sort_in(self, record: dict[str, Any]) -> None:
        trace = record.get("trace")
        if self.wanted is not None and trace is not None and trace not in self.wanted:
            return
        if trace is None:
            if record["type"] == "block":
                self.loose_blocks.append(_block(record))
            return
        _TAKERS[record["type"]](self.traces.setdefault(str(trace), OneTrace()), record)


def hellos(folder: Path) -> list[Hello]:
    """How the probe stands in each process, by its last word; empty where it was never started."""
    found: dict[int, Hello] = {}
    for path in _files(folder):
        with path.open("rb") as file:
            for line in file:
                if line.startswith(b'{"type":"hello"') or line.startswith(b'{"type": "hello"'):
                    said = _hello(line)
                    if said:
                        found[said.pid] = said
    return list(found.values())


def _hello(line: bytes) -> Hello | None:
    try:
        record = json.loads(line)
        return Hello(
            pid=int(record["pid"]),
            mode=str(record.get("mode", "")),
            notes=tuple(map(str, record.get("notes") or ())),
            patched=tuple(map(str, record.get("patched") or ())),
            control=record.get("control"),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # the last line of a process that was killed


_TAIL_BYTES = 1_000_000


def _whole(path: Path) -> int:
    """Where its last whole line ends: one may be half written at this moment."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _TAIL_BYTES))
        return file.tell() + file.read(_TAIL_BYTES).rfind(b"\n") + 1


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def _stack(record: dict[str, Any]) -> tuple[Frame, ...]:
    return tuple(
        Frame(file=str(file), line=int(line), function=str(function))
        for file, line, function in record.get("stack") or ()
    )


def _take_span(trace: OneTrace, record: dict[str, Any]) -> None:
    if len(trace.spans) >= MOST_SPANS:
        trace.cut += 1
        return
    try:
        span = Span(
            trace=record["trace"],
            span=record["span"],
            parent=record.get("parent"),
            kind=record["kind"],
            name=str(record["name"]),
            start_ns=record["start_ns"],
            end_ns=record["end_ns"],
            attributes=evened(record.get("attributes") or {}, str(record["name"])),
            stack=_stack(record),
        )
    except ValidationError as error:
        raise ValueError(str(error)) from None
    if span.kind == "server" and trace.server is None:
        trace.server = span
    else:
        trace.spans.append(span)


def _take_functions(trace: OneTrace, record: dict[str, Any]) -> None:
    for file, first, last, name in record["functions"]:
        trace.functions.append(Function(file=str(file), first_line=int(first), last_line=int(last), name=str(name)))


def _take_orm(trace: OneTrace, record: dict[str, Any]) -> None:
    for name, entity in (record.get("loaded") or {}).items():
        columns = {str(c): int(size) for c, size in (entity.get("columns") or {}).items()}
        trace.loaded[str(name)] = LoadedEntity(
            table=str(entity.get("table", "")), instances=int(entity.get("instances", 0)), columns=columns
        )
    trace.read.extend(map(str, record.get("read") or ()))


def _block(record: dict[str, Any]) -> Block:
    return Block(
        trace=record.get("trace"),
        start_ns=int(record["start_ns"]),
        duration_ms=float(record["duration_ms"]),
        stack=_stack(record),
    )


_TAKERS: dict[str, Callable[[OneTrace, dict[str, Any]], None]] = {
    "span": _take_span,
    "block": lambda trace, record: trace.blocks.append(_block(record)),
    "functions": _take_functions,
    "orm": _take_orm,
}
