"""HT402: HTTP calls of one function at the same time: gathered in async code, in a pool of threads in sync code.

In sync code only with clients that threads may share: `httpx.Client`, and the plain functions of httpx, requests and
urllib. A `requests.Session` is none, and what belongs to a request's own thread (Flask's `request`, `g`) neither.
"""

from __future__ import annotations

import ast
import re

from perfcrew.core.patches import Declined, Fix
from perfcrew.rules.fixes import imports, sight, together
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.gathering import Member, group_at, named_target
from perfcrew.rules.fixes.outcomes import Draft, attempt
from perfcrew.rules.fixes.places import Spot, locate
from perfcrew.rules.fixes.rt302 import gathered
from perfcrew.rules.source import dotted, names

_PLAIN = re.compile(r"^(httpx|requests)\.(get|head|options)$|^urllib\.request\.urlopen$")
_READS = frozenset({"get", "head", "options"})
_THREAD_BOUND = frozenset({"request", "g", "session", "current_app", "current_user"})
_COST = (
    "Each request takes as many threads as it makes calls, while they run.",
    "Context variables (a trace, a logging context) don't follow into the threads by themselves.",
)


def fix(case: Case) -> list[Fix | Declined]:
    """All independent calls beside the finding's line, together."""
    return attempt(case, "together", lambda: _draft(case))


def _draft(case: Case) -> Draft:
    spot = locate(case, case.finding.place)
    if spot.function is None:
        raise Unwritable("the calls are made at import")
    if isinstance(spot.function, ast.AsyncFunctionDef):
        return gathered(case)
    if spot.text.in_loop(spot.line):
        raise Unwritable("the calls are made in a loop of sync code: ask for the whole set at once, or make it async")
    group = group_at(spot, lambda s: _asking(spot, s), lambda m: _obstacle(case, spot, m))
    edits = Edits(spot.text)
    together.in_threads(edits, spot, group)
    title = f"Make the independent calls of {spot.function.name} at the same time"
    return Draft("ThreadPoolExecutor", title, {spot.file: edits.result()}, _COST)


def _asking(spot: Spot, statement: ast.stmt) -> Member | None:
    """A statement that names the answer of an HTTP call."""
    target, value = named_target(statement), getattr(statement, "value", None)
    if not target or value is None or not any(_is_call(spot, n) for n in ast.walk(value)):
        return None
    return Member(statement, value, target, False)


def _is_call(spot: Spot, node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = imports.called(spot.text, node)
    return bool(_PLAIN.match(name)) or bool(_client(spot, node))


def _client(spot: Spot, call: ast.Call) -> str:
    """The type of the client that is asked, '' where it isn't one by its annotation or by what made it."""
    if spot.function is None or not isinstance(call.func, ast.Attribute) or call.func.attr not in _HTTP:
        return ""
    name = dotted(call.func.value)
    found = imports.full_name(spot.text, sight.annotation_of(spot.function, name))
    return found or next((m for m in _made(spot, name) if m.startswith(("httpx.", "requests."))), "")


_HTTP = _READS | {"post", "put", "patch", "delete", "request"}


def _made(spot: Spot, name: str) -> list[str]:
    """What the name was made by, in the function or the module: `httpx.Client`."""
    found: list[str] = []
    for node in ast.walk(spot.text.tree):
        value = None
        if isinstance(node, ast.withitem) and node.optional_vars is not None and dotted(node.optional_vars) == name:
            value = node.context_expr
        elif isinstance(node, ast.Assign) and any(dotted(t) == name for t in node.targets):
            value = node.value
        if isinstance(value, ast.Call):
            found.append(imports.called(spot.text, value))
    return found


def _obstacle(case: Case, spot: Spot, member: Member) -> str | None:
    line = member.statement.lineno
    session = sight.session_in(case.root, member.waits, spot.function)
    if session:
        return f"line {line} works on `{session}`, which threads can't share"
    bound = sorted(names(member.waits, ast.Load) & _THREAD_BOUND)
    if bound:
        return f"line {line} uses `{bound[0]}`, which may belong to the request's own thread"
    for call in (n for n in ast.walk(member.waits) if _is_call(spot, n)):
        assert isinstance(call, ast.Call)
        kind = _client(spot, call)
        if kind and kind != "httpx.Client":
            return f"line {line} asks through a `{kind}`, which is not known to be safe to share among threads"
        if kind and isinstance(call.func, ast.Attribute) and call.func.attr not in _READS:
            return f"line {line} calls `{call.func.attr}`: the order of writes may matter"
    return None
