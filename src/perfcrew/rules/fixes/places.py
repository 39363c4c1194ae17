"""Where a finding's line is in the tree that is edited now: other changes may have moved it since it was found."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from perfcrew.core.web import Place
from perfcrew.rules import source
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.places import is_application
from perfcrew.rules.source import Function, Source


@dataclass(frozen=True)
class Spot:
    """A line of a function of the edited tree; `function` is None at the module's top level."""

    text: Source
    file: str
    line: int
    function: Function | None

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """Every node's parent."""
        return {child: node for node in ast.walk(self.text.tree) for child in ast.iter_child_nodes(node)}

    def around(self, node: ast.AST) -> list[ast.AST]:
        """What is around the node, the innermost first, up to the function."""
        found: list[ast.AST] = []
        while node in self.parents and node is not self.function:
            node = self.parents[node]
            found.append(node)
        return found

    def around_all(self, node: ast.AST) -> list[ast.AST]:
        """What is around the node, the innermost first, up to the module."""
        found: list[ast.AST] = []
        while node in self.parents:
            node = self.parents[node]
            found.append(node)
        return found

    def at(self, line: int) -> Spot:
        """Another line of the same function."""
        return Spot(self.text, self.file, line, self.function)


def locate(case: Case, place: Place) -> Spot:
    """The place in `case.root`. Raises Unwritable where the file or the function is no longer there."""
    if not is_application(case.root, place.file):
        raise Unwritable(f"{place.file} is not the application's own file")
    text = source.read(case.root / place.file)
    if text is None:
        raise Unwritable(f"{place.file} can't be read as Python")
    if place.function in ("", "<module>"):
        line = _same_line(case, place, text, None)
        return Spot(text, place.file, line, text.function_at(line) if place.function == "" else None)
    function = _function(text, place)
    return Spot(text, place.file, _same_line(case, place, text, function), function)


def _function(text: Source, place: Place) -> Function:
    name = place.function.rsplit(".", 1)[-1]
    named = [f for f in text.functions if f.name == name]
    if not named:
        raise Unwritable(f"{place.file} has no function {name} any more")
    return min(named, key=lambda f: (not source.covers(f, place.line), abs(f.lineno - place.line)))


def _same_line(case: Case, place: Place, text: Source, function: Function | None) -> int:
    """The nearest line that reads as the finding's did, in the function; the finding's own where none does."""
    before = source.read(_original(case) / place.file)
    wanted = before.line(place.line).strip() if before else ""
    first, last = (function.lineno, function.end_lineno or function.lineno) if function else (1, len(text.lines))
    alike = [n for n in range(first, last + 1) if wanted and text.line(n).strip() == wanted]
    nearest = min(alike, key=lambda n: abs(n - place.line), default=place.line)
    return min(max(nearest, first), last)


def _original(case: Case) -> Path:
    return case.scene.root if case.scene else case.app.root
