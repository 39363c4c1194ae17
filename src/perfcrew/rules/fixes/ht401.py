"""HT401: the calls of a loop wait together, only so many at a time.

One call for the whole set is better, and is not written by rule: only the other side's documentation says whether
there is one. Where the client's class has a method that looks like it, the refusal names it.
"""

from __future__ import annotations

import ast
import re

from perfcrew.core.patches import Declined, Fix
from perfcrew.rules.fixes import loops, project, sight
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.outcomes import Draft, attempt, declined
from perfcrew.rules.fixes.places import Spot, locate
from perfcrew.rules.source import Function, covers, dotted

_MANY = re.compile(r"\b(list|List|Sequence|Iterable|Collection|set|Set|tuple|frozenset)\b")


def fix(case: Case) -> list[Fix | Declined]:
    """A bounded gather, and what speaks for or against one call for all."""
    return [*attempt(case, "gather", lambda: _gather(case)), declined(case, "batch", _batch(case))]


def _gather(case: Case) -> Draft:
    spot = locate(case, case.finding.trigger or case.finding.place)
    if not isinstance(spot.function, ast.AsyncFunctionDef):
        raise Unwritable("the loop is in sync code: ask for the whole set at once, or make it async")
    edits = Edits(spot.text)
    loops.bound_gather(case, edits, spot)
    title = f"Gather the calls of {spot.function.name}, {loops.AT_ONCE} at a time"
    failing = "When one call fails, the others have been made in vain: before, later ones would not have been made."
    return Draft("bounded gather", title, {spot.file: edits.result()}, (failing,))


def _batch(case: Case) -> str:
    try:
        found = _like_batch(case, locate(case, case.finding.place))
    except Unwritable:
        found = None
    if found is None:
        return (
            "no endpoint of the other side that answers for many keys is known from the source: ask its documentation"
        )
    return (
        f"`{found}` takes many keys and may answer for the whole set in one call; whether its answers are in order and "
        "complete can't be told by rule"
    )


def _like_batch(case: Case, spot: Spot) -> str | None:
    """A method of the asked object's class that takes many of something: `Supplier.stock_of_many`."""
    if spot.function is None:
        return None
    for call in (n for n in ast.walk(spot.function) if isinstance(n, ast.Call) and covers(n, spot.line)):
        owner, _, method = dotted(call.func).rpartition(".")
        kind = project.class_named(case.root, sight.annotation_of(spot.function, owner)) if owner else None
        for other in kind.body if kind else ():
            if isinstance(other, (ast.FunctionDef, ast.AsyncFunctionDef)) and _for_many(other, method):
                return f"{kind.name}.{other.name}" if kind else None
    return None


def _for_many(function: Function, single: str) -> bool:
    stem = single.removeprefix("get_").removesuffix("_by_id").removesuffix("s")
    many = any(_MANY.search(sight.annotation_of(function, name)) for name in sight.parameters(function))
    return function.name != single and stem in function.name and many
