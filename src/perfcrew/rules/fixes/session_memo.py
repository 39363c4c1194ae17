"""A function that reads, made to keep its answer in `session.info`: SQLAlchemy's place for what lives as long as it.

Declined where the answer can be used up, where the key would miss an argument, and where one of those that lead to the
read writes too: it may read again to see what it has written.
"""

from __future__ import annotations

import ast
import re

from perfcrew.rules.fixes import reach, sight
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.outcomes import Draft
from perfcrew.rules.fixes.places import Spot, locate
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.fixes.turning import refuse_writes, writes
from perfcrew.rules.source import Function, dotted

_SESSION = re.compile(r"\b(AsyncSession|Session)\b|SessionDep\b")
_PLAIN_SESSION = re.compile(r"\bSession\b")
_KEYS = re.compile(r"^(int|str|bool|float|bytes|UUID|uuid\.UUID|date)( \| None)?$")
_GIVE_ONE = frozenset({"first", "one", "one_or_none", "scalar", "scalar_one", "scalar_one_or_none", "get", "get_one"})
_GIVE_LISTS = frozenset({"all", "fetchall"})
_DEPTH = 3
_CALLERS_AT_MOST = 60
_RISK = (
    "The answer is as old as the session: right where each request has one of its own, wrong where one lives on after "
    "others have written."
)


def kept(case: Case) -> Draft:
    """Raises Unwritable with what stands in the way."""
    spot = locate(case, case.finding.place)
    function = spot.function
    if function is None or not _is_read(function):
        raise Unwritable("the read is not a function of its own, whose answer could be kept for the request")
    if function not in spot.text.tree.body:
        raise Unwritable(f"`{function.name}` is a method or an inner function: what is around it is no part of a key")
    session = _session(function)
    refuse_writes(function)
    _refuse_end(function, session)
    _refuse_callers(case, function)
    edits = Edits(spot.text)
    _write(edits, function, session)
    title = f"Keep the answer of {function.name} for the session"
    return Draft("kept on the session", title, {spot.file: edits.result()}, (_RISK,), lower=4)


def _is_read(function: Function) -> bool:
    """A function that does nothing but return one expression."""
    body = [s for s in function.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    return (
        len(body) == 1 and isinstance(body[0], ast.Return) and body[0].value is not None and not function.decorator_list
    )


def _session(function: Function) -> str:
    if function.args.vararg or function.args.kwarg:
        raise Unwritable(f"`{function.name}` takes any arguments, which would be no part of the key")
    arguments = _arguments(function)
    found = [a for a in arguments if _SESSION.search(sight.annotation_of(function, a))]
    if len(found) != 1:
        raise Unwritable(f"`{function.name}` has no parameter that is annotated as SQLAlchemy's session")
    unknown = [a for a in arguments if a not in found and not _KEYS.match(sight.annotation_of(function, a))]
    if unknown:
        raise Unwritable(f"`{unknown[0]}` of `{function.name}` may not be fit for a key")
    return found[0]


def _arguments(function: Function) -> list[str]:
    return [a.arg for a in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]


def _answer(function: Function) -> ast.expr:
    final = function.body[-1]
    assert isinstance(final, ast.Return) and final.value is not None
    return final.value


def _refuse_end(function: Function, session: str) -> None:
    """Raises Unwritable where a second caller could find the answer used up."""
    annotation = sight.annotation_of(function, session)
    plain = _PLAIN_SESSION.search(annotation) or not isinstance(function, ast.AsyncFunctionDef)
    awaits = "AsyncSession" in annotation or not plain
    answer = _answer(function)
    parts = answer.values if isinstance(answer, ast.BoolOp) else [answer]
    for part in (p for p in parts if not isinstance(p, ast.Constant)):
        if not (_gives(part, _GIVE_ONE) or (part is answer and _is_list(part))):
            raise Unwritable(f"what `{function.name}` gives may be gone through once only: it ends in no row, or list")
        if awaits and not any(isinstance(n, ast.Await) for n in ast.walk(part)):
            raise Unwritable(f"what `{function.name}` gives isn't awaited in it: it can be awaited once only")


def _gives(node: ast.expr, ends: frozenset[str]) -> bool:
    call = node.value if isinstance(node, ast.Await) else node
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in ends


def _is_list(node: ast.expr) -> bool:
    """`….all()`, or `list(…)`."""
    return _gives(node, _GIVE_LISTS) or (isinstance(node, ast.Call) and dotted(node.func) == "list")


def _refuse_callers(case: Case, function: Function) -> None:
    """Raises Unwritable where something that leads to the read also writes, itself or by a function that it calls."""
    for above in [*reach.starts(case), *_callers(case, function)]:
        if above.function is None or above.function is function:
            continue
        _refuse_once_only(above, function)
        _refuse_writer(case, above, function)


def _callers(case: Case, function: Function) -> list[Spot]:
    """Who calls the function, and who calls them."""
    found: list[Spot] = []
    waiting = [function]
    for _ in range(_DEPTH):
        above = [s for f in waiting for s in reach.callers(case.root, f)]
        new = {s.function: s for s in above if s.function and s.function not in [f.function for f in found]}
        found += new.values()
        waiting = list(new)
        if len(found) > _CALLERS_AT_MOST:
            raise Unwritable(f"more than {_CALLERS_AT_MOST} functions seem to lead to `{function.name}`")
    return found


def _refuse_once_only(above: Spot, function: Function) -> None:
    """Raises Unwritable where a plain function is awaited: what it gives is no answer yet."""
    waits = (n.value for n in ast.walk(above.function or above.text.tree) if isinstance(n, ast.Await))
    awaited = any(isinstance(w, ast.Call) and last(dotted(w.func)) == function.name for w in waits)
    if awaited and isinstance(function, ast.FunctionDef):
        raise Unwritable(f"what `{function.name}` gives is awaited by its callers: it can be awaited once only")


def _refuse_writer(case: Case, above: Spot, function: Function) -> None:
    assert above.function is not None
    calls = [n for n in ast.walk(above.function) if isinstance(n, ast.Call)]
    called = (sight.definition(case.root, above.text, c) for c in calls)
    for part in (above.function, *(f for f in called if f)):
        if any(writes(n) for n in ast.walk(part) if isinstance(n, ast.Call)) or _sets_attribute(part):
            raise Unwritable(
                f"`{part.name}` changes rows, or may, and `{above.function.name}` leads to `{function.name}`: what is "
                "read after a change may differ"
            )


def _sets_attribute(function: Function) -> bool:
    """Whether something gets an attribute's value: a row's is written by the next read."""
    stored = (n for n in ast.walk(function) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store))
    return any(dotted(n.value) != "self" for n in stored)


def _write(edits: Edits, function: Function, session: str) -> None:
    answer = _answer(function)
    key = ", ".join(["__name__", f'"{function.name}"', *(a for a in _arguments(function) if a != session)])
    name = sight.free_name(function, "key", "kept_as")
    value = f"{session}.info[{name}]"
    # A list is copied: what one caller changes in it is not for the others.
    given = f"list({value})" if _is_list(answer) else value
    edits.replace(
        function.body[-1],
        f"{name} = ({key})\nif {name} not in {session}.info:\n    {value} = {edits.code(answer)}\nreturn {given}",
    )
