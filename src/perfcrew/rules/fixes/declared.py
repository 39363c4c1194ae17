"""What a class body declares, statement by statement."""

from __future__ import annotations

import ast

from perfcrew.rules.source import dotted


def assigned(statement: ast.stmt) -> str:
    if isinstance(statement, ast.AnnAssign):
        return dotted(statement.target)
    return dotted(statement.targets[0]) if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else ""


def call_of(statement: ast.stmt) -> ast.Call | None:
    value = statement.value if isinstance(statement, (ast.Assign, ast.AnnAssign)) else None
    return value if isinstance(value, ast.Call) else None


def called(statement: ast.stmt) -> str:
    call = call_of(statement)
    return dotted(call.func).rsplit(".", 1)[-1] if call else ""


def keyword(call: ast.Call | None, name: str) -> str:
    """A keyword's value as code, '' where it isn't given."""
    return next((ast.unparse(k.value) for k in call.keywords if k.arg == name), "") if call else ""


def text_of(call: ast.Call | None, name: str) -> str:
    node = next((k.value for k in call.keywords if k.arg == name), None) if call else None
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def meta(node: ast.ClassDef, key: str) -> str:
    meta = next((s for s in node.body if isinstance(s, ast.ClassDef) and s.name == "Meta"), None)
    found = (s for s in (meta.body if meta else ()) if assigned(s) == key)
    return next((ast.unparse(s.value) for s in found if isinstance(s, (ast.Assign, ast.AnnAssign)) and s.value), "")
