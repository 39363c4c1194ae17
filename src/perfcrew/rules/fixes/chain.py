"""The functions from an endpoint's handler down to the one that reads, each called in one place by the one before."""

from __future__ import annotations

import ast
from typing import NamedTuple

from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.places import Spot, locate
from perfcrew.rules.fixes.reach import callers
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.source import Function, dotted

_DEEPEST = 3
_ROUTES = frozenset({"get", "route", "api_route", "post", "put", "patch", "delete", "head", "websocket"})


class Step(NamedTuple):
    """A function, and the call in it that leads further down; None at the one that reads."""

    spot: Spot
    function: Function
    call: ast.Call | None
    only: bool
    """Whether nobody else calls the next one."""


def down(case: Case, reading: Spot) -> list[Step]:
    """From the handler to the reading function. Raises Unwritable where the way is not a single one."""
    if reading.function is None:
        raise Unwritable("the rows are not read within a function")
    steps = [Step(reading, reading.function, None, True)]
    while not is_handler(case, steps[0]) and len(steps) <= _DEEPEST:
        above = callers(case.root, steps[0].function)
        handlers = [s for s in above if s.function and is_handler(case, Step(s, s.function, None, True))]
        chosen = _chosen(case, handlers or above)
        if chosen is None or chosen.function is None:
            raise Unwritable(f"which endpoint asks for `{steps[0].function.name}` can't be told from the source")
        call = _call(chosen, steps[0].function.name)
        steps.insert(0, Step(chosen, chosen.function, call, len(above) == 1))
    if not is_handler(case, steps[0]):
        raise Unwritable(f"no endpoint was found above `{reading.function.name}`")
    return steps


def _chosen(case: Case, above: list[Spot]) -> Spot | None:
    if len(above) == 1:
        return above[0]
    handler = case.scene.endpoint.handler if case.scene else None
    for known in (handler, case.finding.trigger):
        found = [
            s
            for s in above
            if known and s.function and s.file == known.file and s.function.name == last(known.function)
        ]
        if len(found) == 1:
            return found[0]
    return None


def _call(spot: Spot, name: str) -> ast.Call:
    assert spot.function is not None
    calls = [n for n in ast.walk(spot.function) if isinstance(n, ast.Call) and last(dotted(n.func)) == name]
    if len(calls) != 1:
        raise Unwritable(f"`{spot.function.name}` calls `{name}` in {len(calls)} places")
    return calls[0]


def is_handler(case: Case, step: Step) -> bool:
    """Whether a route leads to the function: by its decorator, or as the endpoint's handler."""
    for decorator in step.function.decorator_list:
        call = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(call, ast.Attribute) and call.attr in _ROUTES:
            return True
    handler = case.scene.endpoint.handler if case.scene else None
    try:
        return handler is not None and locate(case, handler).function is step.function
    except Unwritable:
        return False
