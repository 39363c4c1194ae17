"""The target's files, as text and syntax trees. Nothing of it is imported or run."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

BUILT = {"node_modules", "__pycache__", "site-packages", "bower_components", "htmlcov", "_build"}
ASIDE = {"tests", "test", "testing", "examples", "example", "docs", "doc", "docs_src", "samples", "benchmarks"}
ASIDE |= {"migrations", "versions", "cookbook", "tutorials", "dist", "build", "vendor"}
MAX_FILES = 20_000
MAX_BYTES = 1_000_000
MAX_NAMES = 200
_IMPORTED = re.compile(r"^[ \t]*(?:from|import)[ \t]+([A-Za-z_]\w*)", re.MULTILINE)


class Tree:
    """The files below a root, without virtual environments, built things, tests, examples and documentation.

    What stands aside is only left out below the root: a root that is itself called `examples` is read.
    """

    def __init__(self, root: Path, shown_from: Path | None = None) -> None:
        self.root = root
        self.home = shown_from or root
        self._parsed: dict[Path, ast.Module | None] = {}
        self._texts: dict[Path, str] = {}
        self._nodes: dict[Path, list[ast.AST]] = {}

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """All files, the shallowest first; the first 20,000 of a very large tree."""
        found: list[Path] = []
        for path in self._walk():
            found.append(path)
            if len(found) >= MAX_FILES:
                break
        return tuple(sorted(found, key=lambda p: (len(p.parts), str(p))))

    def _walk(self) -> Iterator[Path]:
        for folder, names, files in os.walk(self.root):
            names[:] = sorted(n for n in names if not self._skipped(Path(folder), n))
            yield from (Path(folder, name) for name in files)

    @staticmethod
    def _skipped(folder: Path, name: str) -> bool:
        if name in BUILT or name in ASIDE or name.startswith((".", "{{")) or name.endswith(".egg-info"):
            return True
        return (folder / name / "pyvenv.cfg").is_file() or (folder / name / "conda-meta").is_dir()

    @cached_property
    def python(self) -> tuple[Path, ...]:
        """The Python files, without test modules."""
        return tuple(p for p in self.files if p.suffix == ".py" and not _is_test(p.name))

    def named(self, pattern: str) -> tuple[Path, ...]:
        """The files whose whole name matches the regular expression, case ignored, the shallowest first."""
        compiled = re.compile(pattern, re.IGNORECASE)
        return tuple(p for p in self.files if compiled.fullmatch(p.name))

    def containing(self, pattern: str) -> Iterator[Path]:
        """The Python files whose text has a match for the regular expression."""
        compiled = re.compile(pattern)
        return (p for p in self.python if compiled.search(self.text(p)))

    def text(self, path: Path) -> str:
        """A file's text; empty for one that can't be read as text, or is over a megabyte."""
        if path not in self._texts:
            self._texts[path] = read(path)
        return self._texts[path]

    def parse(self, path: Path) -> ast.Module | None:
        """A Python file's syntax tree; None where it is no Python that this interpreter understands."""
        if path not in self._parsed:
            try:
                self._parsed[path] = ast.parse(self.text(path))
            except (SyntaxError, ValueError):
                self._parsed[path] = None
        return self._parsed[path]

    def nodes(self, path: Path) -> list[ast.AST]:
        """All nodes of a Python file's syntax tree, outer ones first; none where it can't be parsed."""
        if path not in self._nodes:
            module = self.parse(path)
            self._nodes[path] = list(ast.walk(module)) if module else []
        return self._nodes[path]

    def shown(self, path: Path, line: int | None = None) -> str:
        """The path as a reader of the project would write it, with the line."""
        text = path.relative_to(self.home).as_posix() if path.is_relative_to(self.home) else str(path)
        return f"{text}:{line}" if line else text

    @cached_property
    def imported(self) -> frozenset[str]:
        """The top-level names that any file imports: they tell packages without `__init__.py`."""
        return frozenset(name for p in self.python for name in _IMPORTED.findall(self.text(p)))

    @cached_property
    def third_party(self) -> tuple[str, ...]:
        """The top-level names that the files import and that lie neither among them nor in the standard library."""
        own = {p.stem for p in self.python} | {p.parent.name for p in self.python} | {self.root.name}
        return tuple(sorted(self.imported - own - sys.stdlib_module_names))[:MAX_NAMES]

    def import_root(self, path: Path) -> Path:
        """The folder that must be on the import path for the module in `path`."""
        folder = path.parent
        while (folder / "__init__.py").is_file():
            folder = folder.parent
        while self._is_namespace(folder):
            folder = folder.parent
        return folder

    def _is_namespace(self, folder: Path) -> bool:
        below = folder != self.root and folder.is_relative_to(self.root)
        return below and folder.name in self.imported and folder.name not in ("src", "lib")

    def module_name(self, path: Path) -> str:
        """The dotted name by which `path` is imported from its import root."""
        parts = path.relative_to(self.import_root(path)).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def read(path: Path) -> str:
    """A file's text; empty for one that is missing, not text, or over a megabyte."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return ""
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return ""


def _is_test(name: str) -> bool:
    return name.startswith("test_") or name.endswith("_test.py") or name in ("conftest.py", "setup.py", "noxfile.py")
