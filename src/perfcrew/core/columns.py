"""The columns of the State of the System, and where in the ledger the number of each one may come from."""

from __future__ import annotations

from perfcrew.core.base import Noun

GENERAL = "application"
"""The subject of what is observed of no endpoint alone."""


class Column(Noun):
    """A column of the state table: its heading, and where its number may come from in the ledger.

    `sources`: (metric, statistic) of a measurement, the first that was measured; `counts`: fields of the traces'
    counts, summed; `phase`: the phase a measurement must be of.
    """

    key: str
    heading: str
    sources: tuple[tuple[str, str], ...] = ()
    counts: tuple[str, ...] = ()
    phase: str = "warm"


def _one(metric: str, *statistics: str) -> tuple[tuple[str, str], ...]:
    return tuple((metric, s) for s in statistics)


COLUMNS: tuple[Column, ...] = (
    Column(key="p50", heading="p50", sources=_one("latency", "p50")),
    Column(key="p95", heading="p95", sources=_one("latency", "p95")),
    Column(key="p99", heading="p99", sources=_one("latency", "p99")),
    Column(key="cold", heading="Cold", sources=_one("latency.cold", "p50", "value", "mean"), phase="cold"),
    Column(key="throughput", heading="Throughput", sources=_one("throughput", "value", "p50", "mean")),
    Column(key="cpu", heading="CPU", sources=_one("cpu", "value", "p50", "mean")),
    Column(key="rss_peak", heading="RSS peak", sources=_one("rss.peak", "value", "max", "p50", "mean")),
    Column(key="rss_average", heading="RSS average", sources=_one("rss.average", "value", "mean", "p50")),
    Column(key="statements", heading="Statements", counts=("statements_count",)),
    Column(key="database", heading="Database time", counts=("statements_ms",)),
    Column(key="rows", heading="Rows", counts=("rows",)),
    Column(key="trips", heading="Round trips", counts=("cache_count", "http_count", "model_count")),
    Column(key="bytes", heading="Answer", counts=("response_bytes",)),
    Column(key="errors", heading="Errors", sources=_one("error.rate", "value", "mean", "p50", "max")),
)
STARTUP = Column(key="startup", heading="Start-up", sources=_one("startup", "p50", "value", "mean"), phase="any")
LATENCY = ("p50", "p95", "p99", "cold")


def column(key: str) -> Column:
    """The column of that key; KeyError where there is none."""
    return next(c for c in (*COLUMNS, STARTUP) if c.key == key)


def is_load_step(load: str) -> bool:
    """Whether a measurement was taken under a multiple of the expected peak (`0.5 x peak (20/s)`): no baseline."""
    return " x peak" in load
