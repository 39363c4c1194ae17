"""Reads by SQLAlchemy of which all is known: a statement that only reads, sent by a session, its answer taken at once.

Refused by name: locks, functions of SQL that do something, text that isn't a plain SELECT, statements built elsewhere.
"""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from perfcrew.core.sql import binds, is_read
from perfcrew.rules.fixes import imports, pure
from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.loads import class_of
from perfcrew.rules.fixes.models import Model, Models
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.source import dotted, names

SENDS = frozenset({"scalar", "scalars", "execute", "exec"})
"""`exec` is SQLModel's: of a class it gives its rows, as `scalars` does."""
_LISTS = frozenset({"all", "fetchall"})
_ONES = frozenset({"first", "one", "one_or_none", "scalar", "scalar_one", "scalar_one_or_none", "fetchone"})
_BETWEEN = frozenset({"scalars", "unique", "mappings", "tuples"})
_PACKAGES = ("sqlalchemy.", "sqlmodel.")
_NEVER = frozenset({"insert", "update", "delete", "with_for_update", "lambda_stmt", "returning"})
_FUNCTION = re.compile(r"(?:^|\.)func\.(?:\w+\.)*(\w+)$")
_COMPUTE = frozenset(
    {"count", "sum", "min", "max", "avg", "coalesce", "lower", "upper", "length", "char_length", "date", "date_trunc"}
    | {"extract", "round", "abs", "concat", "greatest", "least", "nullif", "array_agg", "json_agg", "jsonb_agg", "trim"}
    | {"string_agg", "group_concat", "now", "current_timestamp", "row_number", "rank", "dense_rank", "to_char", "floor"}
    | {"ceil", "substr", "substring", "strftime", "json_build_object", "bool_or", "bool_and", "percentile_cont"}
)
_OF_COLUMNS = frozenset(
    {"in_", "not_in", "notin_", "like", "ilike", "desc", "asc", "is_", "is_not", "isnot", "label", "between", "op"}
    | {"startswith", "endswith", "contains", "any", "has", "nulls_last", "nulls_first", "nullslast", "nullsfirst"}
    | {"overlap", "cosine_distance", "l2_distance", "max_inner_product", "distinct", "concat", "collate", "as_string"}
)
_CHANGE = frozenset({"append", "extend", "pop", "remove", "insert", "clear", "update", "setdefault", "send", "execute"})


class Answer(NamedTuple):
    """What a read gives: of a class' rows (None: plain values), many or one; `whole` is all of the expression."""

    whole: ast.expr
    model: Model | None
    many: bool


def answer(spot: Spot, call: ast.Call, models: Models, whole: ast.expr, ends: list[str]) -> Answer:
    """Of `session.scalars(select(…))` and what is called on it. Raises Unwritable where it is left open."""
    method = last(dotted(call.func))
    ends = [method, *ends] if method == "scalar" else ends
    final = next((e for e in ends if e in _LISTS | _ONES), None)
    if final is None or ends[-1] != final or any(e not in _BETWEEN for e in ends[:-1]):
        raise Unwritable(f"line {call.lineno}: what is read is not taken at once, as by `.all()`")
    model = _model(spot, call, models, method in ("scalars", "exec") or bool({"scalars", "scalar"} & set(ends)))
    return Answer(whole, model, final in _LISTS)


def got(spot: Spot, call: ast.Call, models: Models, whole: ast.expr) -> Answer:
    """Of `session.get(Book, key)`. Raises Unwritable where it asks for more, as for a lock."""
    model = class_of(spot, call.args[0], models) if len(call.args) == 2 and not call.keywords else None
    if model is None or model.style != "sqlalchemy":
        raise Unwritable(f"line {call.lineno}: what is got is not told by a class and a key alone")
    refuse_other(spot, call.args[1])
    return Answer(whole, model, False)


def _model(spot: Spot, call: ast.Call, models: Models, scalars: bool) -> Model | None:
    """The class whose rows come. Raises Unwritable where rows of classes come beside other things."""
    select = head(spot, call.args[0])
    asked = [class_of(spot, a, models) for a in select.args] if select is not None else []
    if not any(asked):
        return None
    if len(asked) == 1 and scalars:
        return asked[0]
    raise Unwritable(f"line {call.lineno}: rows of `{asked[0].name if asked[0] else 'a class'}` come within tuples")


def head(spot: Spot, statement: ast.expr) -> ast.Call | None:
    """The `select(…)` that a statement, or the name of one, begins with; None for text."""
    node = given(spot, statement)
    while isinstance(node, ast.Call):
        if last(dotted(node.func)) == "select" and imports.called(spot.text, node).startswith(_PACKAGES):
            return node
        if last(dotted(node.func)) == "text":
            return None
        node = given(spot, node.func.value) if isinstance(node.func, ast.Attribute) else node.func
    raise Unwritable(f"line {statement.lineno}: the statement is built elsewhere")


def given(spot: Spot, node: ast.expr) -> ast.expr:
    """What a name was given in the function, where that is told without doubt; any other expression itself."""
    for _ in range(4):
        if not isinstance(node, ast.Name) or spot.function is None:
            return node
        name = node.id
        values = [
            s.value
            for s in ast.walk(spot.function)
            if isinstance(s, (ast.Assign, ast.AnnAssign)) and s.value and name in names(s, ast.Store)
        ]
        before = [v for v in values if v.lineno <= node.lineno and v is not node and node not in ast.walk(v)]
        if not before:
            return node
        node = max(before, key=lambda v: v.lineno)
    return node


def refuse_statement(spot: Spot, node: ast.expr) -> None:
    """As `refuse_other`, for the statement with all that its names were given in the function."""
    waiting, seen = [node], set[int]()
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        refuse_other(spot, current)
        waiting += [v for name in names(current, ast.Load) for v in _built_for(spot, name)]


def _built_for(spot: Spot, name: str) -> list[ast.expr]:
    scope = spot.function or spot.text.tree
    stored = [s for s in ast.walk(scope) if isinstance(s, (ast.Assign, ast.AnnAssign, ast.AugAssign)) and s.value]
    values = [s.value for s in stored if s.value and name in names(s, ast.Store)]
    return [v for v in values if isinstance(v, ast.Call) and _is_built(spot, v)]


def refuse_other(spot: Spot, node: ast.AST) -> None:
    """Raises Unwritable where an expression does more than to build a statement that reads."""
    for part in ast.walk(node):
        if isinstance(part, (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr, ast.Lambda)):
            raise Unwritable(f"line {part.lineno} does more than to build a statement")
        if isinstance(part, ast.Call):
            _refuse_call(spot, part)


def _refuse_call(spot: Spot, call: ast.Call) -> None:
    name = last(dotted(call.func)) or (call.func.attr if isinstance(call.func, ast.Attribute) else "")
    full = imports.called(spot.text, call)
    function = _FUNCTION.search(full)
    if name in _NEVER or (function and function.group(1) not in _COMPUTE):
        raise Unwritable(f"line {call.lineno}: `{name}` does more than to read")
    if name == "text" and full.startswith(_PACKAGES):
        _refuse_text(call)
    elif not (full.startswith(_PACKAGES) or function or _of_statement(spot, call)):
        pure.check(spot, call)


def _refuse_text(call: ast.Call) -> None:
    said = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
    if not isinstance(said, str) or not is_read(said) or binds(said):
        raise Unwritable(f"line {call.lineno}: the text is not known to be a statement that only reads")


def _of_statement(spot: Spot, call: ast.Call) -> bool:
    """Whether it is a method of a statement, a column, or a function of SQL: those build what they are called on."""
    node = call.func
    if not isinstance(node, ast.Attribute) or node.attr in _CHANGE:
        return False
    of_column, node = isinstance(node.value, ast.Attribute) and node.attr in _OF_COLUMNS, node.value
    while isinstance(node, (ast.Attribute, ast.Call)):
        full = dotted(node.func if isinstance(node, ast.Call) else node)
        if full and imports.full_name(spot.text, full).startswith(_PACKAGES):
            return True
        node = node.func if isinstance(node, ast.Call) else node.value
    if not isinstance(node, ast.Name):
        return False
    value = given(spot, node)
    built = isinstance(value, ast.Call) and _is_built(spot, value)
    return built or (of_column and node.id[:1].isupper())


def _is_built(spot: Spot, value: ast.Call) -> bool:
    full = imports.called(spot.text, value)
    return full.startswith(_PACKAGES) or _of_statement(spot, value)
