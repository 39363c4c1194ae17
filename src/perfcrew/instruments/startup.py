"""What a start costs: the modules that were imported, and the application's lines that import the heavy ones.

Source of the times: the interpreter's own `-X importtime`, through PYTHONPROFILEIMPORTTIME, read from the target's log.
"""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from perfcrew.core.base import Noun
from perfcrew.core.evidence import ImportCost, Startup
from perfcrew.core.web import Place

ENVIRONMENT = {"PYTHONPROFILEIMPORTTIME": "1"}
KEPT = 25
"""Modules that are kept, the most expensive first."""

_LINE = re.compile(r"^import time:\s+(\d+) \|\s+(\d+) \| ( *)(\S+)\s*$", re.MULTILINE)
_SKIPPED = {".venv", "venv", "node_modules", ".git", "__pycache__", "site-packages", ".tox", "build", "dist"}


class Imported(Noun):
    """One line of importtime: times in ms, `parent` is the module whose import led to it."""

    module: str
    own_ms: float
    cumulative_ms: float
    parent: str | None


def read_importtime(log: str) -> list[Imported]:
    """The imports of a log, each after those that it led to, as the interpreter prints them."""
    lines = [
        (m.group(4), int(m.group(1)) / 1e3, int(m.group(2)) / 1e3, len(m.group(3)) // 2) for m in _LINE.finditer(log)
    ]
    parents: dict[int, str] = {}
    found = []
    for module, own_ms, cumulative_ms, depth in reversed(lines):
        parents[depth] = module
        found.append(Imported(module=module, own_ms=own_ms, cumulative_ms=cumulative_ms, parent=parents.get(depth - 1)))
    return found[::-1]


def startup(start_ms: Sequence[float], log: str, root: Path) -> Startup:
    """The start as evidence: times of the uninstrumented starts (ms), and the imports of one that was profiled."""
    imports = read_importtime(log)
    source = list(_sources(root))
    heavy = sorted(imports, key=lambda i: max(i.own_ms, i.cumulative_ms if i.parent is None else 0), reverse=True)
    kept = [_cost(item, source, root) for item in _distinct(heavy, imports)][:KEPT]
    return Startup(
        start_ms=tuple(start_ms),
        median_ms=statistics.median(start_ms) if start_ms else 0.0,
        imports=tuple(kept),
        imports_total_ms=sum(item.own_ms for item in imports),
    )


def _distinct(heavy: Iterable[Imported], imports: Sequence[Imported]) -> Iterator[Imported]:
    """The heaviest by their own time, and the heaviest packages by all that they bring."""
    packages = sorted(imports, key=lambda i: i.cumulative_ms, reverse=True)[: KEPT // 2]
    seen = set()
    for item in sorted([*list(heavy)[: KEPT // 2 + 1], *packages], key=lambda i: i.cumulative_ms, reverse=True):
        if item.module not in seen:
            seen.add(item.module)
            yield item


def _cost(item: Imported, source: Sequence[tuple[Path, str]], root: Path) -> ImportCost:
    return ImportCost(
        module=item.module,
        own_ms=item.own_ms,
        cumulative_ms=item.cumulative_ms,
        importer=_importer(item.module, source, root),
        place=_defined(item.module, source, root),
    )


def _sources(root: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root).parts
        if _SKIPPED.isdisjoint(inside) and not any(part in ("tests", "test") for part in inside):
            yield path, path.read_text(encoding="utf-8", errors="replace")


def _defined(module: str, source: Sequence[tuple[Path, str]], root: Path) -> Place | None:
    """The application's own file of that module: its heaviest statement at import is for the rule to find."""
    ends = (module.replace(".", "/") + ".py", module.replace(".", "/") + "/__init__.py")
    for path, _ in source:
        relative = path.relative_to(root).as_posix()
        if any(relative == end or relative.endswith("/" + end) for end in ends):
            return Place(file=relative, line=1, function="<module>")
    return None


def _importer(module: str, source: Sequence[tuple[Path, str]], root: Path) -> Place | None:
    """The application's first line that imports the module when its own file is imported."""
    last = module.rpartition(".")[2]
    for path, text in source:
        if last not in text:
            continue
        line = _import_line(module, text, path, root)
        if line:
            return Place(file=path.relative_to(root).as_posix(), line=line, function="<module>")
    return None


def _import_line(module: str, text: str, path: Path, root: Path) -> int | None:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return None
    package = ".".join(path.relative_to(root).with_suffix("").parts[:-1])
    return next((node.lineno for node in _top_level(tree.body) if _imports(node, module, package)), None)


def _top_level(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run at import: not those within functions."""
    for node in body:
        yield node
        if isinstance(node, (ast.If, ast.Try, ast.With, ast.ClassDef)):
            yield from _top_level(node.body)


def _imports(node: ast.stmt, module: str, package: str) -> bool:
    if isinstance(node, ast.Import):
        return any(alias.name == module for alias in node.names)
    if not isinstance(node, ast.ImportFrom):
        return False
    base = node.module or ""
    if node.level:
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*above, base] if base else above)
    named = {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return any(name == module or name.endswith("." + module) for name in named)
