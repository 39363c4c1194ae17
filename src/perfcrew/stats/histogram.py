"""All samples of a measurement in a few hundred bytes: HdrHistogram V2, three digits, microseconds inside.

Blobs of several runs merge without loss; any HdrHistogram reader opens them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from perfcrew.core.base import Noun
from perfcrew.core.errors import Unmeasurable

LONGEST_MS = 3_600_000.0
_UNITS_PER_MS = 1000
_DIGITS = 3


class Bucket(Noun):
    """So many samples of about this value, in ms, good to one part in a thousand."""

    value_ms: float
    count: int


def encode(samples_ms: Sequence[float]) -> bytes:
    """The histogram of times from 1 µs to an hour; shorter ones count as 1 µs. Raises Unmeasurable beyond that."""
    histogram = _empty()
    for sample in samples_ms:
        if not 0 <= sample <= LONGEST_MS:
            raise Unmeasurable(f"{sample} ms is no time that a histogram holds", do="look at the instrument's clock")
        histogram.record_value(max(1, round(sample * _UNITS_PER_MS)))
    return bytes(histogram.encode())


def decode(blob: bytes) -> list[Bucket]:
    """The recorded values with their counts, ascending. Raises Unmeasurable where the bytes are no histogram."""
    return [
        Bucket(value_ms=item.value_iterated_to / _UNITS_PER_MS, count=item.count_at_value_iterated_to)
        for item in _decoded(blob).get_recorded_iterator()
        if item.count_at_value_iterated_to
    ]


def merge(blobs: Iterable[bytes]) -> bytes:
    """One histogram of all the samples."""
    whole = _empty()
    for blob in blobs:
        whole.add(_decoded(blob))
    return bytes(whole.encode())


def _empty() -> Any:
    from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

    return HdrHistogram(1, round(LONGEST_MS * _UNITS_PER_MS), _DIGITS)


def _decoded(blob: bytes) -> Any:
    import binascii
    import zlib

    from hdrh.codec import HdrCookieException, HdrLengthException  # type: ignore[import-untyped]
    from hdrh.histogram import HdrHistogram

    try:
        return HdrHistogram.decode(blob)
    except (HdrCookieException, HdrLengthException, TypeError, ValueError, binascii.Error, zlib.error) as error:
        raise Unmeasurable(f"these bytes are no HdrHistogram: {error}", do="measure again") from None
