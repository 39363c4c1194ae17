"""The measuring nodes of a workflow, by the names that policies call them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from langgraph.runtime import Runtime

from perfcrew.core.errors import CommandError
from perfcrew.graphs.context import Context
from perfcrew.graphs.state import State
from perfcrew.graphs.steps import (
    baseline,
    cpu,
    experiments,
    frame,
    memory,
    neighbour,
    payload,
    plans,
    redis,
    startup,
    survey,
    traced,
    vectors,
    workload,
)

Step = Callable[[Context], Awaitable[None]]
Node = Callable[[State, Runtime[Context]], Awaitable[dict[str, Any]]]


def _node(name: str, step: Step, needed: bool) -> Node:
    async def node(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
        try:
            await step(runtime.context)
        except CommandError as error:
            if needed:
                raise
            runtime.context.failed(name, "the whole stage", error)
        return {}

    return node


NEEDED: dict[str, Step] = {"frame": frame.frame, "survey": survey.survey, "baseline": baseline.baseline}
"""Without these there is no report; any other that can't run becomes a line in it."""
OTHERS: dict[str, Step] = {
    "traces": traced.traces,
    "scaling": traced.scaling,
    "plans": plans.plans,
    "vectors": vectors.vectors,
    "profile": cpu.profile,
    "memory": memory.memory,
    "neighbour": neighbour.neighbour,
    "payload": payload.payload,
    "startup": startup.startup,
    "workload": workload.workload,
    "redis": redis.redis,
    "experiments": experiments.experiments,
}
STEPS: dict[str, Node] = {name: _node(name, step, name in NEEDED) for name, step in {**NEEDED, **OTHERS}.items()}
