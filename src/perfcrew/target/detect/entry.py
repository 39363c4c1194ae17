"""Looks into a project's own program: does it start a server, of which application, and how is it told its port?"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from perfcrew.target.detect.apps import App, Apps, imports, resolve
from perfcrew.target.detect.evaluate import Evaluator, assignments, dotted, keyword, text_of
from perfcrew.target.detect.tree import Tree

SERVING = re.compile(
    r"uvicorn\.(main\.)?(run|Server|Config)|hypercorn\.\w+\.serve|waitress\.serve|werkzeug\.serving\.run_simple|"
    r"granian\.Granian|gunicorn\.app\.\w+\.\w+Application|gevent\.pywsgi\.WSGIServer|(.*\.)?socketio\.run"
)
MENTIONS = re.compile(r"uvicorn|hypercorn|waitress|granian|gunicorn|run_simple|pywsgi|\.run\(")
PORT = re.compile(r"([A-Z][A-Z0-9_]*_)?PORT")
OTHER_PORT = re.compile(
    r".*(DB|DATABASE|PG|POSTGRES\w*|MYSQL|REDIS|SMTP|MAIL|EMAIL|GRPC|METRICS|PROMETHEUS|MONGO\w*|KAFKA|RABBIT\w*|AMQP|"
    r"CACHE|CELERY|DEBUG\w*|PROXY|SSH|LDAP|STATSD|OTLP|ELASTIC\w*|MINIO|QDRANT|FRONTEND|SUPPORT)_PORT"
)
SUBCOMMANDS = ("serve", "server", "runserver", "run", "start", "web", "api", "up", "launch")
MAX_MODULES = 60


@dataclass(frozen=True)
class Entry:
    """How a program of the project serves. `arguments` come after it; `environment` may carry `{port}`."""

    path: Path
    kind: str
    """`server`, `flask` (a FlaskGroup) or `django` (execute_from_command_line)."""
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    tellable: bool = False
    """Its port can be given."""
    reloads: bool = False
    app: App | None = None
    line: int = 0


def look_into(tree: Tree, apps: Apps, path: Path, given: tuple[str, ...] = ()) -> Entry | None:
    """How the program in that file serves; None where it starts no server."""
    text = tree.text(path)
    if "execute_from_command_line" in text:
        return Entry(path, "django", ("runserver", "{host}:{port}", "--noreload"), tellable=True)
    if _is_flask_group(tree, path):
        return Entry(path, "flask", ("run", "--host", "{host}", "--port", "{port}"), tellable=True)
    files = list(_reachable(tree, path))
    calls = [(f, call) for f in files for call in _serving_calls(tree, apps, f)]
    if not calls:
        return None
    where, call = calls[0]
    subcommand = () if set(given) & set(SUBCOMMANDS) else _subcommand(tree, files, where, call)
    options = _options(tree, files, where, call)
    variables = () if options else _variables(tree, files)
    tail = (*options, *subcommand) if _before_subcommand(tree, files) else (*subcommand, *options)
    return Entry(
        path,
        "server",
        (*_without_port(given), *tail),
        tuple((name, "{port}") for name in variables),
        tellable=bool(options or variables),
        reloads=any(_true(keyword(call, k)) for k in ("reload", "debug", "use_reloader")),
        app=_app(tree, apps, where, call),
        line=call.lineno,
    )


def _is_flask_group(tree: Tree, path: Path) -> bool:
    """Whether the program, or what it imports at once, is a click group with Flask's own commands."""
    root = tree.import_root(path)
    return any("FlaskGroup" in tree.text(p) for p in (path, *_imported_files(tree, path, root)))


def _reachable(tree: Tree, path: Path) -> Iterator[Path]:
    """The file, and the modules of its own package that it imports, two steps deep."""
    root = tree.import_root(path)
    seen: dict[Path, None] = {path: None}
    ring = [path]
    for _ in range(2):
        ring = [p for f in ring for p in _imported_files(tree, f, root) if p not in seen]
        seen.update(dict.fromkeys(ring))
    yield from list(seen)[:MAX_MODULES]


def _imported_files(tree: Tree, path: Path, root: Path) -> Iterator[Path]:
    for node in tree.nodes(path):
        if isinstance(node, ast.ImportFrom):
            base = root if not node.level else path.parents[node.level - 1]
            module = (node.module or "").replace(".", "/")
            names = [module, *(f"{module}/{a.name}" if module else a.name for a in node.names)]
        elif isinstance(node, ast.Import):
            base, names = root, [a.name.replace(".", "/") for a in node.names]
        else:
            continue
        for name in filter(None, names):
            yield from (p for p in (base / f"{name}.py", base / name / "__init__.py") if p.is_file())


def _serving_calls(tree: Tree, apps: Apps, path: Path) -> Iterator[ast.Call]:
    module = tree.parse(path) if MENTIONS.search(tree.text(path)) else None
    names = imports(module)
    makers = {a.attribute for a in apps.all if a.framework in ("flask", "quart")}
    held = assignments(module) if module else {}
    for node in tree.nodes(path) if module else ():
        if not isinstance(node, ast.Call):
            continue
        name = resolve(dotted(node.func), names)
        if SERVING.fullmatch(name) and not name.endswith("Config"):
            yield node
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "run":
            holder = dotted(node.func.value)
            value = held.get(holder)
            made = dotted(value.func).rpartition(".")[2] if isinstance(value, ast.Call) else ""
            if holder in makers or made in makers or names.get(holder, "").rpartition(".")[2] in makers:
                yield node


def _app(tree: Tree, apps: Apps, path: Path, call: ast.Call) -> App | None:
    """The application that the serving call is given, or is a method of."""
    module = tree.parse(path)
    given = call.args[0] if call.args else keyword(call, "app") or keyword(call, "application")
    if isinstance(call.func, ast.Attribute) and call.func.attr == "run" and not SERVING.fullmatch(_full(call, module)):
        given = call.func.value
    named = text_of(given)
    if named and ":" in named:
        wanted, _, attribute = named.partition(":")
        tail = wanted.rpartition(".")[2]
        found = [
            a for a in apps.all if a.attribute == attribute.partition("(")[0] and a.module.rpartition(".")[2] == tail
        ]
        return next((a for a in found if a.module == wanted), found[0] if found else None)
    name = dotted(given) if given is not None else ""
    if isinstance(given, ast.Call):
        name = dotted(given.func)
    held = assignments(module).get(name) if module else None
    names = {name.rpartition(".")[2], dotted(held.func).rpartition(".")[2] if isinstance(held, ast.Call) else ""} - {""}
    matching = [a for a in apps.all if a.attribute in names]
    return next((a for a in matching if a.path == path), matching[0] if matching else None)


def _full(call: ast.Call, module: ast.Module | None) -> str:
    return resolve(dotted(call.func), imports(module))


def _within(tree: Tree, path: Path, call: ast.Call) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The outermost function around the call."""
    for node in ast.iter_child_nodes(tree.parse(path) or ast.Module([], [])):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and call in ast.walk(node):
            return node
    return None


def _subcommand(tree: Tree, files: list[Path], where: Path, call: ast.Call) -> tuple[str, ...]:
    """The word that makes the program serve: a click or typer command around the call, or an argparse parser."""
    function = _within(tree, where, call)
    commands = [c for f in files for c in _commands(tree, f)]
    if function is not None:
        around = next((name for name, node in commands if node is function), None)
        if around is not None:
            return (around,) if len(commands) > 1 or _has_group(tree, files) else ()
    parsers = {
        name
        for f in files[:10]
        for node in tree.nodes(f)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_parser"
        if node.args and (name := text_of(node.args[0]))
    }
    names = parsers | {name for name, _ in commands}
    return next(((word,) for word in SUBCOMMANDS if word in names), ())


def _has_group(tree: Tree, files: list[Path]) -> bool:
    return any(re.search(r"\.group\(|add_typer\(|\.callback\(", tree.text(f)) for f in files)


def _commands(tree: Tree, path: Path) -> Iterator[tuple[str, ast.AST]]:
    for node in tree.nodes(path):
        for decorator in node.decorator_list if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else ():
            call = decorator.func if isinstance(decorator, ast.Call) else decorator
            if dotted(call).endswith(".command"):
                arguments = decorator.args if isinstance(decorator, ast.Call) else []
                named = text_of(arguments[0]) if arguments else None
                yield named or getattr(node, "name", "").replace("_", "-"), node


def _options(tree: Tree, files: list[Path], where: Path, call: ast.Call) -> tuple[str, ...]:
    """`--host {host} --port {port}` as far as the program takes them."""
    texts = [tree.text(f) for f in files]
    found: list[str] = []
    function = _within(tree, where, call)
    typed = {a.arg for a in function.args.args + function.args.kwonlyargs} if function else set()
    typer = any("typer" in t or "cyclopts" in t for t in texts) and function is not None and function.decorator_list
    for option in ("host", "port"):
        quoted = any(re.search(rf"[\"']--{option}[\"'/ ]", t) for t in texts)
        if quoted or (typer and option in typed):
            found += [f"--{option}", f"{{{option}}}"]
    return tuple(found) if "--port" in found else ()


def _before_subcommand(tree: Tree, files: list[Path]) -> bool:
    """Whether `--port` belongs to argparse's main parser: then it must stand before the subcommand."""
    for path in files:
        module = tree.parse(path) if re.search(r"[\"']--port[\"']", tree.text(path)) else None
        held = assignments(module) if module else {}
        for node in tree.nodes(path) if module else ():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
                maker = held.get(dotted(node.func.value))
                made = dotted(maker.func) if isinstance(maker, ast.Call) else ""
                if "--port" in [text_of(a) for a in node.args]:
                    return made.endswith("ArgumentParser")
    return False


def _without_port(given: tuple[str, ...]) -> tuple[str, ...]:
    kept: list[str] = []
    skip = False
    for word in given:
        name, equals, _ = word.partition("=")
        if skip or name in ("--port", "-p", "--host", "--reload", "--debug"):
            skip = not skip and not equals and name in ("--port", "-p", "--host")
            continue
        kept.append(word)
    return tuple(kept)


def _variables(tree: Tree, files: list[Path]) -> tuple[str, ...]:
    """The environment variables that look like the server's own port."""
    found: dict[str, None] = {}
    for path in files:
        module = tree.parse(path) or ast.Module([], [])
        for node in tree.nodes(path):
            text = text_of(node)
            if text and PORT.fullmatch(text) and not OTHER_PORT.fullmatch(text):
                found[text] = None
            elif isinstance(node, ast.ClassDef) and any("Settings" in dotted(b) for b in node.bases):
                found.update(dict.fromkeys(_settings_ports(path, module, node)))
    return tuple(found)


def _settings_ports(path: Path, module: ast.Module, node: ast.ClassDef) -> Iterator[str]:
    """`port: int` in a pydantic settings class is read from `PREFIX_PORT`."""
    prefix = next(
        (k.value for n in ast.walk(node) if isinstance(n, ast.Call) for k in n.keywords if k.arg == "env_prefix"), None
    )
    prefix = prefix or next((v for k, v in assignments(node).items() if k == "env_prefix"), None)
    start = Evaluator(path, assignments(module)).text(prefix) or ""
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            name = f"{start}{item.target.id}".upper()
            if PORT.fullmatch(name) and not OTHER_PORT.fullmatch(name):
                yield name


def _true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True
