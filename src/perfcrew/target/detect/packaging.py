"""What a project's packaging files say: its name, its dependencies, its console scripts."""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfcrew.target.detect.tree import Tree, read

_SETUP_SCRIPT = re.compile(r"(?:[\"']|^)\s*([\w.-]+)\s*=\s*([\w.]+:[\w.]+)\s*(?:[\"']|$)", re.MULTILINE)


@dataclass(frozen=True)
class ConsoleScript:
    """A program that the project installs: `module:function` is what it runs."""

    name: str
    module: str
    function: str
    source: str
    folder: Path


def toml(path: Path) -> dict[str, Any]:
    """A TOML file's content; empty for one that is missing or broken."""
    try:
        return tomllib.loads(read(path))
    except tomllib.TOMLDecodeError:
        return {}


def table(content: Any, *keys: str) -> dict[str, Any]:
    """A table within tables; empty where there is none."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}


def project_name(folder: Path) -> str:
    """The name that `pyproject.toml` gives the project, else its folder's."""
    content = toml(folder / "pyproject.toml")
    named = table(content, "project").get("name") or table(content, "tool", "poetry").get("name")
    return str(named or folder.name)


def console_scripts(tree: Tree) -> list[ConsoleScript]:
    """The console scripts of every packaging file in the tree."""
    found = [s for path in tree.named("pyproject.toml") for s in _pyproject(tree, path)]
    found += [s for path in tree.named("setup.cfg") for s in _setup_cfg(tree, path)]
    for path in (tree.root / "setup.py", *tree.named("setup.py")):
        text = tree.text(path)
        if "console_scripts" in text:
            found += [_script(n, t, tree.shown(path), path.parent) for n, t in _SETUP_SCRIPT.findall(text)]
    return list(dict.fromkeys(found))


def _pyproject(tree: Tree, path: Path) -> Iterator[ConsoleScript]:
    content = toml(path)
    scripts = {**table(content, "tool", "poetry", "scripts"), **table(content, "project", "scripts")}
    lines = tree.text(path).splitlines()
    for name, target in scripts.items():
        if isinstance(target, str) and ":" in target:
            line = next((i for i, t in enumerate(lines, 1) if target in t), None)
            yield _script(name, target, tree.shown(path, line), path.parent)


def _setup_cfg(tree: Tree, path: Path) -> Iterator[ConsoleScript]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(tree.text(path))
    except configparser.Error:
        return
    for line in parser.get("options.entry_points", "console_scripts", fallback="").splitlines():
        name, equals, target = line.partition("=")
        if equals and ":" in target:
            yield _script(name.strip(), target.strip(), tree.shown(path), path.parent)


def _script(name: str, target: str, source: str, folder: Path) -> ConsoleScript:
    module, _, function = target.partition(":")
    return ConsoleScript(name, module.strip(), function.partition("[")[0].strip(), source, folder)


def dependencies(folder: Path) -> str:
    """The text of every file in which the folder declares what it needs, in lower case."""
    names = ("pyproject.toml", "setup.py", "setup.cfg", "Pipfile", "environment.yml", "environment.yaml")
    files = [folder / name for name in names] + sorted(folder.glob("requirements*.txt"))
    files += sorted(folder.glob("requirements/*.txt"))
    return "\n".join(read(f) for f in files).lower()
