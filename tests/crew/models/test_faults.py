"""Each fault, from each provider, whole and streamed: what comes of it, how many requests, how long the waits.

Real SDKs against a scripted server over real sockets; only the waiting between requests is not real.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from perfcrew.crew.models import faults
from perfcrew.testing import FAULTS, ScriptedModel, fail
from perfcrew.testing.asked import Provider

from .asking import PROVIDERS, Outcome, ask, settings_for

# name of the fault -> `ok` or how it fails, and how many requests it takes
COMES_OUT: dict[str, tuple[str, int]] = {
    "none": ("ok", 1),
    "parallel tool calls": ("ok", 2),
    "429, retry-after in seconds": ("ok", 2),
    "429, retry-after as a date": ("ok", 2),
    "429, retry-after-ms": ("ok", 2),
    "429, RetryInfo.retryDelay": ("ok", 2),
    "429, no time named": ("ok", 2),
    "429, an hour": ("rate limit", 1),
    "429 always": ("rate limit", 4),
    "429, no credit": ("no credit", 1),
    "500": ("ok", 2),
    "500 always": ("server error", 4),
    "503": ("ok", 2),
    "529": ("ok", 2),
    "529 always": ("overloaded", 4),
    "529 in mid-stream": ("ok", 2),
    "400": ("refused request", 1),
    "401": ("key refused", 1),
    "403": ("not allowed", 1),
    "404": ("no such model", 1),
    "reset": ("ok", 2),
    "reset always": ("connection broken", 4),
    "cut in the answer": ("ok", 2),
    "ended too early": ("ok", 2),
    "malformed": ("ok", 2),
    "malformed always": ("unreadable", 4),
    "JSON of another form": ("ok", 2),
    "truncated JSON": ("ok", 2),
    "empty": ("ok", 2),
    "empty always": ("empty", 2),
    "refusal": ("refused", 1),
    "overlong": ("ok", 2),
    "overlong always": ("too long", 2),
    "hangs": ("ok", 2),
    "arguments that are no JSON": ("ok", 2),
    "a tool that is not there": ("ok", 2),
    "a loop on a tool": ("ModelLoops", 4),
}
# What a stream, or a provider, tells otherwise: still no answer, and no storm.
OTHERWISE: dict[tuple[str, Provider, bool], tuple[str, int]] = {
    ("malformed always", "anthropic", True): ("broken off", 2),
    ("refusal", "openai", True): ("empty", 2),
}
ALIKE_IN_A_STREAM = {
    *(name for name in FAULTS if name.startswith("429") and name != "429, RetryInfo.retryDelay"),
    *("503", "529", "529 always", "400", "403", "404", "reset always", "empty always", "overlong always", "hangs"),
    *("a tool that is not there", "a loop on a tool"),
}
"""Told before a stream begins, or after it has ended: asked whole alone."""
CASES = [
    (name, provider, streamed)
    for name in FAULTS
    for provider in PROVIDERS
    for streamed in (False, True)
    if not (streamed and name in ALIKE_IN_A_STREAM)
]
pytestmark = pytest.mark.filterwarnings("ignore:coroutine 'ClientResponse.json' was never awaited")


async def came_out(name: str, provider: Provider, streamed: bool) -> Outcome:
    with ScriptedModel(FAULTS[name]) as model:
        settings = settings_for(model, provider, timeout_s=1.0 if name == "hangs" else 60.0)
        return await ask(model, settings, streamed=streamed)


def test_every_fault_has_its_expectation() -> None:
    assert COMES_OUT.keys() == FAULTS.keys()


@pytest.mark.parametrize(("name", "provider", "streamed"), CASES)
async def test_comes_out(name: str, provider: Provider, streamed: bool) -> None:
    outcome = await came_out(name, provider, streamed)
    kind, requests = OTHERWISE.get((name, provider, streamed), COMES_OUT[name])
    assert (outcome.kind, len(outcome.requests)) == (kind, requests), outcome.error
    assert outcome.spent.requests == requests
    assert outcome.seconds < 20
    assert all(r.streamed == streamed and r.provider == provider for r in outcome.requests)


WAITS: dict[str, dict[Provider, float | None]] = {
    # what the provider asked for, in seconds; None: it did not, and the wait is ours
    "429, retry-after in seconds": {"anthropic": 2, "google_genai": 2, "openai": 2},
    "429, retry-after as a date": {"anthropic": None, "google_genai": None, "openai": None},
    "429, retry-after-ms": {"anthropic": 0.7, "google_genai": 0.7, "openai": 0.7},
    "429, RetryInfo.retryDelay": {"anthropic": None, "google_genai": 3.5, "openai": None},
    "500": {"anthropic": None, "google_genai": None, "openai": None},
}


@pytest.mark.parametrize(("name", "provider"), [(name, provider) for name in WAITS for provider in PROVIDERS])
async def test_waits_as_long_as_it_is_told_to(name: str, provider: Provider) -> None:
    (slept,) = (await came_out(name, provider, False)).slept
    asked = WAITS[name][provider]
    assert slept == asked if asked is not None else 0.5 <= slept <= 1.0


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_waits_grow_where_no_time_is_named(provider: Provider) -> None:
    slept = (await came_out("500 always", provider, False)).slept
    assert [0.5 <= s / 2**n <= 1.0 for n, s in enumerate(slept)] == [True, True, True]


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_an_unusable_answer_is_paid_for(provider: Provider) -> None:
    outcome = await came_out("overlong always", provider, False)
    assert (outcome.spent.calls, outcome.spent.tokens.total) == (1, 2200)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_asked_once_more_the_model_is_told_what_was_wrong(provider: Provider) -> None:
    outcome = await came_out("overlong", provider, False)
    first, second = outcome.requests
    assert "too long" not in first.text
    assert "it was too long" in second.text


async def test_an_error_says_who_what_and_what_to_do() -> None:
    error = (await came_out("401", "anthropic", False)).error
    assert error is not None
    assert error.what.startswith("anthropic:scripted-anthropic: key refused 401 after 1 request: ")
    assert "perfcrew doctor --models" in error.do


class Told(Exception):
    """An error as SDKs raise it: a status, a body, and an answer with headers."""

    def __init__(self, headers: dict[str, str], message: str = "slow down") -> None:
        super().__init__(message)
        self.status_code, self.body = 429, {"error": {"message": message}}
        self.response = SimpleNamespace(headers=headers)


# what a provider may send as `retry-after` -> the seconds that it asks for, at least and at most; None: none
RETRY_AFTER: dict[str, tuple[float, float] | None] = {
    "5": (5, 5),
    "0": (0, 0),
    "100000": (100_000, 100_000),
    "-5": None,
    "inf": None,
    "nan": None,
    "soon": None,
    "Wed, 21 Oct 2015 07:28:00 GMT": (0, 0),
    "Wed, 21 Oct 2015 07:28:00 -0000": (0, 0),
    "Wed, 21 Oct 2999 07:28:00 GMT": (3e10, 4e10),
    "Wed, 21 Oct 99999 07:28:00 GMT": None,
    "Sun, 01 Jan 0001 00:00:00 +2359": (0, 0),
}


@pytest.mark.parametrize("told", RETRY_AFTER)
def test_retry_after_is_read(told: str) -> None:
    found, wanted = faults.of(Told({"retry-after": told})).wait_s, RETRY_AFTER[told]
    assert found is None if wanted is None else wanted[0] <= (found or 0.0) <= wanted[1]


async def test_a_time_that_is_over_is_no_leave_to_storm() -> None:
    with ScriptedModel([fail(429, retry_after=0)] * 9) as model:
        outcome = await ask(model, settings_for(model, "anthropic"))
    assert len(outcome.requests) == 4 and all(seconds >= 0.5 for seconds in outcome.slept)


@pytest.mark.parametrize("before", range(150, 210, 7))
def test_no_part_of_a_key_is_told_where_the_text_is_cut(before: int) -> None:
    secret = "vllm-0123456789abcdefghijklmnopqrstuvwxyz"
    said = faults.of(Told({}, "x" * before + secret), secret).said
    assert "vllm" not in said and len(said) <= 200


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_key_that_the_provider_repeats_is_not_told(provider: Provider) -> None:
    secret = "sk-live-0123456789"
    with ScriptedModel([fail(401, text=f"Incorrect API key provided: {secret}.")]) as model:
        settings = settings_for(model, provider)
        (choice,) = settings.chains["deep"]
        chain = (choice.model_copy(update={"key": SecretStr(secret)}),)
        outcome = await ask(model, settings.model_copy(update={"chains": {"fast": chain, "deep": chain}}))
    assert outcome.error is not None
    assert "Incorrect API key provided: …" in outcome.error.what
    assert secret not in str(outcome.error)
