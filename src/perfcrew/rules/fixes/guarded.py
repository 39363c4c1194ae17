"""Whether each turn of a loop reads the key of its lookup: in turns that don't, it may not even be there."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.fixes.turning import Comprehension, Loop
from perfcrew.rules.source import inside

Guard = ast.expr | ast.stmt


def refuse_guarded(spot: Spot, key: ast.expr, loop: Loop) -> None:
    """Raises Unwritable for a key that could fail to be read in the turns that leave it out."""
    if isinstance(key, ast.Name):
        return
    guards = _guards(spot, key, loop)
    if isinstance(key, ast.Attribute) and isinstance(key.value, ast.Name):
        name = key.value.id
        guards = (guard for guard in guards if _asks_of(guard, name))
    found = next(guards, None)
    if found is not None:
        raise Unwritable(f"line {found.lineno} decides in which turns the key is read: in others it may not be there")


def _guards(spot: Spot, key: ast.expr, loop: Loop) -> Iterator[Guard]:
    """What decides within the loop whether the key is read."""
    child: ast.AST = key
    for parent in _within(spot, key, loop):
        yield from _conditions(parent, child)
        child = parent
    yield from _conditions(loop, child)
    for node in inside(loop):
        if isinstance(node, (ast.Break, ast.Return)) or (
            isinstance(node, (ast.Continue, ast.Raise)) and _place(node) < _place(key)
        ):
            yield from (n.test for n in _within(spot, node, loop) if isinstance(n, ast.If))
            yield node


def _within(spot: Spot, node: ast.AST, loop: Loop) -> list[ast.AST]:
    """What is around the node within the loop, the innermost first."""
    around = spot.around(node)
    return around[: around.index(loop)]


def _conditions(parent: ast.AST, child: ast.AST) -> list[Guard]:
    """What the parent asks before it comes to its child."""
    if isinstance(parent, (ast.If, ast.IfExp)):
        return [parent.test] if child is not parent.test else []
    if isinstance(parent, ast.BoolOp):
        return [value for value in parent.values if _place(value) < _place(child)]
    if isinstance(parent, ast.comprehension):
        return [test for test in parent.ifs if _place(test) < _place(child)]
    if isinstance(parent, Comprehension):
        return [test for each in parent.generators if each is not child for test in each.ifs]
    if isinstance(parent, ast.Match):
        return [parent.subject] if child is not parent.subject else []
    return [parent] if isinstance(parent, (ast.Try, ast.TryStar)) else []


def _place(node: ast.AST) -> tuple[int, int]:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def _asks_of(guard: Guard, name: str) -> bool:
    """Whether a condition asks of the variable itself: what it is, or whether it is there at all."""
    bases = {id(n.value) for n in ast.walk(guard) if isinstance(n, ast.Attribute)}
    named = (n for n in ast.walk(guard) if isinstance(n, ast.Name) and n.id == name)
    return not isinstance(guard, ast.stmt) and any(id(n) not in bases for n in named)
