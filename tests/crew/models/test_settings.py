"""Which models are configured: the shipped file, perfcrew.toml over it, the environment over both."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfcrew.core.errors import UsageError
from perfcrew.core.language import TIERS
from perfcrew.crew import models
from perfcrew.crew.models import settings as settings_module
from perfcrew.crew.models.settings import look

SECRET = "sk-very-secret"
ANTHROPIC = {"ANTHROPIC_API_KEY": SECRET}
OLLAMA = '[models]\ndeep = "openai:qwen3"\n[models.providers.openai]\nbase_url = "http://127.0.0.1:11434/v1"\n'

FOUND: dict[str, tuple[str, dict[str, str], dict[str, tuple[str, ...]]]] = {
    # name -> perfcrew.toml, environment, the chains that come out
    "one key": ("", ANTHROPIC, {"fast": ("anthropic:claude-haiku-4-5",), "deep": ("anthropic:claude-opus-5",)}),
    "two keys: the first alone, code goes to one provider only": (
        "",
        {**ANTHROPIC, "OPENAI_API_KEY": SECRET},
        {"fast": ("anthropic:claude-haiku-4-5",), "deep": ("anthropic:claude-opus-5",)},
    ),
    "a key under its second name": (
        "",
        {"GOOGLE_API_KEY": SECRET},
        {"fast": ("google_genai:gemini-3.1-flash-lite",), "deep": ("google_genai:gemini-3.5-flash",)},
    ),
    "a chain that the user names": (
        '[models]\nfast = "openai:gpt-5.4-mini"\ndeep = ["anthropic:claude-opus-5", "openai:gpt-5.4"]\n',
        {**ANTHROPIC, "OPENAI_API_KEY": SECRET},
        {"fast": ("openai:gpt-5.4-mini",), "deep": ("anthropic:claude-opus-5", "openai:gpt-5.4")},
    ),
    "of a chain, those that have a key": (
        '[models]\ndeep = ["openai:gpt-5.4", "anthropic:claude-opus-5"]\n',
        ANTHROPIC,
        {"fast": ("anthropic:claude-opus-5",), "deep": ("anthropic:claude-opus-5",)},
    ),
    "one tier named: the other is it too, no other provider": (
        '[models]\nfast = "openai:gpt-5.4-mini"\n',
        {**ANTHROPIC, "OPENAI_API_KEY": SECRET},
        {"fast": ("openai:gpt-5.4-mini",), "deep": ("openai:gpt-5.4-mini",)},
    ),
    "a server on this machine, without a key": (OLLAMA, {}, {"fast": ("openai:qwen3",), "deep": ("openai:qwen3",)}),
    "the environment over the file": (
        OLLAMA,
        {"PERFCREW_MODEL_DEEP": "openai:llama4, openai:qwen3"},
        {"fast": ("openai:llama4", "openai:qwen3"), "deep": ("openai:llama4", "openai:qwen3")},
    ),
    "a key of another name": (
        '[models.providers.openai]\napi_key_env = "OUR_GATEWAY"\nbase_url = "https://gateway.example/v1"\n',
        {"OUR_GATEWAY": SECRET},
        {"fast": ("openai:gpt-5.4-mini",), "deep": ("openai:gpt-5.4",)},
    ),
}


def project(folder: Path, toml: str) -> Path:
    (folder / "perfcrew.toml").write_text(toml)
    return folder


@pytest.mark.parametrize("name", FOUND)
def test_found(name: str, tmp_path: Path) -> None:
    toml, environment, chains = FOUND[name]
    settings = look(project(tmp_path, toml), environment=environment).settings
    assert settings is not None
    assert {tier: tuple(c.name for c in settings.chains[tier]) for tier in TIERS} == chains


NONE: dict[str, tuple[str, dict[str, str], bool, str]] = {
    # name -> perfcrew.toml, environment, offline, what the line says
    "no key": ("", {}, False, "ANTHROPIC_API_KEY is not set"),
    "an empty key": ("", {"ANTHROPIC_API_KEY": ""}, False, "ANTHROPIC_API_KEY is not set"),
    "a named model without its key": ('[models]\ndeep = "openai:gpt-5.4"\n', ANTHROPIC, False, "OPENAI_API_KEY"),
    "switched off in the file": ("[models]\nenabled = false\n", ANTHROPIC, False, "switched off"),
    "switched off in the environment": ("", {**ANTHROPIC, "PERFCREW_MODELS": "off"}, False, "switched off"),
    "offline": ("", ANTHROPIC, True, "offline, and anthropic is not on this machine"),
    "offline by the environment": ("", {**ANTHROPIC, "PERFCREW_OFFLINE": "1"}, False, "offline"),
    "a gateway elsewhere without a key": (
        '[models.providers.openai]\nbase_url = "https://gateway.example/v1"\n[models]\n', {}, False, "is not set"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NONE)
def test_none_is_one_line_and_no_error(name: str, tmp_path: Path) -> None:
    toml, environment, offline, said = NONE[name]
    found = look(project(tmp_path, toml), offline or None, environment)
    assert found.settings is None
    assert said in found.said
    assert found.said.endswith("the rule book concludes alone")
    assert "\n" not in found.said


def test_offline_keeps_a_server_on_this_machine(tmp_path: Path) -> None:
    found = look(project(tmp_path, OLLAMA), True, {})
    assert found.settings is not None
    assert found.settings.offline
    assert found.said.endswith("(offline)")


def test_a_package_that_is_not_installed_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(settings_module.PACKAGES, "anthropic", "no_such_package")
    found = look(tmp_path, environment=ANTHROPIC)
    assert found.settings is None
    assert "perfcrew[anthropic]` is not installed" in found.said


WRONG = {
    "no provider": ('[models]\ndeep = "gpt-5.4"\n', "provider:model"),
    "an unknown provider": ('[models]\ndeep = "openia:gpt-5.4"\n', "openai"),
    "an unknown key": ("[models]\ndepe = 'openai:x'\n", "did you mean deep"),
    "a limit that is no number": ("[models.limits]\ncalls = 'many'\n", "models.limits.calls"),
    "a base URL that is none": ('[models.providers.anthropic]\nbase_url = "127.0.0.1:8000"\n', "is no base URL"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_is_said_with_what_to_do(name: str, tmp_path: Path) -> None:
    toml, said = WRONG[name]
    with pytest.raises(UsageError) as error:
        look(project(tmp_path, toml), environment=ANTHROPIC)
    assert said in str(error.value)


def test_limits_and_prices_of_the_project_lie_over_the_shipped_ones(tmp_path: Path) -> None:
    toml = "[models.limits]\nmoney_usd = 0.5\n[models.prices.claude-opus-5]\ninput = 1\noutput = 2\n"
    settings = look(project(tmp_path, toml), environment=ANTHROPIC).settings
    assert settings is not None
    assert settings.limits.money_usd == 0.5
    assert settings.limits.calls is not None
    price = settings.chains["deep"][0].price
    assert price is not None
    assert (price.input, price.output) == (1, 2)


def test_every_shipped_model_has_a_price_and_the_table_a_day() -> None:
    for key in ("ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY"):
        settings = look(Path("/nowhere"), environment={key: SECRET}).settings
        assert settings is not None
        assert all(choice.price for chain in settings.chains.values() for choice in chain)
        assert settings.prices_as_of.year >= 2026


PRICED: dict[str, bool] = {
    "claude-opus-5": True,
    "claude-opus-5-20260724": True,
    "gpt-5.4-2026-03-05": True,
    "claude-opus-55": False,
    "claude-opus": False,
    "gpt-5.4-mini-preview": False,
}


@pytest.mark.parametrize("model", PRICED)
def test_a_price_is_that_of_the_name_or_of_its_dated_release(model: str, tmp_path: Path) -> None:
    found = look(tmp_path, environment={**ANTHROPIC, "PERFCREW_MODEL_DEEP": f"anthropic:{model}"})
    assert found.settings is not None
    assert (found.settings.chains["deep"][0].price is not None) == PRICED[model]
    assert ("no price is known of" in found.said) != PRICED[model]


def test_the_key_is_in_no_text(tmp_path: Path) -> None:
    found = look(tmp_path, environment=ANTHROPIC)
    assert found.settings is not None
    texts = (found.said, repr(found), found.model_dump_json(), str(found.settings.chains))
    assert not [text for text in texts if SECRET in text]
    assert found.settings.chains["deep"][0].key.get_secret_value() == SECRET


def test_the_public_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
    assert models.load(tmp_path) is not None
    assert models.load(tmp_path, offline=True) is None
