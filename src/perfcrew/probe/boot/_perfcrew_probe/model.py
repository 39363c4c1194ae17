"""Which HTTP calls are calls of a language model, and what they asked and used (OpenTelemetry's gen_ai.*)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

_PATHS = (
    (re.compile(r"/chat/completions$"), "chat"),
    (re.compile(r"/completions$"), "text_completion"),
    (re.compile(r"/embeddings$"), "embeddings"),
    (re.compile(r":(?:stream)?generateContent$", re.IGNORECASE), "generate_content"),
    (re.compile(r":(?:batchE|e)mbedContents?$"), "embeddings"),
    (re.compile(r"/api/generate$"), "text_completion"),
    (re.compile(r"/api/chat$"), "chat"),
    (re.compile(r"/api/embed$"), "embeddings"),
)
_MODEL_IN_PATH = re.compile(r"/models/([^/:]+):")
_PROMPT_FIELDS = ("system", "messages", "prompt", "input", "contents", "tools")
_INPUT = ("input_tokens", "prompt_tokens", "promptTokenCount", "prompt_eval_count")
_OUTPUT = ("output_tokens", "completion_tokens", "candidatesTokenCount", "eval_count")


def recognise(host: str, path: str, headers: Any, body: Any) -> dict[str, Any]:
    """The attributes of a model call; empty where it is none."""
    operation = _operation(host, path, headers)
    if operation is None:
        return {}
    asked = _json(body) or {}
    in_path = _MODEL_IN_PATH.search(path)
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.request.model": asked.get("model") or (in_path.group(1) if in_path else None),
        "perfcrew.model.prompt_digest": _digest(asked),
    }


def _operation(host: str, path: str, headers: Any) -> str | None:
    path = path.rstrip("/")
    if path.endswith("/messages"):
        names = {str(name).lower() for name in headers}
        return "chat" if "anthropic" in host or "anthropic-version" in names else None
    return next((operation for pattern, operation in _PATHS if pattern.search(path)), None)


def usage(content: bytes) -> dict[str, Any]:
    """The tokens that a JSON answer says were used; nothing for a stream or another format."""
    answer = _json(content) or {}
    counted = answer.get("usage") or answer.get("usageMetadata") or answer
    if not isinstance(counted, Mapping):
        return {}
    tokens = {
        "gen_ai.usage.input_tokens": _first(counted, _INPUT),
        "gen_ai.usage.output_tokens": _first(counted, _OUTPUT),
    }
    return {name: value for name, value in tokens.items() if value is not None}


def _first(counted: Mapping[str, Any], names: Any) -> int | None:
    return next((counted[name] for name in names if isinstance(counted.get(name), int)), None)


def _digest(asked: Mapping[str, Any]) -> str | None:
    """Equal prompts have equal digests; the prompt itself is not written down."""
    prompt = {name: asked[name] for name in _PROMPT_FIELDS if name in asked}
    if not prompt:
        return None
    text = json.dumps(prompt, sort_keys=True, default=str)
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:16]


def _json(body: Any) -> dict[str, Any] | None:
    if isinstance(body, dict):
        return body
    if not isinstance(body, (bytes, bytearray, str)):
        return None
    try:
        parsed = json.loads(body)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
