"""Finds the path that says whether the target is well, among the routes that its source writes down."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from perfcrew.target.detect.evaluate import dotted, keyword, text_of
from perfcrew.target.detect.tree import Tree

NAMES = (
    "healthz", "health", "health-check", "health_check", "healthcheck", "livez", "live", "liveness", "alive", "readyz",
    "ready", "readiness", "ping", "heartbeat", "_health", "__heartbeat__", "status", "up", "-/healthy",
)  # fmt: skip
MENTIONS = r"(?i)[\"'/_-](health|liv(e|ez|eness)|ready|readi|ping|heartbeat|__heartbeat|status|up|alive)"
DECORATORS = ("get", "route", "api_route", "head")
CALLS = ("add_url_rule", "add_api_route", "add_route", "Route", "path", "re_path", "url")


@dataclass(frozen=True)
class Health:
    """A health path and the line that serves it."""

    path: str
    source: str


def find(tree: Tree, workdir: Path) -> Health | None:
    """The likeliest health path among the routes below the working directory; None where no route looks like one."""
    found: list[tuple[int, int, Health]] = []
    for path in tree.containing(MENTIONS):
        if path.is_relative_to(workdir) or not workdir.is_relative_to(tree.root):
            found += [(rank, len(h.path), h) for rank, h in _routes(tree, path)]
    return min(found, key=lambda f: f[:2])[2] if found else None


def _routes(tree: Tree, path: Path) -> Iterator[tuple[int, Health]]:
    module = tree.parse(path)
    prefixes = _prefixes(module, tree.nodes(path))
    decorators = {id(d) for node in tree.nodes(path) for d in getattr(node, "decorator_list", ())}
    for node in tree.nodes(path) if module else ():
        if not isinstance(node, ast.Call) or not node.args:
            continue
        holder, _, verb = dotted(node.func).rpartition(".")
        text = text_of(node.args[0])
        registers = verb in DECORATORS if id(node) in decorators else verb in CALLS
        if text is None or not registers or not _answers_get(node):
            continue
        rank = _rank(text)
        if rank is not None and (holder or verb in ("Route", "path", "re_path", "url")):
            full = _joined(_outer(tree, path, holder), prefixes.get(holder, ""), text.strip("^$"))
            yield rank, Health(full, tree.shown(path, node.lineno))


def _rank(text: str) -> int | None:
    """How good a name it is, 0 the best; None for paths with parameters and for those that only resemble one."""
    parts = [p for p in text.strip("^$/").lower().split("/") if p]
    if not parts or any(c in text for c in "{<(*") or len(parts) > 4:
        return None
    return NAMES.index(parts[-1]) if parts[-1] in NAMES else (5 if parts[-2:-1] == ["health"] else None)


def _answers_get(node: ast.Call) -> bool:
    methods = keyword(node, "methods")
    return methods is None or "GET" in ast.unparse(methods).upper()


def _prefixes(module: ast.Module | None, nodes: list[ast.AST]) -> dict[str, str]:
    """Routers and blueprints of the file with the prefix that they are made with."""
    found: dict[str, str] = {}
    seen: set[str] = set()
    for node in [*module.body, *nodes] if module else ():
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            given = text_of(keyword(node.value, "prefix") or keyword(node.value, "url_prefix"))
            names = {dotted(t) for t in node.targets} - seen
            seen |= names
            found.update(dict.fromkeys(names, given) if given else {})
    return found


def _outer(tree: Tree, path: Path, holder: str) -> str:
    """The prefix under which another file includes the router of this one, where it says so plainly."""
    name = path.stem if path.stem != "__init__" else path.parent.name
    if not holder and path.stem != "urls":
        return ""
    if path.stem in ("urls", "views"):
        name = rf"{path.parent.name}\.{path.stem}"
    wanted = re.compile(
        rf"(?:include_router|register_blueprint)\(\s*(?:[\w.]*\.)?{name}(?:\.\w+)?\s*,[^)]*?prefix\s*=\s*[\"']([^\"']*)[\"']|"
        rf"path\(\s*[\"']([^\"']*)[\"']\s*,\s*include\(\s*[\"'](?:[\w.]*\.)?{name}[\"']"
    )
    for other in tree.containing(r"include_router|register_blueprint|include\("):
        if found := wanted.search(tree.text(other)):
            return found[1] or found[2] or ""
    return ""


def _joined(*parts: str) -> str:
    text = "/".join(p.strip("/") for p in parts if p.strip("/"))
    return f"/{text}" + ("/" if parts[-1].endswith("/") and text else "")
