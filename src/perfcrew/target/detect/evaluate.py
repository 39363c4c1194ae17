"""Works out what an expression of the target's source is worth, without running it.

Understands what settings are commonly written with: texts, f-strings, `+`, paths from `__file__`, `os.path.join`,
names of the same module, and reads of the environment with their default.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ENVIRONMENT_CALLS = {"environ.get", "getenv", "env", "config", "env.str", "env.url", "env.db", "env.get", "env.int"}
MAX_DEPTH = 25


def dotted(node: ast.AST) -> str:
    """`os.environ.get` of the node that says so; empty for anything that is not a dotted name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted(node.value)
        return f"{head}.{node.attr}" if head else ""
    return ""


def text_of(node: ast.AST | None) -> str | None:
    """The text of a literal string."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """The value that a call gives for a keyword."""
    return next((k.value for k in call.keywords if k.arg == name), None)


def assignments(body: ast.AST) -> dict[str, ast.expr]:
    """Names that are assigned anywhere in the body, with the first expression that each is given."""
    found: dict[str, ast.expr] = {}
    for node in ast.walk(body):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, node.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            found.setdefault(node.target.id, node.value)
    return found


def environment_read(node: ast.AST, names: Mapping[str, ast.expr] | None = None) -> str | None:
    """The variable that `os.environ["X"]`, `os.getenv("X")`, `config("X")` or `env.str("X")` reads.

    `names` are the module's assignments, for the reads that name a constant: `os.getenv(ENV_URL)`.
    """
    asked: ast.expr | None = None
    if isinstance(node, ast.Subscript) and dotted(node.value).endswith("environ"):
        asked = node.slice
    elif isinstance(node, ast.Call) and node.args:
        name = dotted(node.func)
        if name in ENVIRONMENT_CALLS or name.endswith(("environ.get", "getenv")):
            asked = node.args[0]
    return text_of((names or {}).get(asked.id, asked) if isinstance(asked, ast.Name) else asked)


@dataclass
class Evaluator:
    """Evaluates expressions of one module; `environment` answers reads that have no usable default."""

    path: Path
    names: Mapping[str, ast.expr]
    environment: Mapping[str, str] = field(default_factory=dict)

    def text(self, node: ast.AST | None, depth: int = 0) -> str | None:
        """The text that the expression is worth; None where it can't be told."""
        if node is None or depth > MAX_DEPTH:
            return None
        if isinstance(node, ast.Constant):
            return str(node.value) if isinstance(node.value, str | int) else None
        if isinstance(node, ast.Name):
            return str(self.path) if node.id == "__file__" else self.text(self.names.get(node.id), depth + 1)
        if isinstance(node, ast.JoinedStr):
            return self._joined([self.text(value, depth + 1) for value in node.values])
        if isinstance(node, ast.FormattedValue):
            return self.text(node.value, depth + 1)
        if isinstance(node, ast.BinOp):
            return self._operation(node, depth + 1)
        if isinstance(node, ast.BoolOp):
            return next((t for t in (self.text(v, depth + 1) for v in node.values) if t), None)
        if isinstance(node, ast.IfExp):
            return self.text(node.body, depth + 1) or self.text(node.orelse, depth + 1)
        return self._reference(node, depth + 1)

    @staticmethod
    def _joined(parts: list[str | None]) -> str | None:
        return None if None in parts else "".join(p for p in parts if p is not None)

    def _operation(self, node: ast.BinOp, depth: int) -> str | None:
        left, right = self.text(node.left, depth), self.text(node.right, depth)
        if left is None or right is None:
            return None
        if isinstance(node.op, ast.Div):
            return os.path.join(left, right)
        return left + right if isinstance(node.op, ast.Add) else None

    def _reference(self, node: ast.AST, depth: int) -> str | None:
        name = environment_read(node, self.names)
        if name is not None:
            return self.environment.get(name) or self._default(node, depth)
        if isinstance(node, ast.Call):
            return self._call(node, depth)
        if isinstance(node, ast.Subscript) and dotted(node.value).endswith(".parents"):
            return self._ancestor(node, depth)
        if isinstance(node, ast.Attribute):
            inner = self.text(node.value, depth)
            return os.path.dirname(inner) if inner and node.attr == "parent" else None
        return None

    def _default(self, node: ast.AST, depth: int) -> str | None:
        if not isinstance(node, ast.Call):
            return None
        given = keyword(node, "default") or (node.args[1] if len(node.args) > 1 else None)
        return self.text(given, depth)

    def _ancestor(self, node: ast.Subscript, depth: int) -> str | None:
        inner = self.text(node.value.value, depth) if isinstance(node.value, ast.Attribute) else None
        index = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if inner is None or not isinstance(index, int) or index >= len(Path(inner).parents):
            return None
        return str(Path(inner).parents[index])

    def _call(self, node: ast.Call, depth: int) -> str | None:
        name = dotted(node.func)
        arguments = [self.text(a, depth) for a in node.args]
        if name.endswith("path.join") and None not in arguments:
            return os.path.normpath(os.path.join(*[a for a in arguments if a is not None])) if arguments else None
        if name.endswith("dirname") and arguments and arguments[0]:
            return os.path.dirname(arguments[0])
        if name.endswith(("abspath", "realpath", "normpath", "Path", "str", "fspath")) and arguments:
            return arguments[0]
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("resolve", "absolute", "as_posix", "strip"):
            return self.text(node.func.value, depth)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "joinpath" and None not in arguments:
            inner = self.text(node.func.value, depth)
            return None if inner is None else os.path.join(inner, *[a for a in arguments if a is not None])
        return None
