"""Loops around an expression: what stays the same over their turns, and what they write."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.source import covers, dotted, names

Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
Loop = ast.For | ast.AsyncFor | ast.While | Comprehension
LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_OWNER = re.compile(r"(session|conn|connection|cursor|cur|db|database|transaction|objects|tx)$", re.IGNORECASE)
_ALWAYS = frozenset(
    {"commit", "flush", "save", "asave", "bulk_create", "bulk_update", "get_or_create", "update_or_create", "add_all"}
    | {"executemany", "rollback", "expire_all", "bulk_save_objects", "merge", "expire", "refresh", "expunge"}
)
_OF_SESSIONS = frozenset({"add", "delete", "create", "update", "insert", "execute_write"})
_STATEMENTS = frozenset({"insert", "update", "delete"})
_WRITING_SQL = re.compile(r"\s*(INSERT|UPDATE|DELETE|MERGE|REPLACE|TRUNCATE)\b", re.IGNORECASE)


def around(spot: Spot, node: ast.AST) -> list[Loop]:
    """The loops of the function that turn the node, the outermost first."""
    found: list[Loop] = []
    child = below = node
    for parent in spot.around(node):
        if isinstance(parent, LOOPS) and not _once(parent, child, below):
            found.insert(0, parent)
        child, below = parent, child
    return found


def _once(loop: Loop, child: ast.AST, below: ast.AST) -> bool:
    """Whether the child, with the node below it, is done once, before the first turn: what is gone over."""
    if isinstance(loop, (ast.For, ast.AsyncFor)):
        return child is loop.iter or child in loop.orelse
    return not isinstance(loop, ast.While) and child is loop.generators[0] and below is loop.generators[0].iter


def statement_of(spot: Spot, node: ast.AST) -> ast.stmt:
    """The statement that holds the node, or is it."""
    if isinstance(node, ast.stmt):
        return node
    return next(n for n in _up(spot, node) if isinstance(n, ast.stmt))


def _up(spot: Spot, node: ast.AST) -> Iterator[ast.AST]:
    while node in spot.parents:
        node = spot.parents[node]
        yield node


def changing(loop: Loop) -> frozenset[str]:
    """Names that get values within the loop, its own variables among them."""
    return names(loop, ast.Store) | _changed_in_place(loop)


def _changed_in_place(loop: Loop) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    for node in ast.walk(loop):
        if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, (ast.Store, ast.Del)):
            found |= frozenset({dotted(node.value).split(".")[0]})
    return found


def sets_anew(loop: Loop, node: ast.expr) -> bool:
    """Whether the loop gives a value to an attribute or an item that the expression reads."""
    parts = [n for n in ast.walk(node) if isinstance(n, (ast.Attribute, ast.Subscript))]
    read = {ast.unparse(part) for part in parts}
    written = (n for n in ast.walk(loop) if isinstance(n, (ast.Attribute, ast.Subscript)))
    return any(not isinstance(n.ctx, ast.Load) and ast.unparse(n) in read for n in written)


def same_in(loop: Loop, node: ast.AST) -> bool:
    """Whether the expression reads nothing that the loop gives values to."""
    inner = {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
    return not (names(node, ast.Load) - inner) & changing(loop)


def refuse_waiting(loops: Sequence[Loop]) -> None:
    """Raises Unwritable where a loop may ask again until the answer is another one."""
    for loop in loops:
        sleeps = any(last(dotted(n.func)) == "sleep" for n in ast.walk(loop) if isinstance(n, ast.Call))
        if isinstance(loop, ast.While) or sleeps:
            raise Unwritable(f"the loop on line {loop.lineno} may be waiting for the answer to change")


def refuse_writes(*parts: ast.AST) -> None:
    """Raises Unwritable where something is written to the database: what was read before it may be old after it."""
    for part in parts:
        for call in (n for n in ast.walk(part) if isinstance(n, ast.Call)):
            if writes(call):
                raise Unwritable(f"line {call.lineno} writes to the database: what is read after it may differ")


def writes(call: ast.Call) -> bool:
    """Whether a call changes the database, or makes a statement that does."""
    name = dotted(call.func)
    owner, _, method = name.rpartition(".")
    if method in _ALWAYS or (not owner and name in _STATEMENTS):
        return True
    if method in _OF_SESSIONS and (_OWNER.search(owner) or _on_queryset(call)):
        return True
    first = call.args[0] if call.args else None
    text = first.args[0] if isinstance(first, ast.Call) and last(dotted(first.func)) == "text" and first.args else first
    return isinstance(text, ast.Constant) and isinstance(text.value, str) and bool(_WRITING_SQL.match(text.value))


def _on_queryset(call: ast.Call) -> bool:
    return any(isinstance(n, ast.Attribute) and n.attr in ("objects", "filter", "query") for n in ast.walk(call.func))


def calls_at(spot: Spot, line: int) -> list[ast.Call]:
    """Calls on the line, the innermost last."""
    scope = spot.function or spot.text.tree
    return [n for n in ast.walk(scope) if isinstance(n, ast.Call) and covers(n, line)]


def awaited(spot: Spot, call: ast.Call) -> ast.expr:
    """The `await` of the call, or the call itself."""
    parent = spot.parents.get(call)
    return parent if isinstance(parent, ast.Await) else call
