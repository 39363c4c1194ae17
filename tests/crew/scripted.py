"""Chat models that do what a script says: they speak LangChain's interface, tools and usage included."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from langchain.agents.middleware import AgentMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field

from perfcrew.core.spending import Limits, Price, Spent
from perfcrew.crew.cards import Budget
from perfcrew.crew.models import Meter, answer
from perfcrew.crew.models.meter import Tell
from perfcrew.crew.thinking import Mind

Script = Callable[[Sequence[BaseMessage]], AIMessage]


class Gauge:
    """How many calls were under way at once, at most: overlapping is told by counting, whatever the machine does."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def __enter__(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)

    def __exit__(self, *error: object) -> None:
        self.now -= 1


class Scripted(BaseChatModel):
    """Answers by a function of all that it was sent; keeps every request."""

    script: Any
    delay_s: float = 0.0
    requests: list[list[BaseMessage]] = Field(default_factory=list)
    offered: list[list[str]] = Field(default_factory=list)
    gauge: Any = Field(default_factory=lambda: Gauge())

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **more: Any) -> Any:
        self.offered.append([t.get("name", "") if isinstance(t, dict) else t.name for t in tools])
        return self

    def _generate(self, messages: list[BaseMessage], *more: Any, **named: Any) -> ChatResult:
        self.requests.append(list(messages))
        answer: AIMessage = self.script(messages)
        read = sum(len(str(m.content)) for m in messages) // 4
        usage = {"input_tokens": read, "output_tokens": 100, "total_tokens": read + 100}
        return ChatResult(generations=[ChatGeneration(message=answer.model_copy(update={"usage_metadata": usage}))])

    async def _agenerate(self, messages: list[BaseMessage], *more: Any, **named: Any) -> ChatResult:
        with self.gauge:
            await asyncio.sleep(self.delay_s)
        return self._generate(messages)

    @property
    def read(self) -> str:
        """Everything that it was ever sent."""
        return "\n".join(str(m.content) for request in self.requests for m in request)


def call(name: str, **arguments: Any) -> AIMessage:
    """The message that calls a tool, or gives an answer in its form."""
    return AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": f"c{abs(hash(name)) % 9999}"}])


def in_turn(*messages: AIMessage) -> Script:
    """One message after the other, the last one for ever; the ids of their calls differ."""
    left: Iterator[AIMessage] = iter(messages)
    state: dict[str, Any] = {"last": messages[-1], "n": 0}

    def script(sent: Sequence[BaseMessage]) -> AIMessage:
        state["last"] = message = next(left, state["last"])
        state["n"] += 1
        calls = [{**c, "id": f"c{state['n']}-{i}"} for i, c in enumerate(message.tool_calls)]
        return AIMessage(message.content, tool_calls=calls)

    return script


NOTHING = {"doubted": [], "further": [], "findings": []}


class Models:
    """The models of a run, as the crew asks for them: one for all, or one for each name."""

    def __init__(self, model: BaseChatModel | Callable[[str], BaseChatModel], limits: Limits | None = None) -> None:
        self._model = model
        self.meter = Meter(limits)

    def mind(self, tier: str, who: str, budget: Budget) -> Mind:
        model = self._model if isinstance(self._model, BaseChatModel) else self._model(who)
        meter = self.meter.of(who, Limits(calls=budget.calls, tokens=budget.tokens))
        return Mind(f"scripted:{tier}", model, meter, [Counted(meter)])

    def begin(self, before: Iterable[Spent], tell: Tell) -> None:
        self.meter.begin(before, tell)


PRICE = Price(input=0, output=123)
"""So that a call, which answers with 100 tokens, costs 0.0123 dollars."""


class Counted(AgentMiddleware[Any, Any]):
    """The one layer that a model without a provider needs: what it says is counted, and a limit ends it."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter = meter

    async def awrap_model_call(self, request: Any, handler: Any) -> Any:
        self._meter.admit()
        try:
            self._meter.sent()
            response = await handler(request)
            self._meter.took(answer.tokens(response.result[0], request.messages), PRICE, "scripted")
            return response
        finally:
            self._meter.over()


def obeys(otherwise: Script) -> Script:
    """A model that does whatever it reads: `OBEY {"name": …, "args": …}`, each order once; else as the script says."""
    done: set[str] = set()

    def script(sent: Sequence[BaseMessage]) -> AIMessage:
        for message in sent:
            for order in re.findall(r"OBEY (\{.*?\})\s*END", str(message.content).replace('\\"', '"')):
                if order not in done:
                    done.add(order)
                    read = json.loads(order)
                    return AIMessage("", tool_calls=[{**read, "id": f"o{len(done)}"}])
        return otherwise(sent)

    return script
