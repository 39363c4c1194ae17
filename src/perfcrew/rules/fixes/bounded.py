"""Puts the bound of a page onto the expression that reads."""

from __future__ import annotations

import ast

from perfcrew.rules.fixes import imports
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.layout import chained, width_of
from perfcrew.rules.fixes.loads import chain, class_of
from perfcrew.rules.fixes.models import Model, Models
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.source import covers, dotted

_ASKS = frozenset({"scalars", "execute", "stream", "stream_scalars"})
_QUERY_ENDS = frozenset({"all", "scalars"})
_CUT = frozenset({"limit", "slice", "paginate", "yield_per", "fetch", "first", "one", "partitions"})


def asked(spot: Spot, models: Models) -> tuple[ast.expr, ast.expr]:
    """The statement that is asked at the spot's line, and the expression that gives its rows. Raises Unwritable."""
    scope = spot.function or spot.text.tree
    calls = [n for n in ast.walk(scope) if isinstance(n, ast.Call) and covers(n, spot.line)]
    for call in calls:
        if last(dotted(call.func)) in _ASKS and call.args and not isinstance(call.args[0], ast.Constant):
            return call.args[0], call
        if isinstance(call.func, ast.Attribute) and call.func.attr in _QUERY_ENDS and _is_query(call.func.value):
            return call.func.value, call
    raise Unwritable(f"no statement whose rows could be bounded was found on line {spot.line}")


def _is_query(node: ast.expr) -> bool:
    parts = [n for n in ast.walk(node) if isinstance(n, (ast.Call, ast.Attribute))]
    return any(
        (isinstance(n, ast.Call) and last(dotted(n.func)) == "query")
        or (isinstance(n, ast.Attribute) and n.attr == "query")
        for n in parts
    )


def bound(case: Case, edits: Edits, spot: Spot, statement: ast.expr, models: Models) -> None:
    """`.limit(limit).offset(offset)`, with an order where there is none. Raises Unwritable."""
    written = _written(spot, statement)
    methods = {last(_name(n)) for part in written for n in ast.walk(part) if isinstance(n, ast.Call)}
    if methods & _CUT:
        raise Unwritable(f"the statement on line {statement.lineno} is bounded in a way by now")
    order = "" if "order_by" in methods else _order(spot, written, models)
    chained(edits, spot, statement, f"{order}.limit(limit).offset(offset)", width_of(case.root, spot.text))


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else dotted(call.func)


def _written(spot: Spot, statement: ast.expr) -> list[ast.expr]:
    """The expressions that the statement is made of, through the variables of the function."""
    found = [statement]
    scope = spot.function or spot.text.tree
    names = [n.id for n in ast.walk(statement) if isinstance(n, ast.Name)]
    given = [n for n in ast.walk(scope) if isinstance(n, ast.Assign) and any(dotted(t) in names for t in n.targets)]
    return [*found, *(statement.value for statement in given)]


def _order(spot: Spot, written: list[ast.expr], models: Models) -> str:
    """By the key of the class that is read: without an order, pages would overlap."""
    for part in written:
        for node in ast.walk(part):
            model = class_of(spot, node, models) if isinstance(node, (ast.Name, ast.Attribute)) else None
            if model is not None and model.key is not None and _reads_whole(spot, node):
                return f".order_by({dotted(node)}.{model.key.attribute})"
    raise Unwritable("the rows come in no order, and none is plain to see: without one, pages would overlap")


def _reads_whole(spot: Spot, node: ast.AST) -> bool:
    parent = spot.parents.get(node)
    if isinstance(parent, ast.Attribute):
        return parent.attr == "query"
    return isinstance(parent, ast.Call) and last(dotted(parent.func)) in ("select", "query") and len(parent.args) == 1


def queryset(spot: Spot, models: Models) -> tuple[ast.expr, Model]:
    """The Django queryset of the function that is read at the line. Raises Unwritable."""
    scope = spot.function or spot.text.tree
    found: list[tuple[ast.expr, Model]] = []
    for node in ast.walk(scope):
        if isinstance(node, ast.Attribute) and node.attr == "objects":
            model = class_of(spot, node.value, models)
            whole = [*chain(spot, node)]
            if model and not {last(_name(c)) for c in whole} & {
                "get",
                "first",
                "count",
                "aggregate",
                "create",
                "exists",
            }:
                found.append((whole[-1] if whole else node, model))
    on_line = [f for f in found if covers(f[0], spot.line)] or found
    if len(on_line) != 1:
        raise Unwritable(f"{len(on_line)} querysets in `{spot.function.name if spot.function else spot.file}`")
    return on_line[0]


def paginated(edits: Edits, spot: Spot, found: ast.expr, model: Model, request: str, most: int) -> None:
    """Django's paginator around the queryset; `object_list` is a queryset again."""
    paginator = imports.bring(edits, "django.core.paginator", "Paginator")
    ordered = any(last(_name(c)) == "order_by" for c in ast.walk(found) if isinstance(c, ast.Call))
    order = "" if ordered or "ordering" in ast.unparse(model.node) else '.order_by("pk")'
    code = edits.code(found)
    edits.swap(found, f'{paginator}({code}{order}, {most}).get_page({request}.GET.get("page")).object_list')
