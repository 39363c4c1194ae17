"""Finds what the target's source says of Redis: the variables that carry its address, their defaults, fixed addresses.

It refuses to guess: an address that is written out where no variable is read is told as fixed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from perfcrew.core.project import RedisAddress, RedisPart
from perfcrew.target.config import FILE
from perfcrew.target.detect.evaluate import Evaluator, assignments, dotted, environment_read, keyword
from perfcrew.target.detect.tree import Tree
from perfcrew.target.redis.address import is_url, without_password

MENTIONS = r"(?i)redis|valkey"
_OWN = r"\w*(REDIS|VALKEY)\w*"
_URL_OF_OTHERS = re.compile(r"\w*(CACHE|BROKER|CELERY|RESULT_BACKEND|CHANNEL|QUEUE|RQ)\w*_?(URL|URI|DSN|BACKEND)", re.I)
_PARTS: tuple[tuple[RedisPart, re.Pattern[str]], ...] = (
    ("socket", re.compile(rf"{_OWN}_?(UNIX_)?SOCK(ET)?(_PATH)?", re.IGNORECASE)),
    ("host", re.compile(rf"{_OWN}_?(HOST|HOSTNAME|SERVER|ADDR|ADDRESS)", re.IGNORECASE)),
    ("port", re.compile(rf"{_OWN}_?PORT", re.IGNORECASE)),
    ("password", re.compile(rf"{_OWN}_?(PASSWORD|PASS|PWD|AUTH)", re.IGNORECASE)),
    ("user", re.compile(rf"{_OWN}_?(USER|USERNAME)", re.IGNORECASE)),
    ("tls", re.compile(rf"{_OWN}_?(USE_)?(SSL|TLS)", re.IGNORECASE)),
    ("url", re.compile(rf"{_OWN}_?(URL|URI|DSN|LOCATION|BROKER|BACKEND)", re.IGNORECASE)),
)
_CLIENTS = ("Redis", "StrictRedis", "Valkey", "StrictValkey")


@dataclass(frozen=True)
class Read:
    """A place that names a Redis: a variable, a default or an address, or both."""

    variable: str | None
    part: RedisPart | None
    value: str | None
    source: str
    path: Path
    client: bool = False
    """Whether it is handed to a client there, and no setting that others may read."""


def find(tree: Tree, variable: str | None, in_settings: Iterable[str]) -> tuple[RedisAddress, ...]:
    """The addresses. `variable` is what the user says carries the URL ('': there is none): then the source is not read.

    `in_settings` are the URLs that Django's settings hold.
    """
    if variable is not None:
        return (RedisAddress(source=FILE, variables={variable: "url"}),) if variable else ()
    held = tuple(RedisAddress(url=_shown(u), source="settings", settings=True) for u in in_settings)
    reads = [read for path in tree.containing(MENTIONS) for read in _of_module(tree, path)]
    return (*held, *_of_urls(reads), *_of_parts(reads), *_fixed(reads, {a.url for a in held}))


def _of_urls(reads: Sequence[Read]) -> Iterator[RedisAddress]:
    found: dict[str, Read] = {}
    for read in reads:
        if read.variable and read.part == "url" and not (read.variable in found and found[read.variable].value):
            found[read.variable] = read
    for name, read in found.items():
        beside = [r.value for r in reads if r.path == read.path and r.variable is None and r.value]
        default = read.value or (beside[0] if len(beside) == 1 else None)
        yield RedisAddress(url=_shown(default), source=read.source, variables={name: "url"})


def _of_parts(reads: Sequence[Read]) -> Iterator[RedisAddress]:
    """`REDIS_HOST`, `REDIS_PORT` and their like, one address for each of the words before."""
    groups: dict[str, list[Read]] = {}
    for read in reads:
        if read.variable and read.part not in (None, "url"):
            groups.setdefault(_prefix(read.variable), []).append(read)
    for group in groups.values():
        known = {read.part: read.value for read in reversed(group) if read.value}
        variables: dict[str, RedisPart] = {r.variable: r.part for r in group if r.variable and r.part}
        told = set(variables.values())
        if "socket" in told and known.get("socket"):
            url: str | None = f"unix://{known['socket']}"
        else:
            default = "host" in known or ("host" not in told and "port" in told)
            url = f"redis://{known.get('host', 'localhost')}:{known.get('port', '6379')}" if default else None
        if told & {"host", "port", "socket"}:
            yield RedisAddress(url=url, source=group[0].source, variables=variables)


def _prefix(name: str) -> str:
    return re.sub(r"(?i)(REDIS|VALKEY).*", r"\1", name)


def _fixed(reads: Sequence[Read], held: set[str | None]) -> Iterator[RedisAddress]:
    """Addresses that are written out, in files where no variable is read that carries one.

    What Django's settings hold (`held`) is not: it is written out in them.
    """
    told = {read.path for read in reads if read.variable and read.part in ("url", "host", "port", "socket")}
    seen: set[str] = set()
    for read in reads:
        setting = not read.client and _shown(read.value) in held
        written = read.variable is None and read.path not in told and not setting
        if written and read.value and read.value not in seen:
            seen.add(read.value)
            yield RedisAddress(url=_shown(read.value), source=read.source)


def _shown(url: str | None) -> str | None:
    return without_password(url).replace("***@", "") if url else None


def _of_module(tree: Tree, path: Path) -> Iterator[Read]:
    module = tree.parse(path)
    if module is None:
        return
    evaluator = Evaluator(path, assignments(module))
    claimed: set[ast.AST] = set()
    for node in tree.nodes(path):
        if isinstance(node, ast.ClassDef):
            yield from _fields(tree, path, node, evaluator)
        asked = node.values[0] if isinstance(node, ast.BoolOp) else node
        name = environment_read(asked, evaluator.names) if node not in claimed else None
        part = _part(name) if name else None
        if name and part:
            claimed.update(ast.walk(node))
            value = evaluator.text(node) or None
            yield Read(name, part, _usable(value, part, name), _shown_at(tree, path, node), path)
    yield from _literals(tree, path, evaluator, claimed)


def _part(name: str) -> RedisPart | None:
    for part, pattern in _PARTS:
        if pattern.fullmatch(name):
            return part
    return "url" if _URL_OF_OTHERS.fullmatch(name) else None


def _usable(value: str | None, part: RedisPart, name: str) -> str | None:
    if part == "password" or value is None:
        return None
    return value if part != "url" or is_url(value, name) else None


def _fields(tree: Tree, path: Path, node: ast.ClassDef, evaluator: Evaluator) -> Iterator[Read]:
    """`redis_url: str = "redis://…"` in a settings class is read from its name in capitals."""
    if not _is_settings(node):
        return
    prefix = evaluator.text(assignments(node).get("env_prefix")) or ""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and dotted(call.func).endswith(("SettingsConfigDict", "ConfigDict")):
            prefix = evaluator.text(keyword(call, "env_prefix")) or prefix
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            name, default = f"{prefix}{item.target.id}".upper(), item.value
            if isinstance(default, ast.Call) and dotted(default.func).endswith("Field"):
                alias = keyword(default, "validation_alias") or keyword(default, "env") or keyword(default, "alias")
                name = evaluator.text(alias) or name
                default = _default_of(default)
            if part := _part(name):
                value = _usable(evaluator.text(_unwrapped(default)), part, name)
                yield Read(name, part, value, tree.shown(path, item.lineno), path)


def _default_of(call: ast.Call) -> ast.expr | None:
    """What a field is worth by `Field("…")`, `Field(default="…")` or `Field(default_factory=lambda: "…")`."""
    factory = keyword(call, "default_factory")
    made = factory.body if isinstance(factory, ast.Lambda) else None
    return keyword(call, "default") or made or (call.args[0] if call.args else None)


def _unwrapped(default: ast.expr | None) -> ast.expr | None:
    """The text within `RedisDsn("…")`."""
    of_type = isinstance(default, ast.Call) and dotted(default.func).endswith(("Dsn", "Url", "URL"))
    return default.args[0] if isinstance(default, ast.Call) and of_type and default.args else default


def _is_settings(node: ast.ClassDef) -> bool:
    return any("Settings" in dotted(b) or "Config" in dotted(b) for b in node.bases)


def _literals(tree: Tree, path: Path, evaluator: Evaluator, claimed: set[ast.AST]) -> Iterator[Read]:
    """Addresses that are written out: assigned, given by a keyword or in a dictionary, or handed to a client."""
    classes = [node for node in tree.nodes(path) if isinstance(node, ast.ClassDef) and _is_settings(node)]
    items = (item for node in classes for item in node.body if isinstance(item, ast.AnnAssign))
    in_settings = {inner for item in items for inner in ast.walk(item)}
    for node in tree.nodes(path):
        if node in in_settings:
            continue
        for name, value in _given(node):
            if value in claimed or not isinstance(value, ast.Constant | ast.JoinedStr | ast.BinOp):
                continue
            text = evaluator.text(value)
            if text and is_url(text, name):
                yield Read(None, None, text, tree.shown(path, value.lineno), path)
        if isinstance(node, ast.Call) and (address := _of_client(node, evaluator)):
            yield Read(None, None, address, tree.shown(path, node.lineno), path, client=True)


def _given(node: ast.AST) -> list[tuple[str, ast.expr]]:
    """Values with the name that they are given under."""
    if isinstance(node, ast.Assign):
        return [(dotted(node.targets[0]) or _index(node.targets[0]), node.value)]
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return [(dotted(node.target), node.value)]
    if isinstance(node, ast.Call):
        return [*((dotted(node.func), a) for a in node.args), *((k.arg or "", k.value) for k in node.keywords)]
    if isinstance(node, ast.Dict):
        return [(str(getattr(k, "value", "")), v) for k, v in zip(node.keys, node.values, strict=True)]
    return []


def _index(target: ast.AST) -> str:
    """`X` of `config["X"]`."""
    index = target.slice if isinstance(target, ast.Subscript) else None
    return str(index.value) if isinstance(index, ast.Constant) else ""


def _of_client(call: ast.Call, evaluator: Evaluator) -> str | None:
    """The address of `Redis()`, `Redis("cache")` or `Redis(host="cache", port=6380)`; None where it is not constant."""
    name = dotted(call.func).rpartition(".")[2]
    if name not in _CLIENTS:
        return None
    if any(k.arg in (None, "connection_pool", "url") for k in call.keywords):
        return None
    path = keyword(call, "unix_socket_path")
    if path is not None:
        text = evaluator.text(path) if isinstance(path, ast.Constant) else None
        return f"unix://{text}" if text else None
    host = keyword(call, "host") or (call.args[0] if call.args else ast.Constant("localhost"))
    port = keyword(call, "port") or (call.args[1] if len(call.args) > 1 else ast.Constant(6379))
    host, port = (evaluator.names.get(o.id, o) if isinstance(o, ast.Name) else o for o in (host, port))
    if not all(isinstance(one, ast.Constant) for one in (host, port)):
        return None
    return f"redis://{evaluator.text(host)}:{evaluator.text(port)}"


def _shown_at(tree: Tree, path: Path, node: ast.AST) -> str:
    return tree.shown(path, getattr(node, "lineno", None))
