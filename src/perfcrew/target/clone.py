"""Gives the target data of its own: a template made once a run, and a fresh copy for each started instance."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from perfcrew.core.project import Project
from perfcrew.target import spawn
from perfcrew.target.clones import django, mysql, postgres, sqlite, urls
from perfcrew.target.clones.instance import DEFAULT, Clone, Source, content_of, file_of, server_of
from perfcrew.target.clones.tellers import Teller, teller
from perfcrew.target.environment import BYTECODE, command_of, environment_of, layered
from perfcrew.target.framework_tables import FRAMEWORK_TABLES
from perfcrew.target.leftovers import Registry
from perfcrew.target.redis.private import private

__all__ = ["Clone", "Source", "Template", "dropper", "prepare"]

_SEED_S = 1800.0
_MIGRATE_S = 600.0


class Template:
    """The data as measured, made once a run. `clone` gives copies of it; as a context manager it drops its own."""

    def __init__(
        self, project: Project, sources: tuple[Source, ...], tell: Teller, workspace: Path, registry: Registry
    ) -> None:
        self.project, self.sources, self.workspace, self.registry = project, sources, workspace, registry
        self.notes: tuple[str, ...] = ()
        """How the data came to be, for the report."""
        self._tell = tell
        self._id = secrets.token_hex(4)
        self._base: Clone | None = None
        self._seeded: dict[int, Clone] = {}
        self._taken: dict[str, bool] = {}
        """By alias, whether the user's database held something when the template was made."""

    @property
    def engine(self) -> str:
        return next((s.engine for s in self.sources if s.alias == DEFAULT), "none")

    @property
    def original(self) -> Source | None:
        """The user's own default database, where it is a PostgreSQL that holds something."""
        found = next((s for s in self.sources if s.alias == DEFAULT and s.engine == "postgresql"), None)
        return found if found and self._taken.get(DEFAULT) else None

    @property
    def is_copied(self) -> bool:
        """Whether its data are the user's own, rather than made by migrations and seeds."""
        return self._taken.get(DEFAULT, False)

    @property
    def seeds_sizes(self) -> bool:
        """Whether the project's own seed command takes a size."""
        return any("{rows}" in word for word in self.project.data.seed)

    async def clone(self, name: str, size: int | None = None) -> Clone:
        """A fresh copy for one instance; with a size, and a seed command that takes one, seeded by that instead.

        Raises UsageError where the user's rights or files don't allow it, TargetFailed where the seed fails.
        """
        if self._base is None:
            return self._empty(name)
        base = self._base
        if size is not None and self.seeds_sizes:
            base = await self._seed(size)
        return await asyncio.to_thread(self._copy, base, name)

    async def copy(self, base: Clone, name: str) -> Clone:
        """A fresh copy of a clone of this template, with all that was done to it."""
        if self._base is None:
            return self._empty(name)
        return await asyncio.to_thread(self._copy, base, name)

    async def make(self) -> None:
        """Make what clones are copied from: the user's databases, or new ones by migrations and seeds."""
        if not self.sources:
            return
        self._base = self._place("template")
        base = self._base
        self._taken = {s.alias: await asyncio.to_thread(self._take, s, base) for s in self.sources}
        if not self._taken.get(DEFAULT, True):
            await self._fill(self._base)

    def drop(self) -> None:
        """Remove the template and the seeded ones; clones are dropped by whoever asked for them."""
        for made in [*self._seeded.values(), *([self._base] if self._base else [])]:
            made.drop()
        self._seeded, self._base = {}, None

    async def __aenter__(self) -> Template:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await spawn.uninterrupted(asyncio.to_thread(self.drop))

    def _empty(self, name: str) -> Clone:
        folder = self.workspace / _plain(name)
        return Clone(name, "none", folder, project=self.project, registry=self.registry)

    def _place(self, name: str) -> Clone:
        """Where a clone's databases will be; nothing is made yet but its folder, and all is announced."""
        folder = self.workspace / "data" / f"{_plain(name)}-{secrets.token_hex(3)}"
        tokens = [self.registry.temporary(folder)]
        folder.mkdir(parents=True)
        places = {}
        for source in self.sources:
            if source.engine == "sqlite":
                places[source.alias] = urls.with_sqlite_file(source.url, folder / f"{source.alias}.sqlite3")
                continue
            database = f"{postgres.PREFIX}{self._id}_{_plain(name)[:24]}_{_plain(source.alias)[:12]}_{folder.name[-6:]}"
            tokens.append(self.registry.database(database, urls.without_password(source.url)))
            places[source.alias] = urls.with_database(source.url, database)
        bare = Clone(name, self.engine, folder, self.sources, places, project=self.project, registry=self.registry)
        return self._tell(replace(bare, tokens=tuple(tokens)))

    def _take(self, source: Source, to: Clone) -> bool:
        """Copy the user's database; False where there is none, and an empty one was made."""
        present = source.present
        if source.file:
            if present:
                copy = file_of(to.urls[source.alias])
                sqlite.copy(source.file, copy)
                with closing(sqlite.connect(copy)) as db:
                    present = bool(sqlite.tables(db))
        elif present:
            server_of(source.engine).copy(source.url, urls.database_name(to.urls[source.alias]), self.workspace)
        else:
            server_of(source.engine).create(source.url, urls.database_name(to.urls[source.alias]))
        self.notes += (f"{source.alias}: {'a copy of your database' if present else 'a new database'}",)
        return present

    def _copy(self, base: Clone, name: str) -> Clone:
        made = replace(self._place(name), size=base.size)
        try:
            for alias, url in base.urls.items():
                if urls.engine_of(url) == "sqlite":
                    if sqlite.exists(file_of(url)):
                        sqlite.copy(file_of(url), file_of(made.urls[alias]))
                else:
                    server_of(urls.engine_of(url)).copy(url, urls.database_name(made.urls[alias]), self.workspace)
        except BaseException:
            made.drop()
            raise
        return made

    async def _fill(self, clone: Clone) -> None:
        """Migrations, preparations and a seed without size, as a new developer would run them."""
        if self.project.migrate:
            await self._command(self.project.migrate, clone, "the migrations", _MIGRATE_S)
        for command in self.project.prepare:
            await self._command(command, clone, "a preparation", _MIGRATE_S)
        if not clone.tables():
            await self._let_it_make_tables(clone)
        if self.project.data.seed and not self.seeds_sizes:
            await self._command(self.project.data.seed, clone, "the seed command", _SEED_S)

    async def _let_it_make_tables(self, clone: Clone) -> None:
        """Start the application once: many make their tables themselves when they start."""
        from perfcrew.target.launch import launch  # it imports us

        async with launch(
            self.project, data=clone, workspace=self.workspace, registry=self.registry, name="first-start"
        ):
            self.notes += ("the application was started once to make its tables",)

    async def _seed(self, size: int) -> Clone:
        if size not in self._seeded:
            clone = replace(await self._unfilled(f"seed-{size}"), size=size)
            self._seeded[size] = clone
            command = [word.replace("{rows}", str(size)) for word in self.project.data.seed]
            await self._command(command, clone, f"the seed command for {size} rows", _SEED_S)
        return self._seeded[size]

    async def _unfilled(self, name: str) -> Clone:
        """The template's tables without its rows."""
        assert self._base is not None
        clone = await asyncio.to_thread(self._copy, self._base, name)
        with closing(clone.connect()) as db:
            content_of(clone.engine).empty(db, FRAMEWORK_TABLES)
        return clone

    async def migrate(self, project: Project, clone: Clone) -> None:
        """Run another state of the project's migrations on a clone. TargetFailed where they fail."""
        if project.migrate:
            told = Template(project, self.sources, self._tell, self.workspace, self.registry)
            await told._command(project.migrate, clone, "the migrations of the change", _MIGRATE_S)

    async def _command(self, command: Iterable[str], clone: Clone, what: str, timeout_s: float) -> None:
        place, name = self.workspace, _plain(what)
        told = environment_of(self.project, clone, bytecode=place / BYTECODE)
        async with private(self.project, told, workspace=place, registry=self.registry, name=name) as redis:
            await spawn.run(
                [clone.moved(word) for word in command_of(self.project, list(command))],
                cwd=clone.workdir or self.project.workdir,
                environment=layered(told, redis.environment),
                log=place / f"{name}.log",
                registry=self.registry,
                what=what,
                timeout_s=timeout_s,
            )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-").replace("-", "_") or "x"


async def prepare(project: Project, *, workspace: Path, registry: Registry) -> Template:
    """Find the target's databases and make the template of their data. Drop it at the end (`async with`).

    Raises UsageError where no clone can be made or told to the target, TargetFailed where migrations or seeds fail.
    """
    os.makedirs(workspace, exist_ok=True)
    sources = await _sources(project, workspace, registry)
    template = Template(project, sources, teller(project, sources, workspace), workspace, registry)
    try:
        await template.make()
    except BaseException:
        await spawn.uninterrupted(asyncio.to_thread(template.drop))
        raise
    return template


async def _sources(project: Project, workspace: Path, registry: Registry) -> tuple[Source, ...]:
    if project.framework == "django" and not (project.database_variable and project.database_url):
        django.refuse_fixed_settings(project)
        named = await django.databases(project, workspace, registry)
    elif project.database_url:
        named = {DEFAULT: project.database_url}
    else:
        named = {(DEFAULT if i == 0 else f"file{i}"): str(f) for i, f in enumerate(project.database_files)}
    sources = [_source(alias, url, project.workdir) for alias, url in named.items()]
    return tuple(s for s in sources if s)


def _source(alias: str, url: str, workdir: Path) -> Source | None:
    """None for a SQLite database in memory: each process has its own, there is nothing to copy."""
    engine = urls.engine_of(url)
    if engine != "sqlite":
        return Source(alias, engine, url)
    file = urls.sqlite_file(url, workdir)
    return Source(alias, "sqlite", url, file) if file else None


def dropper(project: Project) -> Any:
    """What `Registry.sweep` takes to drop the databases that a dead run left on this project's server."""
    known = project.database_url or ""
    of_postgres = postgres.dropper([known] if known else [])

    def drop(server: str, name: str) -> str:
        if urls.engine_of(server) != "mysql":
            return str(of_postgres(server, name))
        same = urls.without_password(urls.with_database(known, "x")) == urls.without_password(
            urls.with_database(server, "x")
        )
        return mysql.try_drop(server, name, known if same else "")

    return drop
