"""What a fixer must know of a cache's client and keys before it moves a read: whose it is, and that keys are plain."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection

from perfcrew.rules.fixes import purity
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.source import Source, names

_CLIENT = re.compile(r"\b(Strict)?Redis\b|\b(aio)?redis\b|\bValkey\b|\bvalkey\b")
_CLUSTER = re.compile(r"Cluster")
_PLAIN = frozenset(["str", "repr", "int", "hex", "format"])
_METHODS = frozenset(["format", "lower", "upper", "strip", "hex", "isoformat"])


def is_get(node: ast.AST) -> bool:
    """`client.get(key)`, with nothing else."""
    method = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
    return isinstance(node, ast.Call) and method == "get" and len(node.args) == 1 and not node.keywords


def check_client(case: Case, spot: Spot, call: ast.Call) -> None:
    """Raises Unwritable where what is called can't be told to be a client of one Redis."""
    assert isinstance(call.func, ast.Attribute)
    owner = ast.unparse(call.func.value)
    told = _told_of(spot.text, owner.rpartition(".")[2])
    if any(_CLUSTER.search(text) for text in told):
        raise Unwritable("on a cluster the keys of one command must lie on one node")
    if not any(_CLIENT.search(text) for text in told):
        raise Unwritable(f"`{owner}` can't be told to be a client of redis-py")


def _told_of(text: Source, name: str) -> list[str]:
    """Annotations of that name, and what it is assigned, anywhere in the file."""
    found: list[str] = []
    for node in ast.walk(text.tree):
        if isinstance(node, ast.arg) and node.arg == name and node.annotation is not None:
            found.append(ast.unparse(node.annotation))
        if isinstance(node, ast.Assign) and any(_named(target, name) for target in node.targets):
            found.append(ast.unparse(node.value))
        if isinstance(node, ast.AnnAssign) and _named(node.target, name):
            found += [ast.unparse(part) for part in (node.annotation, node.value) if part is not None]
    return found


def _named(target: ast.expr, name: str) -> bool:
    return ast.unparse(target).rpartition(".")[2] == name


def check_key(text: Source, key: ast.expr, turn: Collection[str]) -> None:
    """Raises Unwritable where making the key may do or need more than the turn's own names give."""
    if not names(key, ast.Load) & frozenset(turn):
        raise Unwritable("the key is the same at each turn: read it once")
    for node in ast.walk(key):
        if isinstance(node, ast.Await | ast.NamedExpr | ast.Lambda | ast.Yield):
            raise Unwritable("making the key waits, or keeps something")
        if isinstance(node, ast.Call):
            _check_call(text, node)


def _check_call(text: Source, call: ast.Call) -> None:
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if name in _PLAIN or method in _METHODS:
        return
    function = text.function_named(name) if name else None
    if not isinstance(function, ast.FunctionDef) or purity.why_effects(text, function):
        raise Unwritable(f"it can't be told that `{ast.unparse(call.func)}` does nothing but make the key")


def plain_assignment(statement: ast.stmt) -> list[tuple[str, ast.expr]]:
    """The name and value of `key = f"…"`; empty for any other statement."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return []
    target = statement.targets[0]
    heavy = (ast.Await, ast.Call, ast.Yield)
    plain = isinstance(target, ast.Name) and not any(isinstance(n, heavy) for n in ast.walk(statement.value))
    return [(target.id, statement.value)] if plain and isinstance(target, ast.Name) else []
