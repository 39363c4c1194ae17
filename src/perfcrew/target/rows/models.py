"""Asks the application's models what they allow where the database allows any text.

SQLAlchemy keeps an Enum in a plain VARCHAR, Django its `choices` likewise, and the name of a file: a row with another
value, or with a file that is not there, makes the application fail when it reads it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from perfcrew.core.errors import TargetFailed
from perfcrew.core.project import Project
from perfcrew.target import spawn
from perfcrew.target.clones import django
from perfcrew.target.clones.instance import Clone
from perfcrew.target.environment import BYTECODE, environment_of, layered
from perfcrew.target.leftovers import Registry
from perfcrew.target.redis.private import private
from perfcrew.target.rows.grow import Choices, Files

_SCRIPT = Path(__file__).with_name("_models.py")
_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Allowed:
    """For `grow(choices=…, files=…)`; `note` says why nothing is known, empty where the models were asked."""

    choices: Choices = field(default_factory=dict)
    files: Files = field(default_factory=dict)
    note: str = ""


async def allowed(project: Project, clone: Clone, *, workspace: Path, registry: Registry) -> Allowed:
    """Import the application in its own interpreter, on this clone, and read its models' enumerations."""
    environment = environment_of(project, clone, bytecode=workspace / BYTECODE)
    if project.framework == "django":
        environment.setdefault("DJANGO_SETTINGS_MODULE", django.settings_module(project))
    elif not project.app:
        return Allowed(note="the models' enumerations are not known: no application object is known to import")
    module = "" if project.framework == "django" or not project.app else project.app.partition(":")[0]
    answer = workspace / "models.json"
    try:
        async with private(project, environment, workspace=workspace, registry=registry, name="models") as redis:
            await spawn.run(
                [str(project.python), str(_SCRIPT), str(answer), module],
                cwd=clone.workdir or project.workdir,
                environment=layered(environment, redis.environment),
                log=workspace / "models.log",
                registry=registry,
                what="reading the models' enumerations",
                timeout_s=_TIMEOUT_S,
            )
        found = json.loads(answer.read_text())
    except TargetFailed as error:
        last = error.tail.splitlines()[-1] if error.tail else error.what
        return Allowed(note=f"the models' enumerations are not known: {last}")
    finally:
        answer.unlink(missing_ok=True)
    return Allowed(
        {table: {c: tuple(v) for c, v in columns.items()} for table, columns in found["choices"].items()},
        {table: tuple(columns) for table, columns in found["files"].items()},
    )
