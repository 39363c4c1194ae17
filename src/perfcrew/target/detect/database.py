"""Finds the target's database: its URL, the variable that carries it, its file where it is SQLite."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from perfcrew.target.detect.evaluate import Evaluator, assignments, dotted, environment_read, keyword
from perfcrew.target.detect.tree import Tree

URL = re.compile(r"(sqlite|postgres(ql)?|mysql|mariadb|oracle|mssql|cockroachdb)(\+\w+)?://.*", re.IGNORECASE)
VARIABLE = re.compile(
    r"(\w+_)?(DATABASE|DB|SQLALCHEMY|SQLALCHEMY_DATABASE|SQL_DATABASE|POSTGRES|POSTGRESQL|PG|SQLITE|SQL|SQLA)_?(URL|URI|DSN|CONN\w*)",
    re.IGNORECASE,
)
ASIDE = re.compile(r"TEST|REPLICA|READ_?ONLY|SHADOW|LEGACY|SECONDARY|SLAVE", re.IGNORECASE)
MENTIONS = r"(?i)sqlite|postgres|mysql|database_?ur[il]|db_?ur[il]|_dsn\b|create_(async_)?engine"
PASSWORD = re.compile(r"(://[^:/@\s]*):[^@\s]*@")


@dataclass(frozen=True)
class Database:
    """What is known of the database. `why` says how the URL was come to."""

    url: str | None
    variable: str | None
    files: tuple[Path, ...]
    source: str
    why: str


@dataclass(frozen=True)
class Read:
    """A place in the source that names the database: a variable, a default, or both."""

    variable: str | None
    url: str | None
    source: str
    path: Path


def hidden(url: str) -> str:
    """The URL without its password."""
    return PASSWORD.sub(r"\1:***@", url)


def find(
    tree: Tree,
    reads: Sequence[Read],
    workdir: Path,
    environment: Mapping[str, str],
    sources: Mapping[str, str],
    *,
    instance: bool = False,
) -> Database | None:
    """The database that the source (`reads`) and its environment name; None where nothing does.

    `sources` tells which file each variable of the environment came from; `instance` says that relative SQLite
    paths lie in Flask's instance folder.
    """
    reads = sorted(reads, key=lambda r: (bool(r.variable and ASIDE.search(r.variable)), not r.variable))
    for read in reads:
        if read.variable and (value := environment.get(read.variable)) and URL.fullmatch(value):
            where = sources.get(read.variable, "environment")
            return _database(tree, value, read, workdir, instance, where, f"{read.variable}, read in {read.source}")
    for name, value in environment.items():
        if VARIABLE.fullmatch(name) and URL.fullmatch(value) and not ASIDE.search(name):
            read = Read(name, value, sources.get(name, "environment"), workdir / ".env")
            return _database(tree, value, read, workdir, instance, read.source, f"the variable {name}")
    return _by_source(tree, reads, workdir, instance) or _of_parts(environment, sources)


def _of_parts(environment: Mapping[str, str], sources: Mapping[str, str]) -> Database | None:
    """A URL made of `POSTGRES_HOST`, `POSTGRES_DB` and their like; no single variable carries it."""
    for prefix in ("POSTGRES", "POSTGRESQL", "PG", "DB", "DATABASE"):
        parts = {name.removeprefix(f"{prefix}_"): value for name, value in environment.items()}
        host = parts.get("HOST") or parts.get("SERVER")
        name = parts.get("DB") or parts.get("NAME") or parts.get("DATABASE")
        if host and name and not host.startswith("/"):
            user = parts.get("USER") or parts.get("USERNAME") or "postgres"
            password = quote(parts.get("PASSWORD") or parts.get("PASS") or "", safe="")
            source = sources.get(f"{prefix}_HOST") or sources.get(f"{prefix}_SERVER") or "environment"
            url = f"postgresql://{user}:{password}@{host}:{parts.get('PORT') or 5432}/{name}"
            return Database(url, None, (), source, f"made of the variables {prefix}_…")
    return None


def _by_source(tree: Tree, reads: Sequence[Read], workdir: Path, instance: bool) -> Database | None:
    with_default = next((r for r in reads if r.url and r.variable), None)
    variable = next((r for r in reads if r.variable and not ASIDE.search(r.variable)), None)
    literal = next((r for r in reads if r.url), None)
    if with_default:
        return _database(
            tree, with_default.url, with_default, workdir, instance, with_default.source, "the default in the source"
        )
    if literal and variable and (literal.path == variable.path or len({r.variable for r in reads if r.variable}) == 1):
        both = Read(variable.variable, literal.url, literal.source, literal.path)
        return _database(tree, literal.url, both, workdir, instance, literal.source, f"default of {variable.variable}")
    if literal:
        return _database(tree, literal.url, literal, workdir, instance, literal.source, "written in the source")
    if variable:
        return Database(None, variable.variable, (), variable.source, "read in the source, without a default")
    return None


def _database(
    tree: Tree, url: str | None, read: Read, workdir: Path, instance: bool, source: str, why: str
) -> Database | None:
    if url is None:
        return None
    files = sqlite_files(url, workdir, workdir_of_instance(tree, workdir) if instance else None)
    return Database(url, read.variable, files, source, why)


def sqlite_files(url: str, workdir: Path, instance: Path | None = None) -> tuple[Path, ...]:
    """The file behind an SQLite URL; relative ones lie in the instance folder, or where the target is run."""
    match = re.match(r"sqlite(?:\+\w+)?:///([^?]*)", url)
    if match is None or match[1] in ("", ":memory:") or "mode=memory" in url:
        return ()
    name = match[1].removeprefix("file:")
    path = Path(name)
    if path.is_absolute():
        return (path,)
    places = [workdir / path, *([instance / path] if instance else [])]
    there = next((p for p in places if p.exists()), places[-1])
    return (Path(*there.parts),)


def workdir_of_instance(tree: Tree, workdir: Path) -> Path:
    """Flask's instance folder: beside the package, or beside the module."""
    found = next((p.parent for p in workdir.glob("*/instance/*") if "node_modules" not in p.parts), None)
    return found or workdir / "instance"


def reads_of(tree: Tree, workdir: Path) -> tuple[Read, ...]:
    """Every place in the Python source that names a database, those below the working directory first."""
    paths = [p for p in tree.containing(MENTIONS) if "alembic" not in p.parts[len(tree.root.parts) :]]
    ordered = sorted(paths, key=lambda p: not p.is_relative_to(workdir))
    return tuple(read for path in ordered if (module := tree.parse(path)) for read in _of_module(tree, path, module))


def _of_module(tree: Tree, path: Path, module: ast.Module) -> Iterator[Read]:
    evaluator = Evaluator(path, assignments(module))
    claimed: set[ast.AST] = set()
    for node in tree.nodes(path):
        if isinstance(node, ast.ClassDef) and any("Settings" in dotted(b) or "Config" in dotted(b) for b in node.bases):
            yield from _fields(tree, path, node, evaluator)
            continue
        asked = node.values[0] if isinstance(node, ast.BoolOp) else node
        name = _named(asked, evaluator) if node not in claimed else None
        default = node
        if isinstance(node, ast.Call) and dotted(node.func).endswith("dj_database_url.config"):
            name, default = "DATABASE_URL", keyword(node, "default") or ast.Constant(None)
        if name:
            claimed.update(ast.walk(node))
            yield Read(name, _url(evaluator.text(default)), tree.shown(path, getattr(node, "lineno", None)), path)
    yield from _literals(tree, path, evaluator)


def _named(node: ast.AST, evaluator: Evaluator) -> str | None:
    name = environment_read(node, evaluator.names)
    return name if name and VARIABLE.fullmatch(name) else None


def _fields(tree: Tree, path: Path, node: ast.ClassDef, evaluator: Evaluator) -> Iterator[Read]:
    """`database_url: str = "sqlite:///…"` in a settings class is read from its name in capitals."""
    prefix = evaluator.text(assignments(node).get("env_prefix")) or ""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and dotted(call.func).endswith(("SettingsConfigDict", "ConfigDict")):
            prefix = evaluator.text(keyword(call, "env_prefix")) or prefix
    for item in node.body:
        if not (isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)):
            continue
        name = f"{prefix}{item.target.id}".upper()
        if VARIABLE.fullmatch(name):
            default = item.value
            if isinstance(default, ast.Call) and dotted(default.func).endswith("Field"):
                alias = evaluator.text(
                    keyword(default, "validation_alias") or keyword(default, "env") or keyword(default, "alias")
                )
                name = alias or name
                default = keyword(default, "default") or (default.args[0] if default.args else None)
            yield Read(name, _url(evaluator.text(default)), tree.shown(path, item.lineno), path)


def _literals(tree: Tree, path: Path, evaluator: Evaluator) -> Iterator[Read]:
    """Addresses that are written out: assigned, given by a keyword or in a dictionary, or handed to an engine."""
    for node in tree.nodes(path):
        values: list[ast.expr] = []
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            values = [node.value]
        elif isinstance(node, ast.Call):
            values = [*node.args[:1], *(k.value for k in node.keywords)]
        elif isinstance(node, ast.Dict):
            values = node.values
        for value in values:
            if not isinstance(value, ast.Name) and (url := _url(evaluator.text(value))):
                yield Read(None, url, tree.shown(path, value.lineno), path)


def _url(text: str | None) -> str | None:
    return text if text and URL.fullmatch(text) else None


def with_default(reads: Sequence[Read]) -> set[str]:
    """The variables that name a database and have a default in the source."""
    return {read.variable for read in reads if read.variable and read.url}
