"""Customs duty on books that leave the country, by destination and tariff heading."""

from decimal import ROUND_HALF_UP, Decimal
from itertools import product

COUNTRIES = tuple(a + b for a, b in product("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "AEIOU"))
HEADINGS = tuple(f"49{number:02d}" for number in range(1, 12))
BAND_CENTS = 150
BANDS = 340
CENT = Decimal("0.01")


def percent_for(country: str, heading: str, from_cents: int) -> Decimal:
    base = Decimal(sum(map(ord, country + heading)) % 17) / 4
    relief = Decimal(from_cents) / 100_000
    return max(Decimal(0), base - relief).quantize(CENT, ROUND_HALF_UP)


def basis_points(country: str, heading: str) -> tuple[int, ...]:
    return tuple(int(percent_for(country, heading, band * BAND_CENTS) * 100) for band in range(BANDS))


TARIFF = {place: basis_points(*place) for place in product(COUNTRIES, HEADINGS)}


def duty_cents(country: str, heading: str, value_cents: int) -> int | None:
    bands = TARIFF.get((country, heading))
    if bands is None:
        return None
    points = bands[min(value_cents // BAND_CENTS, BANDS - 1)]
    return value_cents * points // 10_000
