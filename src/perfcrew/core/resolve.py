"""What a figure comes to when it is read from the ledger again: value, unit, and which units are of one kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfcrew.core.errors import LedgerError
from perfcrew.core.evidence import Evidence, field
from perfcrew.core.prose import Ref
from perfcrew.core.report import unit_at
from perfcrew.core.units import Shown, read


@dataclass(frozen=True)
class Computed:
    """A number as the ledger gives it, with its unit."""

    value: float
    unit: str


_KINDS = {
    "ms": ("time", 1.0),
    "s": ("time", 1e3),
    "bytes": ("bytes", 1.0),
    "bytes/request": ("bytes", 1.0),
    "count": ("count", 1.0),
    "count/request": ("count", 1.0),
    "rows": ("count", 1.0),
}


def kind_of(unit: str) -> tuple[str, float]:
    """What a unit measures, and the factor to the unit that its kind is compared in."""
    return _KINDS.get(unit, (unit, 1.0))


def number_at(items: Mapping[str, Evidence], ref: Ref) -> Computed:
    """The number that a reference leads to. LedgerError where there is no such item, or no number there."""
    if ref.evidence not in items:
        raise LedgerError(f"no evidence {ref.evidence!r} in this run")
    body = items[ref.evidence].body
    return Computed(field(body, ref.field), unit_at(body, ref.field))


def derived(derivation: str, parts: Sequence[Computed]) -> Computed:
    """What several numbers come to. LedgerError where that means nothing."""
    wanted = {"value": 1, "ratio": 2, "share": 2, "difference": 2}.get(derivation)
    if not parts or (wanted is not None and len(parts) != wanted):
        raise LedgerError(f"a {derivation} of {len(parts)} numbers means nothing")
    if len({kind_of(p.unit)[0] for p in parts}) > 1:
        raise LedgerError(f"a {derivation} of {' and '.join(p.unit for p in parts)} means nothing")
    values = [p.value * kind_of(p.unit)[1] / kind_of(parts[0].unit)[1] for p in parts]
    return _derived(derivation, values, parts[0].unit)


def _derived(derivation: str, values: Sequence[float], unit: str) -> Computed:
    if derivation == "sum":
        return Computed(sum(values), unit)
    if derivation == "difference":
        return Computed(values[0] - values[1], unit)
    if derivation in ("ratio", "share"):
        if values[1] == 0:
            raise LedgerError(f"a {derivation} by zero")
        return Computed(values[0] / values[1], "ratio" if derivation == "ratio" else "fraction")
    return Computed(values[0], unit)


def stands_for(shown: str, unit: str, computed: Computed) -> bool:
    """Whether a text, read in `unit`, is a rounding of what the ledger gives, in a unit of the same kind."""
    if kind_of(unit)[0] != kind_of(computed.unit)[0]:
        return False
    number: Shown | None = read(shown, unit)
    value = computed.value * kind_of(computed.unit)[1] / kind_of(unit)[1]
    return number is not None and number.stands_for(value)


_NO_CLAIM = {
    *("samples", "log_ratios", "a_samples", "b_samples", "rss_bytes", "settings", "fingerprints", "scores", "line"),
    *("before_ms", "after_ms", "start_ms", "level", "schema_version", "number", "index", "confidence", "depth"),
}
"""Fields whose numbers a text without a reference is not searched in: so many of them that any number is there."""


def numbers_of(item: Evidence) -> Iterator[tuple[Ref, Computed]]:
    """Every number of an item that a text may speak of, with the reference to it."""
    for path in _paths(item.body.model_dump(mode="python", exclude={"kind"}), ""):
        ref = Ref(evidence=item.id, field=path)
        yield ref, number_at({item.id: item}, ref)


def _paths(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if "." not in str(name) and name not in _NO_CLAIM:
                yield from _paths(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple):
        for n, inner in enumerate(value):
            yield from _paths(inner, f"{path}.{n}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path
