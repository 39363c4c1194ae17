"""A number as shown is read back as the number it was, within half a unit of the last digit shown."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcrew.core.errors import PerfcrewError
from perfcrew.core.units import _SCALES, names, read, show

UNITS = sorted(_SCALES)
NUMBERS = st.floats(-1e13, 1e13, allow_nan=False).filter(lambda v: v == 0 or abs(v) > 1e-12)


@given(NUMBERS, st.sampled_from(UNITS))
def test_what_is_shown_is_read_back(value: float, unit: str) -> None:
    shown = read(show(value, unit), unit)
    assert shown is not None and shown.stands_for(value)


@given(st.floats(1e-6, 1e9), st.sampled_from(UNITS), st.integers(2, 4), st.data())
def test_honest_roundings_in_any_unit_are_read(value: float, unit: str, digits: int, data: st.DataObject) -> None:
    name, factor = data.draw(st.sampled_from(sorted(names(unit).items())))
    scaled = value / factor
    places = max(0, digits - 1 - math.floor(math.log10(scaled)))
    shown = read(f"{scaled:,.{places}f} {name}", unit)
    assert shown is not None and shown.stands_for(value)


@given(st.floats(1e-3, 1e6), st.sampled_from(UNITS))
def test_a_number_off_by_more_than_a_rounding_is_not(value: float, unit: str) -> None:
    shown = read(show(value, unit), unit)
    assert shown is not None
    assert not shown.stands_for(shown.value + 1.5 * shown.tolerance)
    assert not shown.stands_for(-value)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1234.5, "ms", "1.23 s"),
        (999.6, "ms", "1 s"),
        (0.0004, "ms", "0.4 µs"),
        (0, "ms", "0 ms"),
        (90_000, "ms", "1.5 min"),
        (1234567, "count", "1,234,567"),
        (50, "rows", "50 rows"),
        (0.8765, "fraction", "87.6 %"),
        (-3.2, "ms", "-3.2 ms"),
        (48_300, "bytes", "48.3 kB"),
        (12.04, "ratio", "12 ×"),
        (1e-13, "count", "0.0000000000001"),
    ],
)
def test_shown(value: float, unit: str, text: str) -> None:
    assert show(value, unit) == text


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("12 s", "bytes"),
        ("12", "ms"),
        ("12 %", "ratio"),
        ("1,23 ms", "ms"),
        ("12 ms or so", "ms"),
        ("twelve ms", "ms"),
        ("12.5.1 ms", "ms"),
        ("12 rows", "count"),
        ("12 MB", "bytes/request"),
    ],
)
def test_not_read(text: str, unit: str) -> None:
    assert read(text, unit) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_not_shown(value: float) -> None:
    with pytest.raises(PerfcrewError):
        show(value, "ms")
