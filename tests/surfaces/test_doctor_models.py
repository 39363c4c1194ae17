"""`perfcrew doctor --models`: one real call to each, and errors that say what to do; `--offline`: none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from perfcrew.crew.models import trying
from perfcrew.surfaces.cli import run
from perfcrew.testing import ScriptedModel, Step, empty, fail, say

DOWN = "http://127.0.0.1:9"  # the discard port, on which nobody listens


def clean(environment: dict[str, str]) -> dict[str, str]:
    """Without the keys and addresses of whoever runs the tests."""
    return {k: v for k, v in os.environ.items() if not k.endswith(("_API_KEY", "_BASE_URL"))} | environment


def doctor(root: Path, environment: dict[str, str], *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "perfcrew", "doctor", "--models", str(root), *more],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env=clean(environment),
    )


Here = Callable[[dict[str, str]], tuple[int, str]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """The same in this process, where the SDKs are imported once for all tests."""

    def run_here(environment: dict[str, str]) -> tuple[int, str]:
        for name in set(os.environ) - set(clean({})):
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        code = run(["doctor", "--models", str(tmp_path)])
        printed = capsys.readouterr()
        assert printed.err == ""
        return code, printed.out

    return run_here


def test_no_key_is_one_line_and_no_error(tmp_path: Path) -> None:
    done = doctor(tmp_path, {})
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    assert line.startswith("models: none (ANTHROPIC_API_KEY is not set")


def test_each_model_is_asked_once_and_what_it_said_is_shown(here: Here) -> None:
    with ScriptedModel([say("ready\nwhen you are"), say("ready", tokens_in=12, tokens_out=3), fail(401)]) as model:
        code, said = here(model.environment("anthropic", "google_genai", "openai"))
        assert [r.provider for r in model.requests] == ["anthropic", "google_genai", "openai"]
    assert code == 3
    _, first, second, third, to_do = said.splitlines()
    assert first.startswith(
        f"fast+deep  anthropic:scripted-anthropic at {model.url[7:]}: answered 'ready when you are'"
    )
    assert second.endswith("12 tokens in, 3 out, price unknown")
    assert "FAILED: key refused 401: scripted 401 invalid_api_key" in third
    assert "see whether OPENAI_API_KEY holds a key of" in to_do


pytestmark = pytest.mark.filterwarnings("ignore:coroutine 'ClientResponse.json' was never awaited")
WRONG: dict[str, tuple[Step | None, str, str]] = {
    # what the server does (None: there is no server), what is said, what is to be done
    "no network": (None, "no connection: [Errno ", "see whether this machine reaches the provider"),
    "no such model": (fail(404), "no such model 404", "correct the model's name"),
    "no credit": (fail(429, error="insufficient_quota"), "no credit 429", "see to the account"),
    "no answer": (empty(), "the answer is empty", ""),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_after_one_request(name: str, here: Here) -> None:
    step, said, to_do = WRONG[name]
    with ScriptedModel([step] if step else []) as model:
        environment = model.environment("openai")
        code, told = here(environment if step else {**environment, "OPENAI_BASE_URL": f"{DOWN}/v1"})
        assert len(model.requests) == bool(step)
    assert code == 3
    assert f"FAILED: {said}" in told
    assert to_do in told


def test_a_bug_of_ours_is_not_told_as_the_models_failure(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trying, "QUESTION", 7)
    with ScriptedModel([say("ready")]) as model, pytest.raises(ValidationError):
        here(model.environment("openai"))


def test_offline_nothing_is_asked_that_is_not_here(tmp_path: Path) -> None:
    done = doctor(tmp_path, {"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k"}, "--offline")
    assert done.returncode == 0
    assert "offline, and anthropic is not on this machine" in done.stdout
