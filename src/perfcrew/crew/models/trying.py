"""One real, short call to each configured model, as `perfcrew doctor --models` makes it: nothing is tried again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage

from perfcrew.core.base import Noun
from perfcrew.core.errors import PerfcrewError
from perfcrew.core.language import TIERS, Tier
from perfcrew.core.spending import Spent, Tokens, money
from perfcrew.crew.models import answer, faults, patience, providers, spans
from perfcrew.crew.models.settings import Choice, ModelSettings

QUESTION = "Answer with the one word: ready"
_WHO = "doctor"


class Tried(Noun):
    """What came of one call."""

    choice: Choice
    tiers: tuple[Tier, ...]
    got: str | None = None
    """What it answered, shortened; None where it did not."""
    wrong: str = ""
    do: str = ""
    seconds: float = 0.0
    tokens: Tokens = Tokens()

    @property
    def text(self) -> str:
        """A line, or two where something is to be done."""
        name = f"{'+'.join(self.tiers):<10} {self.choice.name} at {self.choice.host}"
        if self.got is None:
            return f"{name}: FAILED: {self.wrong}" + (f"\n{'':<10}   to do: {self.do}" if self.do else "")
        about = "about " if self.tokens.estimated else ""
        spent = Spent(who=_WHO).plus(self.tokens, self.choice.price, self.choice.name)
        return (
            f"{name}: answered {self.got!r} in {self.seconds:.1f} s; "
            f"{about}{self.tokens.input:,} tokens in, {self.tokens.output:,} out, {money(spent)}"
        )


async def each(settings: ModelSettings) -> AsyncIterator[Tried]:
    """Try every model of every tier, one after the other, each once."""
    found: dict[str, tuple[Choice, list[Tier]]] = {}
    for tier in TIERS:
        for choice in settings.chains[tier]:
            found.setdefault(choice.name, (choice, []))[1].append(tier)
    for choice, tiers in found.values():
        yield await _tried(choice, tuple(tiers), settings)


async def _tried(choice: Choice, tiers: tuple[Tier, ...], settings: ModelSettings) -> Tried:
    try:
        model = providers.build(choice, settings)
        began = time.monotonic()
        message, tokens = await _asked(model, choice, settings)
        seconds = time.monotonic() - began
        got = " ".join(answer.checked(message).text.split())[:60]
    except PerfcrewError as error:
        return Tried(choice=choice, tiers=tiers, wrong=error.what, do=error.do)
    except Exception as error:
        fault = faults.of(error, choice.secret)
        if fault.kind == "unknown":
            raise
        status = f" {fault.status}" if fault.status else ""
        wrong = f"{fault.kind}{status}: {fault.said}"
        return Tried(choice=choice, tiers=tiers, wrong=wrong, do=_do(choice, fault))
    return Tried(choice=choice, tiers=tiers, got=got, seconds=seconds, tokens=tokens)


async def _asked(model: BaseChatModel, choice: Choice, settings: ModelSettings) -> tuple[AIMessage, Tokens]:
    question = [HumanMessage(QUESTION)]
    with spans.chat(choice, _WHO, 1, settings.calling.max_output_tokens) as span:
        async with asyncio.timeout(settings.calling.timeout_s):
            message = await model.ainvoke(question)
        tokens = answer.tokens(message, question)
        spans.answered(span, message, tokens)
    return message, tokens


def _do(choice: Choice, fault: faults.Fault) -> str:
    if fault.kind == "key refused":
        return f"see whether {choice.key_from or 'a key'} holds a key of {choice.host} that is still valid"
    return patience.TO_DO.get(fault.kind, "")
