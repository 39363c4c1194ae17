"""The way from a folder to a Project: read, choose a launch, then find out everything around it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from perfcrew.core.errors import NotDetected, UsageError
from perfcrew.core.project import Framework, Project
from perfcrew.target.config import Config
from perfcrew.target.detect import environment, interpreter, placing, shell
from perfcrew.target.detect.apps import Apps
from perfcrew.target.detect.assembly import Assembly, Survey
from perfcrew.target.detect.choose import choose, ordered, with_server
from perfcrew.target.detect.chores import Chore
from perfcrew.target.detect.entry import look_into
from perfcrew.target.detect.interpreter import Installed, Interpreter
from perfcrew.target.detect.launches import PREPARES, Launch, Reader
from perfcrew.target.detect.servers import workers_noted
from perfcrew.target.detect.sources import Written, written
from perfcrew.target.detect.tree import Tree


def detect(root: Path, *, app: str | None = None, python: Path | None = None, config: Config | None = None) -> Project:
    """Everything that can be found out of the project in `root`; `config` replaces what it gives.

    `app` picks one of several applications: `module:attribute`, a folder, or a service's name.
    Raises NotDetected where the start command, the application or the interpreter can't be told, and UsageError
    where something given is not there.
    """
    folder = Path(os.path.abspath(root))
    if not folder.is_dir():
        raise UsageError(f"no folder {folder}", do="give the folder of the project")
    return _Search(folder, config or Config(), app, python).project()


@dataclass
class _Search:
    """One search: what was asked for, and what the interpreters answered so far."""

    root: Path
    config: Config
    wanted: str | None
    python: Path | None
    _asked: dict[tuple[Path, str], Interpreter] = field(default_factory=dict)
    _needed: tuple[str, ...] = ()
    _lacking: list[NotDetected] = field(default_factory=list)

    def project(self) -> Project:
        tree = Tree(self.root)
        self._needed = tree.third_party
        reader = Reader(tree, Apps(tree), self._known(tree, (self.root,)))
        entries = written(tree, reader.environment)
        launch = self._launch(reader, entries)
        read = Tree(launch.package, shown_from=self.root) if launch.package else tree
        survey = Survey(
            read,
            Apps(read) if launch.package else reader.apps,
            self.config,
            launch,
            self._interpreter(launch),
            self._variables(tree, launch),
            self._releases(reader, entries, launch),
            self.python is not None,
        )
        return Assembly(survey).project()

    def _known(self, tree: Tree, folders: tuple[Path, ...]) -> dict[str, str]:
        return {
            name: v.value for name, v in environment.of_files(tree, folders).items()
        } | self.config.target.environment

    def _variables(self, tree: Tree, launch: Launch) -> dict[str, environment.Variable]:
        return environment.of_files(tree, tuple(placing.upwards(launch.workdir, self.root)))

    def _launch(self, reader: Reader, entries: Sequence[Written]) -> Launch:
        given = self.config.target
        try:
            chosen = self._chosen(reader, entries)
        except NotDetected:
            if not given.start:
                raise
            chosen = self._bare(reader)
        if given.start:
            chosen = self._as_given(reader, chosen, given.start)
        return replace(chosen, workdir=self._workdir() or chosen.workdir, framework=self._framework(reader, chosen))

    def _chosen(self, reader: Reader, entries: Sequence[Written]) -> Launch:
        launches = ordered(launch for entry in entries if (launch := reader.launch(entry)))
        wanted = self.wanted or self.config.target.app
        try:
            return choose(reader.tree, reader.apps, launches, wanted, self._workdir(), self._runnable)
        except NotDetected:
            if launch := self._installed(reader.tree, wanted):
                return launch
            if self._lacking and not self._asked:
                raise self._lacking[0] from None
            raise

    def _workdir(self) -> Path | None:
        given = self.config.target.workdir
        if given is None:
            return None
        folder = Path(os.path.normpath(self.root / given))
        if not folder.is_dir():
            raise UsageError(
                f"[target] workdir: no folder {folder}", where=str(self.config.file), do="correct the path"
            )
        return folder

    def _framework(self, reader: Reader, launch: Launch) -> Framework:
        if self.config.target.framework:
            return self.config.target.framework
        return launch.framework if launch.framework != "unknown" else placing.declared(reader.tree, launch.workdir)

    def _bare(self, reader: Reader) -> Launch:
        """What is left to say where only the start command is known, because the user gave it."""
        folder = self._workdir() or self.root
        return Launch("given", "perfcrew.toml", "given", folder, (), placing.declared(reader.tree, folder))

    def _as_given(self, reader: Reader, chosen: Launch, start: tuple[str, ...]) -> Launch:
        """The given start command; where it has no `{port}`, with ours put in as in any other."""
        port_told = any("{port}" in text for text in (*start, *self.config.target.environment.values()))
        entry = Written("given", "perfcrew.toml", self._workdir() or chosen.workdir, tuple(shell.of_words(start, {})))
        read = reader.launch(entry) if not port_told and start else None
        if read and read.words:
            merged = {**chosen.environment, **read.environment}
            why = f"given{workers_noted(read.why)}"
            return replace(chosen, kind="given", source="perfcrew.toml", why=why, words=read.words, environment=merged)
        return replace(chosen, kind="given", source="perfcrew.toml", why="given", words=start)

    def _runnable(self, launch: Launch) -> Launch | None:
        try:
            return with_server(launch, self._interpreter(launch))
        except NotDetected as missing:
            self._lacking.append(missing)
            return None

    def _interpreter(self, launch: Launch) -> Interpreter:
        framework = "" if launch.framework == "unknown" else launch.framework
        if (launch.workdir, framework) not in self._asked:
            folders = [*placing.upwards(launch.workdir, self.root), *_above(self.root)]
            self._asked[launch.workdir, framework] = interpreter.find(folders, framework, self._python(), self._needed)
        return self._asked[launch.workdir, framework]

    def _python(self) -> Path | None:
        given = self.python or self.config.target.python
        if given is None:
            return None
        path = Path(os.path.normpath((Path.cwd() if self.python else self.root) / Path(given).expanduser()))
        if not path.is_file():
            raise UsageError(f"no interpreter {path}", do="give the python of the project's environment")
        return path

    def _installed(self, tree: Tree, wanted: str | None) -> Launch | None:
        """An application that is not in the folder but installed in its environment, started by its console script."""
        try:
            found = interpreter.find([self.root], "", self._python())
        except NotDetected:
            return None
        if (tree.python and not wanted) or (not found.path.is_relative_to(self.root) and not wanted):
            return None
        named = [s for s in found.scripts if wanted in (None, s.name, s.package)]
        able = {s.target: s for s in sorted(named, key=lambda s: s.name == s.package)}
        for related in (True, False):
            scripts = [s for s in able.values() if (self.root.name.lower() in s.name.lower()) == related]
            launches = [launch for script in scripts if (launch := self._of_installed(script, found))]
            if launches and (related or len(launches) == 1 or wanted):
                return launches[0]
        if launches:
            names = ", ".join(f"--app {one.name}" for one in launches)
            what = "several installed applications could be meant"
            raise NotDetected(what, where=str(found.path), do=f"choose one: {names}")
        return None

    def _of_installed(self, script: Installed, found: Interpreter) -> Launch | None:
        module, _, function = script.target.partition(":")
        package = script.site / module.partition(".")[0]
        tree = Tree(package)
        placed = placing.place(tree, module, [script.site]) if package.is_dir() else None
        apps = Apps(tree)
        entry = look_into(tree, apps, placed.path) if placed and function else None
        if placed is None or entry is None or not entry.tellable or not found.program(script.name):
            return None
        framework = entry.app.framework if entry.app else placing.framework_of(tree, placed.path)
        why = f"the console script of {script.package}, which is installed in {found.source}"
        words = (script.name, *entry.arguments)
        return Launch(
            "console script",
            f"{script.name} = {script.target}",
            why,
            self.root,
            words,
            framework,
            entry.app,
            dict(entry.environment),
            name=script.name,
            package=package,
        )

    @staticmethod
    def _releases(reader: Reader, entries: Sequence[Written], launch: Launch) -> tuple[Chore, ...]:
        """What a Procfile's `release:` and compose services such as `prestart` run before the server."""
        found: list[Chore] = []
        for entry in entries:
            named = entry.release or bool(entry.name and entry.kind == "compose" and PREPARES.search(entry.name))
            if named and launch.workdir.is_relative_to(entry.folder) | entry.folder.is_relative_to(launch.workdir):
                words = reader.preparation(entry.commands, launch.workdir)[0]
                found += [Chore(w, entry.source, f"{entry.kind} runs it as {entry.name}") for w in words]
        return tuple(dict.fromkeys(found))


def _above(root: Path) -> list[Path]:
    """The folders above the root that may hold its environment: those of its repository, or the next one."""
    for i, folder in enumerate(root.parents[:4]):
        if (folder / ".git").exists():
            return list(root.parents[: i + 1])
    return list(root.parents[:1])
