"""Chooses one way of starting the target, or says which there are and how to name one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from perfcrew.core.errors import NotDetected
from perfcrew.target.detect import placing
from perfcrew.target.detect.apps import App, Apps
from perfcrew.target.detect.interpreter import Interpreter
from perfcrew.target.detect.launches import Launch, direct, import_path
from perfcrew.target.detect.sources import ORDER
from perfcrew.target.detect.tree import Tree

MAIN_NAMES = ("web", "app", "api", "backend", "server", "django", "flask", "fastapi", "main", "site")
GOOD_MODULES = ("main", "app", "asgi", "wsgi", "server", "application", "api", "__init__", "factory", "run")
GOOD_ATTRIBUTES = ("app", "application", "api", "create_app", "create_application", "make_app", "get_app")
Runnable = Callable[[Launch], Launch | None]
"""The launch with the words of a program that the interpreter has; None where it has none."""


def choose(
    tree: Tree, apps: Apps, launches: Sequence[Launch], wanted: str | None, folder: Path | None, runnable: Runnable
) -> Launch:
    """The launch that is meant: by `wanted` and `folder` where given, else the surest that can run here.

    Raises NotDetected where there is none, or several that are equally likely.
    """
    objects = [launch_of(tree, app) for app in _ranked(tree, apps)]
    given = [one for one in (*launches, *objects) if _matches(tree, one, wanted) and folder in (None, one.workdir)]
    if wanted and not given:
        given = _named(tree, apps, wanted, folder)
    if wanted and not given:
        raise _unknown(tree, wanted, [*launches, *objects])
    able = [r for launch in given if (r := runnable(launch))]
    if not able:
        raise _nothing(tree, given, apps)
    first = [one for one in able if _tier(one) == _tier(able[0])]
    return _clearly(tree, first)


def launch_of(tree: Tree, app: App) -> Launch:
    """A launch of the application itself, its server yet to be chosen."""
    placed = placing.Placed(app.path, app.import_root)
    why = f"no start command was found, and {app.target} is the likeliest application"
    source = tree.shown(app.path, app.line)
    paths = import_path(app.import_root, placed.workdir)
    return Launch("application", source, why, placed.workdir, (), app.framework, app, paths)


def with_server(launch: Launch, interpreter: Interpreter) -> Launch | None:
    """The launch as the interpreter can run it: its own program, else a server on its application."""
    if launch.words and interpreter.program(launch.words[0]):
        return launch
    words = direct(launch.app, interpreter) if launch.app else None
    if words is None:
        return None
    missing = f"; {launch.words[0]} is not installed, {words[0]} is" if launch.words else f"; started by {words[0]}"
    return replace(launch, words=words, why=launch.why + missing)


def _tier(launch: Launch) -> tuple[int, int]:
    rank = ORDER.index(launch.kind) if launch.kind in ORDER else len(ORDER)
    return rank, len(launch.workdir.parts) if launch.kind != "application" else 0


def ordered(launches: Iterable[Launch]) -> list[Launch]:
    """The surest kind first; within it what lies nearest to the root, and a `Dockerfile` before `Dockerfile.dev`."""
    return sorted(launches, key=lambda one: (*_tier(one), bool(re.search(r"\.(dev|local|test)|override", one.source))))


def _matches(tree: Tree, launch: Launch, wanted: str | None) -> bool:
    if wanted is None:
        return True
    names = {launch.name, tree.shown(launch.workdir), launch.workdir.name if launch.workdir != tree.root else ""}
    if launch.app:
        names |= {launch.app.target, f"{launch.app.module}:{launch.app.attribute}"}
        names |= {tree.shown(launch.app.path), launch.app.module.partition(".")[0]}
    return wanted.strip().rstrip("/").removeprefix("./") in names - {""}


def _named(tree: Tree, apps: Apps, wanted: str, folder: Path | None) -> list[Launch]:
    """A launch of `module:attribute` where the module is there, though nothing else spoke of it."""
    module, colon, attribute = wanted.partition(":")
    placed = placing.place(tree, module, [folder or tree.root]) if colon else None
    if placed is None:
        return []
    found = launch_of(tree, placing.app_at(tree, apps, placed, attribute))
    return [replace(found, why="given", workdir=folder or found.workdir)]


def _ranked(tree: Tree, apps: Apps) -> list[App]:
    """Applications by how likely each is the one; those mounted within another, and Django's, only if alone."""
    usable = [a for a in apps.all if not a.required]
    return sorted(usable, key=lambda a: (-_score(tree, a), str(a.path), a.line))


def _score(tree: Tree, app: App) -> int:
    tail = app.module.rpartition(".")[2] if app.path.name != "__init__.py" else "__init__"
    score = 10 * (tail in GOOD_MODULES) + 8 * (app.attribute in GOOD_ATTRIBUTES) + min(app.mounts, 5)
    score -= 2 * len(app.path.relative_to(tree.root).parts) if app.path.is_relative_to(tree.root) else 0
    mounted = rf"\.mount\([^)]*\b{re.escape(app.attribute)}\b"
    score -= 12 * bool(re.search(mounted, tree.text(app.path)) and app.attribute not in GOOD_ATTRIBUTES)
    return score - 3 * app.factory


def _clearly(tree: Tree, launches: list[Launch]) -> Launch:
    """The one launch; of several in different folders, the one with a telling name."""
    if launches[0].kind == "application":
        return _clear_app(tree, launches)
    units = {one.workdir: one for one in reversed(launches)}
    if len(units) == 1 or len({one.origin for one in launches}) == 1:
        preferred = [one for one in launches if one.name in (*MAIN_NAMES, tree.root.name)]
        return preferred[0] if preferred else launches[0]
    telling = [one for one in units.values() if _telling(tree, one)]
    if len(telling) == 1:
        return telling[0]
    raise _ambiguous(tree, list(units.values()))


def _clear_app(tree: Tree, launches: list[Launch]) -> Launch:
    best = launches[0]
    scores = {one.workdir: _score(tree, one.app) for one in reversed(launches) if one.app}
    rivals = [
        one for one in launches if one.workdir != best.workdir and scores[one.workdir] >= scores[best.workdir] - 1
    ]
    rivals = list({one.workdir: one for one in reversed(rivals)}.values())
    if not rivals or (_telling(tree, best) and not any(_telling(tree, r) for r in rivals)):
        return best
    telling = [one for one in (best, *rivals) if _telling(tree, one)]
    if len(telling) == 1:
        return telling[0]
    raise _ambiguous(tree, [best, *rivals])


def _telling(tree: Tree, launch: Launch) -> bool:
    return launch.workdir == tree.root or launch.workdir.name in MAIN_NAMES


def _ambiguous(tree: Tree, launches: list[Launch]) -> NotDetected:
    names = [
        f"--app {tree.shown(one.workdir)}  ({one.app.target if one.app else ' '.join(one.words)}, {one.source})"
        for one in launches
    ]
    return NotDetected(
        f"{len(names)} applications are equally likely",
        where="; ".join(sorted(one.source for one in launches)),
        do="choose one:\n    " + "\n    ".join(sorted(names)),
    )


def _unknown(tree: Tree, wanted: str, launches: list[Launch]) -> NotDetected:
    known = dict.fromkeys(one.app.target if one.app else tree.shown(one.workdir) for one in launches)
    do = f"choose one of: {', '.join(known)}" if known else "give module:attribute of a file below the root"
    return NotDetected(f"no application {wanted!r}", where=str(tree.root), do=do)


def _nothing(tree: Tree, given: list[Launch], apps: Apps) -> NotDetected:
    if given:
        tried = dict.fromkeys(one.words[0] if one.words else f"a server for {one.framework}" for one in given)
        return NotDetected(
            f"a start command was found, but the interpreter has no {' or '.join(tried)}",
            where="; ".join(dict.fromkeys(one.source for one in given)),
            do="install it into the project's environment, or give its interpreter with --python or [target] python",
        )
    needing = [a for a in apps.all if a.required]
    if needing:
        a = needing[0]
        return NotDetected(
            f"{a.module}:{a.attribute} needs the arguments {', '.join(a.required)}, and nothing says which",
            where=tree.shown(a.path, a.line),
            do=f'add to perfcrew.toml: [target] app = "{a.module}:{a.attribute}(…)" or start = "… --port {{port}}"',
        )
    return NotDetected(
        "no start command and no application found",
        where=f"{tree.root}: looked for {', '.join(ORDER)}, then for application objects and "
        f"factories in {len(tree.python)} Python files",
        do='add to perfcrew.toml: [target] start = "uvicorn package.module:app --host {host} --port {port}"',
    )
