"""A file of Python as scope needs it: what is defined where, what is mentioned, imported and bound at the top."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from perfcrew.core.trace import Function


@dataclass(frozen=True)
class Definition:
    name: str
    first_line: int
    last_line: int
    is_class: bool


@dataclass(frozen=True)
class Import:
    """`name` is None for a whole module, `*` for all of it; `bound` is what the file calls it."""

    module: str
    level: int
    name: str | None
    bound: str


@dataclass(frozen=True)
class Statement:
    """A statement outside functions, and the names that it binds; in a class, the class's name."""

    first_line: int
    last_line: int
    names: tuple[str, ...]
    is_import: bool = False


@dataclass
class Source:
    """One file of Python, as far as scope needs it. Words are identifiers, texts string constants, by line."""

    definitions: list[Definition] = field(default_factory=list)
    words: list[tuple[int, str]] = field(default_factory=list)
    texts: list[tuple[int, str]] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)

    def around(self, function: Function) -> tuple[int, int]:
        """The lines of the innermost class around a function, or its own."""
        line = function.first_line
        inside = [d for d in self.definitions if d.is_class and d.first_line <= line <= d.last_line]
        return max(((d.first_line, d.last_line) for d in inside), default=(line, function.last_line))


_Scoped = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def source(text: str) -> Source:
    """Read a file's text; what is no Python has nothing in it."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # a template, or a file that is being edited: only whole functions count there
        return Source()
    found = Source(statements=list(_statements(tree.body, ())))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            is_class = isinstance(node, ast.ClassDef)
            found.definitions.append(Definition(node.name, _first_line(node), node.end_lineno or node.lineno, is_class))
        elif isinstance(node, ast.Name | ast.Attribute):
            found.words.append((node.lineno, node.id if isinstance(node, ast.Name) else node.attr))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.texts.append((node.lineno, node.value))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.imports += _imports(node)
    return found


def _first_line(node: _Scoped) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _imports(node: ast.Import | ast.ImportFrom) -> Iterator[Import]:
    for alias in node.names:
        bound = alias.asname or alias.name.partition(".")[0]
        if isinstance(node, ast.ImportFrom):
            yield Import(node.module or "", node.level, alias.name, bound)
        else:
            yield Import(alias.name, 0, None, bound)


def _statements(body: Sequence[ast.stmt], inside: tuple[str, ...]) -> Iterator[Statement]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.ClassDef):
            head = max(node.lineno, _first_line_of(node.body[0]) - 1)
            yield Statement(_first_line(node), head, (*inside, node.name))
            yield from _statements(node.body, (*inside, node.name))
        elif not _is_text(node):
            is_import = isinstance(node, ast.Import | ast.ImportFrom)
            yield Statement(node.lineno, node.end_lineno or node.lineno, inside or tuple(_bound(node)), is_import)


def _first_line_of(node: ast.stmt) -> int:
    return _first_line(node) if isinstance(node, _Scoped) else node.lineno


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _bound(node: ast.stmt) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            yield inner.id
        elif isinstance(inner, ast.alias):
            yield (inner.asname or inner.name).partition(".")[0]


def stands_for(one: Import, file: str, changed: str, names: Sequence[str]) -> set[str]:
    """The words that mean one of these names of the changed file in `file`, because of one of its imports."""
    whole = one.module if one.name is None else f"{one.module}.{one.name}"
    if _is_file(whole, one.level, file, changed):
        return set(names)
    if one.name is None or not _is_around(one.module, one.level, file, changed):
        return set()
    return set(names) if one.name == "*" else {one.bound for name in names if name == one.name}


def _is_file(module: str, level: int, file: str, changed: str) -> bool:
    """Whether a module, as `file` names it, is the changed file."""
    wanted, parts = _module_of(changed), _absolute(module, level, file)
    return wanted == parts if level else bool(parts) and wanted[-len(parts) :] == parts


def _is_around(module: str, level: int, file: str, changed: str) -> bool:
    """Whether it is the changed file or a package around it, which may hand its names on."""
    wanted, parts = _module_of(changed), _absolute(module, level, file)
    if level:
        return wanted[: len(parts)] == parts
    return bool(parts) and any(wanted[at : at + len(parts)] == parts for at in range(len(wanted)))


def _module_of(file: str) -> list[str]:
    parts = list(Path(file).with_suffix("").parts)
    return parts[:-1] if parts[-1] == "__init__" else parts


def _absolute(module: str, level: int, file: str) -> list[str]:
    parts = [part for part in module.split(".") if part]
    parents = Path(file).parents
    return [*parents[min(level, len(parents)) - 1].parts, *parts] if level else parts
