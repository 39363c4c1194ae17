"""Statements of one block that could wait together: which, and what must come before and after them.

A statement in between that needs nothing of them is done first; one that only uses their results is done last.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.source import covers, inside, names

_LEAVES = (ast.Return, ast.Raise, ast.Break, ast.Continue, ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)
_SCOPES = (ast.Lambda, ast.FunctionDef, ast.AsyncFunctionDef, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Member(NamedTuple):
    """A statement that waits: what it waits for, and the name that the answer goes to."""

    statement: ast.stmt
    waits: ast.expr
    """The await, or the blocking call of sync code."""
    target: str
    rest: bool
    """Whether the statement does more with the answer than to name it: `shelf = (await ask()).json()`."""

    @property
    def stored(self) -> frozenset[str]:
        return names(self.statement, ast.Store)

    @property
    def read(self) -> frozenset[str]:
        return names(self.statement, ast.Load)


@dataclass
class Group:
    """Members that need nothing of one another, in order, with the statements between them."""

    members: list[Member] = field(default_factory=list)
    first: list[ast.stmt] = field(default_factory=list)
    last: list[ast.stmt] = field(default_factory=list)

    @property
    def results(self) -> frozenset[str]:
        """Names that carry something of the members' answers."""
        stored = [m.stored for m in self.members] + [_changed(s) for s in self.last]
        return frozenset().union(*stored)

    def holds(self, line: int) -> bool:
        """Whether the line is one of the members'."""
        return any(covers(m.statement, line) for m in self.members)


MemberOf = Callable[[ast.stmt], Member | None]
Obstacle = Callable[[Member], str | None]


def group_at(spot: Spot, member_of: MemberOf, obstacle: Obstacle) -> Group:
    """The group of at least two that the spot's line belongs to. Raises Unwritable with what stands in the way."""
    block = block_at(spot)
    scan = _Scan(member_of, obstacle)
    for statement in block:
        scan.take(statement)
    groups = [g for g in scan.groups if len(g.members) > 1]
    found = next((g for g in groups if g.holds(spot.line)), None)
    if found is None:
        near = [why for statement, why in scan.reasons if abs(statement.lineno - spot.line) <= 3] or scan.said
        raise Unwritable("; ".join(dict.fromkeys(near)) or "no other call beside it that it could run together with")
    return found


def block_at(spot: Spot) -> list[ast.stmt]:
    """The innermost list of statements that has one at the line. Raises Unwritable outside of a function."""
    if spot.function is None:
        raise Unwritable("the line is in no function")
    found: list[ast.stmt] = []
    blocks: list[list[ast.stmt]] = [spot.function.body]
    while blocks:
        block = blocks.pop()
        if any(covers(s, spot.line) for s in block):
            found = block
        for statement in block:
            if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                blocks += _blocks(statement)
    return found


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for part in (statement, *getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(part, name, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                yield block


class _Scan:
    """Goes over a block once and cuts it into groups."""

    def __init__(self, member_of: MemberOf, obstacle: Obstacle) -> None:
        self._member_of, self._obstacle = member_of, obstacle
        self.groups: list[Group] = [Group()]
        self.reasons: list[tuple[ast.stmt, str]] = []
        self._first: list[ast.stmt] = []
        self._last: list[ast.stmt] = []

    @property
    def said(self) -> list[str]:
        return [why for _, why in self.reasons]

    def take(self, statement: ast.stmt) -> None:
        member = self._member_of(statement)
        if member is None:
            self._between(statement)
            return
        why = self._obstacle(member)
        if why:
            self.reasons.append((statement, why))
            self._cut()
            return
        why = self._needs(member)
        if why:
            self.reasons.append((statement, why))
            self._cut()
        group = self.groups[-1]
        group.first += self._first
        group.last += self._last
        group.members.append(member)
        self._first, self._last = [], []

    def _cut(self) -> None:
        self.groups.append(Group())
        self._first, self._last = [], []

    def _needs(self, member: Member) -> str | None:
        group = self._so_far()
        needed = sorted(member.read & group.results)
        if needed:
            return f"line {member.statement.lineno} needs `{needed[0]}`, which comes from a call before it"
        if any(ast.unparse(m.waits) == ast.unparse(member.waits) for m in group.members):
            return f"line {member.statement.lineno} asks the same as a line before it: the order may matter"
        used = frozenset().union(*(names(s, ast.Load) | _changed(s) for s in group.last))
        if member.stored & used:
            return f"line {member.statement.lineno} gives `{sorted(member.stored & used)[0]}` a new value"
        return None

    def _so_far(self) -> Group:
        group = self.groups[-1]
        return Group(group.members, [*group.first, *self._first], [*group.last, *self._last])

    def _between(self, statement: ast.stmt) -> None:
        group = self._so_far()
        if not group.members:
            return
        reads = names(statement, ast.Load)
        if not reads & group.results and _still(statement) and not _touches(statement, group):
            self._first.append(statement)
        elif reads & group.results and _follows(statement):
            self._last.append(statement)
        else:
            self.reasons.append((statement, f"line {statement.lineno} stands between the calls and may not be moved"))
            self._cut()


def _still(statement: ast.stmt) -> bool:
    """Nothing but values given to names: can be done earlier."""
    calls = any(isinstance(n, (ast.Call, *_LEAVES)) for n in ast.walk(statement))
    plain = isinstance(statement, ast.Assign) and all(isinstance(t, ast.Name) for t in statement.targets)
    return not calls and (plain or isinstance(statement, ast.AnnAssign))


def _follows(statement: ast.stmt) -> bool:
    """Can be done later: it neither leaves the block nor waits."""
    simple = isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Expr))
    return simple and not any(isinstance(n, _LEAVES) for n in ast.walk(statement))


def _touches(statement: ast.stmt, group: Group) -> bool:
    """Whether doing it before the members would change what they or the statements put last see."""
    stored = names(statement, ast.Store)
    seen = frozenset().union(*(m.read | m.stored for m in group.members), *(names(s, ast.Load) for s in group.last))
    return bool(stored & seen) or any(names(statement, ast.Load) & _changed(s) for s in group.last)


def _changed(statement: ast.stmt) -> frozenset[str]:
    """What it stores, and what it may have changed in place: all names that an expression statement reads."""
    stored = names(statement, ast.Store)
    for node in ast.walk(statement):
        if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, ast.Store):
            stored |= names(node, ast.Load)
    return stored | (names(statement, ast.Load) if isinstance(statement, ast.Expr) else frozenset())


def awaits_in(node: ast.AST) -> list[ast.Await]:
    """The awaits of a statement that are its own: not those of lambdas or comprehensions, or in another's arguments."""
    found: list[ast.Await] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Await):
            found.append(child)
        elif not isinstance(child, _SCOPES):
            found += awaits_in(child)
    return found


def named_target(statement: ast.stmt) -> str | None:
    """The target as code where it is a name or a tuple of names, None for anything else.

    What is awaited without a name for its answer is awaited for its effect, whose order may matter.
    """
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
        return statement.target.id
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        if isinstance(target, ast.Name):
            return target.id
        if isinstance(target, ast.Tuple) and all(isinstance(e, ast.Name) for e in target.elts):
            return f"({ast.unparse(target).strip('()')})"
    return None


def awaiting(statement: ast.stmt) -> Member | None:
    """An async statement that waits once, for a call."""
    target, found = named_target(statement), awaits_in(statement)
    if target is None or len(found) != 1 or not isinstance(found[0].value, ast.Call):
        return None
    value = getattr(statement, "value", None)
    rest = value is not found[0]
    if rest and (not target.isidentifier() or target in names(statement, ast.Load) or _conditional(statement)):
        return None
    return Member(statement, found[0], target, rest)


def _conditional(statement: ast.stmt) -> bool:
    return any(isinstance(n, (ast.IfExp, ast.BoolOp, *_SCOPES)) for n in inside(statement))


def unconditional_awaits(statement: ast.stmt) -> list[ast.Await]:
    """At least two awaits of one expression that are all waited for, whatever comes; else none."""
    found = awaits_in(statement)
    simple = isinstance(statement, (ast.Return, ast.Assign, ast.AnnAssign, ast.Expr)) and not _conditional(statement)
    calls = all(isinstance(a.value, ast.Call) for a in found)
    return found if simple and calls and len(found) > 1 else []


def keyword_name(spot: Spot, node: ast.expr) -> str:
    """The name of the argument or key that an expression is given for, '' where it has none."""
    parent = spot.parents.get(node)
    if isinstance(parent, (ast.Attribute, ast.Subscript)) or (isinstance(parent, ast.Call) and parent.func is node):
        return keyword_name(spot, parent)
    if isinstance(parent, ast.keyword):
        return parent.arg or ""
    if isinstance(parent, ast.Dict) and node in parent.values:
        key = parent.keys[parent.values.index(node)]
        text = key.value if isinstance(key, ast.Constant) else ""
        return text if isinstance(text, str) and text.isidentifier() else ""
    return ""


class Argument(NamedTuple):
    """An argument as it will be written, with the comments above and beside it."""

    code: str
    above: Sequence[str] = ()
    beside: str = ""


def joined(prefix: str, arguments: Sequence[Argument], suffix: str, indent: int, width: int) -> str:
    """A call on one line where it fits, else one argument a line."""
    line = prefix + ", ".join(a.code for a in arguments) + suffix
    bare = not any(a.above or a.beside for a in arguments)
    if bare and len(line) + indent <= width and "\n" not in line:
        return line
    lines = [t for a in arguments for t in (*a.above, f"{a.code},  {a.beside}" if a.beside else f"{a.code},")]
    return "\n".join([prefix, *(f"    {text}" for text in lines), suffix])
