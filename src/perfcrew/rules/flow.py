"""Whether awaits (or calls) of one function depend on each other, by the flow of data and of control in its source.

Careful by design: what can't be shown independent counts as dependent.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from perfcrew.rules.source import Function, dotted, names

_Node = TypeVar("_Node", ast.Await, ast.Call)

_SHARED_SESSION = re.compile(r"(session|conn|connection|cursor|transaction|uow|\bdb|\btx)$", re.IGNORECASE)
_LEAVES = (ast.Return, ast.Raise, ast.Break, ast.Continue)
_REPEATS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True)
class Step:
    """An await, or a call: its line, its statement, and the list of statements that this is an element of."""

    line: int
    node: ast.Await | ast.Call
    statement: ast.stmt
    block: tuple[ast.stmt, ...]

    @property
    def sessions(self) -> frozenset[str]:
        """Names in the await that look like a session or a connection, dotted: `self.session`."""
        found = (dotted(n) for n in ast.walk(self.node) if isinstance(n, (ast.Name, ast.Attribute)))
        return frozenset(name for name in found if name and _SHARED_SESSION.search(name))


def steps(function: Function, lines: Iterable[int]) -> list[Step]:
    """The awaits at these lines that run once a call: those in loops and comprehensions are left out.

    Of a function that is not async, the outermost calls.
    """
    found: dict[int, Step] = {}
    for block, statement in _statements(function.body):
        for node in _waited_for(function, statement):
            line = next((n for n in lines if node.lineno <= n <= (node.end_lineno or node.lineno)), None)
            if line is not None and id(node) not in found:
                found[id(node)] = Step(line, node, statement, block)
    return sorted(found.values(), key=lambda s: (s.node.lineno, s.node.col_offset))


def _statements(block: list[ast.stmt]) -> Iterable[tuple[tuple[ast.stmt, ...], ast.stmt]]:
    """Every simple statement with its block, those of loops and inner functions left out."""
    for statement in block:
        if isinstance(statement, (*_REPEATS, *_FUNCTIONS, ast.ClassDef)):
            continue
        inner = [getattr(statement, name, None) for name in ("body", "orelse", "finalbody")]
        blocks = [b for b in inner if isinstance(b, list) and b and isinstance(b[0], ast.stmt)]
        if not blocks:
            yield tuple(block), statement
        for each in blocks:
            yield from _statements(each)


def _waited_for(function: Function, statement: ast.stmt) -> Iterable[ast.Await | ast.Call]:
    if isinstance(function, ast.AsyncFunctionDef):
        return _outermost(statement, ast.Await)
    return _outermost(statement, ast.Call)


def _outermost(node: ast.AST, kind: type[_Node]) -> Iterable[_Node]:
    """Within a statement. One inside another's arguments is the other's business: the outer one is given."""
    if isinstance(node, kind):
        yield node
        return
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (*_REPEATS, *_FUNCTIONS)):
            yield from _outermost(child, kind)


def independent(first: Step, later: Step) -> bool:
    """Whether the later await could start before the first has ended."""
    if first.block != later.block or first.node is later.node:
        return False
    if first.statement is later.statement:
        return not _walrus(first.statement)
    try:
        between = first.block[first.block.index(first.statement) + 1 : first.block.index(later.statement)]
    except ValueError:
        return False
    tainted = _bound(first.statement)
    for statement in between:
        if _reads(statement, tainted):
            if any(isinstance(n, _LEAVES) for n in ast.walk(statement)):
                return False
            tainted |= _bound(statement)
    return not _reads(later.statement, tainted)


def _walrus(statement: ast.stmt) -> bool:
    return any(isinstance(n, ast.NamedExpr) for n in ast.walk(statement))


def _bound(statement: ast.stmt) -> frozenset[str]:
    """Names that carry the statement's outcome: what it stores, and what it may have changed in place.

    Where nothing is stored, the outcome is in what was passed: `await fill(page)`.
    """
    stored = names(statement, ast.Store)
    roots = {
        _root(n)
        for n in ast.walk(statement)
        if isinstance(n, (ast.Attribute, ast.Subscript)) and isinstance(n.ctx, ast.Store)
    }
    if isinstance(statement, ast.Expr):
        roots |= names(statement, ast.Load)
    return stored | frozenset(r for r in roots if r)


def _root(node: ast.AST) -> str:
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _reads(statement: ast.stmt, tainted: frozenset[str]) -> bool:
    return bool(names(statement, ast.Load) & tainted)


def spared_ms(order: Sequence[Step], cost_ms: Sequence[float], depends: Sequence[Sequence[bool]]) -> float:
    """What running independent steps together spares: the sum less the longest chain of dependent ones."""
    longest: list[float] = []
    for later in range(len(order)):
        before = [longest[first] for first in range(later) if depends[first][later]]
        longest.append(cost_ms[later] + max(before, default=0.0))
    return sum(cost_ms) - max(longest, default=0.0)
