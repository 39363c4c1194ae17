"""Reads the environment that a project expects: `.env`, or an example of one with its placeholders made harmless."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values

from perfcrew.target.detect.tree import Tree, read

REAL = (".env", ".flaskenv", ".env.local", ".env.development", ".env.dev")
EXAMPLES = (".env.example", ".env.sample", ".env.template", ".env.dist", "env.example", ".example.env", "example.env")
SECRET = re.compile(r".*(SECRET|PASSWORD|PASSWD|TOKEN|API_?KEY|PRIVATE|_KEY$|SALT|CREDENTIAL)", re.IGNORECASE)
PLACEHOLDER = re.compile(
    r"(?i)|.*(change[-_ ]?(me|this|it)|your[-_ ]|placeholder|replace|todo|example\.|insert|fill|generate|secret|xxx).*|"
    r"<.*>|\*+|\.\.\.|\$\{.*|\{\{.*"
)
HARMLESS = "perfcrew-placeholder-not-a-secret-0123456789-0123456789-0123456789"
URL = re.compile(r"[a-z][a-z0-9+.]*://")


@dataclass(frozen=True)
class Variable:
    """One variable of the target's environment, and the file that gives it. `private`: never to be written down."""

    name: str
    value: str
    source: str
    why: str
    private: bool = False


def of_files(tree: Tree, folders: tuple[Path, ...]) -> dict[str, Variable]:
    """The variables of the first folder that has an environment file; an example's only where there is no real one."""
    for folder in folders:
        found: dict[str, Variable] = {}
        for name in REAL:
            found.update(_real(tree, folder / name))
        if found:
            return found
    for folder in folders:
        for path in _examples(folder):
            if found := _example(tree, path):
                return found
    return {}


def _examples(folder: Path) -> list[Path]:
    named = [folder / name for name in EXAMPLES]
    return [p for p in [*named, *sorted((folder / "docker").glob("*.env"))] if p.is_file()]


def _values(path: Path) -> dict[str, str]:
    values = dotenv_values(stream=StringIO(read(path)), interpolate=True) if path.is_file() else {}
    return {name: value for name, value in values.items() if value is not None}


def _real(tree: Tree, path: Path) -> dict[str, Variable]:
    source = tree.shown(path)
    return {
        n: Variable(n, v, source, "the project's own environment file", private=True) for n, v in _values(path).items()
    }


def _example(tree: Tree, path: Path) -> dict[str, Variable]:
    found = {}
    for name, value in _values(path).items():
        if SECRET.match(name) and PLACEHOLDER.fullmatch(value):
            found[name] = Variable(
                name, HARMLESS, tree.shown(path), "a harmless value in place of the example's placeholder"
            )
        elif value and not re.fullmatch(r"<.*>|\$\{.*", value):
            found[name] = Variable(name, value, tree.shown(path), "from the example, as there is no .env")
    return found


def without_services(variables: Mapping[str, Variable], have_default: set[str]) -> dict[str, Variable]:
    """An example's addresses of databases and caches stay out where the source has a default of its own:
    the example's point to servers that only its author has."""
    return {
        name: v
        for name, v in variables.items()
        if v.private or name not in have_default or not URL.match(v.value) or v.value.startswith("sqlite")
    }
