"""What came back: is it an answer, how many tokens did it cost, and does the model go round in circles?"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

from perfcrew.core.spending import Tokens
from perfcrew.crew.models.errors import AnswerUnusable, ModelLoops

SAME_CALLS = 3
"""So often may one tool be asked the same; the fourth time is a circle."""
_CUT = ("max_tokens", "length", "model_context_window_exceeded")
_REFUSED = ("refusal", "content_filter", "safety", "recitation", "blocklist", "prohibited_content", "spii", "language")
_MALFORMED = ("malformed_function_call", "unexpected_tool_call")
MEND = {
    "too long": "Your answer was cut off: it was too long. Answer again, complete, in less than half the length.",
    "unreadable tool call": "The arguments of your tool call were no valid JSON. Make the call again, with valid JSON.",
    "empty": "Your answer was empty. Answer the question, or call a tool.",
    "broken off": "Your answer was broken off. Answer again.",
    "wrong form": "Your answer has not the form that was asked for. Answer again, in that form.",
}
"""What is added to the question when it is asked once more; a refusal is not asked again."""


def checked(message: AIMessage) -> AIMessage:
    """The message, if it says anything. AnswerUnusable where it is empty, refused, cut, or calls a tool unreadably."""
    why = finish(message)
    if why in _REFUSED or message.additional_kwargs.get("refusal") or _blocked(message):
        raise AnswerUnusable("refused", f"the model refused to answer ({why or 'refusal'})")
    if why in _CUT:
        raise AnswerUnusable("too long", f"the answer was cut at its greatest length ({why})")
    if why in _MALFORMED or (message.invalid_tool_calls and not message.tool_calls):
        raise AnswerUnusable("unreadable tool call", "the model called a tool with arguments that are no JSON")
    if not why:
        raise AnswerUnusable("broken off", "the answer ends without saying that it ends")
    if not message.tool_calls and not message.text.strip():
        raise AnswerUnusable("empty", "the answer is empty")
    return message


def finish(message: AIMessage) -> str:
    """Why the model ended, in small letters; empty where it is not told."""
    told = message.response_metadata
    return str(told.get("stop_reason") or told.get("finish_reason") or "").lower()


def _blocked(message: AIMessage) -> bool:
    feedback = message.response_metadata.get("prompt_feedback")
    return bool(isinstance(feedback, dict) and feedback.get("block_reason"))


def tokens(message: AIMessage, question: Sequence[BaseMessage]) -> Tokens:
    """As the provider counted them; estimated, and said to be, where a server counts none."""
    usage = message.usage_metadata
    if not usage or not (usage["input_tokens"] or usage["output_tokens"]):
        return Tokens(input=estimated(question), output=estimated([message]), estimated=True)
    details: dict[str, Any] = dict(usage.get("input_token_details") or {})
    written = sum(int(details.get(n) or 0) for n in ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"))
    return Tokens(
        input=usage["input_tokens"],
        output=usage["output_tokens"],
        cached=int(details.get("cache_read") or 0),
        cache_write=written or int(details.get("cache_creation") or 0),
    )


def estimated(messages: Sequence[BaseMessage]) -> int:
    """About how many tokens these are: a token for four characters."""
    return sum(len(str(m.content)) + len(json.dumps(getattr(m, "tool_calls", []), default=str)) for m in messages) // 4


def refuse_circles(messages: Sequence[BaseMessage]) -> None:
    """ModelLoops where one tool was asked the same once too often."""
    asked = Counter(
        (call["name"], json.dumps(call["args"], sort_keys=True, default=str))
        for message in messages
        if isinstance(message, AIMessage)
        for call in message.tool_calls
    )
    worst, times = max(asked.items(), key=lambda item: item[1], default=(("", ""), 0))
    if times > SAME_CALLS:
        raise ModelLoops(f"the model asked {worst[0]} for the same {times} times")
