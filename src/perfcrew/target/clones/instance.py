"""One clone: the databases of one started instance, what the target is told of them, and their end."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from perfcrew.core.errors import TargetFailed, UsageError
from perfcrew.core.project import Project
from perfcrew.target.clones import mysql, postgres, sqlite, tree, urls
from perfcrew.target.leftovers import Registry

DEFAULT = "default"


def server_of(engine: str) -> Any:
    """What makes, reads and drops the databases of a server of this engine."""
    return mysql if engine == "mysql" else postgres


def content_of(engine: str) -> Any:
    """What counts and empties the tables of a connection of this engine."""
    return sqlite if engine == "sqlite" else server_of(engine)


@dataclass(frozen=True)
class Source:
    """One database of the user's: its URL as the target names it, and its file where it is SQLite."""

    alias: str
    engine: urls.Engine
    url: str
    file: Path | None = None

    @property
    def present(self) -> bool:
        """Whether it exists and holds something."""
        return bool(sqlite.exists(self.file) if self.file else server_of(self.engine).exists(self.url))

    def connect(self) -> Any:
        """A psycopg connection to the user's own PostgreSQL, for reading: whoever asks sets the transaction so."""
        return postgres.connect(self.url, name=postgres.APPLICATION)


@dataclass(frozen=True)
class Clone:
    """Databases of our own for one instance of the target. `engine` is "none" where the target has no database."""

    name: str
    engine: str
    folder: Path
    sources: tuple[Source, ...] = ()
    urls: Mapping[str, str] = field(default_factory=dict, repr=False)
    """As the target is told, by alias."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """To add to the target's."""
    size: int | None = None
    """What the project's own seed command was asked for."""
    source_root: Path | None = None
    """Where the target's source lies while it runs on this clone, if that is a copy of its tree."""
    workdir: Path | None = None
    project: Project | None = field(default=None, repr=False)
    registry: Registry | None = field(default=None, repr=False)
    tokens: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """For inspection: a plain `sqlite:////file`, `postgresql://…` or `mysql://…`; empty without a database."""
        if self.engine == "sqlite":
            return f"sqlite:///{self.file}"
        return "" if self.engine == "none" else str(server_of(self.engine).plain(self.urls[DEFAULT]))

    @property
    def file(self) -> Path:
        """The SQLite file of the default database."""
        return file_of(self.urls[DEFAULT])

    def connect(self) -> Any:
        """A DBAPI connection (sqlite3, psycopg or PyMySQL) to the default database; the caller closes it."""
        if self.engine == "none":
            raise UsageError(
                "the target has no database that is known", do="set `target.database_url` in perfcrew.toml"
            )
        return (
            sqlite.connect(self.file) if self.engine == "sqlite" else server_of(self.engine).connect(self.urls[DEFAULT])
        )

    def tables(self) -> dict[str, int]:
        """Rows by table."""
        if self.engine == "none":
            return {}
        with closing(self.connect()) as db:
            counted: dict[str, int] = content_of(self.engine).count(db)
            return counted

    def moved(self, word: str) -> str:
        """A word of a command with paths into the target's tree turned to the copy that it runs in."""
        if self.source_root is None or self.project is None:
            return word
        return tree.moved(word, self.project.root, self.source_root)

    def refuse_strays(self, processes: Iterable[psutil.Process]) -> None:
        """Raise TargetFailed where one of these processes uses the user's database instead of this clone."""
        known = list(processes)
        for source in self.sources:
            holder = _file_user(source.file, known) if source.file else _session_user(source.url, known)
            if holder is not None:
                raise TargetFailed(
                    f"the target uses your database, not the clone it was given (pid {holder})",
                    where=str(source.file or urls.without_password(source.url)),
                    do="set `target.database_variable` in perfcrew.toml to the variable its database URL comes from",
                )

    def drop(self) -> None:
        """Remove its databases and files. May be called twice."""
        for url in self.urls.values():
            engine = urls.engine_of(url)
            if engine != "sqlite":
                server_of(engine).drop(url, urls.database_name(url))
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.registry:
            for token in self.tokens:
                self.registry.over(token)


def file_of(url: str) -> Path:
    """The file of a clone's URL."""
    file = urls.sqlite_file(url, Path("/"))
    if file is None:
        raise UsageError("a database in memory has no file", where=url)
    return file


def _file_user(file: Path, processes: list[psutil.Process]) -> int | None:
    names = {str(file) + suffix for suffix in ("", "-wal", "-journal", "-shm")}
    for process in processes:
        try:
            if any(opened.path in names for opened in process.open_files()):
                return process.pid
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return None


def _session_user(url: str, processes: list[psutil.Process]) -> int | None:
    ports: dict[int, int] = {}
    for process in processes:
        try:
            ports.update({c.laddr.port: process.pid for c in process.net_connections("tcp") if c.raddr})
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    if not ports:
        return None
    return next((ports[port] for port in server_of(urls.engine_of(url)).client_ports(url) if port in ports), None)
