"""Where an application's middleware is put: beside what makes it (FastAPI, Starlette, Flask), or in Django's list."""

from __future__ import annotations

import ast
from pathlib import Path

import libcst as cst

from perfcrew.rules import modules, source
from perfcrew.rules.fixes import imports, project
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.source import Source, dotted


def relative(case: Case, text: Source) -> str:
    """The file's path within the tree that is edited."""
    return text.path.relative_to(case.root).as_posix()


def made(case: Case, factories: tuple[str, ...]) -> tuple[Source, ast.Assign | ast.AnnAssign, str]:
    """The statement that makes the application: in the configured module, else the project's only one."""
    named = (case.app.project.app or "").partition(":")[0]
    path = modules.file_of(case.root, named)
    here = _makers(source.read(path), factories) if path else []
    everywhere = [
        m for t in project.sources(case.root) if not project.is_test(case.root, t.path) for m in _makers(t, factories)
    ]
    found = here or everywhere
    if len(found) != 1:
        said = "is made nowhere in a plain statement" if not found else f"is made in {len(found)} places"
        raise Unwritable(f"the application {said}: add the middleware where it is made")
    return found[0]


def _makers(text: Source | None, factories: tuple[str, ...]) -> list[tuple[Source, ast.Assign | ast.AnnAssign, str]]:
    if text is None or not any(f.rpartition(".")[2] in text.text for f in factories):
        return []
    found: list[tuple[Source, ast.Assign | ast.AnnAssign, str]] = []
    for node in ast.walk(text.tree):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Call):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if imports.called(text, node.value) in factories and isinstance(target, (ast.Name, ast.Attribute)):
                found.append((text, node, dotted(target)))
    return found


def last_middleware(text: Source, statement: ast.stmt, name: str) -> ast.stmt:
    """Middleware added last is outermost: compression belongs around all that reads or writes answers."""
    last = statement
    for block in _blocks(text.tree):
        if statement in block:
            for other in block[block.index(statement) + 1 :]:
                call = other.value if isinstance(other, ast.Expr) else None
                if isinstance(call, ast.Call) and dotted(call.func) == f"{name}.add_middleware":
                    last = other
    return last


def _blocks(tree: ast.AST) -> list[list[ast.stmt]]:
    fields = [getattr(n, f, None) for n in ast.walk(tree) for f in ("body", "orelse", "finalbody")]
    return [b for b in fields if isinstance(b, list)]


def in_list(case: Case, entry: str, below: tuple[str, ...]) -> dict[str, str]:
    """The settings with the entry in Django's MIDDLEWARE, right below the last of those that end so; else first.

    Raises Unwritable where it is there already, or the list can't be read.
    """
    text, middleware = _settings(case, entry)
    entries = [e.value for e in middleware.elts if isinstance(e, ast.Constant)]
    if len(entries) != len(middleware.elts):
        raise Unwritable("MIDDLEWARE holds more than plain texts")
    if entry in entries:
        raise Unwritable(f"{entry.rpartition('.')[2]} is in MIDDLEWARE already")
    above = [i for i, e in enumerate(entries) if str(e).endswith(below)]
    edits = Edits(text)
    edits.change(middleware, lambda old: _with_entry(old, entry, max(above) + 1 if above else 0))
    return {relative(case, text): edits.result()}


def _settings(case: Case, entry: str) -> tuple[Source, ast.List | ast.Tuple]:
    """The settings file that lists the middleware: the configured module, or what it takes everything from."""
    waiting = [case.app.project.settings_module or ""]
    seen: set[Path] = set()
    while waiting:
        module = waiting.pop(0)
        path = modules.file_of(case.root, module)
        text = source.read(path) if path and path not in seen else None
        if text is None or path is None:
            continue
        seen.add(path)
        for node in text.tree.body:
            if isinstance(node, ast.Assign) and dotted(node.targets[0]) == "MIDDLEWARE":
                if isinstance(node.value, (ast.List, ast.Tuple)) and node.value.elts:
                    return text, node.value
                raise Unwritable(f"MIDDLEWARE of {relative(case, text)} is put together: add {entry!r} by hand")
            if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
                waiting.append(_absolute(module, path, node))
    raise Unwritable(f"no list of MIDDLEWARE is found in the settings ({case.app.project.settings_module})")


def _absolute(module: str, path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    kept = parts[: len(parts) - node.level + 1]
    return ".".join([*kept, node.module] if node.module else kept)


def _with_entry(old: cst.CSTNode, new: str, at: int) -> cst.CSTNode:
    """The entry above the one that it pushes down, on a line of its own where the others are."""
    elements = list(old.elements) if isinstance(old, (cst.List, cst.Tuple)) else []
    between = _separator(elements)
    entry = cst.Element(cst.SimpleString(f'"{new}"'), comma=between)
    if at >= len(elements):
        entry = entry.with_changes(comma=elements[-1].comma)
        elements[-1] = elements[-1].with_changes(comma=between)
    return old.with_changes(elements=[*elements[:at], entry, *elements[at:]])


def _separator(elements: list[cst.BaseElement]) -> cst.Comma:
    """The comma between two entries, without the comment that may stand beside it."""
    comma = elements[0].comma if len(elements) > 1 else None
    if not isinstance(comma, cst.Comma):
        return cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    after = comma.whitespace_after
    if isinstance(after, cst.ParenthesizedWhitespace):
        after = after.with_changes(first_line=cst.TrailingWhitespace(), empty_lines=[])
    return comma.with_changes(whitespace_after=after)
