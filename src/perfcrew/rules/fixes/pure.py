"""Calls that make a value from their arguments and ask nobody: they may be made earlier, later, or all at once."""

from __future__ import annotations

import ast

from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.source import dotted

_BUILTIN = frozenset(
    {"str", "int", "float", "bool", "len", "round", "abs", "min", "max", "repr", "tuple", "list", "dict"}
)
_ANYWHERE = frozenset(
    {"Decimal", "dumps", "uuid4", "strip", "lower", "upper", "title", "isoformat", "model_dump", "format", "join"}
    | {"date"}
)


def check(spot: Spot, call: ast.Call) -> None:
    """Raises Unwritable where a call could ask the database, or depend on the write before."""
    if not _is_pure(spot, call):
        raise Unwritable(f"`{dotted(call.func) or 'a call'}` makes a value of the row: it may depend on the row before")


def check_all(spot: Spot, *values: ast.expr) -> None:
    """Every call within these."""
    for call in (n for v in values for n in ast.walk(v) if isinstance(n, ast.Call)):
        check(spot, call)


def _is_pure(spot: Spot, call: ast.Call) -> bool:
    name = dotted(call.func)
    if isinstance(call.func, ast.Attribute) and call.func.attr == "get":
        return _is_written_out(spot, call.func.value)
    return name in _BUILTIN or last(name) in _ANYWHERE


def _is_written_out(spot: Spot, owner: ast.expr) -> bool:
    """A dict display, or a name that is given nothing else: a store, a session and a client have a `get` too."""
    if isinstance(owner, ast.Dict):
        return True
    if not isinstance(owner, ast.Name):
        return False
    given = [n for n in ast.walk(spot.text.tree) if isinstance(n, ast.Name) and n.id == owner.id and not _reads(n)]
    shown = {
        id(target)
        for n in ast.walk(spot.text.tree)
        if isinstance(n, ast.Assign) and isinstance(n.value, ast.Dict)
        for target in n.targets
    }
    taken = any(isinstance(n, ast.arg) and n.arg == owner.id for n in ast.walk(spot.text.tree))
    return bool(given) and not taken and all(id(n) in shown for n in given)


def _reads(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Load)
