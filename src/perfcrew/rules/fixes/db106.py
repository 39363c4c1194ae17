"""DB106: columns that nobody reads are left out of the statement, where the source shows that nobody does.

In async code a column that was left out can't be loaded when it is asked for after all: there every function in reach
and every answer's model must do without it. Where the rows can be followed to all that reads them (loops, functions,
answers' models, serializers), only the columns read are loaded, as rows of the class or as plain rows.
"""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from perfcrew.core.patches import Declined, Fix
from perfcrew.rules.fixes import eager, imports, models, narrow, project
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.layout import chained, width_of
from perfcrew.rules.fixes.loads import Load, of
from perfcrew.rules.fixes.models import Model
from perfcrew.rules.fixes.outcomes import Draft, attempt, declined
from perfcrew.rules.fixes.places import Spot, locate
from perfcrew.rules.fixes.reach import Near, callers
from perfcrew.rules.source import Function, dotted

_NAMED = re.compile(r"`([^`]+)`")
_COLUMN = re.compile(r"^(\w+)\.(\w+)$")
_DEEPEST = 3
_LATER = "Code that comes to read {columns} of these rows pays a statement for each, or fails in async code."


def fix(case: Case) -> list[Fix | Declined]:
    """Columns can be left out; rows that were fetched in vain are for a developer to filter."""
    if any(h.id == "DB106-rows" for h in case.finding.hypotheses):
        reason = "which rows the answer needs is decided in Python: only a developer can say that in the statement"
        return [declined(case, "rows", reason)]
    return attempt(
        case,
        "columns",
        lambda: _left_out(case),
        lambda: narrow.loaded_only(case, _of(case)),
        lambda: narrow.plain(case, _of(case)),
    )


class _Found(NamedTuple):
    """The statement that loads the class, and the columns of it that are never read."""

    load: Load
    columns: list[str]
    spot: Spot


def _found(case: Case) -> _Found:
    entity, columns = _unread(case)
    known = models.read(case.root)
    model = known.named(entity)
    if model is None:
        raise Unwritable(f"the class {entity} was not found in the source")
    missing = [c for c in columns if model.column(c) is None]
    if missing:
        raise Unwritable(f"{entity} has no column `{missing[0]}` in its source")
    spot = locate(case, case.finding.place)
    found = [x for x in of(Near(spot, 0), known) if x.model is model and x.kind != "get"]
    if len(found) != 1:
        raise Unwritable(f"{len(found)} statements of the function load {entity}: which of them is meant can't be told")
    return _Found(found[0], columns, spot)


def _of(case: Case) -> narrow.Unread:
    found = _found(case)
    return narrow.Unread(found.load, found.columns)


def _left_out(case: Case) -> Draft:
    load, columns, spot = _found(case)
    try:
        _refuse_readers(case, spot, load.model, columns)
    except Unwritable as named:
        # What has the column's name may be of other rows: where these go, the flow of the data may show.
        if not narrow.never_read(case, narrow.Unread(load, columns)):
            raise Unwritable(str(named)) from None
    edits = Edits(load.spot.text)
    _leave_out(case, edits, load, columns)
    listed = ", ".join(columns)
    title = f"Leave {listed} out of the {load.model.name} rows of {spot.function.name if spot.function else spot.file}"
    return Draft("defer", title, {load.spot.file: edits.result()}, (_LATER.format(columns=listed),))


def _unread(case: Case) -> tuple[str, list[str]]:
    """As the finding's title lists them: `Article.body, Article.notes`; else its subject."""
    first = _NAMED.search(case.finding.title)
    said = first.group(1).split(",") if first else []
    pairs = [m.groups() for part in said if (m := _COLUMN.match(part.strip()))]
    pairs = pairs or [m.groups() for m in [_COLUMN.match(case.finding.subject)] if m]
    if not pairs:
        raise Unwritable("the finding names no column that is never read")
    return pairs[0][0], [column for _, column in pairs]


def _leave_out(case: Case, edits: Edits, load: Load, columns: list[str]) -> None:
    if load.model.style == "django":
        listed = ", ".join(f'"{c}"' for c in columns)
        last = load.chain[-1] if load.chain else load.node
        chained(edits, load.spot, last, f".defer({listed})", width_of(case.root, load.spot.text))
        return
    defer = imports.bring(edits, "sqlalchemy.orm", "defer")
    options = ", ".join(f"{defer}({load.name}.{c})" for c in columns)
    eager.add_option(case, edits, load, options)


def _refuse_readers(case: Case, spot: Spot, model: Model, columns: list[str]) -> None:
    """Raises Unwritable where a function that gets the rows, or an answer's model, asks for one of the columns."""
    if spot.function is None:
        raise Unwritable("the rows are loaded outside of a function")
    for near in _above(case, spot):
        function = near.function
        assert function is not None
        for column in columns:
            if _reads(function, column):
                raise Unwritable(f"`{function.name}` in {near.file} mentions `{column}`: it may read it of these rows")
            holder = _answer_with(case, near, function, column)
            if holder:
                raise Unwritable(f"`{holder}`, which `{function.name}` answers with, has a field `{column}`")


def _above(case: Case, spot: Spot) -> list[Spot]:
    found, waiting = [spot], [spot]
    for _ in range(_DEEPEST):
        waiting = [c for s in waiting if s.function for c in callers(case.root, s.function)]
        found += [c for c in waiting if not any(c.function is f.function for f in found)]
    return found


def _reads(function: Function, column: str) -> bool:
    return any(
        (isinstance(n, ast.Attribute) and n.attr == column) or (isinstance(n, ast.Constant) and n.value == column)
        for n in ast.walk(function)
    )


def _answer_with(case: Case, spot: Spot, function: Function, column: str) -> str | None:
    """The class among those the function says it answers with that has a field of the column's name."""
    said = [
        function.returns,
        *(k.value for d in function.decorator_list if isinstance(d, ast.Call) for k in d.keywords),
    ]
    names = [
        dotted(n).rsplit(".", 1)[-1] for s in said if s for n in ast.walk(s) if isinstance(n, (ast.Name, ast.Attribute))
    ]
    for name in dict.fromkeys(names):
        if _has_field(case, name, column):
            return name
    return None


def _has_field(case: Case, name: str, column: str, deep: int = 3) -> bool:
    """Whether a class of that name that is not mapped has the field: itself, by its bases or within its fields."""
    found = [
        c for t in project.sources(case.root) for c in t.tree.body if isinstance(c, ast.ClassDef) and c.name == name
    ]
    found = [c for c in found if not _is_mapped(c)] if deep else []
    fields = [s for c in found for s in c.body if isinstance(s, ast.AnnAssign)]
    if any(dotted(s.target) == column for s in fields):
        return True
    parts = [*(b for c in found for b in c.bases), *(s.annotation for s in fields)]
    inner = {n.id for p in parts for n in ast.walk(p) if isinstance(n, ast.Name)}
    return any(_has_field(case, other, column, deep - 1) for other in sorted(inner - {name}))


def _is_mapped(node: ast.ClassDef) -> bool:
    return any(isinstance(s, ast.Assign) and dotted(s.targets[0]) == "__tablename__" for s in node.body)
