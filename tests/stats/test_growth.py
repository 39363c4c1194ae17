"""Growth, slopes and warm-up, on cases whose answer is known."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcrew.core.errors import Unmeasurable
from perfcrew.stats import growth, likeliest, slope, warmup_end

GROWTHS = {
    "the same at each size": ((200, 400, 800), (4, 4, 4), "constant"),
    "a count that jitters by one": ((200, 400, 800), (4, 5, 4), "constant"),
    "bytes that differ with the length of ids": ((200, 400, 800), (10_240, 10_260, 10_400), "constant"),
    "nothing at all": ((200, 400, 800), (0, 0, 0), "constant"),
    "n + 1": ((10, 20, 40), (11, 21, 41), "linear"),
    "n + 1 that jitters": ((10, 20, 40), (11, 22, 40), "linear"),
    "half of the rows": ((200, 400, 800, 1600), (101, 199, 402, 799), "linear"),
    "a tree's depth": ((100, 1000, 10_000), (10, 15, 20), "logarithmic"),
    "each with each": ((10, 20, 40), (100, 400, 1600), "quadratic"),
    "pairs": ((10, 20, 40), (45, 190, 780), "quadratic"),
    "a bound that is reached": ((200, 400, 800), (200, 400, 500), "unclear"),
    "falling": ((200, 400, 800), (30, 20, 10), "unclear"),
    "up and down": ((200, 400, 800), (10, 50, 10), "unclear"),
}


MEASURED = {
    "a scan": ((3e3, 6e3, 12e3, 24e3), (0.61, 0.98, 2.1, 3.9), "linear"),
    "a scan beside a fixed cost": ((3e3, 6e3, 12e3, 24e3), (0.5, 0.8, 1.4, 2.6), "linear"),
    "pages of a graph": ((3e3, 6e3, 12e3, 24e3), (400, 440, 470, 520), "logarithmic"),
    "lists by the root": ((3e3, 6e3, 12e3, 24e3), (0.30, 0.42, 0.62, 0.85), "logarithmic"),
    "the same but for noise": ((3e3, 6e3, 12e3, 24e3), (0.30, 0.31, 0.29, 0.31), "constant"),
    "up and down": ((3e3, 6e3, 12e3, 24e3), (0.3, 0.9, 0.2, 0.5), "unclear"),
    "falling": ((3e3, 6e3, 12e3, 24e3), (0.9, 0.7, 0.5, 0.3), "unclear"),
    "two sizes": ((3e3, 6e3), (0.3, 0.6), "unclear"),
    "nothing": ((3e3, 6e3, 12e3), (0.0, 0.0, 0.0), "unclear"),
}


@pytest.mark.parametrize(("sizes", "values", "kind"), MEASURED.values(), ids=MEASURED.keys())
def test_likeliest(sizes: tuple[float, ...], values: tuple[float, ...], kind: str) -> None:
    assert likeliest(sizes, values) == kind


@pytest.mark.parametrize(("sizes", "values", "kind"), GROWTHS.values(), ids=GROWTHS.keys())
def test_growth(sizes: tuple[float, ...], values: tuple[float, ...], kind: str) -> None:
    assert growth(sizes, values).kind == kind


@given(st.floats(0.5, 1000), st.floats(0, 100), st.integers(10, 1000), st.permutations([1, 2, 4, 8]))
def test_a_line_is_linear_with_its_slope_in_any_order(each: float, base: float, size: int, order: list[int]) -> None:
    sizes = [size * n for n in order]
    fit = growth(sizes, [base + each * n for n in sizes])
    assert fit.kind == "linear"
    assert fit.slope == pytest.approx(each, rel=1e-6) and fit.r2 > 0.999


@pytest.mark.parametrize("sizes", [(1, 2), (5, 5, 5), (0, 1, 2)])
def test_growth_takes_three_sizes(sizes: tuple[float, ...]) -> None:
    with pytest.raises(Unmeasurable):
        growth(sizes, [1.0] * len(sizes))


def test_a_slope_is_not_moved_by_an_outlier() -> None:
    x = list(range(40))
    y = [3.0 * n + 10 for n in x]
    y[20] = 1e6
    estimate = slope(x, y)
    assert estimate.value == pytest.approx(3.0)
    assert estimate.low is not None and estimate.low <= 3.0 <= estimate.high


def test_the_slopes_interval_covers_the_truth() -> None:
    dice = random.Random(11)
    x = list(range(30))
    fits = [slope(x, [0.5 * n + dice.gauss(0, 2) for n in x]) for _ in range(300)]
    assert sum(f.low <= 0.5 <= f.high for f in fits) / 300 >= 0.93


@pytest.mark.parametrize(("x", "y"), [([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3])])
def test_a_slope_takes_three_places(x: list[float], y: list[float]) -> None:
    with pytest.raises(Unmeasurable):
        slope(x, y)


def noisy(*levels: tuple[float, int]) -> list[float]:
    dice = random.Random(5)
    return [level * dice.lognormvariate(0, 0.05) for level, count in levels for _ in range(count)]


WARMUPS = {
    "a slow first request": (noisy((100, 1), (5, 50)), 1, 1),
    "two slow ones": (noisy((100, 2), (5, 50)), 2, 2),
    "a level that ends": (noisy((10, 20), (5, 80)), 17, 23),
    "two levels": (noisy((20, 10), (10, 15), (5, 75)), 22, 28),
    "none": (noisy((5, 60)), 0, 0),
    "too few to say": (noisy((5, 6)), 0, 0),
    "growing slower": (noisy((5, 30), (10, 30)), 0, 0),
    "faster only at the end": (noisy((10, 80), (5, 20)), 0, 0),
    "one stray in the middle": (noisy((5, 20), (100, 1), (5, 30)), 0, 0),
}


@pytest.mark.parametrize(("samples", "low", "high"), WARMUPS.values(), ids=WARMUPS.keys())
def test_the_end_of_warmup_is_found(samples: list[float], low: int, high: int) -> None:
    assert low <= warmup_end(samples) <= high


def test_warmup_is_seldom_seen_where_there_is_none() -> None:
    dice = random.Random(9)
    seen = [warmup_end([dice.lognormvariate(1, 0.3) for _ in range(60)]) for _ in range(200)]
    assert sum(end > 0 for end in seen) / 200 <= 0.1
    assert max(seen) <= 30
