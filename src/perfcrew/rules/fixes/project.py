"""What the project's own files say of it: dependencies, the Python it needs, its line length, its modules."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from perfcrew.rules import source
from perfcrew.rules.source import Source

_SKIPPED = frozenset(
    {".git", ".venv", "venv", "env", "node_modules", "site-packages", "__pycache__", ".tox", ".nox", "build", "dist"}
)
_FILES_AT_MOST = 4000
_NAME = re.compile(r"^\s*['\"]?([A-Za-z0-9][\w.-]*)")


def sources(root: Path) -> Iterator[Source]:
    """The project's Python files, the largest trees cut at some thousand files."""
    for path in _files(root):
        text = source.read(path)
        if text:
            yield text


@lru_cache(maxsize=16)
def _files(root: Path) -> tuple[Path, ...]:
    found: list[Path] = []
    waiting = [root]
    while waiting and len(found) < _FILES_AT_MOST:
        folder = waiting.pop()
        for path in _listed(folder):
            if path.is_dir() and not path.is_symlink() and path.name not in _SKIPPED and path.name[0] != ".":
                waiting.append(path)
            elif path.suffix == ".py":
                found.append(path)
    return tuple(found)


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        # A folder that we may not read holds nothing that could be edited.
        return []


def depends_on(root: Path, package: str) -> bool:
    """Whether the project names the package among its dependencies."""
    wanted = _canonical(package)
    return any(wanted == _canonical(name) for name in _dependencies(root))


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _dependencies(root: Path) -> Iterator[str]:
    settings = _pyproject(root)
    project = settings.get("project", {})
    lines = [
        *project.get("dependencies", []),
        *(d for g in project.get("optional-dependencies", {}).values() for d in g),
    ]
    for name in ("requirements.txt", "requirements/base.txt", "requirements/production.txt", "requirements.in"):
        lines += (
            (root / name).read_text(encoding="utf-8", errors="replace").splitlines() if (root / name).is_file() else []
        )
    yield from (match.group(1) for line in lines if (match := _NAME.match(str(line))))
    yield from settings.get("tool", {}).get("poetry", {}).get("dependencies", {})


def _pyproject(root: Path) -> dict:  # type: ignore[type-arg]
    path = root / "pyproject.toml"
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        # Not ours to judge: what can't be read says nothing of the project.
        return {}


def python_at_least(root: Path, minor: int) -> bool:
    """Whether `requires-python` promises Python 3.`minor`; False where the project doesn't say."""
    settings = _pyproject(root)
    wanted = settings.get("project", {}).get("requires-python") or settings.get("tool", {}).get("poetry", {}).get(
        "dependencies", {}
    ).get("python", "")
    lowest = re.search(r"(?:>=|~=|\^|==)\s*3\.(\d+)", str(wanted))
    return bool(lowest and int(lowest.group(1)) >= minor)


def line_length(root: Path) -> int:
    """As the project's formatter is told, else 88."""
    tools = _pyproject(root).get("tool", {})
    said = tools.get("ruff", {}).get("line-length") or tools.get("black", {}).get("line-length")
    return said if isinstance(said, int) else 88


def class_named(root: Path, name: str) -> ast.ClassDef | None:
    """The project's only class of that name."""
    found = [n for text in sources(root) if name in text.text for n in text.tree.body if isinstance(n, ast.ClassDef)]
    same = [c for c in found if c.name == name]
    return same[0] if len(same) == 1 else None


def used_elsewhere(root: Path, path: Path, name: str, tests: bool = True) -> Path | None:
    """Another file that takes the name from the module at `path`, by import or as its attribute."""
    stem = re.escape(path.parent.name if path.name == "__init__.py" else path.stem)
    word = re.escape(name)
    taken = re.compile(rf"\b{stem}\.{word}\b|\bfrom\s+[\w.]*{stem}\s+import\s+(\([^)]*|[^\n]*)\b{word}\b")
    for text in sources(root):
        if (
            text.path != path
            and name in text.text
            and taken.search(text.text)
            and (tests or not is_test(root, text.path))
        ):
            return text.path.relative_to(root)
    return None


def is_test(root: Path, path: Path) -> bool:
    """Whether the file is one of the project's tests."""
    relative = path.relative_to(root)
    return "tests" in relative.parts or relative.name.startswith(("test_", "conftest"))
