"""Reads the target's source as text and syntax tree, never by importing it. Files are read once."""

from __future__ import annotations

import ast
import functools
import io
import os
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_LARGEST_BYTES = 2_000_000


@dataclass(frozen=True)
class Source:
    """One Python file. Lines are 1-based."""

    path: Path
    text: str
    tree: ast.Module

    @cached_property
    def lines(self) -> tuple[str, ...]:
        return tuple(self.text.splitlines())

    def line(self, number: int) -> str:
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""

    @cached_property
    def comments(self) -> dict[int, str]:
        """Comments by line. A file that parses but can't be tokenized has none."""
        try:
            tokens = list(tokenize.generate_tokens(io.StringIO(self.text).readline))
        except (tokenize.TokenError, IndentationError):
            return {}
        return {t.start[0]: t.string for t in tokens if t.type == tokenize.COMMENT}

    @cached_property
    def functions(self) -> tuple[Function, ...]:
        found = (n for n in ast.walk(self.tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)))
        return tuple(sorted(found, key=lambda n: n.lineno))

    def function_at(self, line: int) -> Function | None:
        """The innermost function whose body or signature holds the line."""
        holding = [f for f in self.functions if covers(f, line)]
        return max(holding, key=lambda f: f.lineno, default=None)

    def function_named(self, name: str) -> Function | None:
        """The function of that (possibly qualified) name, None where several or none have it."""
        found = [f for f in self.functions if f.name == name.rsplit(".", 1)[-1]]
        return found[0] if len(found) == 1 else None

    def in_loop(self, line: int) -> bool:
        """Whether the line runs once a turn of a loop or comprehension of its own function."""
        scope: ast.AST = self.function_at(line) or self.tree
        return any(_turns(node, line) for node in inside(scope))

    def calls_at(self, line: int) -> tuple[str, ...]:
        """Dotted names of what is called in expressions that cover the line: `requests.get`, `session.execute`."""
        statements = [n for n in ast.walk(self.tree) if isinstance(n, ast.Call) and covers(n, line)]
        return tuple(name for name in (dotted(call.func) for call in statements) if name)

    def awaited_at(self, line: int) -> bool:
        """Whether something is awaited on the line; `async with`, `async for` and asynchronous comprehensions count."""
        return any(_awaits(node, line) for node in ast.walk(self.tree))


def _awaits(node: ast.AST, line: int) -> bool:
    if isinstance(node, ast.Await):
        return covers(node, line)
    if isinstance(node, ast.AsyncFor):
        return covers(node.target, line) or covers(node.iter, line)
    if isinstance(node, ast.AsyncWith):
        return any(covers(item.context_expr, line) for item in node.items)
    return isinstance(node, _COMPREHENSIONS) and any(g.is_async for g in node.generators) and covers(node, line)


@functools.lru_cache(maxsize=1024)
def _parse(path: str, modified_ns: int) -> Source | None:
    try:
        text = Path(path).read_text(encoding="utf-8")
        return Source(Path(path), text, ast.parse(text))
    except (OSError, SyntaxError, ValueError, RecursionError):
        # A template, a file of another Python version or one that is gone: nothing can be told from its source.
        return None


def read(file: str | Path) -> Source | None:
    """The file's source, None where it isn't readable Python."""
    try:
        status = os.stat(file)
    except (OSError, ValueError):
        return None
    if not str(file).endswith(".py") or status.st_size > _LARGEST_BYTES:
        return None
    return _parse(str(file), status.st_mtime_ns)


def covers(node: ast.AST, line: int) -> bool:
    """Whether the node's text reaches over the line."""
    first, last = getattr(node, "lineno", None), getattr(node, "end_lineno", None)
    return first is not None and first <= line <= (last or first)


def inside(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function or module, without those of functions defined in it."""
    for child in ast.iter_child_nodes(scope):
        yield child
        if not isinstance(child, _FUNCTIONS):
            yield from inside(child)


def _turns(node: ast.AST, line: int) -> bool:
    if isinstance(node, (ast.For, ast.AsyncFor)):
        return (covers(node, line) and not covers(node.iter, line)) or _one_line(node, line)
    if isinstance(node, ast.While):
        return covers(node, line)
    if isinstance(node, _COMPREHENSIONS):
        first = node.generators[0].iter
        return covers(node, line) and (not covers(first, line) or node.lineno == line)
    return False


def _one_line(node: ast.For | ast.AsyncFor, line: int) -> bool:
    return node.lineno == line and node.body[0].lineno == line


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name or attribute, the tail of it where its base is an expression, '' otherwise."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr}" if base else node.attr
    return ""


def names(node: ast.AST, context: type[ast.expr_context]) -> frozenset[str]:
    """The plain names that the node loads, or stores."""
    return frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, context))
