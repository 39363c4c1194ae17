"""A loop that sets fields of Django's rows and saves each, as one `bulk_update` after it.

Only where `save` is told which fields, and where nothing but the write would differ: no `save` of the model's own, no
signals, no field that fills itself when it is saved.
"""

from __future__ import annotations

import ast
import re

from perfcrew.rules.fixes import declared, models, project, pure, sight, taken
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.loads import of
from perfcrew.rules.fixes.models import Model
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.fixes.reach import Near
from perfcrew.rules.source import dotted, names

_SIGNALS = re.compile(r"\b(pre_save|post_save)\b")
_FILLS_ITSELF = re.compile(r"\bauto_now|\b(File|Image)Field\b")


def saving(loop: ast.For) -> ast.Call | None:
    """The `row.save(…)` that a loop ends with; None where it ends otherwise."""
    last = loop.body[-1]
    value = last.value if isinstance(last, ast.Expr) else None
    call = value.value if isinstance(value, ast.Await) else value
    named = isinstance(loop.target, ast.Name) and isinstance(call, ast.Call)
    wanted = (f"{loop.target.id}.save", f"{loop.target.id}.asave") if isinstance(loop.target, ast.Name) else ()
    return call if named and isinstance(call, ast.Call) and dotted(call.func) in wanted else None


def write(case: Case, spot: Spot, edits: Edits, loop: ast.For) -> None:
    """Raises Unwritable where one write for all would do something else."""
    call = saving(loop)
    assert call is not None
    assert isinstance(loop.target, ast.Name)
    fields = _fields(call)
    model = _model(case, spot, loop)
    _refuse_model(case, model, fields)
    for statement in loop.body[:-1]:
        _refuse_other(spot, statement, loop.target.id, model, fields)
    rows = edits.code(loop.iter)
    if not isinstance(loop.iter, ast.Name):
        rows = sight.free_name(spot.function or spot.text.tree, "rows", f"{loop.target.id}_rows")
        edits.before(loop, f"{rows} = list({edits.code(loop.iter)})")
        edits.swap(loop.iter, rows)
    waits = isinstance(spot.parents.get(call), ast.Await)
    listed = ", ".join(f'"{f}"' for f in fields)
    many = f"{'await ' if waits else ''}{model[1]}.objects.{'a' if waits else ''}bulk_update({rows}, [{listed}])"
    edits.after(loop, many)
    edits.remove(loop.body[-1])


def _fields(call: ast.Call) -> list[str]:
    given = next((k.value for k in call.keywords if k.arg == "update_fields"), None)
    listed = given.elts if isinstance(given, (ast.List, ast.Tuple)) else []
    found = [e.value for e in listed if isinstance(e, ast.Constant) and isinstance(e.value, str)]
    if not found or len(found) != len(listed) or len(call.keywords) > 1 or call.args:
        raise Unwritable("`save` does not say which fields alone: without `update_fields` it writes all of them")
    return found


def _model(case: Case, spot: Spot, loop: ast.For) -> tuple[Model, str]:
    """The class of the rows, and its name there. Raises Unwritable where it can't be told."""
    known = models.read(case.root)
    for load in (x for x in of(Near(spot, 0), known) if x.kind == "manager"):
        rows = taken.rows_of(load)
        parent = spot.parents.get(rows.node)
        named = dotted(parent.targets[0]) if isinstance(parent, ast.Assign) and len(parent.targets) == 1 else ""
        scope = spot.function or spot.text.tree
        once = sum(isinstance(n, ast.Name) and n.id == named and not _read(n) for n in ast.walk(scope)) == 1
        if rows.many and (rows.node is loop.iter or (named and once and dotted(loop.iter) == named)):
            return load.model, load.name
    raise Unwritable("of which model the rows are can't be told")


def _read(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Load)


def _refuse_model(case: Case, found: tuple[Model, str], fields: list[str]) -> None:
    model = found[0]
    if any(isinstance(n, ast.FunctionDef) and n.name in ("save", "asave") for n in model.node.body):
        raise Unwritable(f"{model.name} has a `save` of its own, which `bulk_update` does not call")
    if any(declared.assigned(s) == "objects" for s in model.node.body):
        raise Unwritable(f"{model.name} has a manager of its own, which may not find every row")
    if any(_SIGNALS.search(text.text) for text in project.sources(case.root)):
        raise Unwritable("the project listens to signals of saving, which `bulk_update` does not send")
    for name in fields:
        column = model.column(name)
        if column is None or column.primary:
            raise Unwritable(f"`{name}` is no field of {model.name} that could be written")
        if _FILLS_ITSELF.search(ast.unparse(column.node)):
            raise Unwritable(f"`{name}` of {model.name} fills itself when it is saved")


def _refuse_other(spot: Spot, statement: ast.stmt, row: str, found: tuple[Model, str], fields: list[str]) -> None:
    """Raises Unwritable for anything but a field that is set to a value of the row's own columns."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
    if not isinstance(target, ast.Attribute) or dotted(target.value) != row or not isinstance(statement, ast.Assign):
        raise Unwritable(f"line {statement.lineno} does more than to set a field of the row")
    if target.attr not in fields:
        raise Unwritable(f"line {statement.lineno} sets `{target.attr}`, which is not saved")
    pure.check_all(spot, statement.value)
    if any(isinstance(n, (ast.Await, ast.NamedExpr, ast.Lambda)) for n in ast.walk(statement.value)):
        raise Unwritable(f"line {statement.lineno} waits, or keeps something")
    for node in (n for n in ast.walk(statement.value) if isinstance(n, ast.Attribute)):
        if dotted(node).split(".")[0] == row and not _is_column(node, row, found[0]):
            raise Unwritable(f"`{ast.unparse(node)}` may be read of the database: an earlier row may have changed it")
    if row in names(statement.value, ast.Load) and not _only_attributes(statement.value, row):
        raise Unwritable(f"line {statement.lineno} hands the row on")


def _is_column(node: ast.Attribute, row: str, model: Model) -> bool:
    column = model.column(node.attr)
    return dotted(node.value) == row and column is not None and model.relation(node.attr) is None


def _only_attributes(value: ast.expr, row: str) -> bool:
    owners = {id(n.value) for n in ast.walk(value) if isinstance(n, ast.Attribute)}
    return all(id(n) in owners for n in ast.walk(value) if isinstance(n, ast.Name) and n.id == row)
