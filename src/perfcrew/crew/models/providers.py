"""Makes the chat model of a choice: the SDK's own retries off, every time-out set, only that provider imported."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from perfcrew.core.errors import UsageError
from perfcrew.core.language import Provider
from perfcrew.crew.models import offline
from perfcrew.crew.models.errors import OfflineRefused
from perfcrew.crew.models.settings import EXTRAS, PACKAGES, Choice, ModelSettings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

CLASSES: dict[Provider, str] = {
    "anthropic": "ChatAnthropic",
    "google_genai": "ChatGoogleGenerativeAI",
    "openai": "ChatOpenAI",
}
# Gemini's SDK takes 0 for its own default of five requests, and without the argument tries a broken connection again
# after up to ten seconds of sleep; 1 is one request.
ONCE: dict[Provider, dict[str, Any]] = {
    "anthropic": {"max_retries": 0},
    "google_genai": {"max_retries": 1, "vertexai": False},
    "openai": {"max_retries": 0, "use_responses_api": False, "stream_usage": True},
}


def build(choice: Choice, settings: ModelSettings) -> BaseChatModel:
    """The model; the layers above find its choice again by `of`."""
    if settings.offline and not offline.near(choice.base_url):
        raise OfflineRefused(
            f"{choice.name} is outside of this machine", do="leave out --offline, or ask a server here"
        )
    if choice.provider == "google_genai":
        # Its errors ask aiohttp's answer for its JSON and do not wait for it: nothing that a reader can act on.
        warnings.filterwarnings("ignore", r"coroutine 'ClientResponse\.json' was never awaited", RuntimeWarning)
    try:
        package = import_module(PACKAGES[choice.provider])
    except ImportError as error:
        raise UsageError(
            f"{choice.provider} can't be asked: {error}", do=f"pip install 'perfcrew[{EXTRAS[choice.provider]}]'"
        ) from None
    model: BaseChatModel = getattr(package, CLASSES[choice.provider])(
        model=choice.model,
        base_url=choice.base_url,
        api_key=choice.key,
        timeout=settings.calling.timeout_s,
        max_tokens=settings.calling.max_output_tokens,
        metadata={"perfcrew_model": choice.name},
        **ONCE[choice.provider],
    )
    return model


def of(model: BaseChatModel, choices: dict[str, Choice]) -> Choice:
    """The choice that this model was made of."""
    return choices[str((model.metadata or {}).get("perfcrew_model"))]
