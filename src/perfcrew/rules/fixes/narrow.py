"""Only the columns that are read: as rows of the class that hold no more, or as plain rows of these columns.

Only where every reader of the rows is known, and reads columns alone.
"""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

import libcst as cst

from perfcrew.rules.fixes import eager, imports, taken, used
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.layout import chained, width_of
from perfcrew.rules.fixes.loads import Load
from perfcrew.rules.fixes.outcomes import Draft
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.source import dotted

_LATER = "Code that comes to read another column of these rows pays a statement for each, or fails in async code."
_ROWS = "The rows are plain ones from then on: they have no relations, and can't be written to."
_OF_TUPLES = frozenset({"count", "index"})
_INSTEAD = {"scalar": "first", "scalar_one": "one", "scalar_one_or_none": "one_or_none"}


class Unread(NamedTuple):
    """A statement that loads rows of a class, and columns that a request does not read of them."""

    load: Load
    columns: list[str]


def never_read(case: Case, found: Unread) -> bool:
    """Whether the flow of the data shows that nobody reads the columns of these rows."""
    try:
        return not set(found.columns) & _read(case, found.load)
    except Unwritable:
        return False


def loaded_only(case: Case, found: Unread) -> Draft:
    """`load_only`, or Django's `only`. Raises Unwritable where a reader may want more."""
    load = found.load
    columns = _kept(case, found)
    edits = Edits(load.spot.text)
    if load.model.style == "django":
        listed = ", ".join(f'"{c}"' for c in columns)
        chained(edits, load.spot, _before_end(load), f".only({listed})", width_of(case.root, load.spot.text))
        return _draft(load, "only", columns, edits, (_LATER,), 0.5)
    eager.refuse_streams(load)
    loader = imports.bring(edits, "sqlalchemy.orm", "load_only")
    listed = ", ".join(f"{load.name}.{c}" for c in columns)
    eager.add_option(case, edits, load, f"{loader}({listed})")
    return _draft(load, "load_only", columns, edits, (_LATER,), 0.5)


def plain(case: Case, found: Unread) -> Draft:
    """`select(Book.id, Book.title)` in place of `select(Book)`: no objects are made. Raises Unwritable."""
    load = found.load
    if load.model.style == "django":
        raise Unwritable("rows of Django's models have what plain ones have not")
    function = load.spot.function
    said = ast.unparse(function.returns) if function is not None and function.returns is not None else ""
    if function is not None and re.search(rf"\b{load.model.name}\b", said):
        raise Unwritable(f"`{function.name}` says that it returns `{said}`: plain rows are none")
    columns = _kept(case, found)
    if any(c in _OF_TUPLES or c.startswith("_") for c in columns):
        raise Unwritable("a column has the name of a method that plain rows have")
    if (
        not isinstance(load.node, ast.Call)
        or load.kind == "get"
        or any(last(dotted(c.func)) in ("options", "with_for_update", "distinct") for c in load.chain)
    ):
        raise Unwritable("the statement loads rows of the class in a way that plain ones can't be loaded in")
    eager.refuse_streams(load)
    if load.kind == "query" and last(dotted(load.chain[-1].func) if load.chain else "") == "scalar":
        raise Unwritable("the row is taken as the first thing in it")
    edits = Edits(load.spot.text)
    assert isinstance(load.node, ast.Call)
    _ask_for(edits, load.node, [f"{load.name}.{c}" for c in columns])
    if load.kind == "select":
        _as_rows(edits, load, len(columns))
    return _draft(load, "plain columns", columns, edits, (_ROWS,), 1.0)


def _draft(load: Load, variant: str, columns: list[str], edits: Edits, more: tuple[str, ...], lower: float) -> Draft:
    where = load.spot.function.name if load.spot.function else load.spot.file
    title = f"Load only {', '.join(columns)} of the {load.model.name} rows of {where}"
    return Draft(variant, title, {load.spot.file: edits.result()}, more, lower)


def _kept(case: Case, found: Unread) -> list[str]:
    """The key and the columns that are read, in the class' order. Raises Unwritable."""
    load = found.load
    read = _read(case, load)
    late = sorted(read & set(found.columns))
    if late:
        raise Unwritable(f"`{late[0]}` is read of these rows")
    kept = [c for c in load.model.columns if c.primary or {c.attribute, c.name} & read]
    if len(kept) == len(load.model.columns):
        raise Unwritable(f"every column of {load.model.name} is read")
    return [c.attribute for c in kept]


def _read(case: Case, load: Load) -> frozenset[str]:
    if "polymorphic" in ast.unparse(load.model.node):
        raise Unwritable(f"rows of {load.model.name} may be of several classes")
    if isinstance(load.node, ast.Call) and load.kind in ("select", "query") and len(load.node.args) != 1:
        raise Unwritable(f"line {load.node.lineno}: the rows of {load.model.name} come within tuples")
    given = [a for c in load.chain if last(dotted(c.func)) == "options" for a in c.args]
    if any(last(dotted(n.func)).endswith("load") for a in given for n in ast.walk(a) if isinstance(n, ast.Call)):
        raise Unwritable(f"line {load.node.lineno} loads relations with the rows: what of them is read can't be told")
    return used.columns(case, load.model, taken.rows_of(load))


def _before_end(load: Load) -> ast.expr:
    ends = ("first", "last", "get", "aget", "afirst", "alast", "earliest", "latest")
    calls = [c for c in load.chain if last(dotted(c.func)) not in ends]
    return calls[-1] if calls else load.node


def _ask_for(edits: Edits, call: ast.Call, codes: list[str]) -> None:
    """What a select or a query asks for, in place of the class."""
    comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    arguments = [cst.Arg(cst.parse_expression(code), comma=comma) for code in codes]
    arguments[-1] = arguments[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    edits.change(call, lambda old: old.with_changes(args=arguments))


def _as_rows(edits: Edits, load: Load, columns: int) -> None:
    """Whole rows in place of the first thing in each. Raises Unwritable for what can't be told so."""
    call = taken.sending(load)
    assert isinstance(call.func, ast.Attribute)
    _, ends = taken.climb(load.spot, call)
    if "unique" in ends or call.func.attr == "scalar":
        raise Unwritable("the rows are taken in a way that plain ones can't be: take them by `.all()` or `.first()`")
    if call.func.attr == "exec" and columns == 1:
        raise Unwritable("of a single column SQLModel gives the values, not rows")
    if call.func.attr == "scalars":
        _rename(edits, call.func, "execute")
    for end in _calls(load, call):
        assert isinstance(end.func, ast.Attribute)
        if end.func.attr == "scalars":
            edits.change(end, lambda old: cst.ensure_type(cst.ensure_type(old, cst.Call).func, cst.Attribute).value)
        elif end.func.attr in _INSTEAD:
            _rename(edits, end.func, _INSTEAD[end.func.attr])


def _calls(load: Load, call: ast.Call) -> list[ast.Call]:
    """The calls on the answer of one that sends, the first one first."""
    whole, _ = taken.climb(load.spot, call)
    found: list[ast.Call] = []
    while isinstance(whole, ast.Call) and whole is not call:
        found.insert(0, whole)
        whole = whole.func.value if isinstance(whole.func, ast.Attribute) else whole.func
    return found


def _rename(edits: Edits, attribute: ast.Attribute, method: str) -> None:
    edits.change(attribute, lambda old: old.with_changes(attr=cst.Name(method)))
