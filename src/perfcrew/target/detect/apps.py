"""Finds application objects and factories in source, by reading its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from perfcrew.core.project import Framework
from perfcrew.target.detect.evaluate import dotted
from perfcrew.target.detect.tree import Tree

CLASSES: dict[str, Framework] = {
    "fastapi.FastAPI": "fastapi",
    "fastapi.applications.FastAPI": "fastapi",
    "starlette.applications.Starlette": "starlette",
    "flask.Flask": "flask",
    "flask.app.Flask": "flask",
    "quart.Quart": "quart",
    "django.core.wsgi.get_wsgi_application": "django",
    "django.core.asgi.get_asgi_application": "django",
    "channels.routing.ProtocolTypeRouter": "django",
}
MENTIONS = r"FastAPI|Starlette|Flask|Quart|get_[aw]sgi_application|create_app|make_app|create_application|get_app"
ASGI = {"fastapi", "starlette", "quart"}


@dataclass(frozen=True)
class App:
    """An application object, or a function that makes one."""

    path: Path
    module: str
    import_root: Path
    attribute: str
    framework: Framework
    line: int
    factory: bool = False
    required: tuple[str, ...] = ()
    """Arguments of the factory that have no default."""
    call: str = ""
    """The arguments that the project itself calls such a factory with, as source, where they are literals."""
    mounts: int = 0
    """How many routers, blueprints and applications are put on it in the same file."""

    @property
    def target(self) -> str:
        return f"{self.module}:{self.attribute}" + (f"({self.call})" if self.factory else "")


@dataclass
class Apps:
    """All application objects and factories of a tree."""

    tree: Tree
    _classes: dict[str, Framework] = field(default_factory=dict)

    @cached_property
    def all(self) -> tuple[App, ...]:
        """Every one found, in the order of their files; Django's WSGI and ASGI objects are among them."""
        paths = list(self.tree.containing(MENTIONS))
        self._learn_subclasses(paths)
        factories = [app for path in paths for app in self._factories(path)]
        known = {app.attribute: app for app in factories}
        objects = [app for path in paths for app in self._objects(path, known)]
        return tuple(objects + [self._with_call(app, paths) for app in factories])

    def at(self, path: Path, attribute: str) -> App | None:
        """The application that a file holds under that name."""
        return next((a for a in self.all if a.path == path and a.attribute == attribute.partition("(")[0]), None)

    def _learn_subclasses(self, paths: list[Path]) -> None:
        """`class Shop(Flask)` makes `Shop(…)` an application, in whichever file it is called."""
        for path in paths:
            names = imports(self.tree.parse(path))
            for node in self.tree.nodes(path):
                if isinstance(node, ast.ClassDef):
                    bases = (CLASSES.get(resolve(dotted(base), names)) for base in node.bases)
                    if framework := next((b for b in bases if b), None):
                        self._classes[node.name] = framework

    def _framework(self, call: ast.AST | None, names: dict[str, str]) -> Framework | None:
        """The framework of `FastAPI(…)`, also where a wrapper such as `Middleware(FastAPI(…))` is around it."""
        if isinstance(call, ast.IfExp):
            return self._framework(call.body, names) or self._framework(call.orelse, names)
        if not isinstance(call, ast.Call):
            return None
        name = dotted(call.func)
        found = CLASSES.get(resolve(name, names)) or self._classes.get(name.rpartition(".")[2])
        return found or next((f for f in (self._framework(a, names) for a in call.args) if f), None)

    def _factories(self, path: Path) -> Iterator[App]:
        module = self.tree.parse(path)
        names = imports(module)
        makers: dict[str, Framework] = {}
        for function in _functions(module):
            framework = self._made_by(function, names, makers)
            if framework and framework != "django" and not function.name.startswith("_"):
                makers[function.name] = framework
                yield self._app(path, function.name, framework, function.lineno, _required(function))

    def _made_by(
        self, function: ast.FunctionDef, names: dict[str, str], makers: dict[str, Framework]
    ) -> Framework | None:
        """The framework of what the function returns, by its annotation or what it assigns."""
        annotated = dotted(function.returns) if function.returns else ""
        if found := CLASSES.get(resolve(annotated, names)) or self._classes.get(annotated):
            return found if _returns(function) else None
        made = {
            t.id: n.value
            for n in ast.walk(function)
            if isinstance(n, ast.Assign)
            for t in n.targets
            if isinstance(t, ast.Name)
        }
        for value in _returns(function):
            value = made.get(value.id, value) if isinstance(value, ast.Name) else value
            found = self._framework(value, names)
            found = found or (makers.get(dotted(value.func)) if isinstance(value, ast.Call) else None)
            if found:
                return found
        return None

    def _objects(self, path: Path, factories: dict[str, App]) -> Iterator[App]:
        module = self.tree.parse(path)
        names = imports(module)
        seen: set[str] = set()
        for node in _module_level(module):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            framework = self._framework(node.value, names)
            if framework is None and isinstance(node.value, ast.Call):
                maker = factories.get(dotted(node.value.func).rpartition(".")[2])
                framework = maker.framework if maker else None
            for target in targets:
                if framework and isinstance(target, ast.Name) and target.id not in seen:
                    seen.add(target.id)
                    yield self._app(path, target.id, framework, node.lineno, None)

    def _app(
        self, path: Path, attribute: str, framework: Framework, line: int, required: tuple[str, ...] | None
    ) -> App:
        return App(
            path,
            self.tree.module_name(path),
            self.tree.import_root(path),
            attribute,
            framework,
            line,
            factory=required is not None,
            required=required or (),
            mounts=_mounts(self.tree.parse(path), attribute),
        )

    def _with_call(self, app: App, paths: list[Path]) -> App:
        """A factory that needs arguments, with those of a call in the project that are literals."""
        if not app.required:
            return app
        for path in paths:
            for node in self.tree.nodes(path):
                if (
                    isinstance(node, ast.Call)
                    and dotted(node.func).rpartition(".")[2] == app.attribute
                    and _literal(node)
                ):
                    given = ", ".join([ast.unparse(a) for a in node.args] + [ast.unparse(k) for k in node.keywords])
                    return App(**{**app.__dict__, "call": given, "required": ()})
        return app


def imports(module: ast.Module | None) -> dict[str, str]:
    """Local names with the dotted names that they were imported from."""
    found: dict[str, str] = {}
    for node in ast.walk(module) if module else ():
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.update({a.asname or a.name: f"{node.module}.{a.name}" for a in node.names})
        elif isinstance(node, ast.Import):
            found.update({a.asname: a.name for a in node.names if a.asname})
    return found


def resolve(name: str, names: dict[str, str]) -> str:
    """A dotted name with its head replaced by what it was imported from."""
    head, dot, rest = name.partition(".")
    return f"{names.get(head, head)}{dot}{rest}"


def _functions(module: ast.Module | None) -> Iterator[ast.FunctionDef]:
    return (n for n in (module.body if module else ()) if isinstance(n, ast.FunctionDef))


def _returns(function: ast.FunctionDef) -> list[ast.expr]:
    """What the function itself returns, not what functions within it do."""
    found: list[ast.expr] = []
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Return) and node.value is not None:
            found.append(node.value)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return found


def _required(function: ast.FunctionDef) -> tuple[str, ...]:
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    needed = positional[: len(positional) - len(arguments.defaults)]
    keyword_only = [a for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is None]
    return tuple(a.arg for a in (*needed, *keyword_only))


def _module_level(module: ast.Module | None) -> Iterator[ast.Assign | ast.AnnAssign]:
    """Assignments that run on import, also those within `if`, `try` and `with`; not within `if __name__ == …`."""
    waiting: list[ast.AST] = list(module.body) if module else []
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.Assign | ast.AnnAssign):
            yield node
        elif isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
            continue
        elif isinstance(node, ast.If | ast.Try | ast.With):
            waiting += ast.iter_child_nodes(node)


def _mounts(module: ast.Module | None, name: str) -> int:
    verbs = ("include_router", "register_blueprint", "mount", "add_middleware", "include")
    return sum(
        isinstance(node, ast.Call) and dotted(node.func) in {f"{name}.{verb}" for verb in verbs}
        for node in (ast.walk(module) if module else ())
    )


def _literal(call: ast.Call) -> bool:
    values = [*call.args, *(k.value for k in call.keywords)]
    return bool(values) and all(isinstance(v, ast.Constant) for v in values)
