"""A loop of Django's `Model.objects.get(pk=…)`, asked for by one `in_bulk` before it."""

from __future__ import annotations

import ast
from typing import NamedTuple

from perfcrew.rules.fixes import one_in, sight
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.loads import class_of
from perfcrew.rules.fixes.models import Model, Models
from perfcrew.rules.fixes.outcomes import Draft
from perfcrew.rules.fixes.places import Spot, locate
from perfcrew.rules.fixes.turning import calls_at, refuse_writes, statement_of

_MISSING = "A row that is missing raises KeyError rather than DoesNotExist."


class _Got(NamedTuple):
    call: ast.Call
    manager: ast.expr
    model: Model
    field: str
    """Empty for the primary key."""
    key: ast.expr


def in_bulk(case: Case, known: Models) -> Draft:
    """Raises Unwritable with what stands in the way."""
    spot = locate(case, case.finding.place)
    got = _got(spot, known)
    loop = one_in.loop_of(spot, got.call)
    refuse_writes(loop)
    if any(isinstance(n, ast.Try) for n in spot.around(got.call)):
        raise Unwritable("a missing row is caught by a `try`, which a dict raises another error for")
    one_in.refuse_key(spot, got.key, loop)
    edits = Edits(spot.text)
    rows = one_in.rows_of(edits, spot, loop)
    key = edits.code(got.key)
    name = f"{got.model.name.lower()}s_by_{got.field or 'id'}"
    kept = sight.free_name(spot.function or spot.text.tree, name)
    field = f', field_name="{got.field}"' if got.field else ""
    keys = f"{{{key} for {one_in.target_code(loop)} in {rows}}}"
    edits.before(statement_of(spot, loop), f"{kept} = {edits.code(got.manager)}.in_bulk({keys}{field})")
    edits.swap(got.call, f"{kept}[{key}]")
    title = f"Ask for all {got.model.name} rows of {spot.function.name if spot.function else spot.file} at once"
    return Draft("in_bulk", title, {spot.file: edits.result()}, (_MISSING, one_in.ALL))


def _got(spot: Spot, known: Models) -> _Got:
    for call in calls_at(spot, spot.line):
        function = call.func
        manager = function.value if isinstance(function, ast.Attribute) and function.attr == "get" else None
        if not isinstance(manager, ast.Attribute) or manager.attr != "objects":
            continue
        model = class_of(spot, manager.value, known)
        if model is None or call.args or len(call.keywords) != 1 or not call.keywords[0].arg:
            continue
        return _Got(call, manager, model, _field(model, call.keywords[0].arg), call.keywords[0].value)
    raise Unwritable(
        "what is asked on the line is no `objects.get` by one key, which `in_bulk` could ask for all at once"
    )


def _field(model: Model, said: str) -> str:
    column = model.column(said)
    if said == "pk" or (column is not None and column.primary):
        return ""
    if column is None or not column.unique:
        raise Unwritable(f"`{said}` is not a unique field of {model.name}")
    return said
