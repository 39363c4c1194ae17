"""Whether the specialists' model calls overlap, and what the layers around a call cost.

Real SDKs and sockets; the scripted model takes its time for each answer, as a real one does.
Run: python benchmarks/model_fanout.py [seconds of each answer] [calls]
Bounds that the project sets itself: with 3 s an answer five specialists take less than 4 s.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain.agents import create_agent

from perfcrew.core.spending import Limits
from perfcrew.crew import models
from perfcrew.crew.models.settings import ModelSettings, look
from perfcrew.testing import ScriptedModel, say
from perfcrew.testing.asked import Provider

PROVIDERS: tuple[Provider, ...] = ("anthropic", "google_genai", "openai")
SPECIALISTS = ("profiler", "database", "caching", "frontend", "inference")


def settings_for(model: ScriptedModel, provider: Provider) -> ModelSettings:
    found = look(Path("/nowhere"), environment=model.environment(provider)).settings
    assert found
    return found


def agent(settings: ModelSettings, layers: Sequence[Any]) -> Any:
    return create_agent(models.chat(settings, "deep"), [], middleware=list(layers))


async def ask(one: Any) -> float:
    """Milliseconds of one question."""
    began = time.perf_counter()
    await one.ainvoke({"messages": [("user", "What is slow?")]})
    return (time.perf_counter() - began) * 1e3


async def fan_out(provider: Provider, answer_s: float) -> float:
    with ScriptedModel([say("warm"), say("done", delay_s=answer_s, times=5)]) as model:
        settings = settings_for(model, provider)
        meter, circuit = models.Meter(Limits()), models.circuit(settings)
        crew = [agent(settings, models.middleware(settings, "deep", meter.of(w), circuit)) for w in SPECIALISTS]
        await ask(crew[0])
        began = time.perf_counter()
        await asyncio.gather(*(ask(one) for one in crew))
        return time.perf_counter() - began


async def layers_ms(provider: Provider, calls: int) -> tuple[float, float]:
    """The median of a call without our layers and with them, in turn."""
    with ScriptedModel([say("done", times=None)]) as model:
        settings = settings_for(model, provider)
        layers = models.middleware(settings, "deep", models.Meter(Limits()).of("database"), models.circuit(settings))
        bare, ours = agent(settings, []), agent(settings, layers)
        pairs = [(await ask(bare), await ask(ours)) for _ in range(calls)]
        return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)


async def main(answer_s: float, calls: int) -> None:
    for provider in PROVIDERS:
        seconds = await fan_out(provider, answer_s)
        print(f"{provider:<14} five specialists, {answer_s:.1f} s an answer: {seconds:.2f} s")
    for provider in PROVIDERS:
        bare, ours = await layers_ms(provider, calls)
        print(f"{provider:<14} a call at once: {bare:.1f} ms, with our layers {ours:.1f} ms ({calls} pairs)")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    asyncio.run(main(float((sys.argv[1:] or ["3"])[0]), int((sys.argv[2:] or ["40"])[0])))
