"""What the crew's own work costs beside its models: five specialists and a reviewer whose model takes 3 s to answer.

Run: python benchmarks/crew.py [SECONDS]       (of each answer; default 3)

The ledger is that of a finished review of six endpoints; the models are local ones that wait and then answer.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from perfcrew.graphs import conclude
from perfcrew.graphs.review import Review
from perfcrew.graphs.state import SpecialistTask, State
from tests.crew.desk import shop
from tests.crew.scripted import NOTHING, Models, Scripted, call, in_turn
from tests.crew.thought import context


def fan_out() -> "Review":
    """The second half of the review's graph, with its own nodes and edges."""
    from langgraph.graph import END, START, StateGraph

    from perfcrew.graphs.context import Context

    graph = StateGraph(State, context_schema=Context)
    graph.add_node("recognise", conclude.recognise, destinations=("specialist", "rank"))
    graph.add_node("specialist", conclude.specialist, input_schema=SpecialistTask)
    graph.add_node("rank", conclude.rank, defer=True)
    graph.add_edge(START, "recognise")
    graph.add_edge("specialist", "rank")
    graph.add_edge("rank", END)
    return graph.compile()


async def timed(folder: Path, seconds: float | None) -> tuple[float, float]:
    """How long the fan-out took, and of it how long a model was waited for; None: without one."""
    with shop(folder) as ledger:
        answer = call("SpecialistAnswer", **NOTHING)
        models = None if seconds is None else Models(lambda who: Scripted(script=in_turn(answer), delay_s=seconds))
        made = context(ledger, models)
        began = time.perf_counter()
        await fan_out().ainvoke({"run": made.run}, context=made)
        took = time.perf_counter() - began
        assert len(ledger.find(made.run, "exchange")) == (0 if seconds is None else 5)
        return took, made.thought.seconds


async def main(seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="perfcrew-bench-") as folder:
        await timed(Path(folder) / "warm", 0.0)  # langchain is imported once
        book, _ = await timed(Path(folder) / "book", None)
        at_once, _ = await timed(Path(folder) / "none", 0.0)
        took, waited = await timed(Path(folder) / "model", seconds)
    print(f"rule book, five specialists         {book:7.3f} s")
    print(f"models that answer at once          {at_once:7.3f} s  ({at_once - book:.3f} s of prompts, checks, keeping)")
    print(f"models that take {seconds:g} s               {took:7.3f} s  (one after the other: {5 * seconds:g} s)")
    print(f"beside waiting for the slowest      {took - seconds:7.3f} s  ({waited:.3f} s with a model asked)")
    share = (took - seconds) / 180
    print(f"of a review of 180 s                {share:7.2%}  (under 2 %: {'yes' if share < 0.02 else 'NO'})")
    print(f"under {seconds + 1:g} s: {'yes' if took < seconds + 1 else 'NO'}")


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0))
