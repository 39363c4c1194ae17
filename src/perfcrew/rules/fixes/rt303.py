"""RT303: less work in a hot function, by what can be shown to mean the same.

A pattern compiled once, results of a function that is pure by sight kept within a bound, texts joined once, lookups
in a set, values that stay taken out of the loop, text not walked letter by letter. A better algorithm is for a
developer to find.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

import libcst as cst

from perfcrew.core.patches import Declined, Fix
from perfcrew.rules.fixes import hot_loops, imports, letters, purity
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.outcomes import Draft, attempt
from perfcrew.rules.fixes.places import Spot, locate
from perfcrew.rules.source import names

_RESULTS = 4096
_FLAGS_AT = {"match": 2, "search": 2, "fullmatch": 2, "findall": 2, "finditer": 2, "sub": 4, "subn": 4, "split": 3}


def fix(case: Case) -> list[Fix | Declined]:
    """Every variant that matches at the finding's function."""
    return attempt(
        case,
        "less",
        lambda: _loop(case, "hoist", "Take what stays out of the loop", hot_loops.hoist),
        lambda: _loop(case, "set", "Look values up in a set", hot_loops.membership),
        lambda: _loop(case, "join", "Join the text once", hot_loops.join),
        lambda: _loop(case, "text", "Do not walk text letter by letter", letters.leave),
        lambda: _pattern(case),
        lambda: _kept(case),
    )


def _spot(case: Case) -> Spot:
    spot = locate(case, case.finding.place)
    if spot.function is None:
        raise Unwritable("the hot line is in no function")
    return spot


def _loop(case: Case, variant: str, title: str, write: Callable[[Edits, Spot], None]) -> Draft:
    spot = _spot(case)
    edits = Edits(spot.text)
    write(edits, spot)
    risk = ("What is looked for must be hashable, as what is in the list is.",) if variant == "set" else ()
    return Draft(variant, f"{title} in {_name(spot)}", {spot.file: edits.result()}, risk)


def _name(spot: Spot) -> str:
    return spot.function.name if spot.function else spot.file


def _kept(case: Case) -> Draft:
    spot = _spot(case)
    function = spot.function
    assert function is not None
    why = purity.why_impure(spot.text, function)
    if why:
        raise Unwritable(f"{why}: its results can't be kept by rule")
    edits = Edits(spot.text)
    # 1 and True, or a text and one that is marked as safe, are the same key, but not the same argument.
    cache = f"{imports.bring(edits, 'functools')}.lru_cache(maxsize={_RESULTS}, typed=True)"
    decorator = cst.Decorator(cst.parse_expression(cache))
    edits.change(function, lambda old: old.with_changes(decorators=[decorator]))
    risk = (
        f"Up to {_RESULTS} results are held in memory. It pays only where the same arguments come again, within a "
        "request or among requests: with ever new arguments it costs a little."
    )
    return Draft("lru_cache", f"Keep results of {_name(spot)}", {spot.file: edits.result()}, (risk,), lower=2)


def _pattern(case: Case) -> Draft:
    """Patterns that are texts in the function: compiled once, above it."""
    spot = _spot(case)
    edits = Edits(spot.text)
    calls = [n for n in ast.walk(_outer(spot)) if isinstance(n, ast.Call) and _compiles(spot, n)]
    if not calls:
        raise Unwritable("no pattern that is written out is compiled in the function")
    made: dict[str, str] = {}
    for call in calls:
        _compiled(edits, spot, call, made)
    edits.before(_outer(spot), "\n\n" + "\n".join(f"{name} = {code}" for code, name in made.items()))
    _leave_two_lines(edits, _outer(spot))
    title = f"Compile the patterns of {_name(spot)} once"
    return Draft("compiled pattern", title, {spot.file: edits.result()})


def _outer(spot: Spot) -> ast.stmt:
    """The module's own statement that holds the function."""
    return next(s for s in spot.text.tree.body if any(n is spot.function for n in ast.walk(s)))


def _compiles(spot: Spot, call: ast.Call) -> bool:
    module, _, function = imports.called(spot.text, call).partition(".")
    known = module == "re" and (function in _FLAGS_AT or function == "compile")
    return (
        known
        and any(n is spot.function for n in _up(spot, call))
        and bool(call.args)
        and isinstance(call.args[0], ast.Constant)
    )


def _up(spot: Spot, node: ast.AST) -> list[ast.AST]:
    found = []
    while node in spot.parents:
        node = spot.parents[node]
        found.append(node)
    return found


def _compiled(edits: Edits, spot: Spot, call: ast.Call, made: dict[str, str]) -> None:
    prefix, _, function = edits.code(call.func).rpartition(".")
    function = function if prefix else imports.called(spot.text, call).partition(".")[2]
    flags = [k.value for k in call.keywords if k.arg == "flags"] + list(call.args[_FLAGS_AT.get(function, 1) :])
    module = imports.bring(edits, "re")
    if any(not names(f, ast.Load) <= {module} for f in flags) or len(call.args) > _FLAGS_AT.get(function, 1) + 1:
        raise Unwritable(f"the flags on line {call.lineno} aren't written out")
    said = "".join(f", {edits.code(f)}" for f in flags)
    code = f"{module}.compile({edits.code(call.args[0])}{said})"
    name = made.setdefault(code, _constant(spot, len(made)))
    if function == "compile":
        edits.swap(call, name)
        return
    given = [edits.code(a) for a in call.args[1 : _FLAGS_AT[function]]]
    given += [f"{k.arg}={edits.code(k.value)}" for k in call.keywords if k.arg != "flags"]
    edits.swap(call, f"{name}.{function}({', '.join(given)})")


def _constant(spot: Spot, number: int) -> str:
    base = f"_{_name(spot).strip('_').upper()}_PATTERN"
    name = base if not number else f"{base}_{number + 1}"
    if name in spot.text.text:
        raise Unwritable(f"the name {name} is taken")
    return name


def _leave_two_lines(edits: Edits, statement: ast.stmt) -> None:
    """The constants take the blank lines above the function; it keeps its comments and gets blank lines of its own."""
    blank = cst.EmptyLine(indent=False)
    own = [line for line in edits.statement(statement).leading_lines if line.comment]
    edits.change(statement, lambda old: old.with_changes(leading_lines=[blank, blank, *own]))
