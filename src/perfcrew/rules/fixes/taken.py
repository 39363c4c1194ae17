"""From a statement that loads rows of a class to the expression that the rows are in the function's hands as."""

from __future__ import annotations

import ast

from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.loads import Load
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.fixes.turning import awaited
from perfcrew.rules.fixes.used import Rows
from perfcrew.rules.source import dotted, names

MANY = frozenset({"all", "fetchall"})
ONE = frozenset({"first", "one", "one_or_none", "scalar", "scalar_one", "scalar_one_or_none"})
_PASS = frozenset({"scalars", "unique"})
_NARROWS = frozenset({"where", "filter", "filter_by", "order_by", "limit", "offset", "join", "outerjoin", "distinct"})
_SENDS = frozenset({"scalar", "scalars", "execute", "exec"})
_ENDS_OF_SETS = frozenset({"first", "last", "get", "earliest", "latest", "aget", "afirst", "alast"})
_OTHER_SETS = frozenset(
    {"values", "values_list", "dates", "datetimes", "count", "exists", "aggregate", "update", "delete", "in_bulk"}
    | {"annotate", "union", "intersection", "difference", "raw", "select_for_update", "iterator", "only", "defer"}
    | {"bulk_create", "create", "get_or_create", "update_or_create", "alias", "explain", "contains"}
)


def rows_of(load: Load) -> Rows:
    """Raises Unwritable where the rows are taken in a way that is not known, or in several."""
    if load.kind == "manager":
        return _of_queryset(load)
    last_call = load.chain[-1] if load.chain else None
    if load.kind == "query":
        return _of_query(load, last_call or load.node)
    if load.kind == "get":
        return Rows(load.spot, awaited(load.spot, load.node) if isinstance(load.node, ast.Call) else load.node, False)
    return _of_select(load, last_call or load.node)


def sending(load: Load) -> ast.Call:
    """The call that sends a select: `session.scalars(select(…))`. Raises Unwritable."""
    return _sender(load.spot, load.chain[-1] if load.chain else load.node)


def _of_query(load: Load, node: ast.expr) -> Rows:
    method = last(dotted(node.func)) or _attribute(node) if isinstance(node, ast.Call) and load.chain else ""
    if method in MANY:
        return Rows(load.spot, node, True)
    if method in ONE | {"get"}:
        return Rows(load.spot, node, False)
    if isinstance(load.spot.parents.get(node), (ast.For, ast.comprehension)):
        return Rows(load.spot, node, True)
    raise Unwritable(f"line {node.lineno}: the query is not taken at once, as by `.all()`")


def _attribute(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _of_select(load: Load, node: ast.expr) -> Rows:
    call = _sender(load.spot, node)
    method = _attribute(call)
    whole, ends = climb(load.spot, call)
    if method == "execute" and not any(e.startswith("scalar") for e in ends):
        raise Unwritable(f"line {call.lineno}: the rows of {load.model.name} come within tuples")
    final = method if method == "scalar" and not ends else ends[-1] if ends else ""
    if final in ONE:
        return Rows(load.spot, whole, False)
    return Rows(load.spot, whole, True)


def _sender(spot: Spot, node: ast.expr) -> ast.Call:
    parent = spot.parents.get(node)
    if isinstance(parent, ast.Call) and node in parent.args and _attribute(parent) in _SENDS:
        return parent
    if isinstance(parent, (ast.Assign, ast.AnnAssign)) and spot.function is not None:
        stored = names(parent, ast.Store)
        uses = [n for n in ast.walk(spot.function) if isinstance(n, ast.Name) and n.id in stored and n is not node]
        loads = [n for n in uses if isinstance(n.ctx, ast.Load)]
        if len(stored) == 1 and len(loads) == 1 and len(uses) == 2:
            return _sender(spot, _further(spot, loads[0]))
        raise Unwritable(f"line {node.lineno}: the statement is used in several places, or changed on the way")
    raise Unwritable(f"line {node.lineno}: who sends the statement can't be told")


def _further(spot: Spot, node: ast.expr) -> ast.expr:
    """The whole statement that is built on a name's: `newest.limit(9)`. Raises Unwritable for what asks for else."""
    while True:
        attribute = spot.parents.get(node)
        call = spot.parents.get(attribute) if isinstance(attribute, ast.Attribute) else None
        if not isinstance(attribute, ast.Attribute) or not isinstance(call, ast.Call) or call.func is not attribute:
            return node
        if attribute.attr not in _NARROWS:
            raise Unwritable(f"line {node.lineno}: `{attribute.attr}` may change what the statement asks for")
        node = call


def climb(spot: Spot, call: ast.Call) -> tuple[ast.expr, list[str]]:
    """What is called on an answer without arguments, its `await` passed: `.scalars().all()`."""
    node, found = awaited(spot, call), list[str]()
    while True:
        attribute = spot.parents.get(node)
        above = spot.parents.get(attribute) if isinstance(attribute, ast.Attribute) else None
        known = isinstance(attribute, ast.Attribute) and attribute.attr in MANY | ONE | _PASS
        if not known or not isinstance(above, ast.Call) or above.args or above.keywords:
            return node, found
        assert isinstance(attribute, ast.Attribute)
        found.append(attribute.attr)
        node = above


def _of_queryset(load: Load) -> Rows:
    called = [_attribute(c) for c in load.chain]
    other = next((c for c in called if c in _OTHER_SETS), None)
    if other or not called:
        raise Unwritable(f"line {load.node.lineno}: the queryset is no plain one" + (f": `{other}`" if other else ""))
    node: ast.expr = load.chain[-1]
    one = called[-1] in _ENDS_OF_SETS
    return Rows(load.spot, awaited(load.spot, load.chain[-1]) if one else node, not one)
