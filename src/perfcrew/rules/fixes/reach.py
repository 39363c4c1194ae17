"""Functions near a finding: those of its lines, what they call, and who calls them, the nearest first."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from perfcrew.core.sql import shape, tables
from perfcrew.core.trace import Frame
from perfcrew.core.web import Place
from perfcrew.rules import statements
from perfcrew.rules.fixes import project
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.places import Spot, locate
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.places import named, own, place
from perfcrew.rules.source import Function, Source, dotted

_DEPTH = 3
_FUNCTIONS_AT_MOST = 60


class Near(NamedTuple):
    """A function, and how many calls it is away from the finding's own lines."""

    spot: Spot
    distance: int


class _Defined(NamedTuple):
    text: Source
    function: Function


def near(case: Case) -> list[Near]:
    """Breadth first from the trigger, the culprit and the endpoint's handler, as far as they are the project's."""
    found: list[Near] = []
    waiting = [Near(spot, 0) for spot in starts(case)]
    index = _index(case.root)
    while waiting and len(found) < _FUNCTIONS_AT_MOST:
        current = waiting.pop(0)
        if any(_same(current.spot, n.spot) for n in found):
            continue
        found.append(current)
        if current.distance < _DEPTH:
            waiting += [Near(s, current.distance + 1) for s in _neighbours(case.root, current.spot, index)]
    return found


def starts(case: Case) -> list[Spot]:
    """The finding's own lines and its endpoint's handler, as far as they are in the edited tree."""
    handler = case.scene.endpoint.handler if case.scene else None
    found: list[Spot] = []
    for where in (case.finding.trigger, case.finding.place, handler):
        try:
            spot = locate(case, where) if where else None
        except Unwritable:
            continue  # a template, a library: the other places say more
        if spot and not any(_same(spot, s) for s in found):
            found.append(spot)
    return found


def _same(one: Spot, other: Spot) -> bool:
    return one.file == other.file and one.function is other.function


def _index(root: Path) -> dict[str, list[_Defined]]:
    found: dict[str, list[_Defined]] = {}
    for text in project.sources(root):
        if not project.is_test(root, text.path):
            for function in text.functions:
                found.setdefault(function.name, []).append(_Defined(text, function))
    return found


def _neighbours(root: Path, spot: Spot, index: dict[str, list[_Defined]]) -> Iterator[Spot]:
    for name in called_names(spot):
        same = [d for d in index.get(name, []) if d.text.path == spot.text.path] or index.get(name, [])
        if len(same) == 1:
            yield as_spot(root, same[0].text, same[0].function)
    if spot.function is not None:
        yield from callers(root, spot.function, index)


def called_names(spot: Spot) -> list[str]:
    """The last parts of the names that the function calls or hands on (`Depends(by_name)`), in order."""
    scope = spot.function or spot.text.tree
    found = [last(dotted(n.func)) for n in ast.walk(scope) if isinstance(n, ast.Call)]
    handed = [a.id for n in ast.walk(scope) if isinstance(n, ast.Call) for a in n.args if isinstance(a, ast.Name)]
    return list(dict.fromkeys(n for n in [*found, *handed] if n))


def callers(root: Path, function: Function, index: dict[str, list[_Defined]] | None = None) -> list[Spot]:
    """The functions that call one of this name, where it is the project's only one of it in reach."""
    known = index if index is not None else _index(root)
    found = []
    for same in known.values():
        for text, other in same:
            if function.name not in text.text or other is function:
                continue
            calls = (n for n in ast.walk(other) if isinstance(n, ast.Call))
            if any(last(dotted(c.func)) == function.name for c in calls):
                found.append(as_spot(root, text, other))
    return found


def as_spot(root: Path, text: Source, function: Function) -> Spot:
    """The function's first line as a place of the edited tree."""
    return Spot(text, text.path.relative_to(root).as_posix(), function.lineno, function)


def senders(case: Case, table: str) -> list[Place]:
    """Functions that were traced while they read the table by other statements than the finding's."""
    found: dict[tuple[str, str], Place] = {}
    for traced in case.scene.traced if case.scene else ():
        for trace in traced.traces:
            for span in statements.sent(trace):
                text = statements.text_of(span)
                if table in tables(text) and shape(text) != case.finding.subject:
                    for frame in own(case.scene.root if case.scene else case.root, span.stack):
                        found.setdefault((frame.file, frame.function), _place(case, frame))
    return list(found.values())


def _place(case: Case, frame: Frame) -> Place:
    where = place(case.scene.root if case.scene else case.app.root, frame)
    return where.model_copy(update={"function": named(frame).rsplit(".", 1)[-1]})
