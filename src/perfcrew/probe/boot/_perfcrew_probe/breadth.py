"""OpenTelemetry instrumentors for libraries that no hook of ours covers (pymongo, elasticsearch, …).

Those that lie in the dependencies folder are switched on when their library is imported; what their spans are
is read from OpenTelemetry's conventions. For a covered library they would make a second span for each call.
"""

from __future__ import annotations

import importlib
import json
import os
from typing import Any

from . import carrier, otel
from .imports import when_imported

_COVERED = frozenset(
    [
        "aiohttp-client",
        "aiohttp-server",
        "asgi",
        "asyncio",
        "asyncpg",
        "dbapi",
        "django",
        "falcon",
        "fastapi",
        "flask",
        "httpx",
        "mysqlclient",
        "psycopg",
        "psycopg2",
        "pymysql",
        "pyramid",
        "redis",
        "requests",
        "sqlalchemy",
        "sqlite3",
        "starlette",
        "system_metrics",
        "threading",
        "tornado",
        "urllib",
        "urllib3",
        "wsgi",
    ]
)
#: Written by `inject.dependencies`: reading entry points would slow the start of every process.
LIST = "perfcrew-instrumentors.json"


def install(deps: str) -> None:
    path = os.path.join(deps, LIST)
    if not deps or not os.path.exists(path):
        return
    with open(path, encoding="utf-8") as file:
        listed = json.load(file)
    for name, value in listed.items():
        if name not in _COVERED:
            when_imported(name, _hook(value))


def _hook(value: str) -> Any:
    def switch_on(module: Any) -> None:
        if carrier.current().name != "otel":
            return
        where, _, name = value.partition(":")
        otel.breadth_scopes.add(where)
        getattr(importlib.import_module(where), name)().instrument(skip_dep_check=True)

    return switch_on
