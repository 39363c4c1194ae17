"""The graph holds what its policy names, each node in a span; the survey keeps to its bound."""

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from perfcrew.core.evidence import Survey
from perfcrew.core.web import Endpoint, Plan, Request
from perfcrew.crew import cards
from perfcrew.graphs.review import build
from perfcrew.graphs.steps.survey import _bounded
from perfcrew.graphs.telemetry import traced

POLICY = cards.policy("review")
ALWAYS = {"frame", "survey", "recognise", "specialist", "rank", "reviewer", "write", "gate", "publish"}


def nodes(policy: cards.Policy) -> set[str]:
    return {name for name in build(policy, None).get_graph().nodes if not name.startswith("__")}


def test_every_instrument_of_the_policy_is_a_node() -> None:
    assert nodes(POLICY) >= ALWAYS | set(POLICY.instruments)


@pytest.mark.parametrize(
    "left_out", [("memory",), ("traces", "scaling", "plans"), ("workload",), ("payload", "memory")]
)
def test_an_instrument_that_the_policy_leaves_out_is_none(left_out: tuple[str, ...]) -> None:
    kept = tuple(i for i in POLICY.instruments if i not in left_out)
    found = nodes(POLICY.model_copy(update={"instruments": kept}))
    assert found.isdisjoint(left_out)
    assert found >= set(kept) | ALWAYS


def test_what_times_waits_for_all_that_counts() -> None:
    edges = {(e.source, e.target) for e in build(POLICY, None).get_graph().edges}
    timed = ("plans", "profile", "neighbour", "startup", "workload")
    first_timed = next(i for i in POLICY.instruments if i in timed)
    assert {("payload", first_timed), ("memory", first_timed)} <= edges
    assert ("baseline", first_timed) not in edges
    assert not any(source in ("traces", "scaling", "payload", "memory") for source, to in edges if to in timed[1:])


async def test_each_node_runs_in_a_span(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)

    async def node(state: dict[str, int]) -> dict[str, int]:
        return {"seen": state["number"]}

    assert await traced("survey", node, "execute_tool")({"number": 3}) == {"seen": 3}
    (span,) = kept.get_finished_spans()
    assert span.name == "perfcrew.survey"
    assert span.attributes is not None
    assert span.attributes["gen_ai.operation.name"] == "execute_tool"


def plan(path: str, skipped: str = "") -> Plan:
    endpoint = Endpoint(method="GET", path=path, source="user")
    request = Request(endpoint=endpoint.key, method="GET", target=path)
    return Plan(endpoint=endpoint, requests=(request,), skipped=skipped)


def test_beyond_the_bound_endpoints_say_why_they_are_not_measured() -> None:
    survey = Survey(plans=(plan("/a"), plan("/b", "answered 401"), plan("/c"), plan("/d")), out_of_scope=("GET /a",))
    bounded = _bounded(survey, 1)
    assert [p.skipped for p in bounded.plans] == [
        "",
        "answered 401",
        "",
        "beyond the first 1 ([review] endpoint_limit)",
    ]
