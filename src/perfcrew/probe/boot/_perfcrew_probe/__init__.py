"""The part of the probe that is loaded into the target's process. Standard library only, Python 3.9 to 3.13.

It watches: each request is a span, each statement, cache round trip, HTTP and model call a span with its call
site; on demand also event-loop stalls, executed functions, loaded columns, live objects and allocations.

One set of hooks serves both modes; a carrier gives their spans identity and parents. In mode "otel" that is
OpenTelemetry's SDK (`otel.py`), otherwise context variables of our own (`carrier.py`).

OpenTelemetry's instrumentors are not used for what the hooks cover, because theirs are less exact there:
SQLAlchemy's ends before the rows are fetched, knows neither rows nor parameters and doubles every statement
that a driver's instrumentor sees too; sqlite3's misses `connection.execute()`; asyncpg's misses statements
prepared beforehand, which is how SQLAlchemy sends all of them; redis' knows neither hit nor bytes; those of
the HTTP clients never see an answer's body, those of the servers no streamed body's end. Installed
instrumentors for libraries without a hook are used (`breadth.py`).

It refuses to raise into the target, to write outside its folder, and to import before it is needed: a
process that loads none of the watched libraries pays for an import hook and nothing else.
"""

from __future__ import annotations

from .guard import guarded


@guarded
def boot() -> None:
    """Read the environment, open this process's file and register the hooks. Called once, at start-up."""
    from . import start

    start.run()
