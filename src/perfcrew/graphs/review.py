"""The review: frame → survey → measure → specialists → rank → write → reviewer → gate → publish."""

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
    before = ["frame", "survey", *policy.instruments]
    for name in before:
        graph.add_node(name, traced(name, measure.STEPS[name], "execute_tool"))
    _chain(graph, [START, *before, "recognise"])
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
    _chain(graph, ["rank", "reviewer", "write", "gate"])
    graph.add_edge("publish", END)
    return graph.compile(checkpointer=saver, name=policy.name)


def _chain(graph: StateGraph[State, Context, State, State], names: Sequence[str]) -> None:
    for one, next_one in pairwise(names):
        graph.add_edge(one, next_one)
