"""From a statement to a lazy relation: which load, and over which relations its rows lead there."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

from perfcrew.rules import source
from perfcrew.rules.fixes import answered
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.loads import Load, class_of, loads, one
from perfcrew.rules.fixes.lookups import lookup, relations_for
from perfcrew.rules.fixes.models import Models, Relation
from perfcrew.rules.fixes.places import locate
from perfcrew.rules.fixes.reach import starts
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.fixes.turning import calls_at
from perfcrew.rules.source import dotted

_LONGEST = 3
_ASKS = frozenset(
    {"scalar", "scalars", "execute", "stream", "get", "query", "first", "filter", "all", "count", "exists"}
)
_DYNAMIC = frozenset({"dynamic", "write_only", "raise", "noload"})


class Way(NamedTuple):
    """The load, and the relations from its class to the one that is loaded lazily."""

    load: Load
    path: tuple[Relation, ...]

    @property
    def to_one(self) -> bool:
        return not any(r.many for r in self.path)


def way(case: Case, models: Models) -> Way:
    """The way to the finding's lazy relation. Raises Unwritable with what stands in the way."""
    found = lookup(case.finding.subject)
    if found is None:
        raise Unwritable("the repeated statement is no plain lookup by one column, as a lazy relation sends it")
    known = relations_for(models, found)
    if not known:
        raise Unwritable(f"no relation to the class of `{found.table}` was found whose rows come by `{found.column}`")
    if not found.plain or (found.limited and any(r.many for r in known)):
        raise Unwritable(
            f"the rows of `{found.table}` are filtered, counted or cut for each row: eager loading would not serve "
            "that. Ask for all of them in one statement, grouped by the key"
        )
    ways = [w for relation in _mentioned(case, known) for w in _ways(case, models, relation)]
    if not ways:
        names = ", ".join(f"{r.owner}.{r.name}" for r in known)
        raise Unwritable(f"{names} is loaded lazily, but the statement that loads its owner was not found in reach")
    said = _said(case)
    ways.sort(key=lambda w: (sum(r.name not in said for r in w.path), len(w.path), w.load.distance))
    best = ways[0]
    fixed = next((r for r in best.path if r.lazy in _DYNAMIC), None)
    if fixed is not None:
        raise Unwritable(f"{fixed.owner}.{fixed.name} is `lazy={fixed.lazy!r}`: it can't be eager")
    return best


def asks_itself(case: Case, models: Models) -> bool:
    """Whether the line asks by a statement of its own: rows that were loaded before would not be looked at."""
    found = lookup(case.finding.subject)
    try:
        spot = locate(case, case.finding.place)
    except Unwritable:
        return False  # a template or a library: no line of the project's asks
    for call in calls_at(spot, spot.line) if found else []:
        named = (class_of(spot, n, models) for n in ast.walk(call) if isinstance(n, (ast.Name, ast.Attribute)))
        if last(dotted(call.func)) in _ASKS and any(m is not None and found and m.table == found.table for m in named):
            return True
    return False


def _mentioned(case: Case, known: list[Relation]) -> list[Relation]:
    """Those whose name stands on the finding's lines, else in a serializer of the class; all where none does."""
    lines = " ".join(_lines(case))
    named = [r for r in known if re.search(rf"\b{re.escape(r.name)}\b", lines)]
    return named or [r for r in known if r.name in answered.serialized_of(case.root, r.owner)] or known


def _lines(case: Case) -> list[str]:
    found = [spot.text.line(spot.line) for spot in starts(case)]
    place = case.finding.place
    path = case.root / place.file
    if source.read(path) is None and _is_template(path):
        found += path.read_text(encoding="utf-8", errors="replace").splitlines()[
            max(0, place.line - 2) : place.line + 1
        ]
    return found


def _said(case: Case) -> frozenset[str]:
    """All words of the functions and the template that the finding's lines are in."""
    texts = [ast.unparse(spot.function) for spot in starts(case) if spot.function is not None]
    path = case.root / case.finding.place.file
    texts += [path.read_text(encoding="utf-8", errors="replace")] if _is_template(path) else []
    return frozenset(word for text in texts for word in re.findall(r"\w+", text))


def _is_template(path: Path) -> bool:
    return path.suffix in (".html", ".txt", ".xml", ".jinja", ".jinja2", ".j2") and path.is_file()


def _ways(case: Case, models: Models, relation: Relation) -> list[Way]:
    """By the shortest path over relations to a class that is loaded nearby."""
    waiting: list[tuple[Relation, ...]] = [(relation,)]
    for _ in range(_LONGEST):
        found = [w for path in waiting for w in _direct(case, models, path)]
        if found:
            return found
        waiting = [(r, *path) for path in waiting for r in _leading_to(models, path)]
    return []


def _direct(case: Case, models: Models, path: tuple[Relation, ...]) -> list[Way]:
    owner = models.named(path[0].owner)
    found = loads(case, models, owner) if owner else []
    # One row of a class has one relation of it, loaded once: what repeats hangs on a set of rows.
    found = [x for x in found if len(path) > 1 or x.kind != "get"]
    return [Way(one(case, found), path)] if found else []


def _leading_to(models: Models, path: tuple[Relation, ...]) -> list[Relation]:
    there = {r.owner for r in path}
    return [r for m in models for r in m.relations if r.target == path[0].owner and r.owner not in there]
