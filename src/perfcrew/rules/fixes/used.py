"""Which columns of loaded rows are read: followed from where they come, through names, loops, functions and answers.

Careful by design: a row that gets where it can't be followed (a list, an unknown function, a template), whose relation
or own method is asked for, or that is written to, is refused with the line.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

from perfcrew.rules.fixes import answered, declared, imports, project, sight
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.models import Column, Model
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.fixes.reach import as_spot, callers
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.source import Function, dotted

_ASKED = frozenset({"len", "bool"})
_SAME = frozenset({"list", "tuple", "reversed"})
_COLUMNS = frozenset({"mapped_column", "Column", "Field", ""})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class Rows(NamedTuple):
    """An expression that gives rows of a class: one (or None), or many."""

    spot: Spot
    node: ast.expr
    many: bool


def columns(case: Case, model: Model, rows: Rows) -> frozenset[str]:
    """The attributes that are read of the rows. Raises Unwritable where not all of them can be told."""
    follow = _Follow(case, model)
    follow.value(rows.spot, rows.node, rows.many)
    return frozenset(follow.read)


class _Follow:
    """Collects what is read of one class' rows."""

    def __init__(self, case: Case, model: Model) -> None:
        self._case, self._model = case, model
        self.read: set[str] = set()
        self._seen: set[tuple[object, ...]] = set()

    def value(self, spot: Spot, node: ast.expr, many: bool) -> None:
        """What is done with an expression that is the row, or the rows."""
        parent = spot.parents.get(node)
        if isinstance(parent, (ast.Await, ast.BoolOp)) or (isinstance(parent, ast.IfExp) and parent.test is not node):
            self.value(spot, parent, many)
        elif isinstance(parent, (ast.Assign, ast.AnnAssign)):
            self._assigned(spot, node, parent, many)
        elif isinstance(parent, ast.Return):
            self._returned(spot, node, many)
        elif isinstance(parent, (ast.For, ast.comprehension)) and parent.iter is node and many:
            self._turned(spot, parent, parent.target)
        elif isinstance(parent, ast.Call) and parent.func is not node:
            self._given(spot, node, parent, many)
        elif isinstance(parent, ast.keyword):
            self._given(spot, node, spot.parents[parent], many)
        elif isinstance(parent, ast.Attribute) and not many:
            self._attribute(spot, node, parent)
        elif isinstance(parent, ast.Subscript) and parent.value is node and many:
            self.value(spot, parent, isinstance(parent.slice, ast.Slice))
        elif not _only_asked(parent, node):
            self._lost(node)

    def _lost(self, node: ast.expr) -> NoReturn:
        raise Unwritable(
            f"line {node.lineno} hands {self._model.name} rows on as `{ast.unparse(node)}`: which of their columns are "
            "read there can't be told"
        )

    def _assigned(self, spot: Spot, node: ast.expr, parent: ast.Assign | ast.AnnAssign, many: bool) -> None:
        targets = parent.targets if isinstance(parent, ast.Assign) else [parent.target]
        if len(targets) != 1 or not isinstance(targets[0], ast.Name) or spot.function is None:
            self._lost(node)
        self.name(spot, spot.function, targets[0].id, many)

    def name(self, spot: Spot, scope: ast.AST, name: str, many: bool) -> None:
        """All reads of a name within the scope: those of another value of that name count too."""
        if (scope, name, many) in self._seen:
            return
        self._seen.add((scope, name, many))
        for node in ast.walk(scope):
            if isinstance(node, (ast.Global, ast.Nonlocal)) and name in node.names:
                raise Unwritable(f"`{name}` is no name of the function's own: who reads of its rows can't be told")
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
                self.value(spot, node, many)

    def _turned(self, spot: Spot, loop: ast.For | ast.comprehension, target: ast.expr) -> None:
        if not isinstance(target, ast.Name):
            raise Unwritable(f"line {target.lineno} takes the rows apart")
        scope = spot.parents[loop] if isinstance(loop, ast.comprehension) else spot.function
        assert scope is not None
        self.name(spot, scope, target.id, many=False)

    def _attribute(self, spot: Spot, node: ast.expr, parent: ast.Attribute) -> None:
        within = spot.parents.get(parent)
        inside = isinstance(within, (ast.Attribute, ast.Subscript)) and not isinstance(within.ctx, ast.Load)
        if inside or not isinstance(parent.ctx, ast.Load):
            raise Unwritable(f"line {node.lineno} writes to `{ast.unparse(parent)}`: it must be a row of the session")
        self._column(parent.attr, f"line {parent.lineno} reads `{ast.unparse(parent)}`")

    def _column(self, name: str, said: str) -> None:
        if self._model.relation(name) is not None:
            raise Unwritable(f"{said}: a relation, which is loaded by the session that loaded the row")
        if not any(name in _names(self._model, c) for c in self._model.columns):
            raise Unwritable(f"{said}, which is no column of {self._model.name}: what it reads can't be told")
        column = self._model.column(name)
        if column is not None and self._model.style == "sqlalchemy" and declared.called(column.node) not in _COLUMNS:
            raise Unwritable(f"{said}, which is made of others by `{declared.called(column.node)}`")
        self.read.add(name)

    def _given(self, spot: Spot, node: ast.expr, call: ast.AST, many: bool) -> None:
        assert isinstance(call, ast.Call)
        called = dotted(call.func)
        if called in _ASKED and len(call.args) == 1:
            return
        if called in _SAME and many and call.args == [node]:
            self.value(spot, call, many)
        elif called == "enumerate" and many and call.args[0] is node:
            self._numbered(spot, call)
        elif called == "sorted" and many and call.args == [node]:
            self._sorted(spot, call)
        elif last(called) in ("model_validate", "from_orm") and call.args == [node] and not many:
            self._fields(called.rpartition(".")[0], node)
        elif self._model.style == "django" and last(called).endswith("Serializer") and call.args[:1] == [node]:
            for field in answered.serialized(self._case.root, called):
                self._column(field, f"`{last(called)}` reads `{field}`")
        else:
            self._into(spot, node, call, many)

    def _numbered(self, spot: Spot, call: ast.Call) -> None:
        loop = spot.parents.get(call)
        target = loop.target if isinstance(loop, (ast.For, ast.comprehension)) else None
        if (
            not isinstance(target, ast.Tuple)
            or len(target.elts) != 2
            or not isinstance(loop, (ast.For, ast.comprehension))
        ):
            self._lost(call)
        self._turned(spot, loop, target.elts[1])

    def _sorted(self, spot: Spot, call: ast.Call) -> None:
        for key in (k.value for k in call.keywords if k.arg == "key"):
            if not isinstance(key, ast.Lambda) or len(key.args.args) != 1:
                self._lost(call.args[0])
            self.name(spot, key, key.args.args[0].arg, many=False)
        self.value(spot, call, many=True)

    def _fields(self, name: str, node: ast.AST) -> None:
        for field in answered.fields(self._case.root, name):
            self._column(field, f"`{last(name)}` reads `{field}`")

    def _into(self, spot: Spot, node: ast.expr, call: ast.Call, many: bool) -> None:
        """Into a function of the project that the call names without doubt."""
        there = _named_function(self._case, spot, call)
        function = there.function if there is not None else None
        if there is None or function is None:
            self._lost(node)
        arguments = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
        name = next((k.arg for k in call.keywords if k.value is node), None)
        if name is None and node in call.args and not any(isinstance(a, ast.Starred) for a in call.args):
            at = call.args.index(node)
            name = arguments[at] if at < len(arguments) else None
        if name is None:
            self._lost(node)
        self.name(there, function, name, many)

    def _returned(self, spot: Spot, node: ast.expr, many: bool) -> None:
        function = spot.function
        assert function is not None
        inner = next((n for n in spot.around(node) if isinstance(n, _FUNCTIONS)), function)
        if inner is not function:
            self._lost(node)
        said = answered.of_handler(function)
        if said is not None:
            for name in answered.named_in(said, many):
                self._fields(name, node)
            return
        if any(last(dotted(d)) not in ("staticmethod", "classmethod") for d in function.decorator_list):
            raise Unwritable(f"`{function.name}` has a decorator, which gets its rows first")
        if (function, "returned", many) in self._seen:
            return
        self._seen.add((function, "returned", many))
        for there, call in _calls_of(self._case, spot, function):
            self.value(there, call, many)


def _names(model: Model, column: Column) -> tuple[str, ...]:
    """Django's foreign keys are read by the column's name too, without a statement: `book.author_id`."""
    return (column.attribute, column.name) if model.style == "django" else (column.attribute,)


def _only_asked(parent: ast.AST | None, node: ast.expr) -> bool:
    """Whether only its being there is asked for, or nothing at all."""
    if isinstance(parent, ast.Compare):
        others = [parent.left, *parent.comparators]
        others.remove(node)
        return all(isinstance(o, ast.Constant) and o.value is None for o in others)
    tested = isinstance(parent, (ast.If, ast.While, ast.IfExp, ast.Assert)) and parent.test is node
    condition = isinstance(parent, ast.comprehension) and node in parent.ifs
    return (
        tested
        or condition
        or isinstance(parent, ast.Expr)
        or (isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.Not))
    )


def _named_function(case: Case, spot: Spot, call: ast.Call) -> Spot | None:
    """The project's top-level function that a plain name stands for: of the file, or imported."""
    if not isinstance(call.func, ast.Name):
        return None
    name = call.func.id
    function = sight.definition(case.root, spot.text, call)
    if function is None:
        return None
    if function in spot.text.tree.body:
        return as_spot(case.root, spot.text, function)
    imported = imports.full_name(spot.text, name)
    there = next((t for t in project.sources(case.root) if function in t.tree.body), None)
    if there is None or imported == name or imported.rpartition(".")[2] != function.name:
        return None
    return as_spot(case.root, there, function)


def _calls_of(case: Case, spot: Spot, function: Function) -> Iterator[tuple[Spot, ast.Call]]:
    """Every call of the function. Raises Unwritable where it is handed on, shares its name, or nobody calls it."""
    found = list(_all_calls(case, function))
    if not found:
        raise Unwritable(f"who gets the rows that `{function.name}` returns can't be told")
    yield from found


def _all_calls(case: Case, function: Function) -> Iterator[tuple[Spot, ast.Call]]:
    for text in project.sources(case.root):
        if project.is_test(case.root, text.path) or function.name not in text.text:
            continue
        if any(f.name == function.name and f is not function for f in text.functions):
            raise Unwritable(f"several functions are named `{function.name}`: who gets its rows can't be told")
        called = {id(n.func) for n in ast.walk(text.tree) if isinstance(n, ast.Call)}
        for node in ast.walk(text.tree):
            loads = isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load)
            if loads and last(dotted(node)) == function.name and id(node) not in called:
                raise Unwritable(f"`{function.name}` is handed on, as to a dependency: who gets its rows can't be told")
    for caller in callers(case.root, function):
        calls = [n for n in ast.walk(caller.function or caller.text.tree) if isinstance(n, ast.Call)]
        yield from ((caller, c) for c in calls if last(dotted(c.func)) == function.name)
