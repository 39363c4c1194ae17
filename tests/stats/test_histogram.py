"""Histograms hold every sample, merge, and refuse what is no time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfcrew.core.errors import Unmeasurable
from perfcrew.stats import decode, encode, merge

times = st.lists(st.floats(min_value=0.001, max_value=3_600_000), min_size=1, max_size=50)


@settings(max_examples=30)
@given(times)
def test_each_sample_comes_back_to_three_digits(samples: list[float]) -> None:
    back = [bucket.value_ms for bucket in decode(encode(samples)) for _ in range(bucket.count)]
    assert back == pytest.approx(sorted(samples), rel=2e-3, abs=0.001)


@settings(max_examples=10)
@given(times, times)
def test_a_merged_histogram_is_that_of_all_samples(first: list[float], second: list[float]) -> None:
    assert decode(merge([encode(first), encode(second)])) == decode(encode(first + second))


@pytest.mark.parametrize("sample", [-1.0, 1e12, float("nan")])
def test_what_is_no_time_is_refused(sample: float) -> None:
    with pytest.raises(Unmeasurable):
        encode([sample])


@pytest.mark.parametrize("blob", [b"", b"xx", b"HISTFAAAAC", b"\x00" * 40, b"{}"])
def test_other_bytes_are_refused(blob: bytes) -> None:
    with pytest.raises(Unmeasurable):
        decode(blob)
