"""Asks Django for what only its settings know: in the target's interpreter, in a process of its own, in time."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from perfcrew.target.detect.tree import Tree
from perfcrew.target.environment import layered
from perfcrew.target.redis import overlay
from perfcrew.target.redis.guard import guard

ASK_TIMEOUT_S = 60.0
_SETTINGS = re.compile(r"DJANGO_SETTINGS_MODULE[\"']?\s*[,=\]\)]+\s*[=]?\s*[\"']?([A-Za-z_][\w.]*)")
_ASK = """
import json, sys
sys.path.insert(0, "")
from django.conf import settings
from perfcrew_redis_turning import Turning
kept = ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT")
databases = {k: {n: str(v.get(n) or "") for n in kept} for k, v in settings.DATABASES.items()}
turning = Turning({"host": "", "port": 0, "password": "", "socket": ""})
for name in [n for n in dir(settings) if n.isupper() and n != "DATABASES"]:
    turning.setting(name, getattr(settings, name))
wsgi, asgi = (getattr(settings, n, None) for n in ("WSGI_APPLICATION", "ASGI_APPLICATION"))
print("\\n" + json.dumps({"databases": databases, "wsgi": wsgi, "asgi": asgi, "debug": bool(settings.DEBUG),
                         "redis": sorted(set(turning.found))}))
"""
SCHEMES = {"postgresql": "postgresql", "postgis": "postgresql", "mysql": "mysql", "oracle": "oracle"}


@dataclass(frozen=True)
class Answer:
    """What the settings say, or why they could not be asked."""

    databases: Mapping[str, Mapping[str, str]]
    problem: str = ""
    debug: bool = False
    redis: tuple[str, ...] = ()
    """Every URL of a Redis that stands in them."""


@dataclass(frozen=True)
class Settings:
    """The settings module, and the file that names it."""

    module: str
    source: str


def settings_module(tree: Tree, workdir: Path, environment: Mapping[str, str]) -> Settings | None:
    """The settings module: by the environment, `manage.py`, `wsgi.py` or `asgi.py`, then pytest's configuration."""
    if named := environment.get("DJANGO_SETTINGS_MODULE"):
        return Settings(named, "environment")
    inside = [p for p in tree.python if p.is_relative_to(workdir)]
    entries = [p for name in ("manage.py", "wsgi.py", "asgi.py") for p in inside if p.name == name]
    configured = [workdir / name for name in ("pytest.ini", "pyproject.toml", "setup.cfg", "tox.ini")]
    for path in [*entries, *configured]:
        for module in _SETTINGS.findall(tree.text(path)):
            if _exists(workdir, module):
                return Settings(module, tree.shown(path))
    found = next((p for p in inside if p.name == "settings.py"), None)
    return Settings(tree.module_name(found), tree.shown(found)) if found else None


def _exists(workdir: Path, module: str) -> bool:
    for base in (workdir, workdir / "src"):
        path = base.joinpath(*module.split("."))
        if path.with_name(f"{path.name}.py").is_file() or (path / "__init__.py").is_file():
            return True
    return not (workdir / module.partition(".")[0]).exists()


def ask(
    python: Path, workdir: Path, settings: str, environment: Mapping[str, str], *, shared_redis: bool = False
) -> Answer:
    """DATABASES as the target's own interpreter reads them. Never raises: the answer carries the problem.

    Settings that write to a Redis when they are loaded are kept from it, unless it is shared.
    """
    ours = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV", "DJANGO_SETTINGS_MODULE")}
    with TemporaryDirectory(prefix="perfcrew-") as folder:
        kept = {} if shared_redis else guard(Path(folder)).environment
        overlay.write_module(Path(folder))
        own = {"DJANGO_SETTINGS_MODULE": settings, "PYTHONDONTWRITEBYTECODE": "1"}
        return _asked(python, workdir, {**layered(ours, environment, {"PYTHONPATH": folder}, kept), **own})


def _asked(python: Path, workdir: Path, known: Mapping[str, str]) -> Answer:
    try:
        answer = subprocess.run(
            [python, "-c", _ASK],
            cwd=workdir,
            env=known,
            capture_output=True,
            text=True,
            timeout=ASK_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return Answer({}, f"no answer within {ASK_TIMEOUT_S:g} s")
    if answer.returncode:
        return Answer({}, (answer.stderr.strip().splitlines() or ["no output"])[-1])
    said = json.loads(answer.stdout.strip().splitlines()[-1])
    return Answer(said["databases"], debug=said["debug"], redis=tuple(said["redis"]))


def url_of(database: Mapping[str, str]) -> str | None:
    """The URL of one entry of DATABASES; None for engines that we have no URL for."""
    engine, name = database["ENGINE"].rpartition(".")[2], database["NAME"]
    if "sqlite" in engine or "spatialite" in engine:
        return None if ":memory:" in name or not name else f"sqlite:///{name}"
    scheme = SCHEMES.get(engine)
    if scheme is None:
        return None
    password = f":{database['PASSWORD']}" if database["PASSWORD"] else ""
    user = f"{database['USER']}{password}@" if database["USER"] else ""
    port = f":{database['PORT']}" if database["PORT"] else ""
    return f"{scheme}://{user}{database['HOST'] or 'localhost'}{port}/{name}"
