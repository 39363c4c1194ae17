"""Django: a settings module that imports the project's own and turns every address of a Redis to another server."""

from __future__ import annotations

import json
from pathlib import Path

MODULE = "perfcrew_redis_settings"
_SHIM = '''"""The project's settings with a Redis of the instance's own; made by perfcrew, safe to delete."""

import importlib
import json
import os

from perfcrew_redis_address import is_url, moved

_to = json.loads(os.environ["PERFCREW_REDIS"])
_real = importlib.import_module(os.environ["PERFCREW_REDIS_REAL_SETTINGS"])


def _turned(value, name):
    if isinstance(value, str):
        return moved(value, _to["host"], _to["port"], _to["password"]) if is_url(value, name) else value
    if isinstance(value, dict):
        return _of_parts({key: _turned(one, name + str(key)) for key, one in value.items()}, name)
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        if len(value) == 2 and isinstance(value[0], str) and type(value[1]) is int and "CHANNEL" in name:
            return type(value)((_to["host"], _to["port"]))
        return type(value)(_turned(one, name) for one in value)
    return value


def _of_parts(found, name):
    """Entries such as RQ's `{"HOST": ..., "PORT": ...}` and cacheops' `{"host": ..., "port": ...}`."""
    if not any(word in name.upper() for word in ("REDIS", "RQ", "CACHEOPS", "CHANNEL", "VALKEY")):
        return found
    for host, port in (("HOST", "PORT"), ("host", "port")):
        if isinstance(found.get(host), str) and not is_url(found[host]):
            found = {**found, host: _to["host"], port: _to["port"]}
            found.update({key: None for key in ("PASSWORD", "password") if key in found and not _to["password"]})
    return found


def _of_name(name, value):
    """REDIS_HOST and REDIS_PORT as plain settings."""
    kind = name.rpartition("_")[2]
    if ("REDIS" in name or "VALKEY" in name) and isinstance(value, (str, int)) and not isinstance(value, bool):
        if kind in ("HOST", "PORT"):
            told = _to[kind.lower()]
            return str(told) if isinstance(value, str) else told
    return _turned(value, name)


_settings = {name: value for name, value in vars(_real).items() if not name.startswith("__")}
globals().update({n: _of_name(n, value) if n.isupper() else value for n, value in _settings.items()})
'''


def write_module(folder: Path) -> None:
    """Put the settings module, and what turns addresses, into a folder of the workspace."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{MODULE}.py").write_text(_SHIM, encoding="utf-8")
    own = Path(__file__).with_name("address.py").read_text(encoding="utf-8")
    (folder / "perfcrew_redis_address.py").write_text(own, encoding="utf-8")


def environment(real: str, folder: Path, host: str, port: int, password: str) -> dict[str, str]:
    """The variables that the module reads; `real` is the settings module that it stands before."""
    return {
        "PYTHONPATH": str(folder),
        "DJANGO_SETTINGS_MODULE": MODULE,
        "PERFCREW_REDIS_REAL_SETTINGS": real,
        "PERFCREW_REDIS": json.dumps({"host": host, "port": port, "password": password}),
    }
