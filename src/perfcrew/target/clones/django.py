"""Django: what its settings really say about databases, and a settings module that points them elsewhere.

The module imports the project's own settings and changes DATABASES alone; it lies in the workspace.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from perfcrew.core.errors import NotDetected, TargetFailed, UsageError
from perfcrew.core.project import Project
from perfcrew.target import spawn
from perfcrew.target.environment import environment_of
from perfcrew.target.leftovers import Registry
from perfcrew.target.redis.guard import guard

MODULE = "perfcrew_settings"
_ASK = """
import json, os, sys
from django.conf import settings
keep = ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT")
with open(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
    json.dump({alias: {k: str(d.get(k) or "") for k in keep} for alias, d in settings.DATABASES.items()}, out)
"""
_SHIM = '''"""The project's settings with the databases of a clone; made by perfcrew, safe to delete."""

import importlib
import json
import os

_real = importlib.import_module(os.environ["PERFCREW_REAL_SETTINGS"])
globals().update({name: value for name, value in vars(_real).items() if not name.startswith("__")})
_names = json.loads(os.environ["PERFCREW_DATABASES"])
DATABASES = {
    alias: {**database, **({"NAME": _names[alias]} if alias in _names else {})}
    for alias, database in _real.DATABASES.items()
}
'''
_ASSIGNED = re.compile(r"environ\[[\"']DJANGO_SETTINGS_MODULE[\"']\]\s*=[^=]")


async def databases(project: Project, workspace: Path, registry: Registry) -> dict[str, str]:
    """The URL of each database by alias, as the settings give it when they are loaded in the target's interpreter.

    Raises TargetFailed where the settings can't be loaded, NotDetected where their module is not known.
    """
    answer = workspace / "django-databases.json"
    kept = {} if project.shared_redis else guard(workspace, uses=bool(project.redis)).environment
    environment = {**environment_of(project, None, kept), "DJANGO_SETTINGS_MODULE": settings_module(project)}
    try:
        await spawn.run(
            [str(project.python), "-c", _ASK, str(answer)],
            cwd=project.workdir,
            environment=environment,
            log=workspace / "django-databases.log",
            registry=registry,
            what="loading Django's settings",
            timeout_s=60,
        )
        found: dict[str, dict[str, str]] = json.loads(answer.read_text())
    except FileNotFoundError as error:
        raise TargetFailed("Django's settings gave no databases", where=str(project.workdir)) from error
    finally:
        answer.unlink(missing_ok=True)
    return {alias: url for alias, database in found.items() if (url := _url(alias, database))}


def settings_module(project: Project) -> str:
    """The settings that the project runs with."""
    module = project.settings_module or project.environment.get("DJANGO_SETTINGS_MODULE")
    if not module:
        raise NotDetected(
            "the Django settings module is not known",
            where=str(project.workdir),
            do='add `settings = "package.settings"` under [target] in perfcrew.toml',
        )
    return module


def _url(alias: str, database: Mapping[str, str]) -> str:
    engine, name = database["ENGINE"].rpartition(".")[2], database["NAME"]
    if engine in ("sqlite3", "spatialite"):
        return f"sqlite:///{name}"
    if engine in ("dummy", ""):
        return ""
    scheme = "mysql" if engine == "mysql" else "postgresql"
    if (
        engine not in ("mysql", "postgresql", "postgresql_psycopg2", "postgis", "psycopg2")
        and "postgres" not in database["ENGINE"]
    ):
        raise UsageError(
            f"no clone can be made of the {engine} database {alias!r}: SQLite, PostgreSQL, MySQL and MariaDB are "
            "supported",
            do="run the review with settings that name one of those",
        )
    host, port = database["HOST"], database["PORT"]
    user = quote(database["USER"], safe="") + (
        f":{quote(database['PASSWORD'], safe='')}" if database["PASSWORD"] else ""
    )
    where = "" if host.startswith("/") else host + (f":{port}" if port else "")
    if scheme == "mysql" and host.startswith("/"):
        return f"mysql://{user}@localhost/{quote(name, safe='')}?unix_socket={quote(host, safe='/')}"
    query = f"?host={quote(host, safe='/')}" + (f"&port={port}" if port else "") if host.startswith("/") else ""
    return f"{scheme}://{user}@{where}/{quote(name, safe='')}{query}"


def write_module(folder: Path) -> None:
    """Put the settings module into a folder of the workspace."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{MODULE}.py").write_text(_SHIM)


def environment(project: Project, folder: Path, names: Mapping[str, str]) -> dict[str, str]:
    """The variables that make Django use these databases: file or database name by alias."""
    return {
        "DJANGO_SETTINGS_MODULE": MODULE,
        "PERFCREW_REAL_SETTINGS": settings_module(project),
        "PERFCREW_DATABASES": json.dumps(dict(names)),
        "PYTHONPATH": str(folder),
    }


def refuse_fixed_settings(project: Project) -> None:
    """Raise UsageError where the project names its settings so that the environment can't name others."""
    for word in project.start:
        if word.startswith("--settings"):
            raise UsageError(
                "the start command names its settings, so the clone's can't be put in their place",
                where=" ".join(project.start),
                do="leave --settings out of `target.start`, and name the module in `target.settings` in perfcrew.toml",
            )
    for file in [p for p in (project.manage_py,) if p] + [*project.workdir.glob("*/[aw]sgi.py")]:
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
            if _ASSIGNED.search(line):
                raise UsageError(
                    "the settings are fixed there, so the clone's can't be put in their place",
                    where=f"{file}:{number}",
                    do='write os.environ.setdefault("DJANGO_SETTINGS_MODULE", …), as Django\'s own template does',
                )
