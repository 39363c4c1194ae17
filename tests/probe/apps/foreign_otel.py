"""An application whose tracer provider takes no span processors."""

import sqlite3

from opentelemetry import trace

connection = sqlite3.connect(":memory:")
connection.execute("select 'before'").fetchall()  # mark: before
trace.set_tracer_provider(trace.NoOpTracerProvider())
connection.execute("select 'after'").fetchall()  # mark: after
