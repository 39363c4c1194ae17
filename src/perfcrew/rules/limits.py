"""Thresholds of one rule, frozen, and how a project's own are laid over the defaults."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from perfcrew.core.errors import UsageError

Thresholds = Mapping[str, Mapping[str, float]]
"""Rule id → threshold → number, as `config/rules.yaml` and `[rules.DB101]` of perfcrew.toml give them."""


class Limits:
    """The thresholds of one rule, by attribute or key. A missing one is an error that says what to add."""

    __slots__ = ("_values", "rule")

    rule: str
    _values: Mapping[str, float]

    def __init__(self, rule: str, values: Mapping[str, float]) -> None:
        object.__setattr__(self, "rule", rule)
        object.__setattr__(self, "_values", MappingProxyType(dict(values)))

    def __getitem__(self, name: str) -> float:
        if name not in self._values:
            raise UsageError(
                f"rule {self.rule} has no threshold {name!r}",
                where="config/rules.yaml",
                do=f"add `{name}: <number>` under {self.rule}; it has: {', '.join(self._values) or 'none'}",
            )
        return self._values[name]

    def __getattr__(self, name: str) -> float:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"thresholds are frozen: {name}")

    def __repr__(self) -> str:
        return f"Limits({self.rule}, {dict(self._values)})"


def overlay(defaults: Thresholds, chosen: Thresholds) -> dict[str, dict[str, float]]:
    """The defaults with a project's own thresholds over them.

    Raises UsageError for a rule or a threshold that does not exist, with the nearest that does.
    """
    merged = {rule: dict(values) for rule, values in defaults.items()}
    for rule, values in chosen.items():
        if rule not in merged:
            raise UsageError(f"no rule {rule!r}", where=f"[rules.{rule}]", do=_nearest(rule, merged))
        for name, value in values.items():
            if name not in merged[rule]:
                raise UsageError(
                    f"rule {rule} has no threshold {name!r}", where=f"[rules.{rule}]", do=_nearest(name, merged[rule])
                )
            merged[rule][name] = float(value)
    return merged


def _nearest(name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"
