"""Whether a function's answer may be another one for each user, though its arguments are the same.

By the names that it reads, those of the functions that it calls, and the context variables of the project.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from perfcrew.rules.fixes import declared, imports, project, sight
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.source import Function, Source, dotted, names

_WHO = frozenset(
    {"request", "current_user", "g", "session", "user", "tenant", "contextvars", "get_current_user"}
    | {"_", "gettext", "ngettext", "pgettext", "get_language", "get_current_timezone", "get_current_site"}
)
_PACKAGES = frozenset({"flask", "quart", "django", "starlette_context", "flask_login", "asgiref", "werkzeug"})
_CONTEXT = frozenset({"ContextVar", "LocalProxy", "LocalStack", "Local", "local"})
_DEPTH = 3


def refuse(case: Case, text: Source, function: Function) -> None:
    """Raises Unwritable where who asks could enter otherwise than by the arguments."""
    context = _context(case)
    for at, called in _reached(case, text, function, _DEPTH):
        own = sight.parameters(called) | names(called, ast.Store)
        free = names(called, ast.Load) - own
        hidden = sorted((free & _WHO if called is function else free & (_WHO - {"_"})) | (free & context))
        hidden += sorted(name for name in _dotted(called, own) if _is_who(at, name))
        if hidden:
            said = "" if called is function else f" of `{called.name}`"
            raise Unwritable(
                f"the answer hangs on `{hidden[0]}`{said}, which is no argument: it may be another one for each user"
            )


def _context(case: Case) -> frozenset[str]:
    """Names that the project gives to what holds another thing in each request."""
    return frozenset(
        declared.assigned(s)
        for text in project.sources(case.root)
        if any(word in text.text for word in _CONTEXT)
        for s in text.tree.body
        if _made_for_context(s) and declared.assigned(s)
    )


def _made_for_context(statement: ast.stmt) -> bool:
    call = declared.call_of(statement)
    made = call.func.value if call is not None and isinstance(call.func, ast.Subscript) else call.func if call else None
    return made is not None and last(dotted(made)) in _CONTEXT


def _reached(
    case: Case, text: Source, function: Function, deep: int, seen: frozenset[str] = frozenset()
) -> Iterator[tuple[Source, Function]]:
    """The function, and the project's functions that it calls by name."""
    yield text, function
    calls = [n for n in ast.walk(function) if isinstance(n, ast.Call)] if deep else []
    for call in calls:
        called = sight.definition(case.root, text, call)
        if called is None or called.name in seen or called is function:
            continue
        seen |= {called.name}
        there = next((t for t in project.sources(case.root) if called in t.functions), text)
        yield from _reached(case, there, called, deep - 1, seen)


def _dotted(function: Function, own: frozenset[str]) -> frozenset[str]:
    found = {dotted(n) for n in ast.walk(function) if isinstance(n, (ast.Name, ast.Attribute))}
    return frozenset(name for name in found if name and name.split(".")[0] not in own)


def _is_who(text: Source, name: str) -> bool:
    """`flask.g`, or `req` of `from flask import request as req`."""
    parts = imports.full_name(text, name).split(".")
    return parts[0] in _PACKAGES and any(part in _WHO for part in parts[1:])
