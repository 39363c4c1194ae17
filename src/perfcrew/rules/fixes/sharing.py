"""Whether calls may run at the same time, as far as the source shows: no shared session, no order of writes."""

from __future__ import annotations

import ast
from collections.abc import Callable

from perfcrew.rules.fixes import sight
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.gathering import Member
from perfcrew.rules.fixes.places import Spot


def obstacle(case: Case, spot: Spot) -> Callable[[Member], str | None]:
    """Why an await may not run beside others, None where nothing speaks against it."""

    def why(member: Member) -> str | None:
        return reason(case, spot, member.waits)

    return why


def check(case: Case, spot: Spot, node: ast.expr) -> None:
    """Raises Unwritable where something speaks against it."""
    why = reason(case, spot, node)
    if why:
        raise Unwritable(why)


def reason(case: Case, spot: Spot, node: ast.expr) -> str | None:
    """As `obstacle`, for any expression: a session that would be shared, or a write whose order may matter."""
    session = sight.session_in(case.root, node, spot.function) or _behind(case, spot, node)
    if session:
        return (
            f"line {node.lineno} works on `{session}`: one session or connection can't be shared by tasks, "
            "give each a session of its own first"
        )
    verb = sight.writes(node)
    return f"line {node.lineno} calls `{verb}`, which sounds like a write: its order may matter" if verb else None


def _behind(case: Case, spot: Spot, node: ast.expr) -> str | None:
    """The session that the called function, where it is the project's own, takes from around itself."""
    calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)]
    for call in calls:
        function = sight.definition(case.root, spot.text, call)
        found = sight.keeps_state(function) or (function and sight.global_session(function))
        if found:
            return found
    return None
