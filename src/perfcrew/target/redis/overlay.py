"""Django: a settings module that imports the project's own and turns every address of a Redis to another server."""

from __future__ import annotations

import json
from pathlib import Path

from perfcrew.target.redis.server import Server

MODULE = "perfcrew_redis_settings"
_SHIM = '''"""The project's settings with a Redis of the instance's own; made by perfcrew, safe to delete."""

import importlib
import json
import os

from perfcrew_redis_turning import Turning

_turning = Turning(json.loads(os.environ["PERFCREW_REDIS"]))
_real = importlib.import_module(os.environ["PERFCREW_REDIS_REAL_SETTINGS"])
_settings = {name: value for name, value in vars(_real).items() if not name.startswith("__")}
for _name in [name for name in _settings if name.isupper()]:
    _settings[_name] = _turning.setting(_name, _settings[_name])
    setattr(_real, _name, _settings[_name])  # for who imports the module itself
globals().update(_settings)
'''


def write_module(folder: Path) -> None:
    """Put the settings module, and what turns addresses, into a folder of the workspace."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{MODULE}.py").write_text(_SHIM, encoding="utf-8")
    for name in ("address", "turning"):
        own = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
        (folder / f"perfcrew_redis_{name}.py").write_text(own, encoding="utf-8")


def environment(real: str, folder: Path, host: str, server: Server) -> dict[str, str]:
    """The variables that the module reads; `real` is the settings module that it stands before."""
    return {
        "PYTHONPATH": str(folder),
        "DJANGO_SETTINGS_MODULE": MODULE,
        "PERFCREW_REDIS_REAL_SETTINGS": real,
        "PERFCREW_REDIS": json.dumps(
            {"host": host, "port": server.port, "password": server.password, "socket": str(server.socket)}
        ),
    }
