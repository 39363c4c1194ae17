"""Whether rows are only listed: handed on to the answer one by one, without being counted, summed or searched."""

from __future__ import annotations

import ast

from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.source import dotted

_PASSES = frozenset({"list", "tuple", "all", "scalars", "fetchall", "mappings", "unique", "to_list", "fetch"})
COUNTS = frozenset(
    {
        "len",
        "sum",
        "max",
        "min",
        "sorted",
        "set",
        "dict",
        "Counter",
        "any",
        "all",
        "reduce",
        "mean",
        "median",
        "groupby",
    }
    | {"DataFrame", "writer", "writerows", "sort", "enumerate", "zip", "reversed", "filter", "next", "gather"}
)


def check(spot: Spot, node: ast.expr) -> None:
    """Raises Unwritable where the rows that the expression gives are used in another way than to be answered."""
    current: ast.AST = node
    while True:
        parent = spot.parents.get(current)
        if isinstance(parent, ast.Return):
            return
        if isinstance(parent, (ast.Assign, ast.AnnAssign)) and parent.value is current:
            _by_name(spot, parent)
            return
        if isinstance(parent, ast.For) and parent.iter is current:
            _by_loop(parent)
            return
        if parent is None or not _hands_on(parent, current):
            raise Unwritable(
                f"line {getattr(current, 'lineno', node.lineno)} does more with the rows than to list them: a page of "
                "them would change its outcome. An aggregate in the statement may be what is wanted"
            )
        current = parent


def _hands_on(parent: ast.AST, child: ast.AST) -> bool:
    if isinstance(parent, (ast.Await, ast.Dict, ast.keyword)):
        return True
    if isinstance(parent, ast.Attribute):
        return parent.attr in _PASSES
    if isinstance(parent, ast.comprehension):
        return parent.iter is child and not parent.ifs
    if isinstance(parent, ast.ListComp):
        return len(parent.generators) == 1
    if isinstance(parent, ast.Call):
        name = last(dotted(parent.func))
        return parent.func is child or name in _PASSES or (name not in COUNTS and child is not parent.func)
    return False


def _by_name(spot: Spot, statement: ast.Assign | ast.AnnAssign) -> None:
    target = statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]
    if not isinstance(target, ast.Name):
        raise Unwritable(f"line {statement.lineno} keeps the rows elsewhere than in a variable")
    scope = spot.function or spot.text.tree
    uses = [n for n in ast.walk(scope) if isinstance(n, ast.Name) and n.id == target.id]
    if any(isinstance(n.ctx, ast.Store) and n is not target for n in uses):
        raise Unwritable(f"`{target.id}` has several values")
    for use in (n for n in uses if isinstance(n.ctx, ast.Load)):
        check(spot, use)


def _by_loop(loop: ast.For) -> None:
    """A loop that puts something for each row into a list."""
    final = loop.body[-1]
    call = final.value if isinstance(final, ast.Expr) and isinstance(final.value, ast.Call) else None
    appends = call is not None and last(dotted(call.func)) == "append"
    if not appends or any(isinstance(n, (ast.If, ast.Break, ast.Continue, ast.AugAssign)) for n in ast.walk(loop)):
        raise Unwritable(f"the loop on line {loop.lineno} does more with the rows than to list them")
