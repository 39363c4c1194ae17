"""The outermost and the innermost layer around a model's calls; retries, fallbacks and the run's limits lie between.

Bounds ends what was wrong twice, before anybody could take that for a provider's fault. Wire sees each message that
really leaves: it is scrubbed and kept, and so is what comes back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse

from perfcrew.crew.models.meter import Meter
from perfcrew.crew.scrub import Scrubbed, scrub
from perfcrew.crew.thinking import Tally, Unanswered

Handler = Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]


class Bounds(AgentMiddleware[Any, Any]):
    """With the last call that a limit leaves no tools are offered any more, so that there is an answer."""

    def __init__(self, meter: Meter, tally: Tally) -> None:
        super().__init__()
        self._meter, self._tally = meter, tally

    async def awrap_model_call(self, request: ModelRequest[Any], handler: Handler) -> ModelResponse[Any]:
        """Unanswered where nothing more may be asked."""
        if len(self._tally.sent_back) > 1:
            raise Unanswered(f"its answer was wrong again: {self._tally.sent_back[-1]}")
        return await handler(request.override(tools=[]) if self._meter.calls_left() == 1 else request)


class Wire(AgentMiddleware[Any, Any]):
    """What really leaves, and what comes back."""

    def __init__(self, meter: Meter, tally: Tally) -> None:
        super().__init__()
        self._meter, self._tally = meter, tally
        self._seen: set[str] = set()
        self._before = 0

    async def awrap_model_call(self, request: ModelRequest[Any], handler: Handler) -> ModelResponse[Any]:
        """Scrub, keep, call, keep."""
        messages = [self._scrubbed(message) for message in request.messages]
        system = self._scrubbed(request.system_message) if request.system_message else None
        self._keep("sent", self._new([*([system] if system else []), *messages]))
        response = await handler(request.override(messages=messages, system_message=system))
        self._keep("received", response.result)
        return response

    def _scrubbed(self, message: Any) -> Any:
        content = message.content
        clean = self._text(content) if isinstance(content, str) else [self._block(block) for block in content]
        return message if clean == content else message.model_copy(update={"content": clean})

    def _block(self, block: Any) -> Any:
        if isinstance(block, str):
            return self._text(block)
        return {**block, "text": self._text(block["text"])} if isinstance(block.get("text"), str) else block

    def _text(self, text: str) -> str:
        found = _once(text)
        if text not in self._seen:
            self._seen.add(text)
            self._tally.blanked += found.blanked
        return found.text

    def _keep(self, what: str, messages: Sequence[Any]) -> None:
        """Of what is sent, only what is new since the last call: each call carries all that went before."""
        for message in messages:
            line = {"what": what, "call": self._meter.spent.calls, "type": message.type, "content": message.content}
            called = getattr(message, "tool_calls", None)
            self._tally.lines.append({**line, "tool_calls": called} if called else line)

    def _new(self, messages: Sequence[Any]) -> Sequence[Any]:
        """What was not there with the call before; the last message again where a call is repeated."""
        before, self._before = self._before, len(messages)
        return messages[min(before, len(messages) - 1) :]


@lru_cache(maxsize=512)
def _once(text: str) -> Scrubbed:
    return scrub(text)
