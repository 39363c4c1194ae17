"""RT302: awaits that need nothing of one another wait together.

Only where the source shows it: no value flows from one to the other, nothing between them leaves the function, none
sounds like a write, and none is handed a session or connection. One `AsyncSession` is never shared by tasks.
"""

from __future__ import annotations

import ast

from perfcrew.core.patches import Declined, Fix
from perfcrew.rules.fixes import loops, project, sharing, together
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.gathering import (
    Group,
    awaiting,
    block_at,
    group_at,
    unconditional_awaits,
)
from perfcrew.rules.fixes.outcomes import Draft, attempt
from perfcrew.rules.fixes.places import Spot, locate
from perfcrew.rules.source import covers

_FAILING = "When one call fails, the others have been made in vain: before, they would not have been made."
_GROUPED = "Failures arrive as an ExceptionGroup: an `except` around it must be written as `except*`."


def fix(case: Case) -> list[Fix | Declined]:
    """`asyncio.gather`, and a `TaskGroup` where the project's Python has it."""
    return attempt(case, "gather", lambda: gathered(case), lambda: _grouped(case))


def gathered(case: Case) -> Draft:
    """The awaits at the finding's line gathered. Raises Unwritable with what stands in the way."""
    spot = _async_spot(case)
    edits, width = Edits(spot.text), project.line_length(case.root)
    if spot.text.in_loop(spot.line):
        loops.bound_gather(case, edits, spot)
    else:
        _together(case, edits, spot, width)
    name = spot.function.name if spot.function else spot.file
    return Draft("gather", f"Gather the independent awaits of {name}", {spot.file: edits.result()}, (_FAILING,))


def _together(case: Case, edits: Edits, spot: Spot, width: int) -> None:
    statement = next((s for s in block_at(spot) if covers(s, spot.line)), None)
    several = unconditional_awaits(statement) if statement is not None else []
    if statement is not None and several:
        for node in several:
            sharing.check(case, spot, node)
        together.in_expression(edits, spot, statement, several, width)
    else:
        together.gather(edits, group_at(spot, awaiting, sharing.obstacle(case, spot)), width)


def _grouped(case: Case) -> Draft:
    spot = _async_spot(case)
    if not project.python_at_least(case.root, 11):
        raise Unwritable("the project doesn't say that it needs Python 3.11, which a TaskGroup takes")
    group = _no_loop(case, spot)
    if any(isinstance(node, ast.Try) for node in spot.around(group.members[0].statement)):
        raise Unwritable("the awaits are within a `try`, which an ExceptionGroup of a TaskGroup would pass by")
    edits = Edits(spot.text)
    together.task_group(edits, spot, group)
    name = spot.function.name if spot.function else spot.file
    title = f"Run the independent awaits of {name} as tasks of one group"
    return Draft("TaskGroup", title, {spot.file: edits.result()}, (_GROUPED, _FAILING), lower=3)


def _no_loop(case: Case, spot: Spot) -> Group:
    if spot.text.in_loop(spot.line):
        raise Unwritable("a TaskGroup is written for single awaits only")
    return group_at(spot, awaiting, sharing.obstacle(case, spot))


def _async_spot(case: Case) -> Spot:
    spot = locate(case, case.finding.place)
    if not isinstance(spot.function, ast.AsyncFunctionDef):
        raise Unwritable(f"{case.finding.place} is not in an async function")
    return spot
