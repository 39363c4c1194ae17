"""Finds the commands around the server: migrations, seeds, tests; and the folder of the front end."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from perfcrew.core.project import Framework
from perfcrew.target.detect import shell
from perfcrew.target.detect.apps import App
from perfcrew.target.detect.evaluate import dotted, keyword, text_of
from perfcrew.target.detect.interpreter import Interpreter
from perfcrew.target.detect.tree import Tree, read

SEED_NAME = re.compile(
    r"(seed|seeds|seeder|populate|fake|demo|sample|fixtures?|dummy)(_?\w+)?|"
    r"(load|create|generate|make|insert|init|add)_(demo|fake|sample|seed|dummy|initial|test)\w*"
)
SIZES = (
    *("rows", "size", "count", "number", "num", "n", "amount", "total", "scale", "limit", "quantity"),
    *("records", "entries", "items", "books", "products", "articles", "posts", "topics", "orders", "users"),
)
FRONTENDS = (
    *(
        "vite",
        "react",
        "next",
        "vue",
        "nuxt",
        "svelte",
        "@sveltejs/kit",
        "@angular/core",
        "astro",
        "preact",
        "solid-js",
    ),
    *("remix", "@remix-run/react", "webpack", "parcel", "esbuild", "rollup"),
)


@dataclass(frozen=True)
class Chore:
    """A command and where it comes from; its words begin with a program's plain name."""

    words: tuple[str, ...]
    source: str
    why: str


def flask_head(app: App | None, start: Sequence[str]) -> tuple[str, ...]:
    """What comes before a Flask subcommand: the project's own group of commands, or `flask --app module:app`."""
    if start[1:2] == ("run",) and start[0] not in ("flask", "quart", "fastapi"):
        return tuple(start[:1])
    return (app.framework, "--app", app.target) if app and app.framework in ("flask", "quart") else ()


def migration(tree: Tree, workdir: Path, framework: Framework, flask: tuple[str, ...]) -> Chore | None:
    """The command that brings the database to the newest schema; `flask` comes before a Flask subcommand."""
    if framework == "django":
        return Chore(("python", "manage.py", "migrate", "--noinput"), "manage.py", "Django's own migrations")
    configured = [
        p for p in tree.named(r"alembic\.ini") if p.is_relative_to(workdir) or workdir.is_relative_to(p.parent)
    ]
    if configured and "migrations" not in configured[0].parent.name:
        path = min(configured, key=lambda p: len(os.path.relpath(p, workdir)))
        given = () if path.parent == workdir else ("-c", os.path.relpath(path, workdir))
        return Chore(("alembic", *given, "upgrade", "head"), tree.shown(path), "Alembic's configuration")
    for folder in sorted(workdir.glob("**/migrations/env.py")) if flask else ():
        if "flask" in read(folder) and not set(folder.parts) & {".venv", "venv", "site-packages", "node_modules"}:
            given = () if folder.parent.parent == workdir else ("-d", os.path.relpath(folder.parent, workdir))
            words = (*flask, "db", "upgrade", *given)
            return Chore(words, tree.shown(folder), "Flask-Migrate's folder")
    return None


def seed(tree: Tree, workdir: Path, manage: Path | None, flask: tuple[str, ...]) -> Chore | None:
    """The project's own command that fills the database, with `{rows}` where it takes a size."""
    makers = (
        _makefile(tree, workdir),
        _management(tree, workdir, manage),
        _scripts(tree, workdir),
        _cli(tree, flask),
    )
    found = [chore for maker in makers for chore in maker]
    sized = [chore for chore in found if any("{rows}" in w for w in chore.words)]
    if sized or found:
        return (sized or found)[0]
    return _fixtures(tree, workdir) if manage else None


def _makefile(tree: Tree, workdir: Path) -> Iterator[Chore]:
    for path in (workdir / "Makefile", tree.root / "Makefile", workdir / "justfile"):
        match = re.search(
            r"^(seed\w*|populate|load-?data|demo-?data)\s*:[^\n]*\n((?:[\t ]+[^\n]*\n?)+)", read(path), re.MULTILINE
        )
        for line in match[2].splitlines() if match else ():
            for command in shell.commands(line.strip().lstrip("@-"), {}):
                if re.match(r"python|flask|.*manage\.py", os.path.basename(command.words[0])):
                    words = _with_size(tree, workdir, command.words)
                    yield Chore(words, tree.shown(path), f"target {match[1] if match else ''}")


def _with_size(tree: Tree, workdir: Path, words: Sequence[str]) -> tuple[str, ...]:
    """The command with a size option, where its source shows one."""
    name = words[2].replace(".", "/") + ".py" if list(words[1:2]) == ["-m"] and len(words) > 2 else words[-1]
    path = next((p for p in (workdir / name, workdir / "src" / name) if p.is_file()), None)
    words = ("python", *words[1:]) if os.path.basename(words[0]).startswith("python") else tuple(words)
    if path is None or any(w.startswith("--") for w in words):
        return words
    return (*words, *size_option(tree.parse(path)))


def _management(tree: Tree, workdir: Path, manage: Path | None) -> Iterator[Chore]:
    for path in tree.python if manage else ():
        if path.parent.name == "commands" and SEED_NAME.fullmatch(path.stem) and path.is_relative_to(workdir):
            words = ("python", "manage.py", path.stem, *size_option(tree.parse(path)))
            yield Chore(words, tree.shown(path), "a management command that fills the database")


def _scripts(tree: Tree, workdir: Path) -> Iterator[Chore]:
    for path in tree.python:
        text = tree.text(path) if SEED_NAME.fullmatch(path.stem) or _is_package(path) else ""
        runs = "__main__" in text or path.name == "__main__.py"
        if not runs or not path.is_relative_to(workdir) or path.parent.name == "commands":
            continue
        module = tree.module_name(path).removesuffix(".__main__")
        base = tree.import_root(path)
        in_package = "." in module or base.name == "src"
        words = ("python", "-m", module) if in_package else ("python", os.path.relpath(path, workdir))
        yield Chore((*words, *size_option(tree.parse(path))), tree.shown(path), "a script that fills the database")


def _is_package(path: Path) -> bool:
    return path.name == "__main__.py" and bool(SEED_NAME.fullmatch(path.parent.name))


def _cli(tree: Tree, flask: tuple[str, ...]) -> Iterator[Chore]:
    """`@app.cli.command("seed")`, and commands of a project's own group."""
    for path in tree.containing(r"\.command\(") if flask else ():
        for node in tree.nodes(path):
            for decorator in node.decorator_list if isinstance(node, ast.FunctionDef) else ():
                if isinstance(decorator, ast.Call) and dotted(decorator.func).endswith(".command"):
                    default = getattr(node, "name", "").replace("_", "-")
                    name = (text_of(decorator.args[0]) if decorator.args else None) or default
                    if SEED_NAME.fullmatch(name.replace("-", "_")):
                        words = (*flask, name, *size_option(node))
                        yield Chore(words, tree.shown(path, decorator.lineno), "a command of the application")


def _fixtures(tree: Tree, workdir: Path) -> Chore | None:
    names = [
        p.name
        for p in tree.files
        if p.parent.name == "fixtures" and p.suffix in (".json", ".yaml", ".xml") and p.is_relative_to(workdir)
    ]
    if not names:
        return None
    return Chore(("python", "manage.py", "loaddata", *names), f"{len(names)} fixtures", "the project's fixtures")


def size_option(source: ast.AST | None) -> tuple[str, ...]:
    """`("--rows", "{rows}")` where the source declares an option that takes a number of rows; empty otherwise."""
    found: dict[str, str] = {}
    for node in ast.walk(source) if source else ():
        if not isinstance(node, ast.Call) or not dotted(node.func).endswith(
            ("add_argument", ".option", "Option", ".argument")
        ):
            continue
        names = [t for t in map(text_of, node.args) if t]
        kind = keyword(node, "type")
        if kind is not None and dotted(kind).rpartition(".")[2] not in ("int", "INT", "IntRange"):
            continue
        for name in names:
            found.setdefault(re.sub(r"^(num|n|max)[-_]|[-_](count|size|rows)$", "", name.lstrip("-").lower()), name)
    for size in SIZES:
        if option := found.get(size):
            return (option, "{rows}") if option.startswith("-") else ("{rows}",)
    return _typed(source)


def _typed(source: ast.AST | None) -> tuple[str, ...]:
    """typer: `def seed(rows: int = 100)`."""
    for node in ast.walk(source) if source else ():
        if isinstance(node, ast.FunctionDef) and any("command" in ast.unparse(d) for d in node.decorator_list):
            for argument in (*node.args.args, *node.args.kwonlyargs):
                if argument.arg in SIZES and "int" in ast.unparse(argument.annotation or ast.Constant("")):
                    return f"--{argument.arg}", "{rows}"
    return ()


def tests(tree: Tree, workdir: Path, framework: Framework, interpreter: Interpreter) -> Chore | None:
    """The command that runs the project's own tests."""
    for folder in dict.fromkeys((workdir, tree.root)):
        named = [n for n in ("pytest.ini", "pyproject.toml", "setup.cfg", "tox.ini") if "pytest" in read(folder / n)]
        has = any((folder / name).is_dir() for name in ("tests", "test")) or any(folder.glob("test_*.py"))
        if (named or has) and "pytest" in interpreter.modules:
            where = () if folder == workdir else (os.path.relpath(folder, workdir),)
            return Chore(
                ("python", "-m", "pytest", "-q", *where), named[0] if named else "tests", "pytest is installed"
            )
    if framework == "django":
        return Chore(("python", "manage.py", "test"), "manage.py", "Django's test runner")
    if (workdir / "tests").is_dir():
        return Chore(("python", "-m", "unittest", "discover", "-s", "tests"), "tests", "no pytest in the interpreter")
    return None


def frontend(tree: Tree) -> tuple[Path, str] | None:
    """The folder of the front end, and what tells that it is one."""
    for path in tree.named(r"package\.json"):
        try:
            content = json.loads(tree.text(path))
        except ValueError:
            continue
        if isinstance(content, dict):
            needed = {**_table(content, "dependencies"), **_table(content, "devDependencies")}
            if tool := next((name for name in FRONTENDS if name in needed), None):
                return path.parent, tool
    return None


def _table(content: dict[str, object], key: str) -> dict[str, object]:
    value = content.get(key)
    return value if isinstance(value, dict) else {}


def is_migration(words: Sequence[str]) -> bool:
    """Whether a command of the project brings the schema up: then it is the migration, not preparation."""
    text = shlex.join(words)
    return bool(re.search(r"alembic\b.*\bupgrade|manage\.py'? migrate\b|django-admin migrate|\bdb upgrade", text))
