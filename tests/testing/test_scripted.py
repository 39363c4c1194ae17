"""The scripted model, as a user's test has it: without perfcrew around it, by the protocols alone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from perfcrew.core.errors import UsageError
from perfcrew.testing import FAULTS, Asked, ScriptedModel, answer, fail, read, say, script, use
from perfcrew.testing.__main__ import main
from perfcrew.testing.asked import Provider

QUESTIONS: dict[Provider, tuple[str, dict[str, Any]]] = {
    "anthropic": ("/v1/messages", {"model": "m", "messages": [{"role": "user", "content": "{text}"}]}),
    "google_genai": ("/v1beta/models/m:generateContent", {"contents": [{"parts": [{"text": "{text}"}]}]}),
    "openai": ("/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "{text}"}]}),
}


def post(model: ScriptedModel, provider: Provider, text: str = "hello", **more: Any) -> tuple[int, str]:
    path, body = QUESTIONS[provider]
    content = json.dumps({**body, **more}).replace("{text}", text).encode()
    request = urllib.request.Request(model.url + path, content, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("provider", QUESTIONS)
def test_steps_are_taken_one_a_request_and_then_it_is_over(provider: Provider) -> None:
    with ScriptedModel([say("first"), use(("query", {"sql": "a"}))]) as model:
        assert "first" in post(model, provider)[1]
        assert "query" in post(model, provider)[1]
        assert model.unused == 0
        status, said = post(model, provider)
        assert (status, "the script is over" in said) == (400, True)
        assert [r.provider for r in model.requests] == [provider] * 3


def test_a_question_belongs_to_the_first_part_that_it_contains() -> None:
    with ScriptedModel({"database": [say("D", times=2)], "caching": [say("C")], "": [say("other")]}) as model:
        asked = ("you are caching", "you are database", "the reviewer", "you are database")
        assert [json.loads(post(model, "openai", a)[1])["choices"][0]["message"]["content"] for a in asked] == [
            "C",
            "D",
            "other",
            "D",
        ]


def test_a_step_may_be_a_function_of_what_was_asked() -> None:
    def cites(asked: Asked) -> Any:
        return answer({"evidence": [word for word in asked.text.split() if word.startswith("E-")]})

    with ScriptedModel([cites]) as model:
        _, said = post(model, "openai", "see E-12 and E-7", tools=[{"type": "function", "function": {"name": "claim"}}])
        (call,) = json.loads(said)["choices"][0]["message"]["tool_calls"]
        assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == (
            "claim",
            {"evidence": ["E-12", "E-7"]},
        )


def test_a_key_that_is_sent_is_kept_nowhere() -> None:
    with ScriptedModel([say("ok")]) as model:
        post(model, "anthropic")
        assert "authorization" not in model.requests[0].model_dump_json().lower()


def test_another_path_is_not_found_and_no_question() -> None:
    with ScriptedModel([say("ok")]) as model:
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(urllib.request.Request(f"{model.url}/v2/else", b"{}"), timeout=10)
        assert model.requests == []
        assert model.unused == 1


def test_it_lets_go_of_its_port() -> None:
    with ScriptedModel([]) as model:
        url = model.url
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=2)


WRITTEN = """
database:
  - use: [{name: query, arguments: {sql: select 1}}]
  - {fail: 429, retry_after: 1.5, times: 2}
  - {answer: {text: slow}, tokens_cached: 500}
"":
  - reset
  - say: done
"""


def test_a_script_is_written_in_yaml_too(tmp_path: Path) -> None:
    file = tmp_path / "demo.yaml"
    file.write_text(WRITTEN)
    assert read(file) == {
        "database": (
            use(("query", {"sql": "select 1"})),
            fail(429, retry_after=1.5, times=2),
            answer({"text": "slow"}, tokens_cached=500),
        ),
        "": (FAULTS["reset"][0], say("done")),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- 3", "is no step"),
        ("- {say: a, tmes: 2}", "tmes"),
        ("a: b", "no list"),
        ("- [", "not YAML"),
        ("- sing", "do"),
    ],
)
def test_a_wrong_script_says_where(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        script(text)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_script_is_served_by_a_process_of_its_own_until_it_is_interrupted(
    tmp_path: Path, end: signal.Signals
) -> None:
    file = tmp_path / "demo.yaml"
    file.write_text("- say: done\n")
    command = [sys.executable, "-m", "perfcrew.testing", str(file), "openai"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stdout is not None
            told = dict(serving.stdout.readline().removeprefix("export ").strip().split("=", 1) for _ in range(4))
            path, body = QUESTIONS["openai"]
            content = json.dumps(body).encode()
            asked = urllib.request.Request(f"{told['OPENAI_BASE_URL'].removesuffix('/v1')}{path}", content)
            with urllib.request.urlopen(asked, timeout=10) as reply:
                assert "done" in reply.read().decode()
        finally:
            serving.send_signal(end)
        assert serving.wait(10) == 0
    assert told["PERFCREW_MODEL_DEEP"] == "openai:scripted-openai"


@pytest.mark.parametrize("words", [[], ["nowhere.yaml"], ["{script}", "openia"]])
def test_served_wrongly_it_says_what_to_do(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "demo.yaml"
    file.write_text("- say: done\n")
    assert main([word.replace("{script}", str(file)) for word in words]) == 2
    assert "to do:" in capsys.readouterr().err
