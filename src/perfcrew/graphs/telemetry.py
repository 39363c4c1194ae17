"""Each node in an OpenTelemetry span; without a provider set by the user this costs next to nothing."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

from opentelemetry import trace

from perfcrew import __version__

Node = Callable[..., Awaitable[Any]]


def traced(name: str, node: Node, operation: str = "invoke_agent") -> Node:
    """The node within a span `perfcrew.NAME`, named as OpenTelemetry's GenAI conventions say; its begin is told."""

    @functools.wraps(node)
    async def inside(*arguments: Any, **named: Any) -> Any:
        runtime = named.get("runtime")
        if runtime is not None:
            runtime.context.tell({"node": name})
        tracer = trace.get_tracer("perfcrew", __version__)
        attributes = {"gen_ai.operation.name": operation, "gen_ai.agent.name": name, "perfcrew.node": name}
        with tracer.start_as_current_span(f"perfcrew.{name}", attributes=attributes):
            return await node(*arguments, **named)

    return inside
