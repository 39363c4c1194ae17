"""Makes of each written start command a launch: its application found in the tree, its port ours to give."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from perfcrew.core.project import Framework
from perfcrew.target.detect import entry, placing, shell
from perfcrew.target.detect.apps import App, Apps
from perfcrew.target.detect.interpreter import Interpreter
from perfcrew.target.detect.packaging import ConsoleScript, console_scripts
from perfcrew.target.detect.servers import Runs, Serving, recognise, workers_note
from perfcrew.target.detect.sources import Written
from perfcrew.target.detect.tree import Tree

PREPARES = re.compile(r"prestart|pre-start|migrat|init|setup|prepare|bootstrap|release", re.IGNORECASE)
PATHS = ("--app-dir", "--chdir", "--pythonpath", "-c", "--config", "--log-config")
NEVER_PREPARES = {
    "pip",
    "pip3",
    "npm",
    "yarn",
    "pnpm",
    "npx",
    "docker",
    "git",
    "apt-get",
    "apk",
    "make",
    "celery",
    "rq",
}
WORKERS = ("WEB_CONCURRENCY", "UVICORN_WORKERS")
WRITES_TREE = {"collectstatic", "makemigrations", "compilemessages", "compress", "makemessages", "build", "install"}


@dataclass(frozen=True)
class Launch:
    """One way of starting the target. `words` begin with a program's plain name and carry `{host}` and `{port}`."""

    kind: str
    source: str
    why: str
    workdir: Path
    words: tuple[str, ...]
    framework: Framework
    app: App | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: tuple[tuple[str, ...], ...] = ()
    left_out: tuple[str, ...] = ()
    name: str = ""
    health: str | None = None
    manage: Path | None = None
    package: Path | None = None
    """Where the sources lie, for a target that is installed instead of lying in the root."""

    @property
    def origin(self) -> str:
        """The file that gives it, without the line."""
        return self.source.partition(":")[0]


@dataclass
class Reader:
    """Reads launches out of written commands. `environment` is what the environment files say."""

    tree: Tree
    apps: Apps
    environment: Mapping[str, str]

    def launch(self, written: Written) -> Launch | None:
        """The launch that the written commands mean; None where they start no server of this tree."""
        for at in reversed(range(len(written.commands))):
            command = written.commands[at]
            found = recognise(command.words)
            launch = self._serving(written, command, found) if found else None
            if launch:
                before, left_out = self.preparation(written.commands[:at], launch.workdir)
                environment = {**written.environment, **command.environment, **launch.environment}
                environment |= _search_path(written.paths, launch)
                why = launch.why + _said(launch, environment)
                launch = replace(launch, why=why, environment=_kept(environment))
                return replace(launch, prepare=before, left_out=left_out, health=written.health)
        return None

    def _serving(self, written: Written, command: shell.Command, found: Serving | Runs) -> Launch | None:
        folder = Path(os.path.normpath(written.folder / command.folder)) if _inside(command) else written.folder
        if isinstance(found, Runs):
            return self._program(written, folder, found)
        if found.server == "django":
            return self._manage(written, folder, found)
        return self._server(written, folder, command, found)

    def _server(self, written: Written, folder: Path, command: shell.Command, found: Serving) -> Launch | None:
        target = found.target
        if found.server in ("flask", "quart") and not target:
            variable = f"{found.server.upper()}_APP"
            known = {**self.environment, **written.environment, **command.environment}
            target = known.get(variable)
        app_dir = found.app_dir or "."
        near = [folder] if os.path.isabs(app_dir) else [Path(os.path.normpath(folder / app_dir)), folder]
        placed = self._placed(found.server, target, near)
        if placed is None:
            return None
        app = self._app(target, placed)
        return replace(self._of_app(written, app, placed, found), words=_without_absolute(found.words, PATHS))

    def _placed(self, server: str, target: str | None, near: list[Path]) -> placing.Placed | None:
        if target:
            return placing.place(self.tree, target.partition(":")[0], near)
        names = ("main", "app", "api", "app.main", "app.app", "app.api") if server == "fastapi" else ("app", "wsgi")
        return next((p for name in names if (p := _exact(near, name))), None)

    def _app(self, target: str | None, placed: placing.Placed) -> App:
        attribute = (target or "").partition(":")[2]
        if attribute:
            return placing.app_at(self.tree, self.apps, placed, attribute)
        return placing.default_app(self.tree, self.apps, placed)

    def _of_app(self, written: Written, app: App, placed: placing.Placed, found: Serving) -> Launch:
        notes = "".join(f"; {note}" for note in found.notes)
        launch = Launch(
            written.kind,
            written.source,
            f"{written.kind} starts {found.server} on {app.target}{notes}",
            placed.workdir,
            found.words,
            app.framework,
            app,
            name=written.name,
        )
        return replace(launch, environment=import_path(placed.base, placed.workdir))

    def _manage(self, written: Written, folder: Path, found: Serving) -> Launch | None:
        path = placing.place_file(self.tree, "manage.py", [folder])
        if path is None:
            return None
        words = ("python", "manage.py", *found.words[found.words.index("runserver") :])
        why = f"{written.kind} starts Django's own server"
        return Launch(
            written.kind, written.source, why, path.parent, words, "django", None, name=written.name, manage=path
        )

    def _program(self, written: Written, folder: Path, runs: Runs) -> Launch | None:
        path, base, words = self._file(folder, runs, written)
        if path is None or not path.is_file():
            return None
        found = entry.look_into(self.tree, self.apps, path, runs.arguments)
        if found is None:
            return None
        placed = placing.Placed(path, base)
        workdir = folder if path.is_relative_to(folder) and _program_folder(folder, runs) else placed.workdir
        # A console script does not look into its folder: without this an installed copy could run, not the tree's.
        paths = {"PYTHONPATH": str(base)} if runs.kind == "script" else import_path(base, workdir)
        return self._of_entry(written, runs, found, words, workdir, paths)

    def _of_entry(
        self,
        written: Written,
        runs: Runs,
        found: entry.Entry,
        words: tuple[str, ...],
        workdir: Path,
        paths: dict[str, str],
    ) -> Launch | None:
        app = found.app or self._likely(found)
        if not found.tellable or (found.reloads and app and not app.required):
            return self._instead(written, found, app, workdir) if app and not app.required else None
        framework = app.framework if app else _framework(self.tree, found)
        return Launch(
            written.kind,
            written.source,
            f"{written.kind} runs {runs.name}, which serves at {self.tree.shown(found.path, found.line or None)}",
            workdir,
            (*words, *found.arguments),
            framework,
            app,
            {**paths, **dict(found.environment)},
            name=written.name,
            manage=found.path if found.kind == "django" and found.path.name == "manage.py" else None,
        )

    def _likely(self, found: entry.Entry) -> App | None:
        """The only application of the program's own package that bears a usual name."""
        package = self.tree.module_name(found.path).partition(".")[0]
        usable = [a for a in self.apps.all if not a.required and a.attribute in placing.ATTRIBUTES]
        inside = [a for a in usable if a.module.partition(".")[0] == package and a.framework != "django"]
        return inside[0] if len(inside) == 1 else None

    def _instead(self, written: Written, found: entry.Entry, app: App, workdir: Path) -> Launch:
        """The program's application on a server of ours, as the program can't be told a port or reloads."""
        placed = placing.Placed(app.path, app.import_root)
        reason = "reloads" if found.reloads else "can't be told its port"
        why = f"{written.kind} runs {self.tree.shown(found.path)}, which serves {app.target} but {reason}"
        paths = import_path(app.import_root, placed.workdir)
        return Launch(
            written.kind, written.source, why, placed.workdir, (), app.framework, app, paths, name=written.name
        )

    def _file(self, folder: Path, runs: Runs, written: Written) -> tuple[Path | None, Path, tuple[str, ...]]:
        """The program's file, the folder that must be on the import path, and the words that run it."""
        if runs.kind == "file":
            path = placing.place_file(self.tree, runs.name, [folder])
            if path is None:
                return None, folder, ()
            workdir = folder if path.is_relative_to(folder) else path.parent
            return path, path.parent, ("python", path.relative_to(workdir).as_posix())
        if runs.kind == "module":
            return *self._module(runs.name, folder), ("python", "-m", runs.name)
        script = next((s for s in console_scripts(self.tree) if s.name == runs.name), None)
        if script is None:
            return None, folder, ()
        return *self._module(script.module, script.folder, main=False), (script.name,)

    def _module(self, name: str, folder: Path, main: bool = True) -> tuple[Path | None, Path]:
        for module in (f"{name}.__main__", name) if main else (name,):
            if placed := placing.place(self.tree, module, [folder]):
                return placed.path, placed.base
        return None, folder

    def preparation(
        self, commands: Sequence[shell.Command], workdir: Path
    ) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
        """The commands that prepare the target, and those left out as they would write into its tree."""
        kept: list[tuple[str, ...]] = []
        left_out: list[str] = []
        for command in commands:
            words = command.words
            if not self._prepares(words, workdir):
                continue
            if set(words[1:]) & WRITES_TREE:
                left_out.append(" ".join(words))
            else:
                kept.append(words)
        return tuple(dict.fromkeys(kept)), tuple(left_out)

    def _prepares(self, words: Sequence[str], workdir: Path) -> bool:
        program = os.path.basename(words[0])
        if program in ("alembic", "flask", "django-admin", "aerich", "quart"):
            return True
        if program in NEVER_PREPARES:
            return False
        found = recognise(words)
        if isinstance(found, Runs) and found.kind != "script":
            return self._file(workdir, found, _NOWHERE)[0] is not None
        scripts = {s.name for s in console_scripts(self.tree)}
        is_manage = any(os.path.basename(w) == "manage.py" for w in words[:3])
        return (found is None and is_manage) or program in scripts


def _exact(near: list[Path], name: str) -> placing.Placed | None:
    for folder in near:
        for base in (folder, folder / "src"):
            path = base.joinpath(*name.split(".")).with_suffix(".py")
            if path.is_file():
                return placing.Placed(path, base)
    return None


def _inside(command: shell.Command) -> bool:
    return bool(command.folder) and not os.path.isabs(command.folder)


def _program_folder(folder: Path, runs: Runs) -> bool:
    return runs.kind == "file" or any((folder / mark).exists() for mark in placing.MARKS)


def _framework(tree: Tree, found: entry.Entry) -> Framework:
    known: dict[str, Framework] = {"django": "django", "flask": "flask"}
    return known.get(found.kind) or placing.framework_of(tree, found.path)


def _search_path(paths: Sequence[str], launch: Launch) -> dict[str, str]:
    """PYTHONPATH with the folders that a Dockerfile puts there, as they lie here, and those that we found."""
    folders = [os.path.normpath(launch.workdir / path) for path in paths]
    ours = launch.environment.get("PYTHONPATH", "").split(os.pathsep)
    both = dict.fromkeys(p for p in (*folders, *ours) if p and os.path.isdir(p))
    return {"PYTHONPATH": os.pathsep.join(both)} if both else {}


def _said(launch: Launch, environment: Mapping[str, str]) -> str:
    """Of the variables that are left out, how many workers they ask for, where the command itself does not say it."""
    asked = next((v for k in WORKERS if (v := environment.get(k, "")).isdigit()), "1")
    return f"; {workers_note(asked)}" if asked != "1" and workers_note("") not in launch.why else ""


def _kept(environment: Mapping[str, str]) -> dict[str, str]:
    """Without what would bring several workers or debugging back."""
    out = re.compile(r"WEB_CONCURRENCY|UVICORN_(HOST|PORT|WORKERS|RELOAD)|FLASK_(DEBUG|ENV|RUN_.*)|HOST|PORT")
    return {k: v for k, v in environment.items() if not out.fullmatch(k) or "{port}" in v}


def _without_absolute(words: Sequence[str], options: tuple[str, ...]) -> tuple[str, ...]:
    """Without options whose value is a path of the container."""
    kept: list[str] = []
    rest = list(words)
    while rest:
        name, equals, value = rest[0].partition("=")
        taken = 1 if equals or name not in options else 2
        value = value if equals else (rest[1] if taken == 2 and len(rest) > 1 else "")
        gunicorn_moves = name in ("--chdir", "--pythonpath")
        if not (name in options and (os.path.isabs(value) or gunicorn_moves)):
            kept += rest[:taken]
        rest = rest[taken:]
    return tuple(kept)


def import_path(base: Path, workdir: Path) -> dict[str, str]:
    """PYTHONPATH, where the modules do not lie in the folder that the program is run from."""
    return {} if base == workdir else {"PYTHONPATH": str(base)}


def direct(app: App, interpreter: Interpreter) -> tuple[str, ...] | None:
    """The words that start a server on an application; None where the interpreter has no server for it."""
    if app.required:
        return None
    for words in _servers(app):
        if interpreter.program(words[0]):
            return words
    return None


def _servers(app: App) -> Iterator[tuple[str, ...]]:
    name = f"{app.module}:{app.attribute}"
    if placing.is_asgi(app.framework):
        if not app.call:
            yield ("uvicorn", name, *(["--factory"] if app.factory else []), "--host", "{host}", "--port", "{port}")
        yield ("hypercorn", app.target, "--bind", "{host}:{port}", "--workers", "1")
        yield ("granian", "--interface", "asgi", name, "--host", "{host}", "--port", "{port}", "--workers", "1")
        if not app.factory:
            yield ("daphne", "-b", "{host}", "-p", "{port}", name)
        return
    yield ("gunicorn", app.target, "--bind", "{host}:{port}", "--workers", "1", "--threads", "8")
    if app.framework in ("flask", "unknown"):
        yield ("flask", "--app", app.target, "run", "--host", "{host}", "--port", "{port}")
    if not app.factory:
        yield ("waitress-serve", "--listen={host}:{port}", name)


_NOWHERE = Written("README", "", Path(), ())
__all__ = ["ConsoleScript", "Launch", "Reader", "direct", "import_path"]
