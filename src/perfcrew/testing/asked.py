"""What a request asked, in the same words for all three providers."""

from __future__ import annotations

import json
from typing import Any, Literal

from perfcrew.core.base import Noun

Provider = Literal["anthropic", "google_genai", "openai"]


class Asked(Noun):
    """One request as it came."""

    provider: Provider
    model: str
    streamed: bool
    text: str
    """System prompt, questions, answers and tools' results, all that the model is given to read."""
    tools: tuple[str, ...]
    schema_sent: bool
    """Whether the provider is to hold the answer to a JSON schema."""
    cached_until: int
    """How many marks for the provider's prompt cache it carries."""
    body: dict[str, Any]
    at: float
    """Seconds on the monotonic clock."""


def asked(path: str, body: dict[str, Any], at: float) -> Asked | None:
    """What this request to this path asks; None where it is of no provider that we know."""
    if path.startswith("/v1/messages"):
        schema = "output_format" in body or "format" in (body.get("output_config") or {})
        return _made("anthropic", str(body.get("model")), bool(body.get("stream")), body, schema, at)
    if path.startswith("/v1/chat/completions"):
        schema = (body.get("response_format") or {}).get("type") in ("json_schema", "json_object")
        return _made("openai", str(body.get("model")), bool(body.get("stream")), body, schema, at)
    if ":generateContent" in path or ":streamGenerateContent" in path:
        model = path.partition("/models/")[2].partition(":")[0]
        schema = "responseMimeType" in (body.get("generationConfig") or {})
        return _made("google_genai", model, ":streamGenerateContent" in path, body, schema, at)
    return None


def _made(provider: Provider, model: str, streamed: bool, body: dict[str, Any], schema: bool, at: float) -> Asked:
    read = {k: body[k] for k in ("system", "systemInstruction", "messages", "contents") if k in body}
    return Asked(
        provider=provider,
        model=model,
        streamed=streamed,
        text="\n".join(_texts(read)),
        tools=tuple(_tools(body)),
        schema_sent=schema,
        cached_until=json.dumps(body).count('"cache_control"'),
        body=body,
        at=at,
    )


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return []


def _tools(body: dict[str, Any]) -> list[str]:
    told = [one for tool in body.get("tools") or () for one in tool.get("functionDeclarations") or (tool,)]
    names = [(one.get("function") or one).get("name") for one in told]
    return [name for name in names if isinstance(name, str)]
