"""The models that a project has configured, as the crew asks for them: one meter, one circuit, for the whole run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from perfcrew.core.spending import Limits, Spent
from perfcrew.crew import models
from perfcrew.crew.cards import Budget
from perfcrew.crew.models import ModelSettings, Tier
from perfcrew.crew.models.meter import Tell
from perfcrew.crew.thinking import Mind

if TYPE_CHECKING:
    from perfcrew.crew.models.breaking import Circuit


class Configured:
    """Makes a model when it is first asked for, and counts what each of the crew spends."""

    def __init__(self, settings: ModelSettings, circuit: Circuit | None = None) -> None:
        self._settings = settings
        self._meter = models.Meter(settings.limits)
        self._circuit = circuit or models.circuit(settings)

    def mind(self, tier: str, who: str, budget: Budget) -> Mind:
        """The tier's first model, the others of its chain behind it. UsageError where its package is missing."""
        chosen = cast(Tier, tier)
        limits = Limits(calls=budget.calls, tokens=budget.tokens, seconds=budget.seconds)
        meter = self._meter.of(who, limits)
        layers = models.middleware(self._settings, chosen, meter, self._circuit)
        return Mind(self._settings.chains[chosen][0].name, models.chat(self._settings, chosen), meter, layers)

    def begin(self, before: Iterable[Spent], tell: Tell) -> None:
        """As Thinking."""
        self._meter.begin(before, tell)


def configured(root: Path, offline: bool | None = None) -> Configured | None:
    """The project's models; None where none is configured, and the rule book concludes."""
    settings = models.load(root, offline)
    return Configured(settings) if settings else None
