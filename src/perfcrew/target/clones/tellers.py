"""How the target is told to use a clone: by its variable, by Django settings, or by running in a copy of its tree."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from perfcrew.core.errors import UsageError
from perfcrew.core.project import Project
from perfcrew.target.clones import django, tree, urls
from perfcrew.target.clones.instance import DEFAULT, Clone, Source, file_of

Teller = Callable[[Clone], Clone]
"""Completes a clone with what makes the target use its databases."""


def teller(project: Project, sources: tuple[Source, ...], workspace: Path) -> Teller:
    if not sources:
        return lambda clone: clone
    if project.database_variable:
        return lambda clone: replace(clone, environment=_variable(project, clone))
    if project.framework == "django":
        folder = workspace / "settings"
        django.write_module(folder)
        return lambda clone: replace(clone, environment=django.environment(project, folder, _names(clone)))
    return _tree_teller(project, sources)


def _variable(project: Project, clone: Clone) -> dict[str, str]:
    """The variable carries what it carried before: a URL, a bare database name, or a path."""
    url, name = clone.urls[DEFAULT], project.database_variable or ""
    before = project.environment.get(name) or os.environ.get(name, "")
    if clone.engine in ("postgresql", "mysql") and before and "://" not in before:
        return {name: urls.database_name(url)}
    if clone.engine == "sqlite" and before and "://" not in before:
        return {name: str(clone.file)}
    return {name: url}


def _names(clone: Clone) -> dict[str, str]:
    return {
        alias: str(file_of(url)) if urls.engine_of(url) == "sqlite" else urls.database_name(url)
        for alias, url in clone.urls.items()
    }


def _tree_teller(project: Project, sources: tuple[Source, ...]) -> Teller:
    for source in sources:
        if source.file is None:
            raise UsageError(
                "it is not known how the target learns which database of the server to use",
                where=urls.without_password(source.url),
                do="set `target.database_variable` in perfcrew.toml to the variable that carries the URL",
            )
        tree.refuse_fixed_file(project, source.file)
    root = project.root.resolve()
    files = {s.alias: s.file.relative_to(root) for s in sources if s.file}

    def tell(clone: Clone) -> Clone:
        copy = clone.folder / "tree"
        beside = {root / f"{file}{suffix}" for file in files.values() for suffix in ("", "-wal", "-shm", "-journal")}
        tree.copy(root, copy, frozenset(beside))
        places = {s.alias: urls.with_sqlite_file(s.url, copy / files[s.alias]) for s in sources}
        workdir = copy / project.workdir.resolve().relative_to(root)
        told = tree.environment(project, copy)
        return replace(clone, urls=places, environment=told, source_root=copy, workdir=workdir)

    return tell
