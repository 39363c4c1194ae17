"""A loop of lookups, asked for in one statement before the loop and looked up in a dict."""

from __future__ import annotations

import ast
import re

from perfcrew.rules.fixes import guarded, imports, models, sight
from perfcrew.rules.fixes.asks import Ask, ask
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.layout import width_of
from perfcrew.rules.fixes.outcomes import Draft
from perfcrew.rules.fixes.places import Spot, locate
from perfcrew.rules.fixes.turning import Loop, around, changing, refuse_writes, same_in, sets_anew, statement_of
from perfcrew.rules.source import dotted, names

_LISTS = re.compile(r"\b(list|List|Sequence|tuple|set|Collection)\[(int|str|UUID|uuid\.UUID)\b")
ALL = "All keys go into one statement: databases take some ten thousand at most, so bound the page."


def one_in(case: Case, known: models.Models) -> Draft:
    """Raises Unwritable with what stands in the way."""
    spot = locate(case, case.finding.place)
    found = ask(spot, known)
    loop = loop_of(spot, found.whole)
    refuse_writes(loop)
    _refuse(spot, found, loop)
    edits = Edits(spot.text)
    rows = rows_of(edits, spot, loop)
    kept = sight.free_name(spot.function or spot.text.tree, f"{_plural(found)}_by_{found.column.attribute}")
    edits.before(statement_of(spot, loop), _statement(case, edits, spot, found, loop, rows, kept))
    edits.swap(found.whole, _lookup(edits, found, kept))
    where = spot.function.name if spot.function else spot.file
    return Draft("one IN", f"Ask for all {_plural(found)} of {where} at once", {spot.file: edits.result()}, (ALL,))


def loop_of(spot: Spot, node: ast.expr) -> ast.For | ast.ListComp | ast.SetComp | ast.DictComp:
    """The only loop around a lookup. Raises Unwritable for several, and for other kinds."""
    loops = around(spot, node)
    if not loops:
        raise Unwritable(
            "the lookup is in no loop of its own function: ask for the set where the loop is, and hand it down"
        )
    inner = loops[-1]
    if len(loops) > 1 or not isinstance(inner, (ast.For, ast.ListComp, ast.SetComp, ast.DictComp)):
        raise Unwritable("only a single `for` loop or comprehension is rewritten by rule")
    if not isinstance(inner, ast.For) and (len(inner.generators) > 1 or inner.generators[0].is_async):
        raise Unwritable("the comprehension has several `for`, or an async one")
    return inner


def _refuse(spot: Spot, found: Ask, loop: Loop) -> None:
    refuse_key(spot, found.key, loop)
    parts = [found.session, *([found.statement] if found.statement else [])]
    inner = {id(n) for n in ast.walk(found.key)}
    for node in (n for p in parts for n in ast.walk(p) if isinstance(n, ast.Name) and id(n) not in inner):
        if not same_in(loop, node):
            raise Unwritable(f"`{node.id}` in the statement changes from turn to turn too")
    if found.sure and any(isinstance(n, ast.Try) for n in spot.around(found.whole)):
        raise Unwritable("a missing row is caught by a `try`, which a dict raises another error for")


def refuse_key(spot: Spot, key: ast.expr, loop: Loop) -> None:
    """Raises Unwritable for a key that is not the loop's own variable or a part of it, as the database gives it."""
    targets, used = names(_target(loop), ast.Store), names(key, ast.Load)
    if any(isinstance(n, (ast.Call, ast.Await)) for n in ast.walk(key)) or not used & targets:
        raise Unwritable("the key is made within the loop")
    body = loop.body if isinstance(loop, ast.For) else []
    inner = frozenset().union(*(names(s, ast.Store) for s in body), frozenset())
    if used & inner or (used - targets) & changing(loop) or sets_anew(loop, key):
        raise Unwritable("the key changes within a turn of the loop")
    if isinstance(key, ast.Name) and not _typed(spot, loop):
        raise Unwritable(f"of which type `{key.id}` is can't be told: a key must be found as the database gives it")
    guarded.refuse_guarded(spot, key, loop)


def _typed(spot: Spot, loop: Loop) -> bool:
    """Whether what is gone over is a parameter that says what it holds."""
    source = _source(loop)
    annotation = sight.annotation_of(spot.function, source.id) if spot.function and isinstance(source, ast.Name) else ""
    return bool(_LISTS.search(annotation))


def _target(loop: Loop) -> ast.expr:
    assert not isinstance(loop, ast.While)
    return loop.target if isinstance(loop, (ast.For, ast.AsyncFor)) else loop.generators[0].target


def target_code(loop: Loop) -> str:
    """The loop's variables as they are written."""
    code = ast.unparse(_target(loop))
    return code[1:-1] if code.startswith("(") else code


def _source(loop: Loop) -> ast.expr:
    assert not isinstance(loop, ast.While)
    return loop.iter if isinstance(loop, (ast.For, ast.AsyncFor)) else loop.generators[0].iter


def rows_of(edits: Edits, spot: Spot, loop: Loop) -> str:
    """A name for what is gone over, which can be gone over twice."""
    source = _source(loop)
    if isinstance(source, ast.Name) and _is_list(spot, source.id):
        return source.id
    function = spot.function or spot.text.tree
    name = sight.free_name(function, "rows", "items")
    code = edits.code(source)
    edits.before(statement_of(spot, loop), f"{name} = list({code})")
    edits.swap(source, name)
    return name


def _is_list(spot: Spot, name: str) -> bool:
    function = spot.function
    if function is None:
        return False
    if re.match(r"(list|List|Sequence|tuple|Collection)\[", sight.annotation_of(function, name)):
        return True
    values = [
        s.value for s in ast.walk(function) if isinstance(s, ast.Assign) and any(dotted(t) == name for t in s.targets)
    ]
    return len(values) == 1 and _gives_list(values[0])


def _gives_list(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        called = value.func.attr if isinstance(value.func, ast.Attribute) else dotted(value.func)
        return called in ("all", "list", "sorted", "fetchall", "tuple")
    return isinstance(value, (ast.ListComp, ast.List, ast.Tuple))


def _plural(found: Ask) -> str:
    table = found.model.table
    return table if table.endswith("s") else f"{table}s"


def _statement(case: Case, edits: Edits, spot: Spot, found: Ask, loop: Loop, rows: str, kept: str) -> str:
    target = target_code(loop)
    column = f"{found.name}.{found.column.attribute}"
    within = f"{column}.in_({{{_flat(edits.code(found.key))} for {target} in {rows}}})"
    session, wait = edits.code(found.session), "await " if found.waits else ""
    one = found.model.name.lower()
    if found.answer in ("entity", "list"):
        asked = f"{wait}{session}.scalars({_select(edits, found, within)})"
        if found.answer == "list":
            one = sight.free_name(spot.function or spot.text.tree, one, "found")
            return (
                f"{kept}{_annotation(spot, found)} = {{}}\nfor {one} in {asked}:\n"
                f"    {kept}.setdefault({one}.{found.column.attribute}, []).append({one})"
            )
        return _dict(case, spot, loop, kept, f"{one}.{found.column.attribute}: {one}", f"for {one} in {asked}")
    asked = f"{wait}{session}.execute({_select(edits, found, within, column)})"
    return _dict(case, spot, loop, kept, "key: value", f"for key, value in {asked}")


def _annotation(spot: Spot, found: Ask) -> str:
    annotated = spot.function is not None and spot.function.returns is not None
    return f": dict[object, list[{found.name}]]" if annotated else ""


def _flat(code: str) -> str:
    return re.sub(r"\s*\n\s*", "", code)


def _select(edits: Edits, found: Ask, within: str, column: str = "") -> str:
    if found.statement is None or found.condition is None:
        return f"{imports.bring(edits, 'sqlalchemy', 'select')}({found.name}).where({within})"
    code = _flat(edits.code(found.statement)).replace(_flat(edits.code(found.condition)), within, 1)
    if column:
        code = code.replace("select(", f"select({column}, ", 1)
    return f"{code}.group_by({column})" if found.answer in ("count", "aggregate") else code


def _dict(case: Case, spot: Spot, loop: Loop, kept: str, pair: str, each: str) -> str:
    line = f"{kept} = {{{pair} {each}}}"
    indent = statement_of(spot, loop).col_offset
    if indent + len(line) <= width_of(case.root, spot.text):
        return line
    return f"{kept} = {{\n    {pair}\n    {each}\n}}"


def _lookup(edits: Edits, found: Ask, kept: str) -> str:
    key = edits.code(found.key)
    if found.sure and found.answer in ("entity", "value"):
        return f"{kept}[{key}]"
    default = {"count": ", 0", "list": ", []"}.get(found.answer, "")
    return f"{kept}.get({key}{default})"
