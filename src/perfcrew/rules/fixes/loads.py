"""The expressions that load rows of a class: `select(Order)`, `session.query(Order)`, `Order.objects.filter(…)`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Literal, NamedTuple

from perfcrew.rules.fixes import imports
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.models import Model, Models
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.fixes.reach import Near, near, senders
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.source import dotted

Kind = Literal["select", "query", "get", "manager"]
ENDS = frozenset(
    {"get", "first", "last", "count", "exists", "aggregate", "in_bulk", "create", "update", "delete", "earliest"}
    | {"latest", "get_or_create", "update_or_create", "bulk_create", "bulk_update", "iterator", "contains", "explain"}
    | {"aget", "afirst", "alast", "acount", "aexists", "aiterator"}
)
_NO_INSTANCES = frozenset({"values", "values_list", "dates", "datetimes", "create", "bulk_create", "get_or_create"})


class Load(NamedTuple):
    """Where rows of a class come from. `chain` are the methods called on it within the same expression, in order."""

    spot: Spot
    node: ast.expr
    """`select(Order)`, `session.query(Order)`, `session.get(Order, key)`, `Order.query`, `Order.objects`."""
    name: str
    """The class as it is written there: `Order`, `models.Order`."""
    model: Model
    kind: Kind
    chain: tuple[ast.Call, ...]
    distance: int


def loads(case: Case, models: Models, model: Model) -> list[Load]:
    """Loads of the class in the functions near the finding, those seen in traces first, then the nearest."""
    seen = {(p.file, p.function) for p in senders(case, model.table)}
    found = [load for at in near(case) for load in of(at, models) if load.model is model]

    def order(load: Load) -> tuple[bool, int]:
        name = load.spot.function.name if load.spot.function else ""
        return (load.spot.file, name) not in seen, load.distance

    unique = {(load.spot.file, load.node.lineno, load.node.col_offset): load for load in found}
    return sorted(unique.values(), key=order)


def one(case: Case, found: list[Load]) -> Load:
    """The load that feeds the loop. Raises Unwritable where several could."""
    first = found[0]
    rivals = [x for x in found[1:] if x.distance == first.distance and x.spot.function is first.spot.function]
    if rivals:
        lines = ", ".join(str(x.node.lineno) for x in (first, *rivals))
        raise Unwritable(
            f"{first.spot.file} loads {first.model.name} on lines {lines}: which of them feeds the loop can't be told"
        )
    return first


def of(at: Near, models: Models) -> Iterator[Load]:
    """All loads in a function, and in the class around it (a view's `queryset`)."""
    spot = at.spot
    for scope in _scopes(spot):
        for node in ast.walk(scope):
            found = _load(spot, node, models)
            if found is not None:
                name, model, kind = found
                yield Load(spot, node, name, model, kind, tuple(chain(spot, node)), at.distance)  # type: ignore[arg-type]


def _scopes(spot: Spot) -> list[ast.AST]:
    if spot.function is None:
        return [spot.text.tree]
    around = spot.parents.get(spot.function)
    kept = (
        [s for s in around.body if isinstance(s, (ast.Assign, ast.AnnAssign))]
        if isinstance(around, ast.ClassDef)
        else []
    )
    return [spot.function, *kept]


def _load(spot: Spot, node: ast.AST, models: Models) -> tuple[str, Model, Kind] | None:
    if isinstance(node, ast.Call):
        return _of_call(spot, node, models)
    if isinstance(node, ast.Attribute) and node.attr in ("query", "objects"):
        model = class_of(spot, node.value, models)
        kind: Kind = "query" if node.attr == "query" else "manager"
        if model and (kind == "manager") == (model.style == "django") and _gives_rows(spot, node):
            return dotted(node.value), model, kind
    return None


def _of_call(spot: Spot, call: ast.Call, models: Models) -> tuple[str, Model, Kind] | None:
    name = last(dotted(call.func))
    if name in ("select", "query"):
        for argument in call.args:
            model = class_of(spot, argument, models)
            if model and model.style == "sqlalchemy":
                return dotted(argument), model, "select" if name == "select" else "query"
    if name == "get" and len(call.args) >= 2:
        model = class_of(spot, call.args[0], models)
        if model and model.style == "sqlalchemy":
            return dotted(call.args[0]), model, "get"
    return None


def _gives_rows(spot: Spot, node: ast.expr) -> bool:
    return not any(last(dotted(c.func)) in _NO_INSTANCES for c in chain(spot, node))


def class_of(spot: Spot, node: ast.expr, models: Models) -> Model | None:
    """The mapped class that a name or attribute stands for by the module's imports."""
    name = dotted(node)
    if not name or not isinstance(node, (ast.Name, ast.Attribute)):
        return None
    return models.named(imports.full_name(spot.text, name)) if name[:1] != "." else None


def chain(spot: Spot, node: ast.AST) -> Iterator[ast.Call]:
    """The calls of methods on the expression, one after another: `.where(…)`, `.limit(…)`."""
    while True:
        attribute = spot.parents.get(node)
        call = spot.parents.get(attribute) if isinstance(attribute, ast.Attribute) else None
        if not isinstance(call, ast.Call) or call.func is not attribute:
            return
        yield call
        node = call
