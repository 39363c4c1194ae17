"""What an answer reads of the objects that it is made of: fields of pydantic's models, and of serializers of DRF."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from perfcrew.rules.fixes import declared, project
from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.source import Function, dotted

_METHODS = frozenset({"get", "post", "put", "patch", "delete", "head", "options", "api_route", "route"})
_LISTS = frozenset({"list", "List", "Sequence", "Iterable"})
_OTHERWISE = re.compile(r"alias|\b(model|root)_validator\b|getter_dict|alias_generator|model_serializer|mode='wrap'")
_BASES = frozenset({"BaseModel"})


def of_handler(function: Function) -> ast.expr | None:
    """What an endpoint says that it answers with; None where the function is no endpoint.

    Raises Unwritable for an endpoint that doesn't say it.
    """
    routes = [
        d
        for d in function.decorator_list
        if isinstance(d, ast.Call) and isinstance(d.func, ast.Attribute) and d.func.attr in _METHODS
    ]
    if not routes:
        return None
    said = next((k.value for d in routes for k in d.keywords if k.arg == "response_model"), function.returns)
    if said is None or ast.unparse(said) == "None":
        raise Unwritable(f"`{function.name}` does not say what it answers with: all columns may be sent")
    return said


def named_in(said: ast.expr, many: bool) -> list[str]:
    """The model's name in `list[Book]`, `Book`, `Book | None`. Raises Unwritable for any other form."""
    if isinstance(said, ast.Constant) and isinstance(said.value, str):
        return named_in(ast.parse(said.value, mode="eval").body, many)
    if isinstance(said, ast.BinOp):
        sides = [s for s in (said.left, said.right) if ast.unparse(s) != "None"]
        return [n for s in sides for n in named_in(s, many)]
    if isinstance(said, ast.Subscript) and last(dotted(said.value)) == "Optional":
        return named_in(said.slice, many)
    listed = isinstance(said, ast.Subscript) and last(dotted(said.value)) in _LISTS
    if listed != many or not (listed or dotted(said)):
        raise Unwritable(f"what an answer of `{ast.unparse(said)}` reads of the rows can't be told")
    return named_in(said.slice, many=False) if isinstance(said, ast.Subscript) else [dotted(said)]


def fields(root: Path, name: str) -> list[str]:
    """The names that a model of pydantic reads of an object. Raises Unwritable where it may read others."""
    found: dict[str, None] = {}
    for node in lineage(root, name):
        if _OTHERWISE.search(ast.unparse(node)):
            raise Unwritable(f"`{node.name}` reads what it is made of in a way of its own")
        for statement in node.body:
            field = declared.assigned(statement) if isinstance(statement, ast.AnnAssign) else ""
            if field and field[0] != "_" and field != "model_config" and "ClassVar" not in ast.unparse(statement):
                found[field] = None
    return list(found)


def lineage(root: Path, name: str) -> Iterator[ast.ClassDef]:
    """The model's class and those that it is made of. Raises Unwritable where they aren't all the project's own."""
    node = project.class_named(root, last(name))
    if node is None:
        raise Unwritable(f"what `{last(name)}` reads of the rows can't be told")
    yield node
    bases = [dotted(b) for b in node.bases]
    if not bases or any(k.arg == "table" for k in node.keywords):
        raise Unwritable(f"`{last(name)}` is no model of pydantic: what it reads of the rows can't be told")
    for base in bases:
        if last(base) not in _BASES:
            yield from lineage(root, base)


def serialized(root: Path, name: str) -> list[str]:
    """The attributes that a ModelSerializer reads of an object. Raises Unwritable where it may read others."""
    node = project.class_named(root, last(name))
    if node is None or not any(last(dotted(b)).endswith("ModelSerializer") for b in node.bases) or len(node.bases) > 1:
        raise Unwritable(f"`{last(name)}` is no plain serializer: what it reads of the rows can't be told")
    if any(isinstance(s, (ast.FunctionDef, ast.AsyncFunctionDef)) for s in node.body):
        raise Unwritable(f"`{node.name}` has methods of its own, which may read more of the rows")
    meta = next((s for s in node.body if isinstance(s, ast.ClassDef) and s.name == "Meta"), None)
    values = [
        s.value for s in (meta.body if meta else ()) if declared.assigned(s) == "fields" and isinstance(s, ast.Assign)
    ]
    listed = values[0].elts if values and isinstance(values[0], (ast.List, ast.Tuple)) else []
    names = [e.value for e in listed if isinstance(e, ast.Constant) and isinstance(e.value, str)]
    if not names or len(names) != len(listed):
        raise Unwritable(f"`{node.name}` does not list its fields one by one")
    given = {declared.assigned(s): declared.call_of(s) for s in node.body if declared.call_of(s) is not None}
    return [_source(node, name, given.get(name)) for name in names]


def _source(node: ast.ClassDef, name: str, field: ast.Call | None) -> str:
    """What a field reads: its `source`, else what is named as it is."""
    if field is not None and not last(dotted(field.func)).endswith("Field"):
        raise Unwritable(f"`{name}` of `{node.name}` is made by a serializer of its own: it reads a relation")
    if field is not None and last(dotted(field.func)) in ("SerializerMethodField", "ReadOnlyField", "HiddenField"):
        raise Unwritable(f"what `{name}` of `{node.name}` reads can't be told")
    source = declared.text_of(field, "source") or name
    if "." in source or source == "*":
        raise Unwritable(f"`{name}` of `{node.name}` reads `{source}`: a relation, or the whole row")
    return source


def serialized_of(root: Path, model: str) -> frozenset[str]:
    """What serializers name of a Django model: their fields, and what a `source` of any of them leads over."""
    found: set[str] = set()
    for text in project.sources(root):
        if "Serializer" not in text.text or project.is_test(root, text.path):
            continue
        for node in (n for n in text.tree.body if isinstance(n, ast.ClassDef) and declared.meta(n, "model")):
            own = last(declared.meta(node, "model")) == model
            for path in _named_paths(node):
                found.update(path if own else path[1:])
    return frozenset(found)


def _named_paths(node: ast.ClassDef) -> Iterator[list[str]]:
    """`editor.name` as its parts, for every field."""
    given = {declared.assigned(s): declared.text_of(call, "source") for s in node.body if (call := declared.call_of(s))}
    yield from ((source or name).split(".") for name, source in given.items())
    yield from ([name] for name in re.findall(r"\w+", declared.meta(node, "fields")) if name not in given)
