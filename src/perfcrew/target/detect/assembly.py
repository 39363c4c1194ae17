"""Puts a Project together: each key from perfcrew.toml where it is given there, else found out, with its reason."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from perfcrew.core.project import Detected, Project, RedisAddress
from perfcrew.target.config import FILE, Config, resolved
from perfcrew.target.detect import chores, database, django, health, redis
from perfcrew.target.detect.apps import App, Apps
from perfcrew.target.detect.chores import Chore
from perfcrew.target.detect.environment import SECRET, Variable, without_services
from perfcrew.target.detect.interpreter import Interpreter
from perfcrew.target.detect.launches import Launch
from perfcrew.target.detect.packaging import project_name
from perfcrew.target.detect.sources import compose_health
from perfcrew.target.detect.tree import Tree
from perfcrew.target.redis.address import without_password

KEYS = (
    *("name", "framework", "python", "app", "settings", "manage", "workdir", "start", "migrate", "prepare", "seed"),
    *("health", "database_url", "database_variable", "database_files", "redis", "redis_variable", "tests", "frontend"),
)
HIDDEN = "(not shown)"
Words = tuple[str, ...]


@dataclass(frozen=True)
class Survey:
    """What is known before the rest is found out."""

    tree: Tree
    apps: Apps
    config: Config
    launch: Launch
    interpreter: Interpreter
    variables: Mapping[str, Variable]
    releases: tuple[Chore, ...] = ()
    python_given: bool = False


@dataclass
class Assembly:
    """Finds the remaining keys of one Project, and remembers how it came to each."""

    survey: Survey
    detected: list[Detected] = field(default_factory=list)

    def project(self) -> Project:
        """The Project; its `detected` lists the keys in the order of perfcrew.toml."""
        one, target = self.survey, self.survey.config.target
        app = self._app()
        fields: dict[str, object] = {
            "root": one.tree.home,
            "name": target.name
            or self._noted("name", project_name(one.launch.workdir), "pyproject.toml or folder", "its name"),
            "framework": self._framework(),
            "python": self._python(),
            "app": app,
            "factory": bool(app and app.endswith(")")),
            "settings_module": self._settings,
            "manage_py": self._manage,
            "start": self._start(),
            "workdir": self._noted("workdir", one.launch.workdir, one.launch.source, "where the start command is run"),
            "migrate": self._chore("migrate", target.migrate, self._migration),
            "prepare": self._prepare(),
            "environment": dict(self.environment),
            "health": self._health(),
            **self._database(),
            "redis": self._redis(),
            "tests": self._chore("tests", target.tests, self._tests),
            "frontend": self._frontend(),
            **self._plain(),
        }
        order = [*KEYS, *(f"environment.{name}" for name in self.environment)]
        ordered = sorted(self.detected, key=lambda d: order.index(d.key) if d.key in order else len(order))
        return Project.model_validate({**fields, "detected": tuple(ordered)})

    def _plain(self) -> dict[str, object]:
        """What is only ever given."""
        config, target = self.survey.config, self.survey.config.target
        given = {
            "methods": target.methods,
            "start_timeout_s": target.start_timeout_s,
            "profile": config.review.profile,
            "shared_redis": target.shared_redis,
        }
        seed = self._chore("seed", target.seed if target.seed is not None else config.data.seed or None, self._seed)
        return {
            "auth": config.auth.model_dump(),
            "other_user": config.other_user.model_dump() if config.other_user else None,
            "scenarios": config.scenarios,
            "exclude": target.exclude,
            "workload": config.workload,
            "data": config.data.model_copy(update={"seed": seed}),
            **{key: value for key, value in given.items() if value is not None},
        }

    def _note(self, key: str, value: object, source: str, why: str) -> None:
        self.detected.append(Detected(key=key, value=str(value), source=source, why=why))

    def _noted(self, key: str, value: object, source: str, why: str) -> object:
        given = getattr(self.survey.config.target, key) is not None
        self._note(key, value, *((FILE, "given") if given else (source, why)))
        return value

    def _given(self, key: str, value: object) -> None:
        self._note(key, value, FILE, "given")

    def _framework(self) -> str:
        one = self.survey
        if one.config.target.framework:
            self._given("framework", one.launch.framework)
        else:
            self._note("framework", one.launch.framework, one.launch.source, "what the application is made with")
        return one.launch.framework

    def _python(self) -> Path:
        found = self.survey.interpreter
        given = self.survey.config.target.python and not self.survey.python_given
        source = FILE if given else found.source
        foreign = not any(
            found.path.is_relative_to(f) for f in (self.survey.tree.home, *self.survey.tree.home.parents[:1])
        )
        lacks = f"; lacks {', '.join(found.lacks[:5])}, which the project imports" if foreign and found.lacks else ""
        why = f"Python {found.version}, can import {self.survey.launch.framework}{lacks}"
        self._note("python", found.path, source, why)
        return found.path

    def _app(self) -> str | None:
        one = self.survey
        found: App | None = one.launch.app or self._django_app()
        given = one.config.target.app
        if given and ":" in given and not (found and given in (found.target, f"{found.module}:{found.attribute}")):
            self._given("app", given)
            return given
        if found is None:
            return None
        source = FILE if given else one.tree.shown(found.path, found.line)
        self._note("app", found.target, source, "given" if given else one.launch.why)
        return found.target

    def _django_app(self) -> App | None:
        if self.survey.launch.framework != "django":
            return None
        inside = [a for a in self.survey.apps.all if a.path.is_relative_to(self.survey.launch.workdir)]
        return next((a for name in ("wsgi", "asgi") for a in inside if a.path.stem == name), None)

    @cached_property
    def _manage(self) -> Path | None:
        one = self.survey
        if one.config.target.manage is not None:
            self._given("manage", one.config.target.manage)
            return one.tree.home / one.config.target.manage if one.config.target.manage else None
        if one.launch.framework != "django":
            return None
        nearby = [one.launch.manage, one.launch.workdir / "manage.py", *one.tree.named(r"manage\.py")]
        path = next((p for p in nearby if p and p.is_file()), None)
        if path:
            self._note("manage", one.tree.shown(path), one.tree.shown(path), "Django's command line of this project")
        return path

    @cached_property
    def _settings(self) -> str | None:
        one = self.survey
        if one.config.target.settings is not None:
            self._given("settings", one.config.target.settings)
            return one.config.target.settings or None
        if one.launch.framework != "django":
            return None
        named = {
            **{k: v.value for k, v in one.variables.items()},
            **one.launch.environment,
            **one.config.target.environment,
        }
        found = django.settings_module(one.tree, one.launch.workdir, named)
        if found is None:
            return None
        self._note("settings", found.module, found.source, "what it sets DJANGO_SETTINGS_MODULE to")
        return found.module

    def _start(self) -> Words:
        launch = self.survey.launch
        words = self.survey.interpreter.resolved(launch.words)
        self._note("start", " ".join(launch.words), launch.source, launch.why)
        return words

    def _prepare(self) -> tuple[Words, ...]:
        one = self.survey
        if one.config.target.prepare is not None:
            self._given("prepare", one.config.target.prepare)
            return tuple(one.interpreter.resolved(words) for words in one.config.target.prepare)
        before = [chore for chore in self._before() if not chores.is_migration(chore.words)]
        found = list(dict.fromkeys(chore.words for chore in before))
        left = (
            f"; left out, as it writes into the project: {', '.join(one.launch.left_out)}"
            if one.launch.left_out
            else ""
        )
        if found or left:
            shown = "; ".join(" ".join(words) for words in found)
            self._note(
                "prepare",
                shown,
                before[0].source if before else one.launch.source,
                f"run before the server there{left}",
            )
        return tuple(one.interpreter.resolved(words) for words in found)

    def _before(self) -> list[Chore]:
        """The commands that the project's files run before the server."""
        one = self.survey
        own = [Chore(words, one.launch.source, "run before the server there") for words in one.launch.prepare]
        return [*one.releases, *own]

    def _chore(self, key: str, given: Words | None, find: Callable[[], Chore | None]) -> Words:
        """A command: the given one, or the one found."""
        if given is not None:
            self._given(key, " ".join(given))
            return self.survey.interpreter.resolved(given)
        chore = find()
        if chore is None:
            return ()
        self._note(key, " ".join(chore.words), chore.source, chore.why)
        return self.survey.interpreter.resolved(chore.words)

    def _migration(self) -> Chore | None:
        one = self.survey
        ran = [chore for chore in self._before() if chores.is_migration(chore.words)]
        if ran or one.launch.package:
            return ran[0] if ran else None
        flask = chores.flask_head(one.launch.app, one.launch.words)
        return chores.migration(one.tree, one.launch.workdir, one.launch.framework, flask)

    def _tests(self) -> Chore | None:
        one = self.survey
        return chores.tests(one.tree, one.launch.workdir, one.launch.framework, one.interpreter)

    def _seed(self) -> Chore | None:
        launch = self.survey.launch
        flask = chores.flask_head(launch.app, launch.words) if launch.framework in ("flask", "quart") else ()
        return chores.seed(self.survey.tree, launch.workdir, self._manage, flask)

    def _frontend(self) -> Path | None:
        one = self.survey
        given = one.config.target.frontend
        if given is not None:
            self._given("frontend", given)
            return Path(os.path.normpath(one.tree.home / given)) if given else None
        found = chores.frontend(one.tree)
        if found:
            self._note(
                "frontend", one.tree.shown(found[0]), one.tree.shown(found[0] / "package.json"), f"it needs {found[1]}"
            )
        return found[0] if found else None

    def _health(self) -> str | None:
        one = self.survey
        if one.config.target.health is not None:
            self._given("health", one.config.target.health)
            return one.config.target.health or None
        own = (one.launch.health, one.launch.source) if one.launch.health else None
        if checked := own or compose_health(one.tree, one.launch.workdir):
            self._note("health", *checked, "its health check asks it")
            return checked[0]
        found = health.find(one.tree, one.launch.workdir)
        if found:
            self._note("health", found.path, found.source, "a route of that name")
        return found.path if found else None

    @cached_property
    def environment(self) -> Mapping[str, str]:
        """The target's variables: the files', the start command's, the settings module, then the given."""
        one = self.survey
        defaults = database.with_default(self._reads)
        merged: dict[str, str] = {}
        for variable in without_services(one.variables, defaults).values():
            merged[variable.name] = variable.value
            shown = HIDDEN if variable.private or SECRET.match(variable.name) else variable.value
            self._note(f"environment.{variable.name}", shown, variable.source, variable.why)
        for name, value in one.launch.environment.items():
            merged[name] = value
            self._note(f"environment.{name}", value, one.launch.source, "the start command needs it")
        if self._settings and one.launch.framework == "django":
            merged["DJANGO_SETTINGS_MODULE"] = self._settings
        for name, value in one.config.target.environment.items():
            merged[name] = resolved(value, f"{FILE} [target.environment] {name}")
            self._given(f"environment.{name}", value)
        return {name: value for name, value in merged.items() if "\0" not in value}

    @cached_property
    def _reads(self) -> tuple[database.Read, ...]:
        return database.reads_of(self.survey.tree, self.survey.launch.workdir)

    def _database(self) -> dict[str, object]:
        one, target = self.survey, self.survey.config.target
        found = self._found_database()
        url, files = (found.url, found.files) if found else (None, ())
        variable = found.variable if found else None
        if target.database_url is not None:
            self._given("database_url", target.database_url)
            url = resolved(target.database_url, f"{FILE} [target] database_url") or None
            if url != (found.url if found else None):
                files = database.sqlite_files(url or "", one.launch.workdir)
        elif found and url:
            self._note("database_url", database.hidden(url), found.source, found.why)
        elif found:
            self._note("database_url", "", found.source, found.why)
        if target.database_variable is not None:
            self._given("database_variable", target.database_variable)
            variable = target.database_variable or None
        elif variable and found:
            self._note("database_variable", variable, found.source, "the variable that carries the URL")
        if target.database_files is not None:
            self._given("database_files", target.database_files)
            files = tuple(Path(os.path.normpath(one.tree.home / name)) for name in target.database_files)
        return {"database_url": url, "database_variable": variable, "database_files": files}

    def _redis(self) -> tuple[RedisAddress, ...]:
        one, given = self.survey, self.survey.config.target.redis_variable
        if given is not None:
            self._given("redis_variable", given)
        asked = one.launch.framework == "django" and self._settings and given is None
        found = redis.find(one.tree, given, self._answer.redis if asked else ())
        for address in found:
            told = ", ".join(address.variables) or without_password(address.url or "")
            why = "carries it" if address.variables else "written out in the source"
            self._note("redis", told, address.source, "in Django's settings" if address.settings else why)
        return found

    @cached_property
    def _answer(self) -> django.Answer:
        """What Django's settings say; they are known to be there."""
        one = self.survey
        shared = bool(one.config.target.shared_redis)
        return django.ask(
            one.interpreter.path, one.launch.workdir, self._settings or "", self.environment, shared_redis=shared
        )

    def _found_database(self) -> database.Database | None:
        one, launch = self.survey, self.survey.launch
        sources = {name: v.source for name, v in one.variables.items()}
        instance = launch.framework == "flask" and "flask_sqlalchemy" in one.interpreter.modules
        written = database.find(one.tree, self._reads, launch.workdir, self.environment, sources, instance=instance)
        if launch.framework != "django" or not self._settings:
            return written
        answer = self._answer
        default = answer.databases.get("default")
        if default is None:
            why = f"{written.why if written else 'not known'}; the settings could not be asked: {answer.problem}"
            return database.Database(None, None, (), self._settings, why) if written is None else written
        url = django.url_of(default)
        files = database.sqlite_files(url, launch.workdir) if url else ()
        return database.Database(
            url, written.variable if written else None, files, self._settings, "DATABASES of the settings"
        )
