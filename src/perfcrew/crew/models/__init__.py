"""Language models, as the crew uses them: which, at what limits, and what is done where one fails.

`load(root)` says which are configured, None where none is; `chat` makes one; a Meter counts what they cost.
Everything that a model can do wrong ends as a ModelFailed, which the caller turns into "the rule book finishes".
It refuses to import langchain, or a provider, before a model is used, and to go outside under `--offline`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfcrew.core.language import Tier
from perfcrew.crew.models.errors import (
    AnswerUnusable,
    CallFailed,
    LimitReached,
    ModelFailed,
    ModelLoops,
    OfflineRefused,
    ProviderDown,
)
from perfcrew.crew.models.meter import Meter
from perfcrew.crew.models.settings import Choice, ModelSettings, load, look

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

__all__ = [
    "AnswerUnusable",
    "CallFailed",
    "Choice",
    "LimitReached",
    "Meter",
    "ModelFailed",
    "ModelLoops",
    "ModelSettings",
    "OfflineRefused",
    "ProviderDown",
    "Tier",
    "chat",
    "load",
    "look",
]


def chat(settings: ModelSettings, tier: Tier) -> BaseChatModel:
    """The tier's first model; UsageError where its package is not installed, OfflineRefused where it is outside."""
    from perfcrew.crew.models.providers import build

    return build(settings.chains[tier][0], settings)
