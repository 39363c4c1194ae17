"""The reasoner that is a model: who is asked, with which limits, and what came of it.

What makes a model, tries again and counts is behind `Thinking`; this asks, bounds, scrubs and keeps. There is one
count, the meter's: the limits, the line that is shown and the exchange that is kept are all read from it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from perfcrew.core.base import Noun
from perfcrew.core.errors import PerfcrewError
from perfcrew.core.spending import Spent
from perfcrew.core.thinking import Exchange
from perfcrew.crew.cards import Budget
from perfcrew.crew.models.errors import LimitReached

if TYPE_CHECKING:
    from langchain.agents.middleware import AgentMiddleware
    from langchain_core.language_models import BaseChatModel
    from langchain_core.tools import BaseTool

    from perfcrew.crew.models.meter import Meter, Tell

F = TypeVar("F", bound=Noun)
V = TypeVar("V")


@dataclass(frozen=True)
class Mind:
    """A model that can be asked. The middleware lies around each call: retries, fallbacks, limits of the run."""

    name: str
    """`provider:model`, as it stands in the report."""
    model: BaseChatModel
    meter: Meter
    """Of whoever asks; what lies around each call counts into it, and it refuses a call beyond a limit."""
    middleware: Sequence[AgentMiddleware[Any, Any]] = ()


class Thinking(Protocol):
    """The models of a run."""

    def mind(self, tier: str, who: str, budget: Budget) -> Mind:
        """The model of a tier (`fast`, `deep`) for somebody who may spend so much. PerfcrewError without one."""

    def begin(self, before: Iterable[Spent], tell: Tell) -> None:
        """What was spent before the run was interrupted counts too; `tell` is told after each answer."""


class Unanswered(PerfcrewError):
    """A model did not answer, or not so that it could be taken; the rule book goes on."""


class Prompt(NamedTuple):
    """What is asked: the part that is the same for all, which providers keep, then the question."""

    system: str
    question: str


class Judgement(NamedTuple, Generic[V]):
    """What an answer came to, or what is wrong with it."""

    value: V | None
    faults: tuple[str, ...]


class Asked(NamedTuple, Generic[V]):
    """What came of asking. `value` is None where the rule book has to conclude; the exchange says why."""

    value: V | None
    exchange: Exchange
    sent: bytes
    """Every message that left, and what came back, as JSON lines."""


@dataclass
class Tally:
    """What happened in one exchange so far; what it costs is the meter's to count."""

    blanked: int = 0
    sent_back: list[str] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)

    def again(self, faults: str) -> str:
        """Note that an answer goes back, and say with what; the second time it does not get there."""
        self.sent_back.append(faults)
        return f"Your answer can't be taken. Correct exactly this, and answer again in the same form:\n{faults}"


async def ask(
    mind: Mind,
    who: str,
    prompt: Prompt,
    form: type[F],
    judge: Callable[[F], Judgement[V]],
    budget: Budget,
    tools: Sequence[BaseTool] = (),
) -> Asked[V]:
    """Ask a model until its answer is taken; one that is wrong goes back once, with its exact faults.

    Whatever it, its provider or their libraries raise ends here: it is written into the exchange, and the caller's
    rule book concludes. An outer cancellation is passed on.
    """
    tally, began = Tally(), time.monotonic()
    asking = _until_taken(mind, prompt, form, judge, budget, tools, tally)
    (value,) = await asyncio.gather(_within(asking, budget.seconds), return_exceptions=True)
    if isinstance(value, BaseException) and not isinstance(value, Exception | asyncio.CancelledError):
        raise value
    failed = isinstance(value, BaseException)
    exchange = _exchange(mind.meter.spent).model_copy(
        update={
            "who": who,
            "reasoner": mind.name,
            "answered": not failed,
            "why": _why(value) if isinstance(value, BaseException) else "",
            "limit": value.limit if isinstance(value, LimitReached) else "",
            "sent_back": tuple(_short(faults) for faults in tally.sent_back),
            "scrubbed_count": tally.blanked,
            "duration_s": round(time.monotonic() - began, 3),
        }
    )
    sent = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in tally.lines).encode("utf-8", "replace")
    return Asked(None if isinstance(value, BaseException) else value, exchange, sent)


def _exchange(spent: Spent) -> Exchange:
    return Exchange(
        who=spent.who,
        reasoner="",
        answered=False,
        calls_count=spent.calls,
        requests_count=spent.requests,
        input_tokens_count=spent.tokens.input,
        output_tokens_count=spent.tokens.output,
        cached_tokens_count=spent.tokens.cached,
        estimated=spent.tokens.estimated,
        cost_usd=None if spent.unpriced else spent.money_usd,
    )


async def _within(work: Awaitable[V], seconds: float) -> V:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise Unanswered(f"it did not answer within {seconds:g} s") from None


def _why(error: BaseException) -> str:
    if isinstance(error, PerfcrewError):
        return _short(error.what)
    return _short(f"{type(error).__name__}: {error}")


def _short(text: str) -> str:
    from perfcrew.crew.scrub import scrub

    return scrub(text if len(text) <= 600 else f"{text[:600]} (cut)").text


async def _until_taken(
    mind: Mind,
    prompt: Prompt,
    form: type[F],
    judge: Callable[[F], Judgement[V]],
    budget: Budget,
    tools: Sequence[BaseTool],
    tally: Tally,
) -> V:
    from langchain.agents import create_agent
    from langchain.agents.structured_output import ToolStrategy
    from langchain_core.messages import HumanMessage

    from perfcrew.crew.wire import Bounds, Wire

    agent: Any = create_agent(
        mind.model,
        list(tools),
        system_prompt=prompt.system,
        middleware=[Bounds(mind.meter, tally), *mind.middleware, Wire(mind.meter, tally)],
        response_format=ToolStrategy(form, tool_message_content="taken", handle_errors=lambda e: tally.again(str(e))),
    )
    messages: list[Any] = [HumanMessage(prompt.question)]
    while True:
        state = await agent.ainvoke({"messages": messages}, {"recursion_limit": 10 * budget.calls + 20})
        answer = state.get("structured_response")
        found = judge(answer) if isinstance(answer, form) else _formless(form)
        if found.value is not None and not found.faults:
            return found.value
        messages = [*state["messages"], HumanMessage(tally.again("\n".join(f"- {f}" for f in found.faults)))]


def _formless(form: type[Noun]) -> Judgement[Any]:
    return Judgement(None, (f"it is no answer in the form: call {form.__name__} with all its fields",))
