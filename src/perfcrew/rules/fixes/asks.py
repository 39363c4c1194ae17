"""One lookup by a key, as SQLAlchemy is asked for it: what is asked, by which column and key, how it is answered."""

from __future__ import annotations

import ast
import re
from typing import Literal, NamedTuple

from perfcrew.rules.fixes import imports
from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.loads import class_of
from perfcrew.rules.fixes.models import Column, Model, Models
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.fixes.turning import awaited, calls_at
from perfcrew.rules.source import dotted

Answer = Literal["entity", "value", "count", "aggregate", "list"]
_ONE = frozenset({"scalar_one_or_none", "one_or_none", "first", "scalar"})
_SURE = frozenset({"scalar_one", "one"})
_LAST = _ONE | _SURE | {"all"}
_CALLED = _LAST | {"scalars"}
_AGGREGATES = frozenset({"count", "sum", "min", "max", "avg"})
_FUNCTION = re.compile(r"(?:^|\.)func\.(\w+)$")
_KEPT = frozenset({"where", "filter", "order_by", "options", "join", "outerjoin", "select_from"})


class Ask(NamedTuple):
    """`whole` is the expression that gives the answer, its `await` included."""

    whole: ast.expr
    session: ast.expr
    waits: bool
    statement: ast.expr | None
    """The select, None for `session.get`."""
    condition: ast.Compare | None
    name: str
    """The class as it is written: `Book`, `models.Book`."""
    model: Model
    column: Column
    key: ast.expr
    answer: Answer
    sure: bool
    """Whether an answer that is missing raises."""


def ask(spot: Spot, models: Models) -> Ask:
    """The lookup at the spot's line. Raises Unwritable where it is none of the plain kinds."""
    for call in calls_at(spot, spot.line):
        found = _get(spot, call, models) or _select(spot, call, models)
        if found is not None:
            return found
    raise Unwritable(
        "what is asked on the line is no plain lookup by one key, which could be asked for all keys at once"
    )


def _get(spot: Spot, call: ast.Call, models: Models) -> Ask | None:
    if last(dotted(call.func)) != "get" or not isinstance(call.func, ast.Attribute) or len(call.args) != 2:
        return None
    model = class_of(spot, call.args[0], models)
    if model is None or model.style != "sqlalchemy":
        return None
    if call.keywords or model.key is None:
        raise Unwritable(
            f"line {call.lineno} asks in a way that one `IN` can't: by options, a lock or a key of several parts"
        )
    whole = awaited(spot, call)
    return Ask(
        whole,
        call.func.value,
        whole is not call,
        None,
        None,
        dotted(call.args[0]),
        model,
        model.key,
        call.args[1],
        "entity",
        False,
    )


def _select(spot: Spot, call: ast.Call, models: Models) -> Ask | None:
    """`session.scalar(select(…).where(…))`, `(session.execute(…)).scalar_one()`, `session.scalars(…).all()`."""
    method = last(dotted(call.func))
    if (
        method not in ("scalar", "scalars", "execute")
        or len(call.args) != 1
        or not isinstance(call.func, ast.Attribute)
    ):
        return None
    statement = call.args[0]
    parts = _chain(statement)
    head = parts[0]
    if last(dotted(head.func)) != "select" or len(head.args) != 1:
        return None
    unknown = sorted({last(dotted(p.func)) or _attribute(p) for p in parts[1:]} - _KEPT)
    if unknown:
        raise Unwritable(f"the statement has `{unknown[0]}`, which for all keys at once would mean something else")
    whole, ends = _ends(spot, call, ["scalar"] if method == "scalar" else [])
    if method == "execute" and not any(end.startswith("scalar") for end in ends):
        raise Unwritable("the answer is used as rows of the statement, not as what is asked for")
    condition, name, model, column, key = _condition(spot, parts, models)
    answer = _answer(head.args[0], spot, models, ends, column)
    return Ask(
        whole,
        call.func.value,
        isinstance(spot.parents.get(call), ast.Await),
        statement,
        condition,
        name,
        model,
        column,
        key,
        answer,
        bool(set(ends) & _SURE),
    )


def _attribute(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _chain(node: ast.expr) -> list[ast.Call]:
    """The calls of a chain, the first one first."""
    found: list[ast.Call] = []
    while isinstance(node, ast.Call):
        found.insert(0, node)
        node = (
            node.func.value
            if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call)
            else node.func
        )
    if not found:
        raise Unwritable("the statement is built elsewhere")
    return found


def _ends(spot: Spot, call: ast.Call, ends: list[str]) -> tuple[ast.expr, list[str]]:
    """The expression with what is called on the answer: `.scalars().all()`, `list(…)`; no further than its value."""
    current: ast.expr = awaited(spot, call)
    while not _LAST & set(ends):
        parent = spot.parents.get(current)
        above = spot.parents.get(parent) if isinstance(parent, ast.Attribute) else None
        if isinstance(parent, ast.Attribute) and parent.attr in _CALLED and isinstance(above, ast.Call):
            ends = [*ends, parent.attr]
            current = above
        elif isinstance(parent, ast.Call) and dotted(parent.func) == "list" and parent.args == [current]:
            ends = [*ends, "all"]
            current = parent
        else:
            break
    return current, ends


def _condition(spot: Spot, parts: list[ast.Call], models: Models) -> tuple[ast.Compare, str, Model, Column, ast.expr]:
    conditions = [a for p in parts if _attribute(p) in ("where", "filter") for a in p.args]
    for condition in conditions:
        if isinstance(condition, ast.Compare) and len(condition.ops) == 1 and isinstance(condition.ops[0], ast.Eq):
            left = condition.left
            model = class_of(spot, left.value, models) if isinstance(left, ast.Attribute) else None
            column = model.column(left.attr) if model and isinstance(left, ast.Attribute) else None
            if model and column and isinstance(left, ast.Attribute):
                return condition, dotted(left.value), model, column, condition.comparators[0]
    raise Unwritable("the statement compares no column of a mapped class with a key")


def _answer(asked: ast.expr, spot: Spot, models: Models, ends: list[str], column: Column) -> Answer:
    one = bool(set(ends) & (_ONE | _SURE))
    function = _aggregate(spot, asked)
    if function:
        if not one:
            raise Unwritable("the aggregate's rows are used in another way than as one value")
        return "count" if function == "count" else "aggregate"
    model = class_of(spot, asked, models)
    if "all" in ends and model is not None and not one:
        return "list"
    if not one or not column.unique:
        raise Unwritable(f"`{column.attribute}` is not unique: which of several rows is meant can't be told")
    return "entity" if model is not None else "value"


def _aggregate(spot: Spot, asked: ast.expr) -> str:
    """The aggregate that is asked for, '' for none. Raises Unwritable for other functions of SQL, and around one."""
    calls = [(c, _FUNCTION.search(imports.called(spot.text, c))) for c in ast.walk(asked) if isinstance(c, ast.Call)]
    functions = [(call, known.group(1)) for call, known in calls if known]
    for call, name in functions:
        if call is not asked or name not in _AGGREGATES or len(functions) > 1:
            raise Unwritable(f"what `{ast.unparse(asked)}` gives where there is no row would be lost in a dict")
    return functions[0][1] if functions else ""
