"""Writes perfcrew.toml: each key with what was detected, where, and why, so that a person can check and change it.

What was read from a private file, or holds for this machine only, stands there as a comment: it is found anew each
time. Nothing is overwritten unless asked.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from perfcrew.core.errors import UsageError
from perfcrew.core.project import Auth, DataPlan, Detected, Project, Workload
from perfcrew.target.config import FILE
from perfcrew.target.detect.interpreter import plain

KEPT_SOURCES = (FILE, "given")
_HEAD = """\
# How perfcrew runs and reviews this project. Made by `perfcrew init`, yours to change and to commit.
# A key that is commented out is detected anew each time, or is at its default.
# Write secrets as env:NAME; commands as one string or a list, with {host} and {port} where the server gets its own,
# and {free_port} for a second port that it opens; in [target.environment] too.
"""
_TAIL = """
# [frame]
# primary_metric = "latency"
# context = "what it is for: who waits for what, and what changed lately"
# constraints = ["no new service", "answers stay as they are"]

# [[ignore]]
# rule = "DB101"
# file = "src/shop/legacy.py"
# reason = "the page is going away"

# [[acknowledge]]
# rule = "DB105"
# endpoint = "GET /export"
# until = 2030-01-31
# reason = "paging comes with the next version"

# [rules.DB101]
# repeats = 10
"""


def document(project: Project) -> str:
    """The text of perfcrew.toml for a project: `config.load` reads it, and detection comes to the same project."""
    parts = [_HEAD, "[target]", *_target(project), "", "[target.environment]", *_environment(project), ""]
    parts += [
        *_auth(project),
        *_scenarios(project),
        *_workload(project),
        *_data(project.data),
        *_review(project),
        _TAIL,
    ]
    return "\n".join(parts)


def write(root: Path, project: Project, force: bool = False) -> Path:
    """Write the document to `root`, whole or not at all; returns its path.

    Raises UsageError where there is one and `force` is not given, or the folder can't be written.
    """
    path = root / FILE
    if path.exists() and not force:
        raise UsageError(f"{FILE} is there already", where=str(path), do="edit it, or give --force to replace it")
    text = document(project)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{FILE}.", dir=root)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as error:
        raise UsageError(f"{FILE} can't be written: {error}", where=str(path), do="check the folder's rights") from None
    return path


def _target(project: Project) -> Iterable[str]:
    how = {d.key: d for d in project.detected}
    for key, value, default in _keys(project):
        found = how.get(key)
        if found:
            yield _comment(found)
        if value is None or value == default:
            given_none = found is not None and found.source == FILE and not value
            yield f"{key} = {_toml(_empty(default))}" if given_none else f"# {key} = {_toml(_empty(default))}"
        elif _for_here_only(key, value, found, project):
            yield f"# {key} = {_toml(found.value if found else '')}"
        else:
            yield f"{key} = {_toml(_reference(found) or value)}"


def _empty(default: object) -> object:
    return "" if default is None else default


def _reference(found: Detected | None) -> str | None:
    """`env:NAME`, where the value came by one."""
    is_reference = found and found.source == FILE and "env:" in found.value
    return found.value if found and is_reference else None


def _comment(found: Detected) -> str:
    text = " ".join(f"{found.source}: {found.why}".split())
    return f"# {text.encode('utf-8', 'replace').decode()}".translate({c: " " for c in (*range(32), 127)})


def _for_here_only(key: str, value: object, found: Detected | None, project: Project) -> bool:
    """Whether a detected value is better found anew: it is private, or a path of this machine."""
    if found is None or found.source in KEPT_SOURCES:
        return False
    if key == "python":
        return not project.python.is_relative_to(project.root)
    shown = found.value
    hidden = key == "database_url" and shown != value
    return hidden or (key in ("database_url",) and str(project.root) in str(value)) or key == "database_files"


def _keys(project: Project) -> Iterable[tuple[str, object, object]]:
    """The keys of `[target]` in the order of the file: name, value, and the default that needs no writing."""
    root, python = project.root, project.python
    yield "name", project.name, None
    yield "framework", project.framework, None
    yield "python", _below(root, python), None
    yield "app", project.app, None
    yield "settings", project.settings_module, None
    yield "manage", _below(root, project.manage_py), None
    yield "workdir", _below(root, project.workdir), None
    yield "start", plain(python, project.start), None
    yield "migrate", plain(python, project.migrate), ()
    yield "prepare", tuple(plain(python, words) for words in project.prepare), ()
    yield "seed", plain(python, project.data.seed), ()
    yield "health", project.health, None
    yield "database_url", project.database_url, None
    yield "database_variable", project.database_variable, None
    yield "database_files", [_below(root, path) for path in project.database_files], []
    yield "redis_variable", _redis_variable(project), None
    yield "shared_redis", project.shared_redis, False
    yield "tests", plain(python, project.tests), ()
    yield "frontend", _below(root, project.frontend), None
    yield "start_timeout_s", project.start_timeout_s, 60.0
    yield "methods", list(project.methods), ["GET", "HEAD"]
    yield "exclude", list(project.exclude), []


def _redis_variable(project: Project) -> str | None:
    """The variable that the user gave; what is detected is detected anew."""
    found = next((d for d in project.detected if d.key == "redis_variable"), None)
    return found.value if found else None


def _below(root: Path, path: Path | None) -> str | None:
    """The path relative to the root where it lies below it."""
    if path is None:
        return None
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _environment(project: Project) -> Iterable[str]:
    how = {d.key.removeprefix("environment."): d for d in project.detected if d.key.startswith("environment.")}
    for name, value in project.environment.items():
        found = how.get(name)
        if name == "DJANGO_SETTINGS_MODULE" and found is None and value == project.settings_module:
            continue
        if found is None or found.source == FILE:
            yield f"{_key(name)} = {_toml(found.value if found else value)}"
        else:
            yield f"{_comment(found)}\n# {_key(name)} = {_toml(found.value)}"


def _auth(project: Project) -> Iterable[str]:
    if project.auth == type(project.auth)():
        yield '# [auth]\n# headers = { Authorization = "env:API_TOKEN" }\n'
    else:
        yield from _user("auth", project.auth)
    if project.other_user:
        yield from _user("other_user", project.other_user)


def _user(table: str, auth: Auth) -> Iterable[str]:
    given = auth.model_dump(exclude_defaults=True)
    login = given.pop("login", None)
    yield from _table(table, given)
    if login:
        yield from _table(f"{table}.login", login)


def _scenarios(project: Project) -> Iterable[str]:
    for scenario in project.scenarios:
        content = scenario.model_dump(exclude_none=True)
        yield from _table("scenarios", content, "[[{}]]")
    if not project.scenarios:
        yield '# [[scenarios]]\n# name = "search"\n# requests = [{ path = "/search?q=tea" }]\n'


def _workload(project: Project) -> Iterable[str]:
    given = project.workload.model_dump(exclude_none=True)
    if project.workload == Workload():
        yield "# [workload]\n# users = 500\n# request_every_s = 10.0\n# peak_rps = 50.0\n# concurrency = 4\n"
    else:
        yield from _table("workload", given)


def _data(data: DataPlan) -> Iterable[str]:
    given = data.model_dump(exclude={"seed"})
    if given == DataPlan().model_dump(exclude={"seed"}):
        yield "# [data]\n# rows = 2000\n# sizes = [200, 400, 800]\n"
    else:
        yield from _table("data", given)


def _review(project: Project) -> Iterable[str]:
    active = "" if project.profile != "web-api" else "# "
    yield f"{active}[review]\n{active}profile = {_toml(project.profile)}"
    yield '# level = "medium"'


def _table(name: str, content: Mapping[str, object], head: str = "[{}]") -> Iterable[str]:
    yield head.format(name)
    yield from (f"{_key(key)} = {_toml(value)}" for key, value in content.items())
    yield ""


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else _string(name)


def _toml(value: object) -> str:
    """A value as TOML. A tuple of words is a command: one string, as it would be typed."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(str(k))} = {_toml(v)}" for k, v in value.items() if v is not None) + " }"
    if isinstance(value, tuple) and value and all(isinstance(word, str) for word in value):
        return _string(_typed(value))
    if isinstance(value, Sequence):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return _string(str(value))


def _typed(words: Sequence[str]) -> str:
    """The command as a person would type it: our placeholders need no quotes."""
    quoted = shlex.join(words)
    plainer = re.sub(r"'([\w{}:=./-]+)'", r"\1", quoted)
    return plainer if shlex.split(plainer) == list(words) else quoted


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
