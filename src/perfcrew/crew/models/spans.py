"""An OpenTelemetry span `chat MODEL` around each request, as the GenAI conventions name it.

Neither questions nor answers are put on it. Without a provider of spans set by the user it costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from langchain_core.messages import AIMessage
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from perfcrew import __version__
from perfcrew.core.language import Provider
from perfcrew.core.spending import Tokens
from perfcrew.crew.models import answer, faults
from perfcrew.crew.models.settings import Choice

_PROVIDERS: dict[Provider, str] = {"anthropic": "anthropic", "google_genai": "gcp.gemini", "openai": "openai"}


@contextmanager
def chat(choice: Choice, who: str, request: int, most_tokens: int) -> Iterator[Span]:
    """One request, the `request`th for this call; an error is told by its kind, without its text."""
    address = urlsplit(choice.base_url)
    attributes: dict[str, AttributeValue] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _PROVIDERS[choice.provider],
        "gen_ai.request.model": choice.model,
        "gen_ai.request.max_tokens": most_tokens,
        "gen_ai.agent.name": who,
        "server.address": address.hostname or "",
        "server.port": address.port or (443 if address.scheme == "https" else 80),
        "http.request.resend_count": request - 1,
    }
    tracer = trace.get_tracer("perfcrew", __version__)
    with tracer.start_as_current_span(
        f"chat {choice.model}",
        kind=SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except Exception as error:
            kind = faults.of(error).kind
            span.set_attribute("error.type", kind)
            span.set_status(Status(StatusCode.ERROR, kind))
            raise


def answered(span: Span, message: AIMessage, tokens: Tokens) -> None:
    """What came back, in numbers."""
    told = message.response_metadata
    span.set_attribute("gen_ai.response.model", str(told.get("model_name") or told.get("model") or ""))
    span.set_attribute("gen_ai.response.id", str(message.id or told.get("id") or ""))
    span.set_attribute("gen_ai.response.finish_reasons", [answer.finish(message) or "stop"])
    span.set_attribute("gen_ai.usage.input_tokens", tokens.input)
    span.set_attribute("gen_ai.usage.output_tokens", tokens.output)
    span.set_attribute("gen_ai.usage.cache_read.input_tokens", tokens.cached)
    span.set_attribute("gen_ai.usage.cache_creation.input_tokens", tokens.cache_write)
