"""The part of the probe that is loaded into the target's process. Standard library only, Python 3.9 to 3.13.

It watches: each request is a span, each statement, cache round trip, HTTP and model call a span with its call
site; on demand also event-loop stalls, executed functions, loaded columns, live objects and allocations.

One set of hooks serves both modes; a carrier gives their spans identity and parents. In mode "otel" that is
OpenTelemetry's SDK (`otel.py`), otherwise context variables of our own (`carrier.py`).

OpenTelemetry's instrumentors are not used for what the hooks cover. By their source (0.66b1) those of the
databases end with the call that sends the statement and count no rows that are fetched afterwards; SQLAlchemy's
and the driver's together make two spans of one statement; redis' tells neither hit nor bytes; the HTTP clients'
look at no body, so at no tokens; and sqlite3's was seen to miss `connection.execute()`. Hooks for all of that are
needed in mode "stdlib" anyway, and with two ways of seeing a statement its count would depend on the mode.
Installed instrumentors for libraries without a hook are used (`breadth.py`).

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
