"""How a number with a unit is shown, and read back."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import NamedTuple

from perfcrew.core.errors import PerfcrewError

_SCALES: dict[str, tuple[tuple[str, float], ...]] = {
    # unit as stored -> names it is shown in, with the factor that takes one of them to the stored unit
    "ms": (("µs", 1e-3), ("ms", 1.0), ("s", 1e3), ("min", 6e4)),
    "s": (("ms", 1e-3), ("s", 1.0), ("min", 60.0)),
    "bytes": (("B", 1.0), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9)),
    "bytes/request": (("B/request", 1.0), ("kB/request", 1e3), ("MB/request", 1e6)),
    "1/s": (("/s", 1.0),),
    "count": (("", 1.0),),
    "count/request": (("", 1.0),),
    "rows": (("rows", 1.0), ("row", 1.0), ("", 1.0)),
    "fraction": (("%", 0.01),),
    "ratio": (("×", 1.0),),
    "fps": (("fps", 1.0),),
    "usd": (("USD", 1.0),),
}

_ALSO_READ: dict[str, dict[str, float]] = {
    # names that are not written by us, but by people and models, and mean the same
    "ms": {"us": 1e-3, "μs": 1e-3, "milliseconds": 1.0, "seconds": 1e3, "sec": 1e3, "minutes": 6e4, "h": 3.6e6},
    "s": {"us": 1e-6, "µs": 1e-6, "milliseconds": 1e-3, "seconds": 1.0, "sec": 1.0, "minutes": 60.0, "h": 3600.0},
    "bytes": {"bytes": 1.0, "KB": 1e3, "KiB": 1024.0, "MiB": 1024.0**2, "GiB": 1024.0**3},
    "bytes/request": {"KB/request": 1e3, "KiB/request": 1024.0, "MiB/request": 1024.0**2},
    "1/s": {"req/s": 1.0, "requests/s": 1.0},
    "count/request": {"/request": 1.0},
    "fraction": {"percent": 0.01},
    "ratio": {"x": 1.0, "times": 1.0},
}


class Shown(NamedTuple):
    """A number as it stands in a text: its value in the stored unit, and half a unit of its last digit."""

    value: float
    tolerance: float

    def stands_for(self, value: float) -> bool:
        """Whether `value` is what the digits shown are a rounding of."""
        slack = 1e-9 * max(abs(value), abs(self.value), self.tolerance)
        return abs(self.value - value) <= self.tolerance + slack


def show(value: float, unit: str) -> str:
    """`1234.5, "ms"` → `1.23 s`: three significant digits, in the largest unit that leaves at least 1.

    Raises PerfcrewError for an unknown unit, and for what is not a finite number.
    """
    if unit not in _SCALES:
        raise PerfcrewError(f"no unit {unit!r}", do=f"use one of {', '.join(_SCALES)}")
    if not math.isfinite(value):
        raise PerfcrewError(f"{value} is not a number that can be shown", do="measure again, or leave it out")
    names = _SCALES[unit]
    if unit in ("count", "count/request", "rows"):
        return _join(_digits(value), "row" if unit == "rows" and value == 1 else names[0][0])
    if unit == "fraction":
        return _join(_digits(value * 100), "%")
    rounded = abs(float(f"{value:.3g}"))
    name, factor = next(((n, f) for n, f in reversed(names) if rounded >= f), names[0])
    if value == 0:
        name, factor = next(((n, f) for n, f in names if f == 1.0), names[0])
    return _join(_digits(value / factor), name)


def _join(digits: str, name: str) -> str:
    return f"{digits} {name}" if name else digits


def _digits(value: float) -> str:
    """At least three significant digits, thousands grouped, no trailing zeros behind the point."""
    if value == int(value) or abs(value) >= 100:
        return f"{round(value):,}"
    return format(Decimal(f"{value:.3g}"), "f")


NUMBER = re.compile(r"[-−]?\d[\d,]*(?:\.\d+)?")
_GROUPED = re.compile(r"[-−]?(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.\d+)?")


_SHOWN = re.compile(rf"({NUMBER.pattern})\s*(\S*)")


@cache
def names(unit: str) -> Mapping[str, float]:
    """Every name that a stored unit may be read in, with the factor to the stored unit."""
    return {**dict(_SCALES[unit]), **_ALSO_READ.get(unit, {})}


def unit_names() -> frozenset[str]:
    """Every name of every unit."""
    return frozenset(name for unit in _SCALES for name in names(unit))


def read(text: str, unit: str) -> Shown | None:
    """The number that `text` shows, in the stored `unit`; None where its unit is not one that it may be shown in."""
    match = _SHOWN.fullmatch(text.strip())
    if match is None or unit not in _SCALES or not _GROUPED.fullmatch(match.group(1)):
        return None
    factor = names(unit).get(match.group(2))
    if factor is None:
        return None
    digits = match.group(1).replace("−", "-").replace(",", "")
    places = len(digits.partition(".")[2])
    return Shown(float(digits) * factor, 0.5 * 10**-places * factor)
