"""Language models, as the crew uses them: which, at what limits, and what is done where one fails.

`load(root)` says which are configured, None where none is; `chat` makes one; `middleware` is what LangChain's
`create_agent` needs around it: one layer that tries again, a circuit that all specialists share, a chain of fallbacks,
a meter. Everything that a model can do wrong ends as a ModelFailed, which the caller turns into "the rule book
finishes". It refuses to import langchain, or a provider, before a model is used, and to go outside under `--offline`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    from langchain.agents.middleware import AgentMiddleware
    from langchain_core.language_models import BaseChatModel

    from perfcrew.crew.models.breaking import Circuit

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
    "circuit",
    "load",
    "look",
    "middleware",
]


def chat(settings: ModelSettings, tier: Tier) -> BaseChatModel:
    """The tier's first model; UsageError where its package is not installed, OfflineRefused where it is outside."""
    from perfcrew.crew.models.providers import build

    return build(settings.chains[tier][0], settings)


def circuit(settings: ModelSettings) -> Circuit:
    """What all specialists of one run share, so that a provider's outage is waited for once."""
    from perfcrew.crew.models.breaking import Circuit

    return Circuit(settings.calling.failures, settings.calling.cooldown_s)


def middleware(
    settings: ModelSettings, tier: Tier, meter: Meter, circuit: Circuit
) -> list[AgentMiddleware[Any, Any, Any]]:
    """What goes into `create_agent(chat(settings, tier), middleware=…)`, the outermost first.

    `meter` is the specialist's own, `run_meter.of("database", limits)`; `circuit` is that of the run.
    """
    from perfcrew.crew.models.layers import layers

    return layers(settings, tier, meter, circuit)
