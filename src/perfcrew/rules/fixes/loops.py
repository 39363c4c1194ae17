"""A loop that waits once a turn, written so that its turns wait together, only so many at a time."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import NamedTuple

import libcst as cst

from perfcrew.rules.fixes import imports, sharing, sight
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.source import covers, dotted, names

AT_ONCE = 8
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_STOPS = (
    ast.Return,
    ast.Break,
    ast.Continue,
    ast.Raise,
    ast.Yield,
    ast.YieldFrom,
    ast.NamedExpr,
    ast.Global,
    ast.Nonlocal,
)
_LOGS = ("log", "logger", "logging", "_log", "_logger")


class Turn(NamedTuple):
    """One turn: what it goes over, what it does, and what it gives."""

    node: ast.For | ast.ListComp | ast.SetComp | ast.DictComp
    statement: ast.stmt
    target: ast.expr
    source: ast.expr
    conditions: tuple[ast.expr, ...]
    body: tuple[ast.stmt, ...]
    gives: tuple[ast.expr, ...]
    """One expression, or key and value."""


def bound_gather(case: Case, edits: Edits, spot: Spot) -> None:
    """Writes the loop at the spot's line as a bounded gather. Raises Unwritable with what stands in the way."""
    turn = turn_at(spot)
    _refuse(case, spot, turn)
    asyncio = imports.bring(edits, "asyncio")
    scope = spot.function or spot.text.tree
    ask, at_once = sight.free_name(scope, "ask", "ask_one"), sight.free_name(scope, "at_once", "limit")
    arguments = ", ".join(sorted(names(turn.target, ast.Store), key=_order(turn.target)))
    edits.before(turn.statement, _definition(edits, turn, asyncio, ask, at_once, arguments), apart=True)
    conditions = "".join(f" if {edits.code(c)}" for c in turn.conditions)
    each = f"{ask}({arguments}) for {_target(edits, turn)} in {edits.code(turn.source)}{conditions}"
    _use(edits, turn, f"await {asyncio}.gather(*({each}))")


def turn_at(spot: Spot) -> Turn:
    """The innermost loop or comprehension at the line. Raises Unwritable for shapes that are not known."""
    scope = spot.function or spot.text.tree
    nodes = [n for n in ast.walk(scope) if isinstance(n, (*_COMPREHENSIONS, ast.For, ast.AsyncFor, ast.While))]
    around = [n for n in nodes if covers(n, spot.line)]
    if not around:
        raise Unwritable("the line is in no loop any more")
    inner = max(around, key=lambda n: (n.lineno, n.col_offset))
    if isinstance(inner, ast.For):
        return _of_loop(inner)
    if isinstance(inner, (ast.ListComp, ast.SetComp, ast.DictComp)):
        return _of_comprehension(spot, inner)
    raise Unwritable("only `for` loops and comprehensions that give a list, a set or a dict are rewritten by rule")


def _of_comprehension(spot: Spot, node: ast.ListComp | ast.SetComp | ast.DictComp) -> Turn:
    (first, *more) = node.generators
    if more or first.is_async:
        raise Unwritable("the comprehension has several `for`, or an async one")
    gives = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
    statement = next(n for n in spot.around(node) if isinstance(n, ast.stmt))
    if isinstance(statement, (ast.If, ast.While, ast.For, ast.AsyncFor)) or any(
        isinstance(n, (ast.Lambda, *_COMPREHENSIONS, ast.IfExp, ast.BoolOp)) for n in spot.around(node)
    ):
        raise Unwritable("the comprehension is part of a condition or of another one")
    return Turn(node, statement, first.target, first.iter, tuple(first.ifs), (), gives)


def _of_loop(node: ast.For) -> Turn:
    *body, final = node.body
    if node.orelse:
        raise Unwritable("the loop has an `else`")
    return Turn(node, node, node.target, node.iter, (), tuple(body), _given(final))


def _given(final: ast.stmt) -> tuple[ast.expr, ...]:
    """What the loop's last statement puts into its list or dict."""
    call = final.value if isinstance(final, ast.Expr) else None
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "append":
        return (call.args[0],)
    if isinstance(final, ast.Assign) and isinstance(final.targets[0], ast.Subscript) and len(final.targets) == 1:
        return (final.targets[0].slice, final.value)
    raise Unwritable("the loop does something else with its answers than to put them into one list or dict")


def collection(turn: Turn) -> str:
    """The name of the list or dict that a loop fills."""
    final = turn.node.body[-1] if isinstance(turn.node, ast.For) else None
    node = final.value.func if isinstance(final, ast.Expr) and isinstance(final.value, ast.Call) else None  # append
    node = final.targets[0] if isinstance(final, ast.Assign) else node
    return dotted(node.value) if isinstance(node, (ast.Attribute, ast.Subscript)) else ""


def _refuse(case: Case, spot: Spot, turn: Turn) -> None:
    """Raises Unwritable where a turn needs another's outcome, or what all would share can't be shared."""
    parts: list[ast.AST] = [*turn.body, *turn.gives]
    if not any(isinstance(n, ast.Await) for part in parts for n in ast.walk(part)):
        raise Unwritable("nothing is awaited in the loop")
    if any(isinstance(n, ast.Await) for c in (*turn.conditions, turn.source) for n in ast.walk(c)):
        raise Unwritable("the loop's own condition or source is awaited")
    if any(isinstance(n, _STOPS) for part in parts for n in ast.walk(part)):
        raise Unwritable("a turn can leave the loop early or raise, so that later calls would not be made")
    _refuse_same(turn, parts)
    _refuse_flow(spot, turn, parts)
    for part in parts:
        _refuse_call(case, spot, part)


def _refuse_same(turn: Turn, parts: list[ast.AST]) -> None:
    """A call that asks the same at each turn gets another answer by what it has used up, as a stream does."""
    own = names(turn.target, ast.Store) | frozenset().union(*(names(p, ast.Store) for p in parts))
    for node in (n for p in parts for n in ast.walk(p) if isinstance(n, ast.Await)):
        if not names(node, ast.Load) & own:
            raise Unwritable(f"line {node.lineno} asks the same at each turn: the order of its answers may matter")


def _refuse_flow(spot: Spot, turn: Turn, parts: list[ast.AST]) -> None:
    mine = frozenset().union(*(names(p, ast.Store) for p in parts)) | names(turn.target, ast.Store)
    filled = collection(turn)
    if filled and any(filled in names(p, ast.Load) for p in parts):
        raise Unwritable(f"a turn reads `{filled}`, which the turns before it fill")
    if any(isinstance(n, ast.AugAssign) for p in parts for n in ast.walk(p)):
        raise Unwritable("the turns add up into one variable")
    if not isinstance(turn.node, ast.For) or spot.function is None:
        return
    inner = {id(n) for n in ast.walk(turn.node)}
    outer = {n.id for n in ast.walk(spot.function) if isinstance(n, ast.Name) and id(n) not in inner}
    carried = sorted(mine & (outer | sight.parameters(spot.function)))
    if carried:
        raise Unwritable(f"`{carried[0]}` is used outside of the loop too")


def _refuse_call(case: Case, spot: Spot, part: ast.AST) -> None:
    for node in ast.walk(part):
        if isinstance(node, ast.Await):
            why = sharing.reason(case, spot, node)
            if why:
                raise Unwritable(why)
        if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, (ast.Store, ast.Del)):
            raise Unwritable(f"line {node.lineno} changes something that other turns may see")
        if isinstance(node, ast.Expr) and not _harmless(node):
            raise Unwritable(f"line {node.lineno} does something whose order may matter")


def _harmless(statement: ast.Expr) -> bool:
    call = statement.value
    name = dotted(call.func) if isinstance(call, ast.Call) else ""
    return isinstance(call, ast.Constant) or name.split(".")[0] in _LOGS or name.endswith(".raise_for_status")


def _definition(edits: Edits, turn: Turn, asyncio: str, ask: str, at_once: str, arguments: str) -> str:
    gives = ", ".join(_one_line(edits.code(g)) for g in turn.gives)
    body = [line for s in turn.body for line in edits.code(s).strip("\n").splitlines()]
    lines = [*body, f"return {gives}"]
    return "\n".join(
        [
            f"{at_once} = {asyncio}.Semaphore({AT_ONCE})",
            "",
            f"async def {ask}({arguments}):",
            f"    async with {at_once}:",
            *(f"        {line}" if line else "" for line in lines),
            "",
        ]
    )


def _one_line(code: str) -> str:
    """What spread over lines within brackets needs brackets of its own."""
    return f"({code})" if "\n" in code else code


def _order(target: ast.expr) -> Callable[[str], int]:
    order = [n.id for n in ast.walk(target) if isinstance(n, ast.Name)]
    return order.index


def _target(edits: Edits, turn: Turn) -> str:
    """As it stands in the source: `ast` counts the parentheses of a tuple in, libcst does not."""
    code = ast.unparse(turn.target)
    return code[1:-1] if isinstance(turn.target, ast.Tuple) and code.startswith("(") else code


def _use(edits: Edits, turn: Turn, gathered: str) -> None:
    if isinstance(turn.node, ast.For):
        method = "extend" if len(turn.gives) == 1 else "update"
        kept = edits.statement(turn.node).leading_lines
        edits.change(turn.node, lambda _: _parsed(edits, f"{collection(turn)}.{method}({gathered})", kept))
        return
    wrap = {ast.ListComp: "{}", ast.SetComp: "set({})", ast.DictComp: "dict({})"}[type(turn.node)]
    edits.swap(turn.node, wrap.format(gathered))


def _parsed(edits: Edits, code: str, leading: object) -> cst.CSTNode:
    (statement,) = edits.parse(code)
    return statement.with_changes(leading_lines=leading)
