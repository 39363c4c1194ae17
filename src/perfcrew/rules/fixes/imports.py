"""Imports of a module: what a name stands for, and a new import at the place where a sorter would put it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence

import libcst as cst

from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.source import Source, dotted

Import = ast.Import | ast.ImportFrom
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def top(text: Source) -> list[Import]:
    """The imports at the module's top level, in order."""
    return [s for s in text.tree.body if isinstance(s, (ast.Import, ast.ImportFrom))]


def full_name(text: Source, name: str) -> str:
    """What a dotted name stands for by the module's imports: `sleep` → `time.sleep`, `t.sleep` → `time.sleep`."""
    head, _, tail = name.partition(".")
    for statement in ast.walk(text.tree):
        if isinstance(statement, ast.Import):
            known = next((a for a in statement.names if (a.asname or a.name.split(".")[0]) == head), None)
            if known:
                return ".".join(p for p in (known.name if known.asname else head, tail) if p)
        elif isinstance(statement, ast.ImportFrom):
            known = next((a for a in statement.names if (a.asname or a.name) == head), None)
            if known:
                return ".".join(p for p in ("." * statement.level + (statement.module or ""), known.name, tail) if p)
    return name


def bound(text: Source, full: str) -> str | None:
    """The name by which the module knows `asyncio` or `functools.cache` from its top level, None where it doesn't."""
    for statement in top(text):
        for alias in statement.names:
            there = alias.name if isinstance(statement, ast.Import) else f"{_module(statement)}.{alias.name}"
            if there == full:
                return alias.asname or alias.name
    return None


def bring(edits: Edits, module: str, name: str | None = None) -> str:
    """How the code is to call the module (or its member), with an import of it added where there is none.

    Raises Unwritable where anything in the module means something else by that name, be it a function's own.
    """
    full = f"{module}.{name}" if name else module
    known = bound(edits.text, full)
    _refuse_taken(edits.text, known or name or module, full)
    brought = edits.brought.setdefault(module, set())
    if known is None and (name or "") not in brought:
        brought.add(name or "")
        _add(edits, module, name)
    return known or name or module


def _refuse_taken(text: Source, called: str, full: str) -> None:
    head = called.partition(".")[0]
    meant = head if called == full else full
    for node in _outside_class_bodies(text.tree):
        other = next((there for here, there in _bindings(node) if here == head and there != meant), None)
        if other is not None:
            raise Unwritable(
                f"line {getattr(node, 'lineno', 1)} takes the name `{head}` for something other than `{full}`"
            )


def _outside_class_bodies(tree: ast.Module) -> Iterator[ast.AST]:
    """All nodes but those of a class' own body, whose names are no names to the functions in it."""
    waiting: list[tuple[ast.AST, bool]] = [(statement, False) for statement in tree.body]
    while waiting:
        node, of_class = waiting.pop()
        if not of_class:
            yield node
        inside = isinstance(node, ast.ClassDef) or (of_class and not isinstance(node, _FUNCTIONS))
        waiting += [(child, inside) for child in ast.iter_child_nodes(node)]


def _bindings(node: ast.AST) -> list[tuple[str, str]]:
    """Names that the node gives a meaning to, each with what it stands for; '' for what is not imported."""
    if isinstance(node, ast.Import):
        return [(a.asname or a.name.split(".")[0], a.name if a.asname else a.name.split(".")[0]) for a in node.names]
    if isinstance(node, ast.ImportFrom):
        return [(a.asname or a.name, f"{_module(node)}.{a.name}") for a in node.names]
    if isinstance(node, ast.Name):
        return [(node.id, "")] if not isinstance(node.ctx, ast.Load) else []
    if isinstance(node, ast.arg):
        return [(node.arg, "")]
    named = getattr(node, "name", None)
    return [(named, "")] if isinstance(named, str) and not isinstance(node, ast.alias) else []


def _add(edits: Edits, module: str, name: str | None) -> None:
    merged = next((s for s in top(edits.text) if _takes(s, module)), None) if name else None
    if merged is not None and name:
        names = sorted({*(_alias(a) for a in merged.names), *edits.brought[module]} - {""}, key=_order)
        edits.replace(merged, _from(module, names))
        return
    line = f"from {module} import {name}" if name else f"import {module}"
    anchor = _anchor(edits.text, module, bool(name))
    if anchor is not None:
        anchor_statement, after, apart = anchor
        code = ("\n" if apart and after else "") + line
        if after:
            edits.after(anchor_statement, code)
        else:
            _put_above(edits, anchor_statement, line, apart)
    else:
        _first(edits, line)


def without(edits: Edits, statement: Import, name: str, instead: str | None = None) -> None:
    """Takes the name out of an import, or puts another member of the same module in its place."""
    left = [a for a in statement.names if (a.asname or a.name) != name]
    written = [_alias(a) for a in left] + ([instead] if instead and instead not in {a.name for a in left} else [])
    if not written:
        _take_out(edits, statement)
    elif isinstance(statement, ast.ImportFrom):
        edits.replace(statement, _from("." * statement.level + (statement.module or ""), sorted(written, key=_order)))
    else:
        edits.replace(statement, f"import {', '.join(written)}")


def _take_out(edits: Edits, statement: Import) -> None:
    """Takes the import out; blank lines above it go to the next where that has none."""
    body = edits.text.tree.body
    following = next(iter(body[body.index(statement) + 1 :]), None)
    above = [line for line in edits.statement(statement).leading_lines if not line.comment]
    edits.remove(statement)
    if following is not None and above and not edits.statement(following).leading_lines:
        edits.change(following, lambda old: old.with_changes(leading_lines=above))


def statement_of(text: Source, name: str) -> Import | None:
    """The top-level import that binds the name."""
    return next((s for s in top(text) if any((a.asname or a.name.split(".")[0]) == name for a in s.names)), None)


def _takes(statement: Import, module: str) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module == module and statement.level == 0


def _alias(alias: ast.alias) -> str:
    return f"{alias.name} as {alias.asname}" if alias.asname else alias.name


def _order(name: str) -> tuple[int, str]:
    """Constants, classes, functions: as isort and ruff do."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2, name)


def _from(module: str, names: list[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= 88:
        return line
    return f"from {module} import (\n" + "".join(f"    {name},\n" for name in names) + ")"


def _module(statement: Import) -> str:
    """The imported module, dots of a relative import in front."""
    if isinstance(statement, ast.Import):
        return statement.names[0].name
    return "." * statement.level + (statement.module or "")


def _standard(module: str) -> bool:
    return module.split(".")[0] in sys.stdlib_module_names


def _sort_key(statement: Import) -> tuple[int, str]:
    return (0 if isinstance(statement, ast.Import) else 1), _module(statement)


def _groups(text: Source) -> list[list[Import]]:
    """Imports by the blank lines between them, `__future__` left out."""
    found: list[list[Import]] = []
    for statement in top(text):
        if _module(statement) == "__future__":
            continue
        above = text.line(statement.lineno - 1).strip()
        if not found or not above:
            found.append([])
        found[-1].append(statement)
    return found


def _anchor(text: Source, module: str, member: bool) -> tuple[Import, bool, bool] | None:
    """The import to stand beside, whether after it, and whether a blank line belongs in between."""
    groups = _groups(text)
    if not groups:
        return None
    package, key = module.split(".")[0], (1 if member else 0, module)
    same = [g for g in groups if any(_module(s).split(".")[0] == package for s in g)]
    alike = [g for g in groups if any(_standard(_module(s)) == _standard(module) for s in g)]
    for group in [*same, *alike]:
        before = [s for s in group if _sort_key(s) < key]
        return (before[-1], True, False) if before else (group[0], False, False)
    return (groups[0][0], False, True) if _standard(module) else (groups[-1][-1], True, True)


def _put_above(edits: Edits, statement: Import, line: str, apart: bool) -> None:
    """Above the first of its group, whose blank lines and comments stay above the new line."""
    (new,) = edits.parse(line)
    kept = edits.statement(statement).leading_lines
    gap = [cst.EmptyLine(indent=False)] if apart else []

    def put(old: cst.CSTNode) -> cst.FlattenSentinel[cst.CSTNode]:
        return cst.FlattenSentinel(
            [
                new.with_changes(leading_lines=kept),
                cst.ensure_type(old, cst.SimpleStatementLine).with_changes(leading_lines=gap),
            ]
        )

    edits.change(statement, put)


def _first(edits: Edits, line: str) -> None:
    """A module without imports: below its docstring and `__future__`."""
    body = edits.text.tree.body
    head: list[ast.stmt] = [s for s in body[:1] if isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)]
    head += [s for s in body if isinstance(s, ast.ImportFrom) and s.module == "__future__"]
    if head:
        edits.after(head[-1], "\n" + line)
        return
    apart = 2 if isinstance(body[0], (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) else 1
    gap = [cst.EmptyLine(indent=False)] * apart

    def part(old: cst.CSTNode) -> cst.CSTNode:
        leading: Sequence[cst.EmptyLine] = getattr(old, "leading_lines", ())
        return old if leading and leading[0].comment is None else old.with_changes(leading_lines=[*gap, *leading])

    edits.before(body[0], line, first=True)
    edits.change(body[0], part)


def called(text: Source, node: ast.Call) -> str:
    """The full dotted name of what is called, '' where it has none."""
    name = dotted(node.func)
    return full_name(text, name) if name else ""
