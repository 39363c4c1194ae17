"""Whether calls may run at the same time, as far as the source shows: no shared session, no order of writes."""

from __future__ import annotations

import ast
from collections.abc import Callable

from perfcrew.rules import calls, source
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
    changed = _changed(case, spot, node)
    if changed:
        return f"line {node.lineno} calls a method that changes `{changed}`: its order may matter"
    traced = _seen_sharing(case, spot, node)
    if traced:
        return traced
    verb = sight.writes(node)
    return (
        f"line {node.lineno} calls `{verb}`, which sounds as if it changed or used up something: its order may matter"
        if verb
        else None
    )


def _behind(case: Case, spot: Spot, node: ast.expr) -> str | None:
    """The session that the called function, where it is the project's own, takes from around itself."""
    calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)]
    for call in calls:
        function = sight.definition(case.root, spot.text, call)
        found = sight.keeps_state(function) or (function and sight.global_session(function))
        if found:
            return found
    return None


def _changed(case: Case, spot: Spot, node: ast.expr) -> str | None:
    called = (sight.definition(case.root, spot.text, n) for n in ast.walk(node) if isinstance(n, ast.Call))
    return next((found for f in called if (found := sight.changes_itself(f))), None)


def _seen_sharing(case: Case, spot: Spot, node: ast.expr) -> str | None:
    """Whether the traces show statements below this line on a connection that other lines, or its turns, use too."""
    seen = _connections(case, spot)
    first, last = node.lineno, node.end_lineno or node.lineno
    mine = next((seen[t] for n in range(first, last + 1) if (t := spot.text.line(n).strip()) in seen), None)
    if mine is None:
        return None
    others = frozenset().union(*(ids for ids in seen.values() if ids is not mine))
    if None in mine or mine & others or spot.text.in_loop(node.lineno):
        return (
            f"line {node.lineno} sends statements on a connection that others use too, as its traces show: one session "
            "can't be shared by tasks, give each a session of its own first"
        )
    return None


def _connections(case: Case, spot: Spot) -> dict[str, frozenset[object]]:
    """Connections by the text of the function's lines below which statements were traced (None: not known which)."""
    if case.scene is None or spot.function is None:
        return {}
    spans = [s for t in case.scene.traced for trace in t.traces for s in trace.of("database")]
    found: dict[str, frozenset[object]] = {}
    for branch in calls.branches(case.scene.root, spans):
        text = source.read(branch.file)
        if text is None or branch.name.rsplit(".", 1)[-1] != spot.function.name or not branch.file.endswith(spot.file):
            continue
        for line, below in branch.lines.items():
            ids = frozenset(s.attributes.get("perfcrew.db.connection") for s in below)
            found[text.line(line).strip()] = found.get(text.line(line).strip(), frozenset()) | ids
    return found
