"""OpenTelemetry's GenAI spans: one `chat` a request, nested in what is around it; numbers, and no texts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from perfcrew.testing import ScriptedModel, fail, say, use

from .asking import PROVIDERS, ask, settings_for

pytestmark = pytest.mark.filterwarnings("ignore:coroutine 'ClientResponse.json' was never awaited")
NAMES = {"anthropic": "anthropic", "google_genai": "gcp.gemini", "openai": "openai"}


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield kept
    provider.shutdown()


def chats(exporter: InMemorySpanExporter) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name.startswith("chat ")]


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_span_a_request_with_what_it_cost(provider: str, exporter: InMemorySpanExporter) -> None:
    script = [use(("query", {"sql": "a"}), tokens_cached=400), fail(529), say("secret words", tokens_out=7)]
    with ScriptedModel(script) as model:
        with trace.get_tracer("test").start_as_current_span("perfcrew.database") as around:
            await ask(model, settings_for(model, provider))  # type: ignore[arg-type]
        port = int(model.url.rpartition(":")[2])
    first, second, third = chats(exporter)
    for number, span in enumerate((first, second, third)):
        assert span.name == f"chat scripted-{provider}"
        assert span.kind is SpanKind.CLIENT
        assert span.parent is not None
        assert span.parent.span_id == around.get_span_context().span_id
        told = dict(span.attributes or {})
        assert told["gen_ai.operation.name"] == "chat"
        assert told["gen_ai.provider.name"] == NAMES[provider]
        assert told["gen_ai.request.model"] == f"scripted-{provider}"
        assert told["gen_ai.agent.name"] == "database"
        assert (told["server.address"], told["server.port"]) == ("127.0.0.1", port)
        assert told["http.request.resend_count"] == (1 if number == 2 else 0)
        assert "secret words" not in str(told) + str(span.events)
    assert dict(first.attributes or {})["gen_ai.usage.cache_read.input_tokens"] == 400
    failed = dict(second.attributes or {})
    assert (failed["error.type"], second.status.status_code) == ("overloaded", StatusCode.ERROR)
    ended = dict(third.attributes or {})
    assert (ended["gen_ai.usage.input_tokens"], ended["gen_ai.usage.output_tokens"]) == (1000, 7)
    assert ended["gen_ai.response.model"] == f"scripted-{provider}"
    assert len(ended["gen_ai.response.finish_reasons"]) == 1  # type: ignore[arg-type]
    assert third.status.status_code is StatusCode.UNSET


async def test_without_a_provider_of_spans_nothing_is_kept() -> None:
    with ScriptedModel([say("ok")]) as model:
        assert (await ask(model, settings_for(model, "openai"))).kind == "ok"
