"""From the runs of several started instances to measurements with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Literal, NamedTuple

from perfcrew.core.evidence import Estimate, Measurement
from perfcrew.core.metrics import metric
from perfcrew.instruments.baseline import BaselineRun
from perfcrew.instruments.load import LoadResult
from perfcrew.stats import PERCENTILES, Summary, encode, summarise

Phase = Literal["cold", "warm", "any"]
_NOT_AT_A_RATE = "too slow for an open loop within the budget: taken from one request after the other"


class Combined(NamedTuple):
    """A measurement, and all its samples as an HdrHistogram where they are times of requests."""

    measurement: Measurement
    histogram: bytes | None


def combine(runs: Sequence[BaselineRun]) -> list[Combined]:
    """The measurements of one endpoint, the latency to be judged by first. `runs` are of different instances."""
    asked = sum(r.asked_count for r in runs)
    return [
        *_latencies(runs),
        times("latency.cold", "cold", "first request", [[r.cold_ms] for r in runs]),
        values("throughput", runs[0].crowd.load, [r.crowd.throughput_per_s for r in runs]),
        values("cpu", runs[0].alone.load, [r.cpu_ms for r in runs]),
        values("rss.peak", "all loops", [float(r.rss_peak_bytes) for r in runs]),
        values("rss.average", "all loops", [r.rss_average_bytes for r in runs]),
        share("error.rate", "all loops", [sum(r.errors.values()) for r in runs], asked),
    ]


def _latencies(runs: Sequence[BaselineRun]) -> list[Combined]:
    alone = times("latency", "warm", runs[0].alone.load, [r.alone_ms for r in runs])
    alone = _with_failed(alone, [r.alone for r in runs])
    paced = [r.paced for r in runs if r.paced is not None]
    if len(paced) < len(runs):
        return [_noted(alone, "open loop", _NOT_AT_A_RATE)]
    at_rate, late = at_a_rate(paced, f"open {median(r.rate for r in runs):.3g}/s")
    lateness = times("lateness", "warm", at_rate.measurement.load, [p.lateness_ms for p in paced])
    return [alone, at_rate, lateness] if late else [at_rate, alone, lateness]


class AtRate(NamedTuple):
    """The latency at a fixed rate, and why its percentiles were refused, if they were."""

    latency: Combined
    late: str


def at_a_rate(results: Sequence[LoadResult], load: str) -> AtRate:
    """The latency of open loops, without any statistic where one of the drivers sent late."""
    late = next((r.late for r in results if r.late), "")
    latency = times("latency", "warm", load, [r.samples_ms for r in results])
    if late:
        refused = dict.fromkeys(("p50", "p95", "p99", "mean", "min", "max"), late)
        measurement = latency.measurement.model_copy(update={"statistics": {}, "refused": refused, "samples": ()})
        latency = Combined(measurement, latency.histogram)
    return AtRate(_with_failed(latency, results), late)


def _with_failed(latency: Combined, results: Sequence[LoadResult]) -> Combined:
    """Without the statistics that failed requests take away: they count as the slowest, since nobody got an answer.

    A p95 of the answers alone would look the better, the more requests time out.
    """
    asked, failed = sum(r.asked_count for r in results), sum(r.error_count for r in results)
    part = failed / asked if asked else 0.0
    lost = {name for name, q in PERCENTILES.items() if part > 1 - q}
    if not lost:
        return latency
    why = f"{failed} of {asked} requests got no answer as expected, so it is not known"
    kept = {k: v for k, v in latency.measurement.statistics.items() if k not in lost | {"mean", "max"}}
    refused = {**dict.fromkeys((*sorted(lost), "mean", "max"), why), **latency.measurement.refused}
    return latency._replace(measurement=latency.measurement.model_copy(update={"statistics": kept, "refused": refused}))


def times(name: str, phase: Phase, load: str, samples_by_run: Sequence[Sequence[float]]) -> Combined:
    """A measurement of times of requests; its samples are the runs' medians."""
    summary = summarise(samples_by_run)
    pooled = [sample for run in samples_by_run for sample in run]
    medians = tuple(median(run) for run in samples_by_run if len(run))
    measured = _measurement(name, phase, load, len(samples_by_run), len(pooled), summary, medians)
    return Combined(measured, encode([max(0.0, ms) for ms in pooled]))


def values(name: str, load: str, by_run: Sequence[float], phase: Phase = "warm") -> Combined:
    """A measurement that has one value a run."""
    summary = summarise([[value] for value in by_run])
    return Combined(_measurement(name, phase, load, len(by_run), len(by_run), summary, tuple(by_run)), None)


def share(name: str, load: str, counts_by_run: Sequence[int], asked: int, phase: Phase = "any") -> Combined:
    """A part of all requests, as `value`."""
    value = sum(counts_by_run) / asked if asked else 0.0
    summary = Summary(statistics={"value": Estimate(value=value)}, refused={})
    return Combined(_measurement(name, phase, load, len(counts_by_run), asked, summary, ()), None)


def _measurement(
    name: str, phase: Phase, load: str, runs: int, count: int, summary: Summary, samples: tuple[float, ...]
) -> Measurement:
    known = metric(name)
    return Measurement(
        metric=name,
        unit=known.unit,
        direction=known.direction,
        phase=phase,
        load=load,
        runs=runs,
        count=count,
        statistics=summary.statistics,
        refused=summary.refused,
        samples=samples,
    )


def _noted(combined: Combined, key: str, why: str) -> Combined:
    refused = {**combined.measurement.refused, key: why}
    return combined._replace(measurement=combined.measurement.model_copy(update={"refused": refused}))
