"""Thresholds of one rule, frozen."""

from __future__ import annotations

from collections.abc import Mapping
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
