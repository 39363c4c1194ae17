"""One commit or flush after a loop in place of one a turn: only where nothing in a turn can tell the difference.

What a turn does must be known wholly: values that are made without asking anybody, and writes by the session or
connection whose commit it is. Whoever else is called (a payment, a queue, a read) may count on the rows being there.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from perfcrew.rules.fixes import pure, sight
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.source import dotted, names

_WRITES = frozenset({"add", "add_all", "execute", "executemany"})
_STATEMENTS = frozenset({"insert", "update", "delete", "values", "where", "text"})
_GONE_OVER = frozenset({"enumerate", "zip", "range", "sorted", "reversed", "list", "tuple", "items", "values", "keys"})
_UNKNOWN = (
    ast.NamedExpr,
    ast.Yield,
    ast.YieldFrom,
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)


def boundary(statement: ast.stmt) -> ast.Call | None:
    """The call of `commit()` or `flush()` that a statement is; None for another one."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    call = value.value if isinstance(value, ast.Await) else value
    if not isinstance(call, ast.Call) or call.args or call.keywords:
        return None
    return call if sight.last(dotted(call.func)) in ("commit", "flush") else None


def check(case: Case, spot: Spot, loop: ast.For) -> str:
    """`commit` or `flush`. Raises Unwritable where a turn may need what the one before committed."""
    call = boundary(loop.body[-1])
    if call is None or not isinstance(call.func, ast.Attribute):
        raise Unwritable("the loop does not end with a commit or a flush")
    owner = dotted(call.func.value)
    if not owner or sight.session_in(case.root, call.func.value, spot.function) is None:
        raise Unwritable(f"`{owner or 'what is flushed'}` is not known to be a session or connection of the database")
    _refuse_source(loop)
    turn = _Turn(spot, loop, {owner, *_cursors(spot, owner)})
    turn.read(loop.body[:-1])
    turn.finish()
    return call.func.attr


def _refuse_source(loop: ast.For) -> None:
    """What is gone over may be made turn by turn, by somebody who reads what was committed."""
    for call in (n for n in ast.walk(loop.iter) if isinstance(n, ast.Call)):
        if sight.last(dotted(call.func)) not in _GONE_OVER:
            raise Unwritable(f"`{dotted(call.func) or 'a call'}` may read for each turn what the last one committed")
    if any(isinstance(n, (ast.Await, *_UNKNOWN)) for n in ast.walk(loop.iter)):
        raise Unwritable("what the loop goes over may be read turn by turn")


def _cursors(spot: Spot, owner: str) -> Iterator[str]:
    """Names that are a cursor of that connection, and nothing else."""
    for node in ast.walk(spot.function or spot.text.tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            target = node.targets[0]
            if dotted(node.value.func) == f"{owner}.cursor" and isinstance(target, ast.Name):
                yield target.id


class _Turn:
    """One turn of the loop, statement by statement."""

    def __init__(self, spot: Spot, loop: ast.For, writers: Iterable[str]) -> None:
        self._spot, self._writers = spot, frozenset(writers)
        self._targets = names(loop.target, ast.Store)
        self._stored = frozenset().union(*(names(s, ast.Store) for s in loop.body)) - self._targets
        self._made: set[str] = set()
        """Names that this turn has given a value."""
        self._new: set[str] = set()
        """Of them those that are an object which is made here."""
        self._added: set[str] = set()
        self._read: set[str] = set()
        """Names of which an attribute is read."""
        self._writes = 0

    def read(self, body: Iterable[ast.stmt], certain: bool = True) -> None:
        for statement in body:
            self._refuse_unknown(statement)
            if isinstance(statement, ast.If):
                self._value(statement.test)
                self.read(statement.body, certain=False)
                self.read(statement.orelse, certain=False)
            elif isinstance(statement, ast.Assign):
                self._assign(statement.targets, statement.value, certain)
            elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
                self._assign([statement.target], statement.value, certain)
            elif isinstance(statement, ast.Expr):
                self._written(statement.value)
            elif not isinstance(statement, ast.Pass):
                raise Unwritable(f"line {statement.lineno} may end the turn early, or do what is not known by rule")

    def finish(self) -> None:
        """What is left to say once the whole turn was read. Raises Unwritable."""
        if not self._writes:
            raise Unwritable("nothing in the loop is written by the session or connection that commits")
        if self._new - self._added:
            raise Unwritable(f"`{min(self._new - self._added)}` is made in the turn, and not stored by it")
        given = self._added & (self._targets | (self._stored - self._new))
        if given and self._read & self._targets:
            raise Unwritable(f"`{min(given)}` is not made in the turn: what one turn stores, another may read of it")

    def _refuse_unknown(self, statement: ast.stmt) -> None:
        for node in ast.walk(statement):
            if isinstance(node, _UNKNOWN):
                raise Unwritable(f"line {statement.lineno} does what can't be followed from turn to turn")

    def _assign(self, targets: Iterable[ast.expr], value: ast.expr, certain: bool) -> None:
        self._value(value, builds=True)
        for target in targets:
            if isinstance(target, ast.Name):
                if certain:
                    self._made.add(target.id)
                if isinstance(value, ast.Call) and _is_class(value):
                    self._new.add(target.id)
            elif not isinstance(target, ast.Attribute) or dotted(target.value) not in self._targets | self._made:
                raise Unwritable(f"line {target.lineno} keeps something that the next turn may read")

    def _written(self, value: ast.expr) -> None:
        """A statement by itself: a write by the session, or nothing that is known."""
        if isinstance(value, ast.Constant):
            return
        call = value.value if isinstance(value, ast.Await) else value
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            raise Unwritable(f"line {value.lineno} does something besides: it may count on the rows being there")
        if dotted(call.func.value) not in self._writers or call.func.attr not in _WRITES:
            raise Unwritable(f"`{dotted(call.func)}` may count on the rows before it being there")
        given = [*call.args, *(k.value for k in call.keywords)]
        self._value(*given, builds=True)
        self._writes += 1
        if call.func.attr in ("add", "add_all"):
            self._added |= {n.id for a in given for n in ast.walk(a) if isinstance(n, ast.Name) and not _within(a, n)}

    def _value(self, *values: ast.expr, builds: bool = False) -> None:
        """Raises Unwritable where making it asks anybody, or reads what an earlier turn left."""
        for node in (n for v in values for n in ast.walk(v)):
            if isinstance(node, ast.Await):
                raise Unwritable("a turn waits for something besides its own write")
            if isinstance(node, ast.Call) and not (builds and _builds(node, values)):
                pure.check(self._spot, node)
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                self._read.add(dotted(node).split(".")[0])
            if isinstance(node, ast.Name) and node.id in self._stored and node.id not in self._made:
                raise Unwritable(f"`{node.id}` may be of the turn before")


def _builds(call: ast.Call, values: Iterable[ast.expr]) -> bool:
    """Whether it makes a statement, or is an object that is made, which nobody sees yet."""
    if sight.last(dotted(call.func)) in _STATEMENTS:
        return True
    each = [e for v in values for e in (v.elts if isinstance(v, (ast.List, ast.Tuple)) else [v])]
    return _is_class(call) and any(call is one for one in each)


def _is_class(call: ast.Call) -> bool:
    return isinstance(call.func, (ast.Name, ast.Attribute)) and sight.last(dotted(call.func))[:1].isupper()


def _within(whole: ast.expr, name: ast.Name) -> bool:
    """Whether the name is only part of what is made in the argument."""
    return not (whole is name or (isinstance(whole, (ast.List, ast.Tuple)) and name in whole.elts))
