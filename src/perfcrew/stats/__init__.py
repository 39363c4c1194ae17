"""Statistics: from samples to estimates with intervals, growth, slopes and the end of warm-up.

Refuses: a percentile or an interval that the samples do not carry, and to guess where a fit is unclear.
numpy and scipy are imported when a function is first called, since the command line must start without them.
"""

from perfcrew.stats.growth import Growth, growth, likeliest
from perfcrew.stats.histogram import Bucket, decode, encode, merge
from perfcrew.stats.slope import slope
from perfcrew.stats.summary import PERCENTILES, Summary, quantile, summarise
from perfcrew.stats.warmup import warmup_end

__all__ = [
    "PERCENTILES",
    "Bucket",
    "Growth",
    "Summary",
    "decode",
    "encode",
    "growth",
    "likeliest",
    "merge",
    "quantile",
    "slope",
    "summarise",
    "warmup_end",
]
