"""Which models are configured: config/models.yaml, `[models]` of perfcrew.toml over it, the environment over both.

The environment: the providers' own key and base URL variables, PERFCREW_MODEL_FAST and PERFCREW_MODEL_DEEP
(`provider:model`, several between commas), PERFCREW_MODELS=off, PERFCREW_OFFLINE=1.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from pydantic import SecretStr

from perfcrew import rooms
from perfcrew.core.base import Noun, parsed
from perfcrew.core.errors import UsageError
from perfcrew.core.language import TIERS, Calling, ModelKeys, Provider, ProviderKeys, Tier
from perfcrew.core.spending import Limits, Price
from perfcrew.crew.models import offline
from perfcrew.target import config

FILE = "config/models.yaml"
PACKAGES: dict[Provider, str] = {
    "anthropic": "langchain_anthropic",
    "google_genai": "langchain_google_genai",
    "openai": "langchain_openai",
}
EXTRAS: dict[Provider, str] = {"anthropic": "anthropic", "google_genai": "gemini", "openai": "openai"}
HOMES: dict[Provider, str] = {
    "anthropic": "https://api.anthropic.com",
    "google_genai": "https://generativelanguage.googleapis.com",
    "openai": "https://api.openai.com/v1",
}
_RELEASE = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2}|latest)$")
_OFF = ("off", "0", "false", "no")
_RULE_BOOK = "the rule book concludes alone"


class Prices(Noun):
    """The table, and the day that it was read."""

    as_of: date
    usd_per_million: dict[str, Price]


class Shipped(Noun):
    """config/models.yaml."""

    enabled: bool
    order: tuple[Provider, ...]
    tiers: dict[Tier, dict[Provider, str]]
    providers: dict[Provider, ProviderKeys]
    limits: Limits
    calling: Calling
    prices: Prices


class Choice(Noun):
    """One model that can be asked."""

    provider: Provider
    model: str
    base_url: str
    key: SecretStr
    key_from: str
    """The variable that held it; empty where a server on this machine needs none."""
    price: Price | None

    @property
    def name(self) -> str:
        """`anthropic:claude-opus-5`."""
        return f"{self.provider}:{self.model}"

    @property
    def secret(self) -> str:
        """What must be in no text; empty where there is no key."""
        return self.key.get_secret_value() if self.key_from else ""

    @property
    def host(self) -> str:
        """Whom it is sent to, without the name and password that an address may hold."""
        return urlsplit(self.base_url).netloc.rpartition("@")[2]

    @property
    def place(self) -> str:
        """What is down when it is down: a provider at an address."""
        return f"{self.provider} at {self.host}"


class ModelSettings(Noun):
    """The models of a run, its limits, and how they are asked. `chains` has both tiers, none of them empty."""

    chains: dict[Tier, tuple[Choice, ...]]
    limits: Limits
    calling: Calling
    prices_as_of: date
    offline: bool = False


class Looked(Noun):
    """What was found, and the line that says it."""

    settings: ModelSettings | None
    said: str


def load(root: Path, offline: bool | None = None) -> ModelSettings | None:
    """The models of the project at `root`; None where none is configured, which is no error.

    Raises UsageError where the configuration is wrong.
    """
    return look(root, offline).settings


def look(root: Path, offline: bool | None = None, environment: Mapping[str, str] = os.environ) -> Looked:
    """As `load`, with the one line to show: which models, or why none."""
    shipped = parsed(Shipped, rooms.mapping(rooms.read(FILE, root), FILE), FILE)
    own = _with_environment(config.load(root).models, environment)
    enabled = shipped.enabled if own.enabled is None else own.enabled
    if not enabled:
        return Looked(settings=None, said=f"models: switched off; {_RULE_BOOK}")
    return _Look(shipped, own, environment, _offline(offline, environment)).looked()


def _offline(asked: bool | None, environment: Mapping[str, str]) -> bool:
    told = environment.get("PERFCREW_OFFLINE", "").lower() not in ("", *_OFF)
    return offline.enforced() or told if asked is None else asked or offline.enforced()


def _with_environment(own: ModelKeys, environment: Mapping[str, str]) -> ModelKeys:
    given: dict[str, Any] = {
        tier: environment[f"PERFCREW_MODEL_{tier.upper()}"]
        for tier in TIERS
        if environment.get(f"PERFCREW_MODEL_{tier.upper()}")
    }
    if environment.get("PERFCREW_MODELS"):
        given["enabled"] = environment["PERFCREW_MODELS"].lower() not in _OFF
    return ModelKeys.model_validate({**own.model_dump(), **given})


class _Look:
    """One look at what is configured; keeps why what was wanted can't be had."""

    def __init__(self, shipped: Shipped, own: ModelKeys, environment: Mapping[str, str], offline: bool) -> None:
        self.shipped, self.own, self.environment, self.offline = shipped, own, environment, offline
        self.missing: list[str] = []

    def looked(self) -> Looked:
        chains = {tier: self._chain(tier) for tier in TIERS}
        found = {tier: chain for tier, chain in chains.items() if chain}
        if not found:
            why = "; ".join(dict.fromkeys(self.missing))
            return Looked(settings=None, said=f"models: none ({why}); {_RULE_BOOK}")
        either = next(iter(found.values()))
        settings = ModelSettings(
            chains={tier: found.get(tier, either) for tier in TIERS},
            limits=_over(self.shipped.limits, self.own.limits),
            calling=_over(self.shipped.calling, self.own.calling),
            prices_as_of=self.shipped.prices.as_of,
            offline=self.offline,
        )
        return Looked(settings=settings, said=describe(settings))

    def _chain(self, tier: Tier) -> tuple[Choice, ...]:
        named: tuple[str, ...] = getattr(self.own, tier) or self.own.deep or self.own.fast
        if named:
            return tuple(c for c in (self._choice(*_split(name, tier)) for name in named) if c)
        models = self.shipped.tiers[tier]
        shipped = (self._choice(provider, models[provider]) for provider in self.shipped.order if provider in models)
        return tuple(c for c in shipped if c)[:1]

    def _choice(self, provider: Provider, model: str) -> Choice | None:
        base_url = self._base_url(provider)
        variables = self._keys(provider).api_key_env or self.shipped.providers[provider].api_key_env
        key_from = next((v for v in variables if self.environment.get(v)), "")
        near = offline.near(base_url)
        why = self._why_not(provider, variables, key_from, near)
        if why:
            self.missing.append(why)
            return None
        return Choice(
            provider=provider,
            model=model,
            base_url=base_url,
            key=SecretStr(self.environment[key_from] if key_from else "none"),
            key_from=key_from,
            price=self._price(model),
        )

    def _why_not(self, provider: Provider, variables: Iterable[str], key_from: str, near: bool) -> str:
        if not key_from and not near:
            return f"{' or '.join(variables) or f'[models.providers.{provider}] api_key_env'} is not set"
        if self.offline and not near:
            return f"offline, and {provider} is not on this machine"
        if find_spec(PACKAGES[provider]) is None:
            return f"{key_from or provider} is set, but `perfcrew[{EXTRAS[provider]}]` is not installed"
        return ""

    def _keys(self, provider: Provider) -> ProviderKeys:
        return self.own.providers.get(provider, ProviderKeys())

    def _base_url(self, provider: Provider) -> str:
        own = self._keys(provider)
        shipped = self.shipped.providers[provider]
        told = (self.environment.get(v) for v in own.base_url_env or shipped.base_url_env)
        url = own.base_url or next((u for u in told if u), None) or shipped.base_url or HOMES[provider]
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise UsageError(f"{url!r} is no base URL", where=f"[models.providers.{provider}]", do="write http(s)://…")
        return url.rstrip("/")

    def _price(self, model: str) -> Price | None:
        """Of that name, else of the name without the day of its release."""
        known = {**self.shipped.prices.usd_per_million, **self.own.prices}
        return known.get(model) or known.get(_RELEASE.sub("", model))


def _split(name: str, tier: Tier) -> tuple[Provider, str]:
    provider, _, model = name.partition(":")
    known: tuple[Provider, ...] = get_args(Provider)
    found = next((p for p in known if p == provider), None)
    if found is None or not model:
        raise UsageError(
            f"{name!r} names no model",
            where=f"[models] {tier}",
            do=f"write provider:model, with {', '.join(known)} as provider",
        )
    return found, model


def _over(shipped: Any, own: Any) -> Any:
    return shipped.model_copy(update=own.model_dump(exclude_none=True))


def describe(settings: ModelSettings) -> str:
    """`models: fast anthropic:claude-haiku-4-5, deep …; at most 150 calls, …`: the line shown before a run."""
    tiers = ", ".join(f"{tier} {' then '.join(c.name for c in settings.chains[tier])}" for tier in TIERS)
    keys = sorted({c.key_from for chain in settings.chains.values() for c in chain if c.key_from})
    limits = settings.limits
    most = [
        f"{limits.calls} calls" if limits.calls is not None else "",
        f"{limits.tokens:,} tokens" if limits.tokens is not None else "",
        f"${limits.money_usd:,.2f}" if limits.money_usd is not None else "",
        f"{limits.seconds:.0f} s" if limits.seconds is not None else "",
    ]
    said = [f"models: {tiers}", f"key from {', '.join(keys)}" if keys else "no key", _most(most), _unpriced(settings)]
    return "; ".join(part for part in said if part) + (" (offline)" if settings.offline else "")


def _most(parts: list[str]) -> str:
    given = [part for part in parts if part]
    return f"at most {', '.join(given)}" if given else "no limit"


def _unpriced(settings: ModelSettings) -> str:
    names = sorted({c.name for chain in settings.chains.values() for c in chain if c.price is None})
    return f"no price is known of {', '.join(names)}, so money is no limit there" if names else ""
