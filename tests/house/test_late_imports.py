"""`--help` and `rules` import nothing heavy, so that they answer at once."""

import os
import subprocess
import sys

import pytest

HEAVY = (
    "pydantic",
    "langgraph",
    "langchain_core",
    "langchain",
    "detect_secrets",
    "numpy",
    "scipy",
    "aiohttp",
    "sqlglot",
    "rich",
    "jinja2",
    "yaml",
    "faker",
)
OF_MODELS = ("langchain", "langchain_anthropic", "langchain_google_genai", "langchain_openai")
OF_PROVIDERS = ("anthropic", "openai", "google.genai", "tiktoken")


def loaded(code: str, environment: dict[str, str] | None = None) -> set[str]:
    """The modules that are there when the code has run in a fresh process, without any key unless given."""
    clean = {name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_BASE_URL"))}
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint('LOADED', *sorted(sys.modules))"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**clean, **(environment or {})},
    )
    return set(result.stdout.rpartition("LOADED")[2].split())


@pytest.mark.parametrize("arguments", [["--help"], ["rules"], ["rules", "DB101"], ["--version"]])
def test_light(arguments: list[str]) -> None:
    there = loaded(f"from perfcrew.surfaces.cli import run\ntry:\n    run({arguments!r})\nexcept SystemExit:\n    pass")
    assert "perfcrew" in there
    assert there.isdisjoint((*HEAVY, *OF_MODELS, *OF_PROVIDERS))


def test_a_run_without_a_model_imports_nothing_of_models() -> None:
    there = loaded(
        "from pathlib import Path\nimport perfcrew.graphs.run, perfcrew.surfaces.review\n"
        "from perfcrew.crew import models\nassert models.load(Path('/nowhere')) is None"
    )
    assert "langgraph" in there
    assert there.isdisjoint((*OF_MODELS, *OF_PROVIDERS))


PROVIDERS = {
    "ANTHROPIC_API_KEY": ("langchain_anthropic", "anthropic"),
    "GEMINI_API_KEY": ("langchain_google_genai", "google.genai"),
    "OPENAI_API_KEY": ("langchain_openai", "openai"),
}


@pytest.mark.parametrize("key", PROVIDERS)
def test_only_the_configured_provider_is_imported_and_only_when_it_is_made(key: str) -> None:
    early = f"assert not [m for m in {(*OF_MODELS, *OF_PROVIDERS)!r} if m in sys.modules]"
    there = loaded(
        "import sys\nfrom pathlib import Path\nfrom perfcrew.crew import models\n"
        f"found = models.load(Path('/nowhere'))\n{early}\nmodels.chat(found, 'fast')",
        {key: "k"},
    )
    others = {name for other in set(PROVIDERS) - {key} for name in PROVIDERS[other]}
    assert there >= set(PROVIDERS[key])
    assert there.isdisjoint(others)
