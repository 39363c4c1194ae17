"""A function that reads, made to keep its answer in `session.info`: SQLAlchemy's place for what lives as long as it."""

from __future__ import annotations

import ast
import re

from perfcrew.rules.fixes import sight
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.outcomes import Draft
from perfcrew.rules.fixes.places import Spot, locate
from perfcrew.rules.fixes.turning import refuse_writes
from perfcrew.rules.source import Function

_SESSION = re.compile(r"\b(AsyncSession|Session)\b|SessionDep\b")
_KEYS = re.compile(r"^(int|str|bool|float|bytes|UUID|uuid\.UUID|date|datetime|Decimal)( \| None)?$")
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
    session = _session(function)
    refuse_writes(function)
    edits = Edits(spot.text)
    _write(edits, spot, function, session)
    title = f"Keep the answer of {function.name} for the session"
    return Draft("kept on the session", title, {spot.file: edits.result()}, (_RISK,), lower=4)


def _is_read(function: Function) -> bool:
    """A function that does nothing but return one expression."""
    body = [s for s in function.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    return (
        len(body) == 1 and isinstance(body[0], ast.Return) and body[0].value is not None and not function.decorator_list
    )


def _session(function: Function) -> str:
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    found = [a.arg for a in arguments if _SESSION.search(sight.annotation_of(function, a.arg))]
    others = [a.arg for a in arguments if a.arg not in found]
    if len(found) != 1:
        raise Unwritable(f"`{function.name}` has no parameter that is annotated as SQLAlchemy's session")
    unknown = [n for n in others if not _KEYS.match(sight.annotation_of(function, n))]
    if unknown:
        raise Unwritable(f"`{unknown[0]}` of `{function.name}` may not be fit for a key")
    return found[0]


def _write(edits: Edits, spot: Spot, function: Function, session: str) -> None:
    final = function.body[-1]
    assert isinstance(final, ast.Return) and final.value is not None
    others = [a.arg for a in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
    others.remove(session)
    key = ", ".join([f'"{function.name}"', *others])
    name = sight.free_name(function, "key", "kept_as")
    made = f"({key})" if others else f'"{spot.file.rsplit("/", 1)[-1].removesuffix(".py")}.{function.name}"'
    value = edits.code(final.value)
    edits.replace(
        final,
        f"{name} = {made}\nif {name} not in {session}.info:\n    {session}.info[{name}] = {value}\n"
        f"return {session}.info[{name}]",
    )
