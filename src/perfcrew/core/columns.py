"""The columns of the State of the System, and where in the ledger the number of each one may come from."""

from __future__ import annotations

from collections.abc import Iterable

from perfcrew.core.base import Noun
from perfcrew.core.evidence import Evidence, Measurement

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
    body: tuple[str, str] | None = None
    """Kind and field of evidence that holds the number where no measurement does."""


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
STARTUP = Column(
    key="startup",
    heading="Start-up",
    sources=_one("startup", "p50", "value", "mean"),
    phase="any",
    body=("startup", "median_ms"),
)
LATENCY = ("p50", "p95", "p99", "cold")


def column(key: str) -> Column:
    """The column of that key; KeyError where there is none."""
    return next(c for c in (*COLUMNS, STARTUP) if c.key == key)


def is_load_step(load: str) -> bool:
    """Whether a measurement was taken under a multiple of the expected peak (`0.5 x peak (20/s)`): no baseline."""
    return " x peak" in load


def judged_by(items: Iterable[Evidence], subject: str, metric: str, phase: str = "warm") -> Evidence | None:
    """The baseline of a metric: the first that was written, by which the others are not bettered. None without one.

    Percentiles of one row all come from it, so that a fixed rate and a closed loop are never mixed.
    """
    return next((e for e in items if e.subject == subject and _is_baseline(e, metric, phase)), None)


def _is_baseline(item: Evidence, metric: str, phase: str) -> bool:
    body = item.body
    if not isinstance(body, Measurement) or body.metric != metric or is_load_step(body.load):
        return False
    return body.phase in (phase, "any") or phase == "any"


def start_field(metric: str, statistic: str) -> str | None:
    """Where a start-up's own evidence answers a target on it: its median."""
    return "median_ms" if metric == "startup" and statistic in ("p50", "value") else None
