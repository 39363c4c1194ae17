"""What a start costs."""

from __future__ import annotations

from perfcrew.core.evidence import Environment, Measurement
from perfcrew.graphs.context import Context
from perfcrew.instruments import startup as instrument


async def startup(context: Context) -> None:
    """One more start, with the interpreter's import times; the times of the start itself come from the baseline."""
    if context.has("startup"):
        return
    context.progress("startup").note("starting once more, with the interpreter's own import times")
    async with context.started("startup", environment=instrument.ENVIRONMENT) as instance:
        log = instance.running.log
    measured = [e.body for e in context.ledger.find(context.run, "measurement") if isinstance(e.body, Measurement)]
    start_ms = next((m.samples for m in measured if m.metric == "startup"), ())
    environment = context.ledger.slot(context.run, "environment")
    python = environment.body.python if environment and isinstance(environment.body, Environment) else ""
    body = instrument.startup(start_ms, log.read_text(errors="replace"), context.root)
    context.put("startup", body, context.method("python -X importtime", python, **instrument.ENVIRONMENT))
