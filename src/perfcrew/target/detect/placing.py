"""Finds where in the tree a module or file lies that a start command names, and which folder to run it from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from perfcrew.core.project import Framework
from perfcrew.target.detect.apps import ASGI, App, Apps, imports
from perfcrew.target.detect.packaging import dependencies
from perfcrew.target.detect.tree import Tree

SOURCE_FOLDERS = ("src", "lib", "source")
MARKS = (
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "requirements.txt",
    "Pipfile",
    "manage.py",
    "alembic.ini",
    "Procfile",
)
FRAMEWORKS: tuple[Framework, ...] = ("fastapi", "django", "quart", "flask", "starlette")
ATTRIBUTES = ("app", "application", "api", "create_app", "make_app", "create_application", "get_app", "server")


@dataclass(frozen=True)
class Placed:
    """A module's file, and the folder from which its dotted name leads there."""

    path: Path
    base: Path

    @property
    def workdir(self) -> Path:
        """Where the program is run: above `src`, where that is only the folder of the sources."""
        return self.base.parent if self.base.name in SOURCE_FOLDERS and _marked(self.base.parent) else self.base


def _marked(folder: Path) -> bool:
    return any((folder / mark).exists() for mark in MARKS)


def place(tree: Tree, module: str, near: Iterable[Path]) -> Placed | None:
    """The file of a dotted module: from one of the folders nearby, else wherever in the tree its path ends so."""
    parts = tuple(module.replace("/", ".").removesuffix(".py").split("."))
    for folder in near:
        for base in (folder, *(folder / name for name in SOURCE_FOLDERS)):
            if path := _module_file(base, parts):
                return Placed(path, base)
    endings = {(*parts[:-1], f"{parts[-1]}.py"), (*parts, "__init__.py")}
    lengths = {len(e) for e in endings}
    for path in tree.python:
        if any(path.parts[-n:] in endings for n in lengths):
            length = next(n for n in lengths if path.parts[-n:] in endings)
            return Placed(path, path.parents[length - 1])
    return None


def _module_file(base: Path, parts: tuple[str, ...]) -> Path | None:
    path = base.joinpath(*parts)
    return next((p for p in (path.with_name(f"{path.name}.py"), path / "__init__.py") if p.is_file()), None)


def place_file(tree: Tree, name: str, near: Iterable[Path]) -> Path | None:
    """A file by the path that a command gives it, which may be a container's."""
    for folder in near:
        if (folder / name).is_file():
            return folder / name
    wanted = Path(name.lstrip("/")).parts
    for start in range(len(wanted)):
        if found := [p for p in tree.files if p.parts[-len(wanted[start:]) :] == wanted[start:]]:
            return found[0]
    return None


def app_at(tree: Tree, apps: Apps, placed: Placed, attribute: str) -> App:
    """The application of that name in the file, also where reading the source did not recognise it."""
    found = apps.at(placed.path, attribute) or _reexported(apps, attribute, placed)
    module = ".".join(placed.path.relative_to(placed.base).with_suffix("").parts).removesuffix(".__init__")
    name, _, call = attribute.partition("(")
    return App(
        placed.path,
        module,
        placed.base,
        name,
        found.framework if found else framework_of(tree, placed.path),
        found.line if found and found.path == placed.path else 1,
        factory="(" in attribute or bool(found and found.factory),
        call=call.removesuffix(")") or (found.call if found else ""),
        required=found.required if found and not call.removesuffix(")") else (),
    )


def _reexported(apps: Apps, attribute: str, placed: Placed) -> App | None:
    name = attribute.partition("(")[0]
    around = [a for a in apps.all if a.attribute == name and a.path.is_relative_to(placed.base)]
    return around[0] if len(around) == 1 else None


def default_app(tree: Tree, apps: Apps, placed: Placed) -> App:
    """The application that `flask --app module` and `fastapi run` would find in the file."""
    there = {a.attribute for a in apps.all if a.path == placed.path}
    name = next((a for a in ATTRIBUTES if a in there), next(iter(sorted(there)), "app"))
    return app_at(tree, apps, placed, name)


def framework_of(tree: Tree, path: Path) -> Framework:
    """The framework that a file imports, else the one that the project declares, `unknown` otherwise."""
    named = {n.partition(".")[0] for n in imports(tree.parse(path)).values()}
    names = [f for f in FRAMEWORKS if f in named]
    return names[0] if names else declared(tree, path.parent)


def declared(tree: Tree, folder: Path) -> Framework:
    """The framework among the dependencies of the folder's project, else the one that most of its files import."""
    for above in upwards(folder, tree.root):
        text = dependencies(above)
        if found := next((f for f in FRAMEWORKS if re.search(rf"\b{f}\b", text)), None):
            return found
    return next((f for f in FRAMEWORKS if f in tree.imported), "unknown")


def upwards(folder: Path, root: Path) -> Iterator[Path]:
    """The folder and those above it, to the root."""
    yield folder
    while folder != root and folder.is_relative_to(root):
        folder = folder.parent
        yield folder


def is_asgi(framework: str) -> bool:
    return framework in ASGI
