"""Finds the Python that has the target's packages, by asking each candidate what it could import."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from perfcrew.core.errors import NotDetected
from perfcrew.target.detect.packaging import table, toml
from perfcrew.target.detect.tree import read

ASK_TIMEOUT_S = 30.0
MODULES = (
    *("fastapi", "starlette", "django", "flask", "quart", "uvicorn", "hypercorn", "gunicorn", "daphne", "granian"),
    *("waitress", "fastapi_cli", "alembic", "pytest", "flask_migrate", "flask_sqlalchemy"),
)
PACKAGE_OF = {"waitress-serve": "waitress", "fastapi": "fastapi_cli", "django-admin": "django"}
_ASK = """
import importlib.util, importlib.metadata, json, re, sys
web = re.compile("(fastapi|flask|django|starlette|quart)(?![A-Za-z0-9_.-])", re.IGNORECASE)
names = [n for n in sys.argv[1:] if importlib.util.find_spec(n)]
tools = re.compile("(quart|flask|fastapi|starlette|django)($|-(cli|cloud-cli)$)|opentelemetry-|pytest-", re.IGNORECASE)
scripts = {}
for d in importlib.metadata.distributions():
    asked_for = d.read_text("REQUESTED") is not None and not tools.match(d.metadata["Name"])
    if asked_for and any(web.match(r) for r in d.requires or ()):
        for e in d.entry_points:
            if e.group == "console_scripts":
                scripts[e.name] = [e.value, str(d.locate_file("")), d.metadata["Name"]]
print(json.dumps({"names": names, "scripts": scripts, "prefix": sys.prefix, "version": sys.version.split()[0]}))
"""


@dataclass(frozen=True)
class Installed:
    """A console script of a package that somebody asked to have installed, and that needs a web framework."""

    name: str
    target: str
    site: Path
    package: str


@dataclass(frozen=True)
class Interpreter:
    """An interpreter and what it told of itself."""

    path: Path
    source: str
    modules: frozenset[str] = frozenset()
    prefix: Path = Path()
    version: str = ""
    scripts: tuple[Installed, ...] = field(default=())
    lacks: tuple[str, ...] = ()
    """Names that the project imports and this interpreter could not: some may be optional."""

    def program(self, name: str) -> tuple[str, ...] | None:
        """How this interpreter runs a program of that name: its script, or the module; None where it has neither."""
        if name in ("python", "python3"):
            return (str(self.path),)
        script = self.path.parent / name
        if script.is_file() and os.access(script, os.X_OK):
            return (str(script),)
        module = PACKAGE_OF.get(name, name)
        if module in self.modules and name != "fastapi":
            return (str(self.path), "-m", module)
        return None

    def resolved(self, words: Sequence[str]) -> tuple[str, ...]:
        """The command with its program as this interpreter runs it; as it is where the interpreter hasn't it."""
        head = self.program(words[0]) if words and "/" not in words[0] else None
        return (*(head or words[:1]), *words[1:])

    def plain(self, words: Sequence[str]) -> tuple[str, ...]:
        """The command with this interpreter's programs by their plain names: the reverse of `resolved`."""
        return plain(self.path, words)


def plain(python: Path, words: Sequence[str]) -> tuple[str, ...]:
    """The command with the programs beside `python` by their plain names, so that it means the same elsewhere."""
    if not words:
        return ()
    head = Path(words[0])
    if head == python:
        return ("python", *words[1:])
    return (head.name, *words[1:]) if head.is_absolute() and head.parent == python.parent else tuple(words)


def ask(path: Path, source: str, needed: Sequence[str] = ()) -> Interpreter | None:
    """What the interpreter says it can import; None where it does not run, or not in time."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON") and k != "VIRTUAL_ENV"}
    try:
        answer = subprocess.run(
            [path, "-c", _ASK, *MODULES, *needed],
            capture_output=True,
            text=True,
            timeout=ASK_TIMEOUT_S,
            cwd="/",
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        said = json.loads(answer.stdout.strip().splitlines()[-1]) if answer.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError):
        return None
    if said is None:
        return None
    scripts = tuple(Installed(n, v[0], Path(v[1]), v[2]) for n, v in sorted(said["scripts"].items()))
    names = frozenset(said["names"])
    lacks = tuple(name for name in needed if name not in names)
    return Interpreter(path, source, names, Path(said["prefix"]), said["version"], scripts, lacks)


def find(folders: Sequence[Path], framework: str, given: Path | None = None, needed: Sequence[str] = ()) -> Interpreter:
    """The first interpreter that can import the framework; `given` is the only candidate where it is given.

    `folders` are looked in for environments, in order; `needed` are names whose lack is told of.
    An unknown framework ("") is content with any interpreter.
    Raises NotDetected with all that was tried.
    """
    tried: list[str] = []
    for path, source in [(given, "given")] if given else candidates(folders):
        asked = ask(path, source, needed)
        if asked and (not framework or framework in asked.modules):
            return asked
        tried.append(f"{path} ({source}: {f'no {framework}' if asked else 'does not run'})")
    raise NotDetected(
        f"no Python found that can import {framework or 'anything'}",
        where="; ".join(tried) or ", ".join(str(f) for f in folders),
        do="make the project's environment (such as with `uv sync`), or add to perfcrew.toml: "
        '[target] python = ".venv/bin/python"',
    )


def candidates(folders: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Interpreters that may be the project's, the likeliest first."""
    seen: set[Path] = set()
    for path, source in _candidates(folders):
        if path not in seen and path.is_file():
            seen.add(path)
            yield path, source


def _candidates(folders: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    named = os.environ.get("UV_PROJECT_ENVIRONMENT")
    for folder in folders:
        for name in [*([named] if named else []), ".venv", "venv", "env", ".env"]:
            yield folder / name / "bin" / "python", f"{name} in {folder}"
    for folder in folders:
        yield from _managed(folder)
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if value := os.environ.get(variable):
            yield Path(value) / "bin" / "python", variable
    yield Path(sys.executable), "perfcrew's own interpreter"


def _managed(folder: Path) -> Iterator[tuple[Path, str]]:
    """Environments that poetry, pipenv and conda keep elsewhere."""
    content = toml(folder / "pyproject.toml")
    if table(content, "tool", "poetry") or (folder / "poetry.lock").is_file():
        yield from _told(["poetry", "env", "info", "-p"], folder)
    if (folder / "Pipfile").is_file():
        yield from _told(["pipenv", "--venv"], folder)
    for name in ("environment.yml", "environment.yaml"):
        if wanted := _conda_name(folder / name):
            yield from ((home / wanted / "bin" / "python", f"conda environment {wanted}") for home in _conda_homes())


def _told(command: list[str], folder: Path) -> Iterator[tuple[Path, str]]:
    """The environment whose folder the command prints."""
    program = shutil.which(command[0])
    if program is None:
        return
    try:
        answer = subprocess.run(
            [program, *command[1:]],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=ASK_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    lines = answer.stdout.strip().splitlines()
    if answer.returncode == 0 and lines:
        yield Path(lines[-1]) / "bin" / "python", " ".join(command)


def _conda_name(path: Path) -> str | None:
    try:
        content = yaml.safe_load(read(path))
    except yaml.YAMLError:
        return None
    name = content.get("name") if isinstance(content, dict) else None
    return str(name) if name else None


def _conda_homes() -> Iterator[Path]:
    if executable := os.environ.get("CONDA_EXE"):
        yield Path(executable).parents[1] / "envs"
    for name in ("miniconda3", "anaconda3", "miniforge3", "mambaforge", ".conda"):
        yield Path.home() / name / "envs"
