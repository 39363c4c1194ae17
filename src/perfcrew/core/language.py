"""What a user may say of language models: `[models]` of perfcrew.toml, and the same keys of config/models.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from perfcrew.core.base import Noun
from perfcrew.core.spending import Limits, Price

Provider = Literal["anthropic", "google_genai", "openai"]
Tier = Literal["fast", "deep"]
TIERS: tuple[Tier, ...] = ("fast", "deep")


def _several(value: object) -> object:
    """One text, texts between commas, or a list."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_several)]


class ProviderKeys(Noun):
    """Where a provider is reached, and which variable holds its key; the key itself is never written down."""

    base_url: str | None = None
    api_key_env: Texts = ()
    base_url_env: Texts = ()


class Calling(Noun):
    """How long, and how often, a model is asked for one answer."""

    timeout_s: float
    deadline_s: float
    attempts: int
    first_wait_s: float
    most_wait_s: float
    max_output_tokens: int
    failures: int
    cooldown_s: float


class CallingKeys(Noun):
    """Those of Calling that are given."""

    timeout_s: float | None = None
    deadline_s: float | None = None
    attempts: int | None = None
    first_wait_s: float | None = None
    most_wait_s: float | None = None
    max_output_tokens: int | None = None
    failures: int | None = None
    cooldown_s: float | None = None


class ModelKeys(Noun):
    """`[models]`: the models of each tier as `provider:model`, the first asked first, the others where it fails."""

    enabled: bool | None = None
    fast: Texts = ()
    deep: Texts = ()
    providers: dict[Provider, ProviderKeys] = {}
    limits: Limits = Limits()
    calling: CallingKeys = CallingKeys()
    prices: dict[str, Price] = {}
