"""Start the parts that were asked for, and no other."""

from __future__ import annotations

from . import callsite, carrier, imports, settings, writer
from .settings import Settings


def run() -> None:
    wanted = settings.read()
    if not wanted.folder:
        return
    callsite.configure(wanted.root, wanted.deps)
    writer.open_in(wanted.folder, wanted.mode if wanted.watches_requests else "stdlib")
    imports.install()
    if wanted.watches_requests:
        _requests(wanted)
    if "spans" in wanted.parts:
        _spans(wanted)
    if wanted.parts & {"heap", "allocations"}:
        from . import control

        control.install(wanted)
    writer.started()


def _requests(wanted: Settings) -> None:
    """Every part but the control socket tells by request: the requests are watched for all of them."""
    from . import asgi, wsgi

    carrier.choose(wanted.mode, wanted.deps)
    asgi.install()
    wsgi.install()
    if "watchdog" in wanted.parts:
        from . import watchdog

        watchdog.install()
    if "functions" in wanted.parts:
        from . import functions

        functions.install()
    if "orm" in wanted.parts:
        from . import orm

        orm.install()


def _spans(wanted: Settings) -> None:
    from . import asyncpg, http_client, mysql, pools, psycopg2, psycopg3, redis, sqlite, stages, tasks

    for hooks in (tasks, stages, sqlite, psycopg3, psycopg2, asyncpg, mysql, pools, redis, http_client):
        hooks.install()
    if wanted.mode == "otel":
        from . import breadth

        breadth.install(wanted.deps)
