"""Collects the start commands that a project's files give, in the order in which they are believed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from perfcrew.target.detect import dockerfile, shell
from perfcrew.target.detect.packaging import console_scripts
from perfcrew.target.detect.tree import Tree

ORDER = ("Dockerfile", "Procfile", "compose", "console script", "manage.py", "README")
COMPOSE = r"(docker-)?compose([.-].+)?\.ya?ml"
CARRIED = re.compile(
    r"DJANGO_|FLASK_|QUART_|APP_|SETTINGS|CONFIG|ENVIRONMENT$|ENV$|_MODULE$|DEBUG$|WEB_CONCURRENCY$|UVICORN_WORKERS$"
)
NOT_CARRIED = re.compile(
    r"FLASK_ENV$|FLASK_DEBUG|FLASK_RUN_|QUART_DEBUG|PIP_|POETRY_|UV_|NODE_|VIRTUAL_ENV|.*_HOME$|.*DIR$|.*PATH$"
)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n]*\n(.*?)^[ \t]*(?:```|~~~)", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"^(?: {3,}|\t)(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Written:
    """The commands that one place in the project's files gives for starting it."""

    kind: str
    """One of ORDER."""
    source: str
    """`Dockerfile:12`."""
    folder: Path
    commands: tuple[shell.Command, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    """The service's or process's name, where the file gives one."""
    health: str | None = None
    paths: tuple[str, ...] = ()
    """Folders on the import path, relative to the working directory."""
    release: bool = False
    """Only prepares, such as a Procfile's `release:`."""


def written(tree: Tree, environment: Mapping[str, str]) -> list[Written]:
    """Every start command that the files give, the surest kind first, and within it the shallowest file first."""
    found = [
        *_dockerfiles(tree, environment),
        *_procfiles(tree, environment),
        *_composes(tree, environment),
        *_scripts(tree),
        *_manage(tree),
        *_readmes(tree, environment),
    ]
    return [entry for entry in found if entry.commands]


def _dockerfiles(tree: Tree, environment: Mapping[str, str]) -> Iterator[Written]:
    for path in tree.named(r"(Docker|Container)file(\..+)?|.+\.dockerfile"):
        stage = dockerfile.last_stage(tree.text(path))
        if stage is None:
            continue
        known = {**stage.environment, **environment}
        commands = [shell.Command(tuple(c.words), c.environment, c.folder) for c in _of_stage(tree, path, stage, known)]
        carried = {k: v for k, v in stage.environment.items() if CARRIED.match(k) and not NOT_CARRIED.match(k) and v}
        yield Written(
            "Dockerfile",
            tree.shown(path, stage.line),
            path.parent,
            tuple(commands),
            carried,
            "",
            stage.health,
            _paths(stage),
        )


def _paths(stage: dockerfile.Stage) -> tuple[str, ...]:
    """The folders of the image's PYTHONPATH, seen from its WORKDIR."""
    named = stage.environment.get("PYTHONPATH", "").split(":")
    inside = (os.path.relpath(os.path.join(stage.workdir, name), stage.workdir) for name in named if name)
    return tuple(path for path in inside if not path.startswith(".."))


def _of_stage(tree: Tree, path: Path, stage: dockerfile.Stage, known: Mapping[str, str]) -> list[shell.Command]:
    command = _parsed(stage.command, known)
    if not stage.entrypoint:
        return _opened(tree, path.parent, command, known)
    entry = _parsed(stage.entrypoint, known)
    opened = _opened(tree, path.parent, entry, known, passed=command)
    if opened != entry:
        return opened
    if isinstance(stage.entrypoint, list) and isinstance(stage.command, list):
        return _opened(tree, path.parent, shell.of_words([*stage.entrypoint, *stage.command], known), known)
    return _opened(tree, path.parent, [*entry, *command], known)


def _parsed(form: list[str] | str | None, known: Mapping[str, str]) -> list[shell.Command]:
    if not form:
        return []
    if isinstance(form, list):
        return shell.of_words(form, known)
    return shell.commands(form, known)


def _opened(
    tree: Tree,
    near: Path,
    commands: Iterable[shell.Command],
    known: Mapping[str, str],
    passed: list[shell.Command] | None = None,
) -> list[shell.Command]:
    """The commands, with those that run a shell script of the project replaced by what the script runs."""
    found: list[shell.Command] = []
    for command in commands:
        script, arguments = _script(tree, near, command)
        if script is None:
            found.append(command)
            continue
        for inner in shell.commands(tree.text(script), {**known, **command.environment}):
            if inner.words[0] in ("$@", "$*"):
                given = shell.of_words(arguments, known) if arguments else passed or []
                found += _opened(tree, near, given, known)
            elif not _script(tree, near, inner)[0]:
                found.append(inner)
            else:
                found += _opened(tree, near, [inner], known, passed) if _script(tree, near, inner)[0] != script else []
    return found


def _script(tree: Tree, near: Path, command: shell.Command) -> tuple[Path | None, list[str]]:
    """The shell script of the tree that a command runs, and the arguments it is given."""
    words = list(command.words)
    if os.path.basename(words[0]) in {*shell.SHELLS, "source", "."}:
        words = [w for w in words[1:] if not w.startswith("-")]
    if not words or ("/" not in words[0] and not words[0].endswith(".sh")):
        return None, []
    name = os.path.basename(words[0])
    found = [p for p in tree.named(re.escape(name)) if _is_shell(tree, p)]
    suffix = words[0].lstrip("./")
    found.sort(key=lambda p: (not p.is_relative_to(near), not p.as_posix().endswith(suffix)))
    return (found[0] if found else None), words[1:]


def _is_shell(tree: Tree, path: Path) -> bool:
    first = tree.text(path)[:80].partition("\n")[0]
    return path.suffix in (".sh", ".bash") or (first.startswith("#!") and first.rstrip().endswith("sh"))


def _procfiles(tree: Tree, environment: Mapping[str, str]) -> Iterator[Written]:
    for path in tree.named(r"Procfile(\..+)?"):
        for number, line in enumerate(tree.text(path).splitlines(), start=1):
            name, colon, text = line.partition(":")
            name = name.strip()
            if (
                not colon
                or name.startswith("#")
                or not (name == "release" or name.startswith(("web", "api", "server", "app")))
            ):
                continue
            commands = _opened(tree, path.parent, shell.commands(text.strip(), environment), environment)
            source = tree.shown(path, number)
            yield Written("Procfile", source, path.parent, tuple(commands), name=name, release=name == "release")


def _composes(tree: Tree, environment: Mapping[str, str]) -> Iterator[Written]:
    for path in tree.named(COMPOSE):
        content = _yaml(tree.text(path))
        services = content.get("services")
        for name, service in services.items() if isinstance(services, dict) else ():
            if isinstance(service, dict) and (service.get("command") or service.get("entrypoint")):
                yield _service(tree, path, str(name), service, environment)


def _service(tree: Tree, path: Path, name: str, service: dict[str, Any], environment: Mapping[str, str]) -> Written:
    forms = [_form(service.get("entrypoint")), _form(service.get("command"))]
    build = service.get("build")
    context = build.get("context", ".") if isinstance(build, dict) else build or "."
    folder = Path(os.path.normpath(path.parent / str(context)))
    commands = [c for form in forms for c in _parsed(form, environment)]
    line = next((n for n, t in enumerate(tree.text(path).splitlines(), 1) if t.strip().startswith(f"{name}:")), 1)
    check = service.get("healthcheck")
    health = dockerfile.health_path(str(check.get("test", ""))) if isinstance(check, dict) else None
    opened = _opened(tree, folder, commands, environment)
    return Written("compose", tree.shown(path, line), folder, tuple(opened), name=name, health=health)


def compose_health(tree: Tree, workdir: Path) -> tuple[str, str] | None:
    """The path of the health check that a compose file has for the service built from `workdir`, and the file."""
    for path in tree.named(COMPOSE):
        services = _yaml(tree.text(path)).get("services")
        for name, service in services.items() if isinstance(services, dict) else ():
            if isinstance(service, dict) and service.get("build"):
                found = _service(tree, path, str(name), service, {})
                if found.health and found.folder == workdir:
                    return found.health, found.source
    return None


def _form(value: object) -> list[str] | str | None:
    if isinstance(value, list):
        return [str(v).replace("$$", "$") for v in value]
    return value.replace("$$", "$") if isinstance(value, str) else None


def _yaml(text: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return content if isinstance(content, dict) else {}


def _scripts(tree: Tree) -> Iterator[Written]:
    for script in console_scripts(tree):
        command = shell.Command((script.name,))
        yield Written("console script", script.source, script.folder, (command,), name=script.name)


def _manage(tree: Tree) -> Iterator[Written]:
    for path in tree.named("manage.py"):
        if "django" in tree.text(path):
            yield Written(
                "manage.py", tree.shown(path), path.parent, (shell.Command(("python", "manage.py", "runserver")),)
            )


def _readmes(tree: Tree, environment: Mapping[str, str]) -> Iterator[Written]:
    for path in tree.named(r"(README|INSTALL|CONTRIBUTING|DEVELOPMENT)(\.\w+)?"):
        text = tree.text(path)
        for block in _FENCE.findall(text) or ["\n".join(_INDENTED.findall(text))]:
            for line in block.splitlines():
                commands = shell.commands(re.sub(r"^\s*(?:\$|>|%)\s+", "", line), environment)
                at = text.count("\n", 0, max(text.find(line.strip()), 0)) + 1
                if commands:
                    yield Written("README", tree.shown(path, at), path.parent, tuple(commands))
