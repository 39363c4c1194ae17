"""What can be told of a call by sight: whether it shares a session, writes, or may not leave its thread.

Careful by design: what looks like a session is one.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from perfcrew.rules.fixes import project
from perfcrew.rules.source import Function, Source, dotted, names

_SESSION_NAME = re.compile(r"(^|_)(session|conn|connection|cursor|transaction|uow|unit_of_work|db|tx)$", re.IGNORECASE)
_SESSION_TYPE = re.compile(r"(Session|Connection|Cursor|Transaction|UnitOfWork|SessionDep|DbDep|Database)\b")
_HTTP_TYPE = re.compile(r"(httpx|aiohttp|requests)\b|ClientSession\b")
_WRITES = re.compile(
    r"^_?(create|save|write|send|update|delete|remove|insert|commit|rollback|publish|emit|flush|push|upsert|acquire"
    r"|release|lock|unlock|notify|log_?in|log_?out|authenticate|enqueue|submit|sleep|pay|charge|reserve|register|migrate"
    r"|drop|truncate|execute_?many|bulk|recv|receive|pop|consume|poll|readline|readexactly)(_|$|[A-Z])"
    r"|^(read|post|put|patch|set|add|begin|refresh|start|stop|wait|connect|close|open|next)$"
)


def last(name: str) -> str:
    """The last part of a dotted name."""
    return name.rsplit(".", 1)[-1]


def annotation_of(function: Function, name: str) -> str:
    """The text of a parameter's annotation, '' where it has none."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return next((ast.unparse(a.annotation) for a in every if a and a.arg == name and a.annotation), "")


def parameters(function: Function) -> frozenset[str]:
    """The names of all parameters."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return frozenset(a.arg for a in every if a)


def session_in(root: Path, node: ast.AST, function: Function | None) -> str | None:
    """The name of something in the expression that is, or visibly holds, a database session or connection."""
    for part in ast.walk(node):
        if not isinstance(part, (ast.Name, ast.Attribute)):
            continue
        name = dotted(part)
        annotation = annotation_of(function, name) if function and isinstance(part, ast.Name) else ""
        if _HTTP_TYPE.search(annotation) or (function and _made_for_http(function, name)):
            continue
        if (name and _SESSION_NAME.search(last(name))) or _SESSION_TYPE.search(annotation):
            return name
        if annotation.isidentifier() and _holds_session(root, annotation):
            return name
    return None


def _made_for_http(function: Function, name: str) -> bool:
    """Whether the name is bound in the function to a client: `async with httpx.AsyncClient() as session`."""
    for node in ast.walk(function):
        made = None
        if isinstance(node, ast.withitem) and isinstance(node.optional_vars, ast.Name):
            made = node.context_expr if node.optional_vars.id == name else None
        elif isinstance(node, ast.Assign) and any(dotted(t) == name for t in node.targets):
            made = node.value
        if made is not None and _HTTP_TYPE.search(ast.unparse(made)):
            return True
    return False


def _holds_session(root: Path, name: str) -> bool:
    """Whether the project's class of that name keeps a session in its attributes."""
    found = project.class_named(root, name.removesuffix("Dep"))
    if found is None:
        return False
    for node in ast.walk(found):
        if isinstance(node, ast.arg) and node.annotation and _SESSION_TYPE.search(ast.unparse(node.annotation)):
            return not _HTTP_TYPE.search(ast.unparse(node.annotation))
        if isinstance(node, ast.Attribute) and dotted(node.value) == "self" and _SESSION_NAME.search(node.attr):
            return True
    return False


def global_session(function: Function) -> str | None:
    """A session that the function neither makes nor is given."""
    own = parameters(function) | names(function, ast.Store)
    return next((n for n in sorted(names(function, ast.Load) - own) if _SESSION_NAME.search(n)), None)


def keeps_state(function: Function | None) -> str | None:
    """The session that a method works on through `self`, where its class is the edited function's."""
    if function is None or "self" not in parameters(function):
        return None
    used = (n for n in ast.walk(function) if isinstance(n, ast.Attribute) and dotted(n.value) == "self")
    return next((f"self.{n.attr}" for n in used if _SESSION_NAME.search(n.attr)), None)


def changes_itself(function: Function | None) -> str | None:
    """An attribute of `self` that the method gives a value: calls of it may depend on the ones before."""
    for node in ast.walk(function) if function else ():
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and dotted(node.value) == "self":
            return f"self.{node.attr}"
    return None


def writes(node: ast.AST) -> str | None:
    """The name of a call in the expression that sounds as if it changed or used up something, None where none does."""
    found = (last(dotted(n.func)) for n in ast.walk(node) if isinstance(n, ast.Call))
    return next((name for name in found if name and _WRITES.match(name)), None)


def definition(root: Path, text: Source, call: ast.Call) -> Function | None:
    """The project's function that is called: of the same file first, else the project's only one of that name."""
    name = last(dotted(call.func))
    if not name:
        return None
    here = [f for f in text.functions if f.name == name]
    if here:
        return here[0] if len(here) == 1 else None
    if not re.search(rf"\b{re.escape(name)}\b", text.text):
        return None
    there = [f for t in project.sources(root) if f"def {name}(" in t.text for f in t.functions if f.name == name]
    return there[0] if len(there) == 1 else None


def free_name(function: ast.AST, *wanted: str) -> str:
    """The first of the names that the function doesn't use, with a number where all are taken."""
    used = names(function, ast.Load) | names(function, ast.Store)
    used |= {n.arg for n in ast.walk(function) if isinstance(n, ast.arg)}
    for name in (*wanted, *(f"{wanted[0]}_{number}" for number in range(2, 99))):
        if name not in used:
            return name
    return f"{wanted[0]}_of_many"
