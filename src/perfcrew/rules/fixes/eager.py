"""Writes eager loading onto the statement that loaded the parents, in SQLAlchemy's words or in Django's."""

from __future__ import annotations

import ast
from typing import Literal

from perfcrew.rules.fixes import imports
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.layout import chained, width_of
from perfcrew.rules.fixes.loads import ENDS, Load
from perfcrew.rules.fixes.models import Model, Models, Relation
from perfcrew.rules.fixes.outcomes import Draft
from perfcrew.rules.fixes.paths import Way, way
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.source import dotted

Loader = Literal["selectinload", "joinedload"]


def sqlalchemy(case: Case, models: Models, loader: Loader) -> Draft:
    """`.options(loader(Parent.children))`. Raises Unwritable with what stands in the way."""
    found = _way(case, models, "sqlalchemy")
    if loader == "joinedload" and not found.to_one:
        raise Unwritable("a join would repeat each row for every row of the relation")
    load = found.load
    edits = Edits(load.spot.text)
    _write_option(case, edits, models, found, imports.bring(edits, "sqlalchemy.orm", loader))
    said = f"Load {_said(found.path)} with the {load.model.table}"
    lower = 1.0 if loader == "joinedload" else 0.0
    return Draft(loader, said, {load.spot.file: edits.result()}, (), lower)


def django(case: Case, models: Models) -> Draft:
    """`select_related` where all is to one, else `prefetch_related`. Raises Unwritable."""
    found = _way(case, models, "django")
    method = "select_related" if found.to_one else "prefetch_related"
    load = found.load
    edits = Edits(load.spot.text)
    looked_up = "__".join(r.name.removesuffix("_set") if method == "select_related" else r.name for r in found.path)
    _write_related(edits, load, method, looked_up, width_of(case.root, load.spot.text))
    title = f"Load {_said(found.path)} with the {load.model.name} rows"
    return Draft(method, title, {load.spot.file: edits.result()})


def _way(case: Case, models: Models, style: str) -> Way:
    found = way(case, models)
    if found.load.model.style != style:
        raise Unwritable(f"{found.load.model.name} is not one of {style}'s models")
    return found


def _refuse_older(option: ast.expr) -> None:
    """Raises Unwritable where a further step can't be put behind an option as it is written."""
    calls = [n for n in ast.walk(option) if isinstance(n, ast.Call)]
    if any(isinstance(a, ast.Constant) for c in calls for a in c.args) or any(
        last(dotted(c.func)) in ("lazyload", "noload", "raiseload") for c in calls
    ):
        raise Unwritable(f"the option on line {option.lineno} names relations by text, or keeps them from being loaded")


def _said(path: tuple[Relation, ...]) -> str:
    return ".".join((path[0].owner, *(r.name for r in path)))


def _write_option(case: Case, edits: Edits, models: Models, found: Way, loader: str) -> None:
    load = found.load
    refuse_streams(load)
    options = [c for c in load.chain if last(dotted(c.func)) == "options"]
    given = [a for c in options for a in c.args] + _given_to_get(load)
    wanted = [_attribute(edits, load, models, r, first=not n) for n, r in enumerate(found.path)]
    for option in given:
        steps = _steps(option)
        if steps == [w.rsplit(".", 1)[-1] for w in wanted]:
            raise Unwritable(f"{_said(found.path)} is loaded eagerly by now: line {option.lineno}")
        if steps and steps == [w.rsplit(".", 1)[-1] for w in wanted[: len(steps)]]:
            _refuse_older(option)
            rest = "".join(f".{loader}({w})" for w in wanted[len(steps) :])
            edits.swap(option, edits.code(option) + rest)
            return
    option_code = f"{loader}({wanted[0]})" + "".join(f".{loader}({w})" for w in wanted[1:])
    add_option(case, edits, load, option_code)


def add_option(case: Case, edits: Edits, load: Load, option_code: str) -> None:
    """One more option of the statement, beside those that it has."""
    options = [c for c in load.chain if last(dotted(c.func)) == "options"]
    if load.kind == "get":
        _option_of_get(edits, load, option_code)
    elif options:
        _argument(edits, options[-1], option_code)
    else:
        chained(edits, load.spot, load.node, f".options({option_code})", width_of(case.root, load.spot.text))


def refuse_streams(load: Load) -> None:
    """Raises Unwritable where not whole rows of the class come."""
    columns = [a for a in getattr(load.node, "args", []) if not isinstance(a, (ast.Name, ast.Attribute))]
    if (
        any(
            last(dotted(c.func)) in ("with_entities", "from_statement", "group_by", "with_only_columns")
            for c in load.chain
        )
        or columns
    ):
        raise Unwritable(f"line {load.node.lineno} does not load whole {load.model.name} rows alone")


def _given_to_get(load: Load) -> list[ast.expr]:
    keywords = load.node.keywords if isinstance(load.node, ast.Call) else []
    value = next((k.value for k in keywords if k.arg == "options"), None)
    return list(value.elts) if isinstance(value, (ast.List, ast.Tuple)) else []


def _option_of_get(edits: Edits, load: Load, option: str) -> None:
    assert isinstance(load.node, ast.Call)
    given = _given_to_get(load)
    if given:
        edits.swap(given[-1], f"{edits.code(given[-1])}, {option}")
    elif any(k.arg == "options" for k in load.node.keywords):
        raise Unwritable(f"the options on line {load.node.lineno} aren't written out")
    else:
        _argument(edits, load.node, f"options=[{option}]")


def _argument(edits: Edits, call: ast.Call, code: str) -> None:
    """One more argument, behind the last one."""
    every = [*call.args, *(k.value for k in call.keywords)]
    old = edits.code(call).rstrip()
    if not every or not old.endswith(")"):
        edits.swap(call, f"{edits.code(call.func)}({code})")
        return
    inner = old[:-1].rstrip()
    edits.swap(call, f"{inner}{'' if inner.endswith(',') else ','} {code})")


def _steps(option: ast.expr) -> list[str]:
    """The attributes that an option leads over: `selectinload(A.b).selectinload(B.c)` → b, c.

    In the older style also `joinedload("b.c")`, `joinedload(A.b, B.c)` and `Load(A).joinedload(A.b)`.
    """
    found: list[str] = []
    node: ast.expr = option
    while isinstance(node, ast.Call):
        name = last(dotted(node.func))
        if name == "Load":
            break
        if not node.args or not name.endswith(("load", "contains_eager")):
            return []
        found[:0] = [step for argument in node.args for step in _over(argument)]
        node = node.func.value if isinstance(node.func, ast.Attribute) else node.func
    return found


def _over(argument: ast.expr) -> list[str]:
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return argument.value.split(".")
    return [last(dotted(argument))]


def _attribute(edits: Edits, load: Load, models: Models, relation: Relation, first: bool) -> str:
    """`Order.lines` by the name that the module knows the class by; imported where it doesn't."""
    if first:
        return f"{load.name}.{relation.name}"
    owner = models.named(relation.owner)
    if owner is None:
        raise Unwritable(f"there are several classes {relation.owner}")
    return f"{class_name(edits, load, owner)}.{relation.name}"


def class_name(edits: Edits, load: Load, model: Model) -> str:
    """How the module calls the class, with an import beside the loaded class' own where it doesn't know it."""
    prefix, _, _ = load.name.rpartition(".")
    if model.text.path == edits.text.path or model is load.model:
        return model.name if model is not load.model else load.name
    if prefix and model.text.path == load.model.text.path:
        return f"{prefix}.{model.name}"
    for statement in imports.top(edits.text):
        known = next((a for a in statement.names if a.name == model.name), None)
        if known:
            return known.asname or known.name
    beside = imports.statement_of(edits.text, load.name)
    if not isinstance(beside, ast.ImportFrom) or beside.level or model.text.path != load.model.text.path:
        raise Unwritable(f"{model.name} is not imported in {load.spot.file}")
    return imports.bring(edits, beside.module or "", model.name)


def _write_related(edits: Edits, load: Load, method: str, looked_up: str, width: int) -> None:
    same = next((c for c in load.chain if last(dotted(c.func)) == method), None)
    if same is not None:
        said = [a.value for a in same.args if isinstance(a, ast.Constant)]
        if looked_up in said:
            raise Unwritable(f"`{looked_up}` is loaded with the rows by now: line {same.lineno}")
        _argument(edits, same, f'"{looked_up}"')
        return
    before_end = [c for c in load.chain if last(dotted(c.func)) not in ENDS]
    if before_end != list(load.chain[: len(before_end)]):
        raise Unwritable(f"the queryset on line {load.node.lineno} goes on behind its end")
    node = before_end[-1] if before_end else load.node
    chained(edits, load.spot, node, f'.{method}("{looked_up}")', width)
