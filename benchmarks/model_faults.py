"""What comes of everything that goes wrong with a model, with each provider: the table fault × provider × outcome.

Real SDKs and real sockets against a scripted server; only the waits between requests pass at once and are summed up.
Run: python benchmarks/model_faults.py [part of a fault's name]       (Markdown)
First, of one question, whole and streamed: what came out, the requests that were sent, the seconds that were waited
for. Then of the crew: the database specialist's model has the fault, in a review whose evidence is that of a finished
one; the requests sent for that specialist, how often something was tried again, who concluded, whether every finding
of the rules is still there, and what the gate says. Below: five specialists at once and one provider down, with and
without the shared circuit; and a chain whose first model dies half-way.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from langchain.agents import create_agent
from langchain_core.tools import tool

from perfcrew.core.spending import Limits
from perfcrew.crew import models
from perfcrew.crew.models.breaking import Circuit, Clock
from perfcrew.crew.models.settings import ModelSettings, look
from perfcrew.gate import check
from perfcrew.graphs.configured import Configured
from perfcrew.report.compose import compose
from perfcrew.testing import FAULTS, Asked, ScriptedModel, Step, fail, say, use
from perfcrew.testing.asked import Provider
from perfcrew.testing.crew import Crew
from tests.crew.desk import shop
from tests.crew.thought import concluded, context, recognised
from tests.report.make_ledger import RUN

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


class Faulty(Crew):
    """The scripted crew, whose database specialist meets a fault first."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self._left = [[step, step.times] for step in FAULTS[fault] if step.text != "ok"]
        self.database = 0

    def __call__(self, asked: Asked) -> Step:
        if "Your charter: database" not in asked.text:
            return super().__call__(asked)
        self.database += 1
        while self._left and self._left[0][1] == 0:
            self._left.pop(0)
        if not self._left:
            return super().__call__(asked)
        step, times = self._left[0]
        assert isinstance(step, Step)
        self._left[0][1] = None if times is None else times - 1
        return step


async def of_the_crew(name: str, provider: Provider) -> tuple[str, ...]:
    """Cells: requests, tried again, waited, who concluded, findings kept, gate."""
    faulty, waits = Faulty(name), Waits()
    with ScriptedModel(faulty) as model, tempfile.TemporaryDirectory() as folder, shop(Path(folder)) as ledger:
        settings = settings_for(model, provider, timeout_s=2.0 if name == "hangs" else 60.0)
        made = context(ledger, Configured(settings, waits.circuit(settings)))
        try:
            async with asyncio.timeout(6 * LONGEST_S):
                await concluded(made)
        except TimeoutError:
            return (str(faulty.database), "", "", "HANG", "", "")
        report = compose(ledger, RUN)
        own = next(t for t in report.thought if t.who == "database")
        again = faulty.database - int(own.calls.text.replace(",", ""))
        by = "the model" if own.answered else "the rule book"
        there = {s.finding.id for s in report.findings}
        kept = sum(f.id in there for f in recognised(ledger))
        findings = f"{kept} of {len(recognised(ledger))}"
        gate = "passed" if check(report, ledger).passed else "FAILED"
        return (str(faulty.database), str(again), f"{waits.passed:.1f} s", by, findings, gate)


def row(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


async def main(part: str) -> None:
    names = [name for name in FAULTS if part in name]
    began, cells = time.monotonic(), 0
    row("fault", "form", *PROVIDERS)
    row(*["---"] * 5)
    for name in names:
        for streamed in (False, True):
            row(name, "streamed" if streamed else "whole", *[await cell(name, p, streamed) for p in PROVIDERS])
            cells += len(PROVIDERS)
    print()
    row("fault", "provider", "requests", "tried again", "waited", "concluded by", "findings kept", "gate")
    row("---", "---", *["---:"] * 3, *["---"] * 3)
    for name in names:
        for provider in PROVIDERS:
            row(name, provider, *await of_the_crew(name, provider))
            cells += 1
    print(f"\n{cells} cells in {time.monotonic() - began:.0f} s")
    if not part:
        print(f"five specialists, provider down: {await outage(None)} with the shared circuit, ", end="")
        print(f"{await outage(10_000)} without")
        print(f"first model dies half-way: {await half_way()}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else ""))
