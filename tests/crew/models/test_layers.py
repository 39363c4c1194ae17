"""What the layers do beyond one call: an outage is waited for once, the chain's next model answers, limits hold."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.tools import tool
from pydantic import BaseModel

from perfcrew.core.spending import Limits, Price
from perfcrew.crew import models
from perfcrew.testing import ScriptedModel, Step, answer, fail, overlong, reset, say, use
from perfcrew.testing.asked import Provider

from .asking import PROVIDERS, FakeClock, Outcome, ask, settings_for, share

pytestmark = pytest.mark.filterwarnings("ignore:coroutine 'ClientResponse.json' was never awaited")
SPECIALISTS = ("profiler", "database", "caching", "frontend", "inference")


async def five(model: ScriptedModel, *providers: Provider, clock: FakeClock | None = None) -> list[Outcome]:
    """All specialists at once, with one circuit and one meter."""
    settings = settings_for(model, *providers)
    circuit, meter = share(settings, clock), models.Meter(Limits())
    return list(
        await asyncio.gather(
            *(
                ask(model, settings, question=who, circuit=circuit, meter=meter.of(who), clock=clock)
                for who in SPECIALISTS
            )
        )
    )


DEAD: dict[str, tuple[Step, int]] = {
    # what everybody meets -> at most so many requests for five specialists, who would send twenty alone
    "500": (fail(500, times=None), 9),
    "reset": (reset(times=None), 9),
    "401": (fail(401, times=None), 5),
}


@pytest.mark.parametrize("name", DEAD)
async def test_an_outage_is_not_met_five_times_over(name: str) -> None:
    step, most = DEAD[name]
    clock = FakeClock()
    with ScriptedModel([step]) as model:
        outcomes = await five(model, "anthropic", clock=clock)
        assert len(model.requests) <= most
    assert all(isinstance(o.error, models.CallFailed) for o in outcomes)


async def test_once_down_nothing_is_sent_until_one_may_look_and_then_all() -> None:
    clock = FakeClock()
    with ScriptedModel([fail(500, times=5), say("up again", times=None)]) as model:
        settings = settings_for(model, "openai")
        circuit = share(settings, clock)
        await ask(model, settings, circuit=circuit, clock=clock)
        refused = await ask(model, settings, circuit=circuit, clock=clock)
        assert (refused.kind, len(model.requests)) == ("server error", 5)
        again = await ask(model, settings, circuit=circuit, clock=clock)
        assert isinstance(again.error, models.ProviderDown)
        assert len(model.requests) == 5
        clock.passed += settings.calling.cooldown_s
        assert (await ask(model, settings, circuit=circuit, clock=clock)).kind == "up again"
        assert (await ask(model, settings, circuit=circuit, clock=clock)).kind == "up again"


async def test_who_looks_and_finds_it_down_closes_it_for_all_again() -> None:
    clock = FakeClock()
    with ScriptedModel([fail(500, times=None)]) as model:
        settings = settings_for(model, "openai")
        circuit = share(settings, clock)
        await ask(model, settings, circuit=circuit, clock=clock)
        await ask(model, settings, circuit=circuit, clock=clock)
        clock.passed += settings.calling.cooldown_s
        sent = len(model.requests)
        await ask(model, settings, circuit=circuit, clock=clock)
        await ask(model, settings, circuit=circuit, clock=clock)
        assert len(model.requests) == sent + 1


async def test_a_refused_key_is_sent_once_in_a_run() -> None:
    with ScriptedModel([fail(401, times=None)]) as model:
        settings = settings_for(model, "anthropic")
        circuit = share(settings)
        kinds = [(await ask(model, settings, circuit=circuit)).kind for _ in range(3)]
        assert (kinds, len(model.requests)) == (["key refused"] * 3, 1)


async def test_a_missing_model_is_no_outage_of_the_provider() -> None:
    with ScriptedModel([fail(404), say("ok")]) as model:
        settings = settings_for(model, "openai")
        other = settings.chains["deep"][0].model_copy(update={"model": "another"})
        circuit = share(settings)
        assert (await ask(model, settings, circuit=circuit)).kind == "no such model"
        there = settings.model_copy(update={"chains": {"fast": (other,), "deep": (other,)}})
        assert (await ask(model, there, circuit=circuit)).kind == "ok"


async def test_what_one_is_told_to_wait_all_wait() -> None:
    clock = FakeClock()
    with ScriptedModel([fail(429, retry_after=20), say("ok", times=None)]) as model:
        settings = settings_for(model, "anthropic")
        circuit, choice = share(settings, clock), settings.chains["deep"][0]
        first = asyncio.ensure_future(ask(model, settings, circuit=circuit, clock=clock))
        await first
        assert clock.slept == [20]
        clock.passed = 0.0
        later = await ask(model, settings, circuit=circuit, clock=clock)
        assert 20 <= later.slept[-1] <= 21
        assert circuit.owed_s(choice) == 0


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_calls_of_the_specialists_overlap(provider: Provider) -> None:
    with ScriptedModel({"warm up": [say("ok")], "": [say("ok", delay_s=1.0, times=5)]}) as model:
        await ask(model, settings_for(model, provider), question="warm up")  # what is imported takes its time
        outcomes = await five(model, provider)
        begun = [request.at for request in model.requests[1:]]
    assert max(begun) - min(begun) < 1.0, "the last was asked before the first had answered"
    assert [o.kind for o in outcomes] == ["ok"] * 5


FELL_BACK: dict[str, Step] = {
    "an outage": fail(500, times=4),
    "a refused key": fail(401),
    "no credit": fail(429, error="insufficient_quota"),
    "a prompt that it does not take": fail(400),
    "answers that are always cut": overlong(times=2),
}


@pytest.mark.parametrize("name", FELL_BACK)
async def test_the_next_of_the_chain_answers(name: str) -> None:
    with ScriptedModel([FELL_BACK[name], say("from the other")]) as model:
        outcome = await ask(model, settings_for(model, "anthropic", "openai"))
        assert outcome.kind == "from the other"
        assert {r.provider for r in model.requests[:-1]} == {"anthropic"}
        assert model.requests[-1].provider == "openai"
    assert outcome.spent.models[-1] == "openai:scripted-openai"


@pytest.mark.parametrize("second", [p for p in PROVIDERS if p != "anthropic"])
async def test_it_goes_on_in_the_middle_of_a_conversation_without_the_cache_marks(second: Provider) -> None:
    script = [use(("query", {"sql": "a"}), text="I look."), fail(529, times=4), say("The end.")]
    with ScriptedModel(script) as model:
        outcome = await ask(model, settings_for(model, "anthropic", second))
        assert outcome.kind == "The end."
        assert "E-1: 7 rows" in model.requests[-1].text
        assert [r.cached_until > 0 for r in model.requests] == [True] * 5 + [False]


async def test_where_all_fail_the_error_tells_of_all() -> None:
    with ScriptedModel([fail(401, times=None)]) as model:
        outcome = await ask(model, settings_for(model, *PROVIDERS))
        assert len(model.requests) == 3
    assert outcome.error is not None
    assert all(f"scripted-{provider}" in outcome.error.what for provider in PROVIDERS)


LIMITS: dict[str, tuple[Limits, Limits, str]] = {
    # the specialist's, the run's, what stops it; each question is of 1,100 tokens and 0.0085 dollars
    "calls of the specialist": (Limits(calls=2), Limits(), "calls"),
    "calls of the run": (Limits(), Limits(calls=2), "calls"),
    "tokens": (Limits(tokens=2300), Limits(), "tokens"),
    "money": (Limits(), Limits(money_usd=0.012), "money"),
}


@pytest.mark.parametrize("name", LIMITS)
async def test_a_limit_ends_it_by_its_name_and_nothing_more_is_sent(name: str) -> None:
    own, of_run, stopped = LIMITS[name]
    calls = [use(("query", {"sql": str(n)})) for n in range(9)]
    with ScriptedModel(calls) as model:
        settings = settings_for(model, "anthropic", "openai")
        outcome = await ask(model, _priced(settings), meter=models.Meter(of_run).of("database", own))
        assert isinstance(outcome.error, models.LimitReached)
        assert outcome.error.limit == stopped
        assert len(model.requests) == 2
        assert {r.provider for r in model.requests} == {"anthropic"}


def _priced(settings: models.ModelSettings) -> models.ModelSettings:
    price = Price(input=5.0, output=35.0)
    chain = tuple(c.model_copy(update={"price": price}) for c in settings.chains["deep"])
    return settings.model_copy(update={"chains": {"fast": chain, "deep": chain}})


async def test_the_time_for_models_ends_a_call_that_is_under_way_and_blames_nobody() -> None:
    with ScriptedModel([say("too late", delay_s=30), say("ok")]) as model:
        settings = settings_for(model, "openai", failures=1)
        circuit = models.circuit(settings)
        meter = models.Meter(Limits(seconds=0.3)).of("database")
        outcome = await ask(model, settings, meter=meter, circuit=circuit)
        assert isinstance(outcome.error, models.LimitReached)
        assert outcome.error.limit == "seconds"
        assert outcome.seconds < 10
        assert (await ask(model, settings, circuit=circuit)).kind == "ok"


async def test_the_deadline_of_a_call_ends_it_with_all_that_is_tried_again() -> None:
    clock = FakeClock()
    with ScriptedModel([fail(429, retry_after=25, times=None)]) as model:
        outcome = await ask(model, settings_for(model, "openai", deadline_s=60.0), clock=clock)
        assert (outcome.kind, len(model.requests), clock.slept) == ("rate limit", 3, [25, 25])
    assert outcome.error is not None
    assert "(it asks to wait 25 s)" in outcome.error.what


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_what_is_cancelled_is_not_tried_again(provider: Provider) -> None:
    with ScriptedModel([say("never", delay_s=30), say("not asked for")]) as model:
        asking = asyncio.ensure_future(ask(model, settings_for(model, provider)))
        while not model.requests:
            await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert len(model.requests) == 1


async def test_what_is_cancelled_leaves_the_circuit_as_it_was() -> None:
    clock = FakeClock()
    with ScriptedModel([fail(500, times=5), say("never", delay_s=30), say("ok")]) as model:
        settings = settings_for(model, "openai")
        circuit = share(settings, clock)
        for _ in range(2):
            await ask(model, settings, circuit=circuit, clock=clock)
        clock.passed += settings.calling.cooldown_s
        looking = asyncio.ensure_future(ask(model, settings, circuit=circuit, clock=clock))
        while len(model.requests) < 6:
            await asyncio.sleep(0.01)
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking
        assert (await ask(model, settings, circuit=circuit, clock=clock)).kind == "ok"


class Claim(BaseModel):
    """One claim."""

    text: str
    evidence: list[str]


WHOLE = {"text": "it is slow", "evidence": ["E-1"]}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("strategy", [ProviderStrategy, ToolStrategy])
@pytest.mark.parametrize("streamed", [False, True])
async def test_structured_answers_both_ways(provider: Provider, strategy: Any, streamed: bool) -> None:
    with ScriptedModel([use(("query", {"sql": "a"})), answer(WHOLE, tool="Claim")]) as model:
        settings = settings_for(model, provider)
        outcome = await ask(model, settings, response_format=strategy(Claim), streamed=streamed)
        assert outcome.structured == Claim(**WHOLE)
        assert model.requests[-1].schema_sent == (strategy is ProviderStrategy)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("wrong", [{"text": "no evidence"}, '{"text": "it is'])
async def test_a_structured_answer_of_the_wrong_form_goes_back_once_with_the_fault(
    provider: Provider, wrong: Any
) -> None:
    with ScriptedModel([answer(wrong), answer(WHOLE)]) as model:
        outcome = await ask(model, settings_for(model, provider), response_format=ProviderStrategy(Claim))
        assert outcome.structured == Claim(**WHOLE)
        assert "has not the form" in model.requests[1].text
        assert outcome.spent.tokens.total == 2200
    with ScriptedModel([answer(wrong, times=None)]) as model:
        outcome = await ask(model, settings_for(model, provider), response_format=ProviderStrategy(Claim))
        assert (outcome.kind, len(model.requests)) == ("wrong form", 2)


async def test_our_own_bug_is_no_fault_of_the_model() -> None:
    @tool
    def query(sql: str) -> str:
        """Asks the ledger."""
        raise ZeroDivisionError

    with ScriptedModel([use(("query", {"sql": "a"})), say("never")]) as model:
        with pytest.raises(ZeroDivisionError):
            await ask(model, settings_for(model, "openai", "anthropic"), tools=[query])
        assert len(model.requests) == 1
