"""How the project itself names and bounds its pages, and how a handler takes a page's parameters."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

import libcst as cst

from perfcrew.rules.fixes import imports, project
from perfcrew.rules.fixes.edits import Edits
from perfcrew.rules.source import Function, Source, dotted

MOST = 100
_LIMITS = re.compile(r"^(Page)?(Limit|Size)$", re.IGNORECASE)
_OFFSETS = re.compile(r"^(Page)?(Offset|Skip)$", re.IGNORECASE)


class Alias(NamedTuple):
    """`Limit = Annotated[int, Query(ge=1, le=100)]`, and its bound."""

    name: str
    text: Source
    most: int


class Parameter(NamedTuple):
    """A parameter as a handler takes it."""

    name: str
    annotation: str
    default: int


def alias(root: Path, wanted: re.Pattern[str]) -> Alias | None:
    """The project's own annotated type for a page's parameter."""
    for text in project.sources(root):
        for statement in text.tree.body:
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                name, value = statement.targets[0].id, statement.value
                if (
                    wanted.match(name)
                    and isinstance(value, ast.Subscript)
                    and dotted(value.value).endswith("Annotated")
                ):
                    return Alias(name, text, _most(value))
    return None


def _most(value: ast.expr) -> int:
    bounds = [
        k.value.value
        for n in ast.walk(value)
        if isinstance(n, ast.Call)
        for k in n.keywords
        if k.arg in ("le", "lt") and isinstance(k.value, ast.Constant)
    ]
    return next((b for b in bounds if isinstance(b, int)), MOST)


def fastapi_parameters(root: Path, edits: Edits) -> list[Parameter]:
    """`limit` and `offset`, by the project's own types where it has them; their imports are brought."""
    limit, offset = alias(root, _LIMITS), alias(root, _OFFSETS)
    most = min(limit.most, MOST) if limit else MOST
    return [
        Parameter("limit", _annotation(edits, limit) or _query(edits, f"ge=1, le={MOST}"), most),
        Parameter("offset", _annotation(edits, offset) or _query(edits, "ge=0"), 0),
    ]


def _annotation(edits: Edits, found: Alias | None) -> str | None:
    """The alias' name in the edited module, None where it can't be imported as others are."""
    if found is None or found.text.path == edits.text.path:
        return found.name if found else None
    if imports.statement_of(edits.text, found.name):
        return found.name
    stem = found.text.path.stem
    beside = next(
        (s for s in imports.top(edits.text) if isinstance(s, ast.ImportFrom) and (s.module or "").endswith(f".{stem}")),
        None,
    )
    return imports.bring(edits, beside.module or "", found.name) if beside and not beside.level else None


def _query(edits: Edits, bounds: str) -> str:
    annotated, query = imports.bring(edits, "typing", "Annotated"), imports.bring(edits, "fastapi", "Query")
    return f"{annotated}[int, {query}({bounds})]"


def take(edits: Edits, function: Function, parameters: list[Parameter], optional: str = "default") -> None:
    """Adds parameters behind the others: with their defaults, as required ones, or with None for no bound."""
    made = [_parameter(p, optional) for p in parameters]
    keyword_only = bool(function.args.kwonlyargs) or (optional == "required" and bool(function.args.defaults))

    def add(old: cst.CSTNode) -> cst.CSTNode:
        whole = cst.ensure_type(old, cst.FunctionDef)
        kind = "kwonly_params" if keyword_only else "params"
        kept = list(getattr(whole.params, kind))
        lines = isinstance(kept[-1].comma, cst.Comma) if kept else False
        tail = kept[-1].comma if lines else cst.MaybeSentinel.DEFAULT
        if kept and lines:
            kept[-1] = kept[-1].with_changes(comma=cst.Comma(whitespace_after=cst.SimpleWhitespace(" ")))
        star = cst.ParamStar() if keyword_only and not function.args.kwonlyargs else whole.params.star_arg
        new = [*kept, *made[:-1], made[-1].with_changes(comma=tail)]
        return whole.with_changes(params=whole.params.with_changes(**{kind: new, "star_arg": star}))

    edits.change(function, add)


def _parameter(said: Parameter, optional: str) -> cst.Param:
    annotation = f"{said.annotation} | None" if optional == "none" else said.annotation
    default = (
        None if optional == "required" else cst.parse_expression("None" if optional == "none" else str(said.default))
    )
    return cst.Param(cst.Name(said.name), annotation=cst.Annotation(cst.parse_expression(annotation)), default=default)
