"""A plain blocking HTTP call as one of httpx' async client."""

from __future__ import annotations

import ast

import libcst as cst

from perfcrew.rules.fixes import imports, sight
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.source import dotted

_METHODS = frozenset({"get", "post", "put", "patch", "delete", "head"})
_SAME = frozenset({"params", "headers", "json", "cookies", "timeout", "follow_redirects"})
"""Arguments that mean the same to `requests` and to a method of httpx' client."""
_ANSWERS = frozenset({"json", "text", "status_code", "content", "headers", "raise_for_status"})


def with_async_client(edits: Edits, spot: Spot, call: ast.Call) -> None:
    """Wraps the statement in a client's block. Raises Unwritable where the two would not mean the same."""
    library, _, method = imports.called(spot.text, call).partition(".")
    if library not in ("requests", "httpx") or method not in _METHODS:
        raise Unwritable("only plain calls of requests or httpx are rewritten for an async client")
    other = sorted({k.arg or "**" for k in call.keywords} - _SAME)
    if other or len(call.args) > 1:
        raise Unwritable(f"`{other[0] if other else 'a second argument'}` may mean something else to an async client")
    statement = next(n for n in spot.around(call) if isinstance(n, ast.stmt))
    _plain(spot, statement, call, library)
    scope = spot.function or spot.text.tree
    client = sight.free_name(scope, "client", "http_client")
    httpx = imports.bring(edits, "httpx")
    made = f"{httpx}.AsyncClient({_options(call, library)})"
    edits.swap(call, f"await {client}.{method}({edits.code(call)[len(edits.code(call.func)) :].lstrip()[1:-1]})")
    edits.change(statement, lambda old: _within(edits, made, client, old))


def _options(call: ast.Call, library: str) -> str:
    """What requests does by itself: it follows redirects, and waits for ever."""
    given = {k.arg for k in call.keywords}
    if library == "httpx":
        return ""
    return "follow_redirects=True" + ("" if "timeout" in given else ", timeout=None")


def _plain(spot: Spot, statement: ast.stmt, call: ast.Call, library: str) -> None:
    if not isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Return, ast.Expr)):
        raise Unwritable("the call stands in a compound statement")
    if any(isinstance(n, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp)) for n in spot.around(call)):
        raise Unwritable("the call is made in a comprehension")
    if library == "httpx":
        return
    caught = [h for n in ast.walk(spot.function or spot.text.tree) if isinstance(n, ast.Try) for h in n.handlers]
    if any("requests" in ast.unparse(h.type) for h in caught if h.type):
        raise Unwritable("errors of requests are caught, which httpx doesn't raise")
    strange = sorted(_uses(spot, statement) - _ANSWERS)
    if strange or (isinstance(statement, ast.Return) and statement.value is call):
        raise Unwritable(f"`{strange[0] if strange else 'the answer itself'}` of the answer may differ in httpx")


def _uses(spot: Spot, statement: ast.stmt) -> set[str]:
    """Attributes of the answer that the function takes, 'the answer itself' where it is handed on."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    name = dotted(target) if target is not None else ""
    found: set[str] = set()
    for node in ast.walk(spot.function or spot.text.tree):
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
            parent = spot.parents[node]
            found.add(parent.attr if isinstance(parent, ast.Attribute) else "the answer itself")
    return found


def _within(edits: Edits, made: str, client: str, statement: cst.CSTNode) -> cst.CSTNode:
    (block,) = edits.parse(f"async with {made} as {client}:\n    pass")
    leading = getattr(statement, "leading_lines", ())
    body = cst.IndentedBlock([cst.ensure_type(statement, cst.SimpleStatementLine).with_changes(leading_lines=[])])
    return block.with_changes(leading_lines=leading, body=body)
