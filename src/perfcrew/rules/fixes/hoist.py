"""A read that a loop repeats, done once before it: its own call, or the call of the function that reads."""

from __future__ import annotations

import ast
from typing import NamedTuple

from perfcrew.rules.fixes import sight
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.outcomes import Draft
from perfcrew.rules.fixes.places import Spot, locate
from perfcrew.rules.fixes.reach import starts
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.fixes.turning import (
    Loop,
    around,
    awaited,
    changing,
    refuse_waiting,
    refuse_writes,
    same_in,
    statement_of,
)
from perfcrew.rules.source import Function, covers, dotted, names

_BUILDS = frozenset(
    {"select", "where", "filter", "filter_by", "limit", "offset", "order_by", "options", "join", "outerjoin", "count"}
    | {"scalar", "scalars", "execute", "get", "first", "one", "one_or_none", "all", "scalar_one", "scalar_one_or_none"}
    | {
        "query",
        "text",
        "exists",
        "values",
        "values_list",
        "exclude",
        "only",
        "fetchone",
        "fetchall",
        "fetchval",
        "last",
    }
    | {"fetchrow", "fetch", "selectinload", "joinedload", "load_only", "desc", "asc", "is_", "in_", "and_", "or_"}
    | {
        "unique",
        "mappings",
        "select_related",
        "prefetch_related",
        "aget",
        "afirst",
        "list",
        "dict",
        "bindparams",
        "label",
    }
    | {
        "select_from",
        "group_by",
        "distinct",
        "sum",
        "max",
        "min",
        "fetch_val",
        "fetch_one",
        "fetch_all",
        "not_",
        "tuple",
    }
)
_ENDS_READ = frozenset(
    {"scalar", "scalars", "execute", "get", "first", "one", "one_or_none", "all", "scalar_one", "scalar_one_or_none"}
    | {"fetchone", "fetchall", "fetchval", "fetchrow", "fetch", "aget", "afirst", "count", "exists", "mappings"}
    | {"fetch_val", "fetch_one", "fetch_all", "unique"}
)


class Repeat(NamedTuple):
    """An expression that a loop repeats with the same outcome, and the outermost loop that it can be taken out of."""

    spot: Spot
    node: ast.expr
    loop: Loop


def hoisted(case: Case) -> Draft:
    """The read before the loop. Raises Unwritable with what stands in the way."""
    found = _repeat(case)
    refuse_writes(found.loop)
    edits = Edits(found.spot.text)
    name = take_out(edits, found)
    where = found.spot.function.name if found.spot.function else found.spot.file
    return Draft("hoist", f"Read {name} once in {where}", {found.spot.file: edits.result()})


def _repeat(case: Case) -> Repeat:
    """Of the reading line itself where it is in a loop, else of the call on the trigger's line that leads to it."""
    why: list[str] = []
    for spot in starts(case):
        for node in _candidates(case, spot):
            loops = around(spot, node)
            refuse_waiting(loops)
            same = [loop for loop in loops if same_in(loop, node)]
            if same:
                return Repeat(spot, node, same[0])
            if loops:
                read = ", ".join(f"`{n}`" for n in sorted(names(node, ast.Load) & changing(loops[-1])))
                why.append(f"line {node.lineno} reads {read}, which changes from turn to turn")
    raise Unwritable("; ".join(dict.fromkeys(why)) or "the read is not called from a loop of the functions at hand")


def _candidates(case: Case, spot: Spot) -> list[ast.expr]:
    scope = spot.function or spot.text.tree
    calls = [n for n in ast.walk(scope) if isinstance(n, ast.Call) and covers(n, spot.line)]
    reading = reading_function(case)
    if reading is not None and reading is not spot.function:
        found = [c for c in calls if last(dotted(c.func)) == reading.name and _plain_arguments(c)]
        return [awaited(spot, c) for c in found]
    whole = [c for c in calls if last(_method(c)) in _ENDS_READ and _only_builds(c)]
    return [awaited(spot, c) for c in whole[:1]]


def _method(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else dotted(call.func)


def _only_builds(call: ast.Call) -> bool:
    """Whether all calls in it make a statement or ask it: none whose outcome may change from turn to turn."""
    inner = [n for n in ast.walk(call) if isinstance(n, ast.Call)]
    return all(last(_method(n)) in _BUILDS or dotted(n.func).startswith(("func.", "sa.func.")) for n in inner)


def _plain_arguments(call: ast.Call) -> bool:
    given = [*call.args, *(k.value for k in call.keywords)]
    return all(isinstance(a, (ast.Name, ast.Attribute, ast.Constant)) for a in given)


def reading_function(case: Case) -> Function | None:
    """The function that holds the reading line, None where that is not one of the project's."""
    try:
        return locate(case, case.finding.place).function
    except Unwritable:
        return None


def take_out(edits: Edits, found: Repeat) -> str:
    """Puts the read above the loop, under the name that the turn gave it or a new one. Returns the name."""
    statement = statement_of(found.spot, found.node)
    above = statement_of(found.spot, found.loop)
    named = _named(found, statement)
    code = edits.code(found.node)
    if named and statement is not above:
        edits.before(above, f"{named} = {code}")
        _drop(found, edits, statement)
        return named
    function = found.spot.function or found.spot.text.tree
    name = sight.free_name(function, *wanted_names(found.node))
    edits.before(above, f"{name} = {code}")
    edits.swap(found.node, name)
    return name


def _named(found: Repeat, statement: ast.stmt) -> str | None:
    """The name that the whole statement gives the read, where nothing else in the loop gives it another value."""
    if not isinstance(statement, ast.Assign) or statement.value is not found.node or len(statement.targets) != 1:
        return None
    name = dotted(statement.targets[0])
    stored = [
        n for n in ast.walk(found.loop) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store)
    ]
    return name if name.isidentifier() and len(stored) == 1 else None


def _drop(found: Repeat, edits: Edits, statement: ast.stmt) -> None:
    block = next(
        b
        for b in (getattr(found.spot.parents[statement], name, None) for name in ("body", "orelse", "finalbody"))
        if isinstance(b, list) and statement in b
    )
    if len(block) == 1:
        raise Unwritable(f"line {statement.lineno} is all that its block does")
    edits.remove(statement)


def wanted_names(node: ast.expr) -> list[str]:
    """Names for what a call gives: the last word of `shop_currency`, or all of it with an ending."""
    call = node.value if isinstance(node, ast.Await) else node
    name = last(_method(call)) if isinstance(call, ast.Call) else ""
    plain = name if name not in _ENDS_READ and name.isidentifier() else "found"
    words = plain.removeprefix("get_").removeprefix("load_").removeprefix("fetch_").removeprefix("read_").strip("_")
    final = words.rsplit("_", 1)[-1]
    return [*([final] if final.isidentifier() else []), words, f"{words}_once"]
