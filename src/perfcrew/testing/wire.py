"""The three wire protocols: what a step is in each, whole or as a stream of events."""

from __future__ import annotations

import json
from typing import Any

from perfcrew.core.base import Noun
from perfcrew.testing.asked import Asked, Provider
from perfcrew.testing.steps import Step, Use


class Reply(Noun):
    """An answer in words and tools' calls, before it is put into a protocol."""

    text: str
    uses: tuple[Use, ...]
    ended: str
    """end, length, tools, refused."""
    tokens_in: int
    tokens_out: int
    tokens_cached: int


def reply(step: Step, asked: Asked) -> Reply:
    """What the step answers to this request; a structured answer in the way that was asked for."""
    text, uses, ended = step.text, step.uses, "length" if step.stop == "length" else "end"
    if step.do == "answer":
        whole = step.value if isinstance(step.value, str) else json.dumps(step.value)
        if asked.schema_sent:
            text = whole
        else:
            uses = (Use(name=step.tool or (asked.tools or ("answer",))[-1], raw=whole),)
    if step.do == "refuse":
        ended = "refused"
    if uses and ended == "end":
        ended = "tools"
    return Reply(
        text=text,
        uses=uses,
        ended=ended,
        tokens_in=step.tokens_in,
        tokens_out=step.tokens_out,
        tokens_cached=step.tokens_cached,
    )


def whole(asked: Asked, said: Reply, number: int) -> dict[str, Any]:
    """The body of an answer that is not streamed; `number` makes its ids."""
    return {"anthropic": _anthropic, "google_genai": _gemini, "openai": _openai}[asked.provider](asked, said, number)


def events(asked: Asked, said: Reply, number: int) -> list[bytes]:
    """The events of a streamed answer."""
    streams = {"anthropic": _anthropic_events, "google_genai": _gemini_events, "openai": _openai_events}
    return streams[asked.provider](asked, said, number)


def error_body(provider: Provider, step: Step) -> dict[str, Any]:
    """An error as the provider words it."""
    kind = step.error or _KINDS[provider].get(step.status, _KINDS[provider][500])
    message = step.text or f"scripted {step.status} {kind}"
    if provider == "anthropic":
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_scripted"}
    if provider == "openai":
        return {"error": {"message": message, "type": kind, "param": None, "code": kind}}
    details = []
    if step.retry_delay:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": step.retry_delay})
    return {"error": {"code": step.status, "message": message, "status": kind, "details": details}}


def error_event(provider: Provider, step: Step) -> bytes:
    """The same within a stream."""
    data = json.dumps(error_body(provider, step))
    return f"event: error\ndata: {data}\n\n".encode() if provider == "anthropic" else _data(data)


_KINDS: dict[Provider, dict[int, str]] = {
    "anthropic": {
        400: "invalid_request_error",
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        413: "request_too_large",
        429: "rate_limit_error",
        500: "api_error",
        529: "overloaded_error",
    },
    "google_genai": {
        400: "INVALID_ARGUMENT",
        401: "UNAUTHENTICATED",
        403: "PERMISSION_DENIED",
        404: "NOT_FOUND",
        429: "RESOURCE_EXHAUSTED",
        500: "INTERNAL",
        503: "UNAVAILABLE",
        529: "UNAVAILABLE",
    },
    "openai": {
        400: "invalid_request_error",
        401: "invalid_api_key",
        403: "permission_denied",
        404: "model_not_found",
        429: "rate_limit_exceeded",
        500: "server_error",
        529: "server_error",
    },
}


def _anthropic(asked: Asked, said: Reply, number: int) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": said.text}] if said.text else []
    for place, one in enumerate(said.uses):
        content.append({"type": "tool_use", "id": _id(number, place), "name": one.name, "input": _arguments(one)})
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": content,
        "stop_reason": _ANTHROPIC_STOPS[said.ended],
        "stop_sequence": None,
        "usage": _anthropic_usage(said),
    }


_ANTHROPIC_STOPS = {"end": "end_turn", "length": "max_tokens", "tools": "tool_use", "refused": "refusal"}


def _anthropic_usage(said: Reply) -> dict[str, int]:
    return {
        "input_tokens": said.tokens_in - said.tokens_cached,
        "output_tokens": said.tokens_out,
        "cache_read_input_tokens": said.tokens_cached,
        "cache_creation_input_tokens": 0,
    }


def _anthropic_events(asked: Asked, said: Reply, number: int) -> list[bytes]:
    begun = {**_anthropic(asked, said, number), "content": [], "stop_reason": None}
    begun["usage"] = {**_anthropic_usage(said), "output_tokens": 1}
    made: list[dict[str, Any]] = [{"type": "message_start", "message": begun}]
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    if said.text:
        deltas = [{"type": "text_delta", "text": part} for part in _parts(said.text)]
        blocks.append(({"type": "text", "text": ""}, deltas))
    for place, one in enumerate(said.uses):
        start = {"type": "tool_use", "id": _id(number, place), "name": one.name, "input": {}}
        blocks.append((start, [{"type": "input_json_delta", "partial_json": part} for part in _parts(one.text)]))
    for index, (start, deltas) in enumerate(blocks):
        made.append({"type": "content_block_start", "index": index, "content_block": start})
        made += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        made.append({"type": "content_block_stop", "index": index})
    stop = {"stop_reason": _ANTHROPIC_STOPS[said.ended], "stop_sequence": None}
    made.append({"type": "message_delta", "delta": stop, "usage": _anthropic_usage(said)})
    made.append({"type": "message_stop"})
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in made]


def _gemini(asked: Asked, said: Reply, number: int) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"text": said.text}] if said.text and said.ended != "refused" else []
    parts += [{"functionCall": {"name": one.name, "args": _arguments(one)}} for one in said.uses if one.raw is None]
    broken = any(one.raw is not None and not _is_json(one.raw) for one in said.uses)
    parts += [
        {"functionCall": {"name": one.name, "args": json.loads(one.raw)}}
        for one in said.uses
        if one.raw is not None and _is_json(one.raw)
    ]
    stop = {"end": "STOP", "tools": "STOP", "length": "MAX_TOKENS", "refused": "SAFETY"}[said.ended]
    candidate = {
        "content": {"role": "model", "parts": parts},
        "finishReason": "MALFORMED_FUNCTION_CALL" if broken else stop,
        "index": 0,
    }
    usage = {
        "promptTokenCount": said.tokens_in,
        "candidatesTokenCount": said.tokens_out,
        "totalTokenCount": said.tokens_in + said.tokens_out,
        "cachedContentTokenCount": said.tokens_cached,
    }
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": asked.model,
        "responseId": f"resp_{number}",
    }


def _gemini_events(asked: Asked, said: Reply, number: int) -> list[bytes]:
    last = _gemini(asked, said, number)
    made = []
    if said.text and said.ended != "refused":
        *first, rest = _parts(said.text)
        for part in first:
            content = {"role": "model", "parts": [{"text": part}]}
            made.append({"candidates": [{"content": content, "index": 0}], "modelVersion": asked.model})
        last["candidates"][0]["content"]["parts"][0] = {"text": rest}
    return [_data(json.dumps(event)) for event in (*made, last)]


def _openai(asked: Asked, said: Reply, number: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": said.text or None, "refusal": None}
    if said.ended == "refused":
        message |= {"content": None, "refusal": said.text}
    if said.uses:
        message["tool_calls"] = [_openai_use(one, number, place) for place, one in enumerate(said.uses)]
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": asked.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": _OPENAI_STOPS[said.ended]}],
        "usage": _openai_usage(said),
    }


_OPENAI_STOPS = {"end": "stop", "length": "length", "tools": "tool_calls", "refused": "stop"}


def _openai_use(one: Use, number: int, place: int) -> dict[str, Any]:
    return {"id": _id(number, place), "type": "function", "function": {"name": one.name, "arguments": one.text}}


def _openai_usage(said: Reply) -> dict[str, Any]:
    return {
        "prompt_tokens": said.tokens_in,
        "completion_tokens": said.tokens_out,
        "total_tokens": said.tokens_in + said.tokens_out,
        "prompt_tokens_details": {"cached_tokens": said.tokens_cached},
    }


def _openai_events(asked: Asked, said: Reply, number: int) -> list[bytes]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    words = "refusal" if said.ended == "refused" else "content"
    deltas += [{words: part} for part in _parts(said.text)]
    for place, one in enumerate(said.uses):
        begun = _openai_use(one, number, place)
        begun["function"] = {"name": one.name, "arguments": ""}
        deltas.append({"tool_calls": [{"index": place, **begun}]})
        deltas += [{"tool_calls": [{"index": place, "function": {"arguments": part}}]} for part in _parts(one.text)]
    made = [_openai_chunk(asked, number, [{"index": 0, "delta": d, "finish_reason": None}]) for d in deltas]
    stop = [{"index": 0, "delta": {}, "finish_reason": _OPENAI_STOPS[said.ended]}]
    made.append(_openai_chunk(asked, number, stop))
    made.append({**_openai_chunk(asked, number, []), "usage": _openai_usage(said)})
    return [*(_data(json.dumps(chunk)) for chunk in made), _data("[DONE]")]


def _openai_chunk(asked: Asked, number: int, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": asked.model,
        "choices": choices,
    }


def _arguments(one: Use) -> Any:
    """As an object; an empty one where the text is no JSON, for a protocol that can't carry that."""
    return json.loads(one.text) if _is_json(one.text) else {}


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _id(number: int, place: int) -> str:
    return f"call_{number}_{place}"


def _parts(text: str) -> list[str]:
    """In three pieces, as a stream brings it."""
    size = max(1, -(-len(text) // 3))
    return [text[i : i + size] for i in range(0, len(text), size)]


def _data(text: str) -> bytes:
    return f"data: {text}\n\n".encode()
