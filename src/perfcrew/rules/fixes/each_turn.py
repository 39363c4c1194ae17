"""What one turn of a loop does for sure, and what it may change: asked before an answer is kept for the next turns."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from perfcrew.rules.fixes import project
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.fixes.turning import Comprehension, refuse_writes, writes
from perfcrew.rules.source import Function, dotted, names

ForLoop = ast.For | ast.AsyncFor
_DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_CHANGES = frozenset(
    {"append", "extend", "insert", "remove", "pop", "popitem", "clear", "sort", "reverse", "add", "discard", "update"}
    | {"setdefault", "delete", "set"}
)
_SAME_ITEMS = frozenset(
    {"enumerate", "zip", "list", "tuple", "sorted", "reversed", "filter", "iter", "set", "frozenset"}
)
_STATEMENTS = frozenset({"insert", "update", "delete"})


def done_first(spot: Spot, node: ast.expr, loop: ForLoop) -> ast.stmt:
    """The statement that does the read whenever it is done itself. Raises Unwritable where it may not do it."""
    above = spot.around(node)
    within = above[: above.index(loop)]
    child: ast.AST = node
    for parent in within:
        what = _may_skip(parent, child)
        if what:
            raise Unwritable(f"the read is in {what}: it isn't done each time that its statement is")
        child = parent
    statement = next(n for n in within if isinstance(n, ast.stmt))
    if isinstance(statement, ast.If) and spot.text.line(statement.lineno).lstrip().startswith("elif"):
        raise Unwritable("the read is the condition of an `elif`, before which nothing can be put")
    return statement


def _may_skip(parent: ast.AST, child: ast.AST) -> str:
    """What keeps the parent from doing its child at once and each time; '' where nothing does."""
    if isinstance(parent, ast.Lambda):
        return "a lambda"
    if isinstance(parent, _DEFINES):
        return f"`{parent.name}`, which is defined in the loop"
    if isinstance(parent, ast.comprehension):
        return "" if child is parent.iter else "a comprehension"
    if isinstance(parent, Comprehension):
        return "" if child is parent.generators[0] else "a comprehension"
    if isinstance(parent, (ast.BoolOp, ast.IfExp, ast.Compare)):
        return _may_skip_operand(parent, child)
    if isinstance(parent, (ast.With, ast.AsyncWith)):
        return "" if child is parent.items[0] or child in parent.body else "the second part of a `with`"
    if isinstance(parent, (ast.ExceptHandler, ast.match_case)):
        return "" if child in parent.body else "the condition of a branch"
    return "the message of an `assert`" if isinstance(parent, ast.Assert) and child is parent.msg else ""


def _may_skip_operand(parent: ast.BoolOp | ast.IfExp | ast.Compare, child: ast.AST) -> str:
    if isinstance(parent, ast.BoolOp):
        return "" if child is parent.values[0] else "an operand of `and` or `or`"
    if isinstance(parent, ast.IfExp):
        return "" if child is parent.test else "one side of an `if … else …`"
    return "a chain of comparisons" if child in parent.comparators[1:] else ""


def refuse_writing(case: Case, spot: Spot, loop: ForLoop) -> None:
    """Raises Unwritable where a turn writes to the database, itself or by a function that it calls."""
    refuse_writes(loop)
    for node in ast.walk(loop):
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            raise Unwritable(f"line {node.lineno} hands over to a caller, who may write between the turns")
        if isinstance(node, ast.Call) and _executes_write(node):
            raise Unwritable(f"line {node.lineno} writes to the database: what is read after it may differ")
    lines = {last(dotted(n.func)): n.lineno for n in ast.walk(loop) if isinstance(n, ast.Call)}
    for called in _defined(case, spot, lines):
        if any(writes(n) for n in ast.walk(called) if isinstance(n, ast.Call)):
            raise Unwritable(f"`{called.name}`, called on line {lines[called.name]}, writes to the database")


def _executes_write(call: ast.Call) -> bool:
    inner = (last(dotted(n.func)) for a in call.args for n in ast.walk(a) if isinstance(n, ast.Call))
    return last(dotted(call.func)) == "execute" and bool(_STATEMENTS.intersection(inner))


def _defined(case: Case, spot: Spot, wanted: Collection[str]) -> list[Function]:
    """The project's functions of these names: of the same file first, else the only one; found in one pass."""
    near = [f for f in spot.text.functions if f.name in wanted]
    far = [
        f
        for text in project.sources(case.root)
        if not project.is_test(case.root, text.path) and any(f"def {name}(" in text.text for name in wanted)
        for f in text.functions
        if f.name in wanted
    ]
    found = ([f for f in near if f.name == name] or [f for f in far if f.name == name] for name in wanted)
    return [same[0] for same in found if len(same) == 1]


def refuse_changes(loop: ForLoop, reads: Collection[ast.expr]) -> None:
    """Raises Unwritable where a turn changes an object: one that is read, or a row whose change is flushed."""
    held, rows = _holding(loop, reads), _targets(loop)
    for changed in (c for node in ast.walk(loop) if (c := _changed(node)) is not None):
        where = f"line {changed.lineno} changes `{ast.unparse(changed)}`"
        if _leads_to(changed, reads, held):
            raise Unwritable(f"{where}, which all turns with the same value would share")
        stored = isinstance(changed, ast.Attribute) and not isinstance(changed.ctx, ast.Load)
        if stored or _leads_to(changed, (), rows):
            raise Unwritable(f"{where}: what is read after it may differ")


def _changed(node: ast.AST) -> ast.expr | None:
    """What a part of the loop changes in place."""
    if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, (ast.Store, ast.Del)):
        return node
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        return node.target
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGES:
        return node.func.value
    if isinstance(node, ast.Call) and dotted(node.func) in ("setattr", "delattr") and node.args:
        return node.args[0]
    return None


def _targets(loop: ForLoop) -> frozenset[str]:
    loops = (n for n in ast.walk(loop) if isinstance(n, (ast.For, ast.AsyncFor)))
    return frozenset(name for n in loops for name in names(n.target, ast.Store))


def _holding(loop: ForLoop, reads: Collection[ast.expr]) -> frozenset[str]:
    """Names that are given what is read, or a part of it."""
    known: frozenset[str] = frozenset()
    given = list(_given(loop))
    while True:
        more = known | {name for names_, value in given if _leads_to(value, reads, known) for name in names_}
        if more == known:
            return known
        known = more


def _given(loop: ForLoop) -> Iterator[tuple[frozenset[str], ast.expr]]:
    for node in ast.walk(loop):
        if isinstance(node, ast.Assign):
            yield from ((names(target, ast.Store), node.value) for target in node.targets)
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            yield names(node.target, ast.Store), node.value
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            yield names(node.target, ast.Store), node.iter


def _leads_to(value: ast.expr, reads: Collection[ast.expr], known: frozenset[str]) -> bool:
    """Whether the expression is one of the reads or names, or a part of what they give."""
    if value in reads or (isinstance(value, ast.Name) and value.id in known):
        return True
    if isinstance(value, (ast.Attribute, ast.Subscript, ast.Starred, ast.Await)):
        return _leads_to(value.value, reads, known)
    choice = value.values if isinstance(value, ast.BoolOp) else []
    choice = [value.body, value.orelse] if isinstance(value, ast.IfExp) else choice
    choice = value.args if isinstance(value, ast.Call) and dotted(value.func) in _SAME_ITEMS else choice
    return any(_leads_to(v, reads, known) for v in choice)
