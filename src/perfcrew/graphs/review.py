"""The review: frame → survey → measure → specialists → rank (→ experiments) → reviewer → write → gate → publish."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from perfcrew.crew.cards import Policy
from perfcrew.graphs import conclude, measure
from perfcrew.graphs.context import Context
from perfcrew.graphs.state import SpecialistTask, State
from perfcrew.graphs.telemetry import traced

Review = CompiledStateGraph[State, Context, State, State]


def build(policy: Policy, saver: BaseCheckpointSaver[str] | None) -> Review:
    """The graph of a policy: only its instruments are in it, and one branch for each of its specialists."""
    graph = StateGraph(State, context_schema=Context)
    for name in ("frame", "survey", *policy.instruments):
        graph.add_node(name, traced(name, measure.STEPS[name], "execute_tool"))
    graph.add_node("recognise", traced("recognise", conclude.recognise), destinations=("specialist", "rank"))
    graph.add_node(
        "specialist",
        traced("specialist", conclude.specialist),
        input_schema=SpecialistTask,
        timeout=policy.specialist_seconds,
        error_handler=conclude.specialist_failed,
    )
    graph.add_edge("specialist", "rank")
    graph.add_node("rank", traced("rank", conclude.rank), defer=True)
    graph.add_node("reviewer", traced("reviewer", conclude.reviewer))
    graph.add_node("write", traced("write", conclude.write))
    graph.add_node("gate", traced("gate", conclude.gate), destinations=("reviewer", "publish"))
    graph.add_node("publish", traced("publish", conclude.publish))
    _measuring(graph, policy.instruments)
    trying = ["experiments"] if policy.experiments else []
    for name in trying:
        graph.add_node(name, traced(name, measure.STEPS[name], "execute_tool"))
    _chain(graph, ["rank", *trying, "reviewer", "write", "gate"])
    graph.add_edge("publish", END)
    return graph.compile(checkpointer=saver, name=policy.name)


COUNTING = (("traces", "scaling", "payload"), ("memory",))
"""Chains of instruments that count, or whose times are shares: they run side by side, between those that time."""


def _measuring(graph: StateGraph[State, Context, State, State], instruments: Sequence[str]) -> None:
    """frame → survey → baseline → the counting chains at once → the others, one after the other."""
    timing = [name for name in instruments if not any(name in chain for chain in COUNTING)]
    chains = [[name for name in chain if name in instruments] for chain in COUNTING]
    first = [name for name in timing if name == "baseline"]
    start, rest = [START, "frame", "survey", *first], [name for name in timing if name not in first]
    _chain(graph, start)
    _chain(graph, [*rest, "recognise"])
    counting = [chain for chain in chains if chain]
    for chain in counting:
        _chain(graph, [start[-1], *chain])
    graph.add_edge([chain[-1] for chain in counting] or start[-1:], (*rest, "recognise")[0])


def _chain(graph: StateGraph[State, Context, State, State], names: Sequence[str]) -> None:
    for one, next_one in pairwise(names):
        graph.add_edge(one, next_one)
