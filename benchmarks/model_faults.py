"""What comes of everything that goes wrong with a model, with each provider: the table fault × provider × outcome.

Real SDKs and real sockets against a scripted server; only the waits between requests pass at once and are summed up.
Run: python benchmarks/model_faults.py [part of a fault's name]
Each cell: what came out, the requests that were sent, the seconds that were waited for. Below it: five specialists at
once and one provider down, with and without the shared circuit; and a chain whose first model dies half-way.
"""

from __future__ import annotations

import asyncio
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.tools import tool

from perfcrew.core.spending import Limits
from perfcrew.crew import models
from perfcrew.crew.models.breaking import Circuit, Clock
from perfcrew.crew.models.settings import ModelSettings, look
from perfcrew.testing import FAULTS, ScriptedModel, fail, say, use
from perfcrew.testing.asked import Provider

PROVIDERS: tuple[Provider, ...] = ("anthropic", "google_genai", "openai")
SPECIALISTS = ("profiler", "database", "caching", "frontend", "inference")
LONGEST_S = 20.0


@tool
def query(sql: str) -> str:
    """Asks the ledger."""
    return "E-1: 7 rows"


class Waits:
    """A clock that passes at once."""

    def __init__(self) -> None:
        self.passed = 0.0

    async def sleep(self, seconds: float) -> None:
        self.passed += seconds
        await asyncio.sleep(0)

    def circuit(self, settings: ModelSettings, failures: int | None = None) -> Circuit:
        clock = Clock(lambda: self.passed, self.sleep)
        return Circuit(failures or settings.calling.failures, settings.calling.cooldown_s, clock)


def settings_for(model: ScriptedModel, *providers: Provider, timeout_s: float = 60.0) -> ModelSettings:
    found = look(Path("/nowhere"), environment=model.environment(*providers)).settings
    assert found
    return found.model_copy(update={"calling": found.calling.model_copy(update={"timeout_s": timeout_s})})


async def asked(settings: ModelSettings, circuit: Circuit, who: str = "database", streamed: bool = False) -> str:
    """What comes of one question; a hang is an outcome too."""
    chat = models.chat(settings, "deep")
    if streamed:
        chat = chat.model_copy(update={"streaming": True})
    layers = models.middleware(settings, "deep", models.Meter(Limits()).of(who), circuit)
    agent: Any = create_agent(chat, [query], middleware=layers)
    try:
        async with asyncio.timeout(LONGEST_S):
            await agent.ainvoke({"messages": [("user", f"What is slow, {who}?")]})
    except models.ModelFailed as error:
        return f"rule book: {getattr(error, 'kind', type(error).__name__)}"
    except TimeoutError:
        return "HANG"
    return "answered"


async def cell(name: str, provider: Provider, streamed: bool) -> str:
    with ScriptedModel(FAULTS[name]) as model:
        settings = settings_for(model, provider, timeout_s=0.5 if name == "hangs" else 60.0)
        waits = Waits()
        outcome = await asked(settings, waits.circuit(settings), streamed=streamed)
        return f"{outcome}, {len(model.requests)} req, {waits.passed:.1f} s"


async def outage(failures: int | None) -> str:
    with ScriptedModel([fail(500, times=None)]) as model:
        settings, waits = settings_for(model, "anthropic"), Waits()
        circuit = waits.circuit(settings, failures)
        await asyncio.gather(*(asked(settings, circuit, who) for who in SPECIALISTS))
        return f"{len(model.requests)} requests"


async def half_way() -> str:
    script = [use(("query", {"sql": "a"})), fail(529, times=4), say("the other one ends it")]
    with ScriptedModel(script) as model:
        settings = settings_for(model, "anthropic", "openai")
        outcome = await asked(settings, Waits().circuit(settings))
        return f"{outcome}: {', '.join(r.provider for r in model.requests)}"


async def main(part: str) -> None:
    names = [name for name in FAULTS if part in name]
    began = time.monotonic()
    print(f"{'fault':<30}{'':<10}" + "".join(f"{provider:<46}" for provider in PROVIDERS))
    cells = 0
    for name in names:
        for streamed in (False, True):
            row = [await cell(name, provider, streamed) for provider in PROVIDERS]
            cells += len(row)
            print(f"{name:<30}{'streamed' if streamed else 'whole':<10}" + "".join(f"{one:<46}" for one in row))
    print(f"\n{cells} cells in {time.monotonic() - began:.0f} s")
    if not part:
        print(f"five specialists, provider down:   {await outage(None)} with the shared circuit")
        print(f"                                   {await outage(10_000)} without")
        print(f"first model dies half-way:         {await half_way()}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else ""))
