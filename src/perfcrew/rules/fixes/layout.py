"""How what is written fits in: on the line where there is room, else on lines of its own."""

from __future__ import annotations

import ast
from pathlib import Path

import libcst as cst

from perfcrew.rules.fixes import project
from perfcrew.rules.fixes.edits import Edits
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.source import Source

_INDENT = 4


def width_of(root: Path, text: Source) -> int:
    """As the project's formatter is told, or as wide as the file is now."""
    return max(project.line_length(root), max((len(line) for line in text.lines), default=0))


def chained(edits: Edits, spot: Spot, node: ast.expr, call: str, width: int) -> None:
    """Appends a method call to an expression (`.options(…)`), in the way that the chain around it is written."""
    attribute = spot.parents.get(node)
    code = edits.code(node)
    if isinstance(attribute, ast.Attribute) and attribute.end_lineno and attribute.end_lineno > (node.end_lineno or 0):
        blanks = " " * (_column(spot, attribute.end_lineno) - _block(spot, node))
        put(edits, node, f"{code}\n{blanks}{call}")
        return
    outer = _whole(spot, node)
    line = spot.text.line(node.lineno)
    if (
        len(line) + len(call) <= width
        or outer.lineno != outer.end_lineno
        or not _wrapped(edits, spot, outer, node, call, width)
    ):
        put(edits, node, code + call)


def put(edits: Edits, node: ast.expr, code: str) -> None:
    """Puts an expression in another's place; line breaks are allowed where the other stands within brackets.

    libcst indents further lines by the block that the expression is in: they count from there.
    """
    new = cst.parse_expression(f"({code})").with_changes(lpar=[], rpar=[])
    edits.change(node, lambda _: new)


def _column(spot: Spot, line: int) -> int:
    text = spot.text.line(line)
    return len(text) - len(text.lstrip())


def _block(spot: Spot, node: ast.expr) -> int:
    """How far the statement that holds the node is indented."""
    statement = next(n for n in spot.around(node) if isinstance(n, ast.stmt))
    return _column(spot, statement.lineno)


def _whole(spot: Spot, node: ast.expr) -> ast.expr:
    """The whole chain of calls and attributes that begins with the node."""
    current: ast.AST = node
    while True:
        parent = spot.parents.get(current)
        links = isinstance(parent, ast.Attribute) or (isinstance(parent, ast.Call) and parent.func is current)
        if not links or not isinstance(parent, ast.expr):
            assert isinstance(current, ast.expr)
            return current
        current = parent


def _wrapped(edits: Edits, spot: Spot, outer: ast.expr, node: ast.expr, call: str, width: int) -> bool:
    """The chain as the only argument of a call, or a statement's whole value, on lines of its own."""
    parent = spot.parents.get(outer)
    block = _block(spot, outer)
    indent = _column(spot, outer.lineno) - block
    inner = " " * (indent + _INDENT)
    text = edits.code(outer)
    new = text.replace(edits.code(node), edits.code(node) + call, 1)
    if block + len(inner) + len(new) > width:
        new = f"\n{inner}".join(links(new))
    if isinstance(parent, ast.Call) and parent.args == [outer] and not parent.keywords:
        put(edits, parent, f"{edits.code(parent.func)}(\n{inner}{new}\n{' ' * indent})")
        return True
    if isinstance(parent, (ast.Assign, ast.AnnAssign, ast.Return)):
        whole = cst.parse_expression(f"(\n{inner}{new}\n{' ' * indent})")
        edits.change(outer, lambda _: whole)
        return True
    return False


def links(code: str) -> list[str]:
    """A chain of calls cut before each method: `select(A)`, `.where(…)`, `.limit(…)`."""
    tree = ast.parse(f"({code})", mode="eval").body
    cuts: list[int] = []
    node: ast.expr = tree
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        node = node.func.value
        cuts.append(len(f"({code})".encode()[: node.end_col_offset].decode()) - 1)
    ends = [*reversed(cuts), len(code)]
    starts = [0, *ends[:-1]]
    parts = [code[a:b].strip() for a, b in zip(starts, ends, strict=True)]
    return [p for p in parts if p]
