"""Asks a scripted model through the whole stack: real SDKs, real sockets, our layers; the clock passes at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.tools import tool

from perfcrew.core.spending import Limits, Spent
from perfcrew.crew import models
from perfcrew.crew.models.breaking import Circuit, Clock
from perfcrew.crew.models.settings import ModelSettings, look
from perfcrew.testing import Asked, ScriptedModel
from perfcrew.testing.asked import Provider

PROVIDERS: tuple[Provider, ...] = ("anthropic", "google_genai", "openai")


@tool
def query(sql: str) -> str:
    """Asks the ledger."""
    return "E-1: 7 rows"


@dataclass
class FakeClock:
    """Sleeps at once, and tells how long it was to be."""

    passed: float = 0.0
    slept: list[float] = field(default_factory=list)

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.passed, self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed += seconds
        await asyncio.sleep(0)


@dataclass
class Outcome:
    """What came of one question."""

    text: str | None
    error: models.ModelFailed | None
    requests: list[Asked]
    slept: list[float]
    spent: Spent
    seconds: float
    structured: Any = None

    @property
    def kind(self) -> str:
        """`ok`, or how it failed."""
        if self.error is None:
            return self.text or ""
        return str(getattr(self.error, "kind", type(self.error).__name__))


def settings_for(model: ScriptedModel, *providers: Provider, **calling: float) -> ModelSettings:
    """Those that perfcrew finds in the scripted model's environment."""
    found = look(Path("/nowhere"), environment=model.environment(*providers)).settings
    assert found is not None
    return found.model_copy(update={"calling": found.calling.model_copy(update=calling)})


def share(settings: ModelSettings, clock: FakeClock | None = None) -> Circuit:
    """A circuit as `models.circuit` makes it, with that clock."""
    return Circuit(settings.calling.failures, settings.calling.cooldown_s, (clock or FakeClock()).clock)


async def ask(
    model: ScriptedModel,
    settings: ModelSettings,
    *,
    question: str = "What is slow?",
    circuit: Circuit | None = None,
    meter: models.Meter | None = None,
    clock: FakeClock | None = None,
    streamed: bool = False,
    tools: Sequence[Any] = (query,),
    response_format: Any = None,
) -> Outcome:
    """One question to an agent with the tool `query`; an error that is no ModelFailed is the test's failure."""
    clock = clock or FakeClock()
    meter = meter or models.Meter(Limits()).of("database")
    chat = models.chat(settings, "deep")
    if streamed:
        chat = chat.model_copy(update={"streaming": True})
    agent: Any = create_agent(
        chat,
        list(tools),
        system_prompt="You are the database specialist.",
        middleware=models.middleware(settings, "deep", meter, circuit or share(settings, clock)),
        response_format=response_format,
    )
    began = time.monotonic()
    text, error, structured = None, None, None
    try:
        state = await agent.ainvoke({"messages": [("user", question)]})
        text, structured = state["messages"][-1].text, state.get("structured_response")
    except models.ModelFailed as failed:
        error = failed
    seconds = time.monotonic() - began
    return Outcome(text, error, model.requests, clock.slept, meter.spent, seconds, structured)
