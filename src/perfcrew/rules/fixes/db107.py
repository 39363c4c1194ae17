"""DB107: independent statements wait together, each on a session of its own, or on a pool that gives each a connection.

Only what is known to read, and nothing else, in a request that writes nothing; one session or connection is never
shared by tasks. In sync code, and for Django, the recipe says what one statement for both looks like.
"""

from __future__ import annotations

import ast
import re

from perfcrew.core.patches import Declined, Fix
from perfcrew.core.sql import binds, is_read
from perfcrew.rules.fixes import gathering, imports, models, project, separate, sight, together
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.gathering import Member
from perfcrew.rules.fixes.outcomes import Draft, attempt
from perfcrew.rules.fixes.places import Spot, locate
from perfcrew.rules.source import dotted

_FETCHES = frozenset({"fetch", "fetchrow", "fetchval"})
_POOL = re.compile(r"^(asyncpg\.)?(pool\.)?Pool(\[.*\])?$")
_CONNECTIONS = "Each statement takes a connection of the pool's while it waits."
_STATES = "The statements see the data as of their own moments, as they did before."


def fix(case: Case) -> list[Fix | Declined]:
    """By what sends the statements: a session of SQLAlchemy, or asyncpg."""
    return attempt(case, "together", lambda: _together(case))


def _together(case: Case) -> Draft:
    spot = locate(case, case.finding.place)
    if spot.function is None:
        raise Unwritable("the statements are not sent within a function")
    known = models.read(case.root)
    if case.app.project.framework == "django" and any(m.style == "django" for m in known):
        raise Unwritable(
            "Django's ORM has one connection for each thread: ask for both in one statement, by subqueries"
        )
    if _fetches(spot):
        return _of_pool(case, spot)
    return separate.gathered(case, spot, known)


def _fetches(spot: Spot) -> bool:
    calls = [n for n in ast.walk(spot.function or spot.text.tree) if isinstance(n, ast.Call)]
    return any(isinstance(c.func, ast.Attribute) and c.func.attr in _FETCHES and spot.line == c.lineno for c in calls)


def _of_pool(case: Case, spot: Spot) -> Draft:
    """`asyncio.gather(pool.fetch(…), pool.fetch(…))`. Raises Unwritable."""
    if not isinstance(spot.function, ast.AsyncFunctionDef):
        raise Unwritable("the statements are sent by sync code, which waits for each")

    def why(member: Member) -> str | None:
        return _why_not(spot, member)

    group = gathering.group_at(spot, gathering.awaiting, why)
    edits = Edits(spot.text)
    together.gather(edits, group, project.line_length(case.root))
    title = f"Let the independent statements of {spot.function.name} wait together"
    return Draft("gather", title, {spot.file: edits.result()}, (_CONNECTIONS, _STATES))


def _why_not(spot: Spot, member: Member) -> str | None:
    call = member.waits.value if isinstance(member.waits, ast.Await) else member.waits
    assert isinstance(call, ast.Call)
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    if owner is None or not isinstance(call.func, ast.Attribute) or call.func.attr not in _FETCHES:
        return f"line {call.lineno} waits for something other than a statement"
    if not _is_pool(spot, owner):
        return (
            f"line {call.lineno}: `{ast.unparse(owner)}` is not known to be a pool of asyncpg, and one connection "
            "can't be shared by tasks"
        )
    text = _text(spot, call.args[0]) if call.args else None
    if text is None or not is_read(text) or binds(text):
        return f"line {call.lineno}: the statement is not known to be one that only reads"
    inner = [n for a in (*call.args[1:], *(k.value for k in call.keywords)) for n in ast.walk(a)]
    asks = next((n for n in inner if isinstance(n, (ast.Call, ast.Await))), None)
    return f"line {asks.lineno}: a value is made by a call, whose order may matter" if asks else None


def _text(spot: Spot, node: ast.expr) -> str | None:
    """A text that is written out: there, or by the module as a constant."""
    if isinstance(node, ast.Name):
        given = [
            s.value
            for s in spot.text.tree.body
            if isinstance(s, ast.Assign) and any(dotted(t) == node.id for t in s.targets)
        ]
        stored = [n for n in ast.walk(spot.text.tree) if isinstance(n, ast.Name) and n.id == node.id]
        node = given[0] if len(given) == 1 and sum(isinstance(n.ctx, ast.Store) for n in stored) == 1 else node
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _is_pool(spot: Spot, owner: ast.expr) -> bool:
    """By the parameter's annotation, or by what the module gives the name."""
    if not isinstance(owner, ast.Name) or spot.function is None:
        return False
    if owner.id in sight.parameters(spot.function):
        said = sight.annotation_of(spot.function, owner.id).strip("'\"")
        return bool(_POOL.match(said)) and imports.full_name(spot.text, said.split("[")[0]).startswith("asyncpg.")
    given = [
        s.value
        for s in ast.walk(spot.text.tree)
        if isinstance(s, (ast.Assign, ast.AnnAssign)) and s.value and dotted(_target(s)) == owner.id
    ]
    made = [v.value if isinstance(v, ast.Await) else v for v in given]
    calls = [imports.called(spot.text, v) for v in made if isinstance(v, ast.Call)]
    return bool(calls) and len(calls) == len(made) and all(c == "asyncpg.create_pool" for c in calls)


def _target(statement: ast.Assign | ast.AnnAssign) -> ast.expr:
    return statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
