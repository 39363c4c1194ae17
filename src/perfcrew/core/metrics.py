"""Metrics: each has a name, a unit and a direction; some are exact (counts, bytes), some are clocks.

Times are milliseconds, sizes are bytes, shares are fractions of 1.
"""

from __future__ import annotations

from typing import Literal

from perfcrew.core.base import Noun

Unit = Literal["ms", "s", "bytes", "bytes/request", "1/s", "count", "count/request", "fraction", "ratio", "rows", "fps"]
Direction = Literal["lower", "higher"]


class Metric(Noun):
    """What is measured. `exact` metrics are counted, not timed, and are compared exactly."""

    name: str
    unit: Unit
    direction: Direction
    exact: bool = False
    description: str = ""


def _metric(name: str, unit: Unit, direction: Direction, description: str, exact: bool = False) -> Metric:
    return Metric(name=name, unit=unit, direction=direction, exact=exact, description=description)


METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        _metric("latency", "ms", "lower", "time to the last byte of the answer, warm, from the moment it was due"),
        _metric(
            "latency.mean", "ms", "lower", "the mean over a started instance's requests, which sees the rare slow one"
        ),
        _metric("latency.p95", "ms", "lower", "what nineteen of twenty requests to a started instance stay below"),
        _metric("latency.cold", "ms", "lower", "first request to the endpoint after a start"),
        _metric("throughput", "1/s", "higher", "requests answered a second in a closed loop"),
        _metric("cpu", "ms", "lower", "CPU time of the target's process tree per request"),
        _metric("rss.peak", "bytes", "lower", "peak resident memory of the target's process tree"),
        _metric("rss.average", "bytes", "lower", "mean resident memory of the target's process tree"),
        _metric("rss.slope", "bytes/request", "lower", "growth of resident memory with requests"),
        _metric("heap.growth", "count/request", "lower", "live objects that a request leaves behind", exact=True),
        _metric("startup", "ms", "lower", "from the start command to the first answer on the health path"),
        _metric("error.rate", "fraction", "lower", "answers that were not the expected status"),
        _metric("lateness", "ms", "lower", "how late the open-loop driver sent a request"),
        _metric("neighbour.latency", "ms", "lower", "waiting of a cheap endpoint while this one runs beside it"),
        _metric("db.statements", "count/request", "lower", "SQL statements a request", exact=True),
        _metric("db.time", "ms", "lower", "time in SQL statements a request (traced)"),
        _metric("db.rows", "rows", "lower", "rows fetched a request", exact=True),
        _metric("cache.round_trips", "count/request", "lower", "round trips to the cache a request", exact=True),
        _metric("http.calls", "count/request", "lower", "outgoing HTTP calls a request", exact=True),
        _metric("model.calls", "count/request", "lower", "calls of language models a request", exact=True),
        _metric("model.tokens", "count/request", "lower", "tokens in and out a request", exact=True),
        _metric("response.bytes", "bytes", "lower", "bytes of the answer as sent", exact=True),
        _metric(
            "conditional.bytes", "bytes", "lower", "bytes sent to a client that has the answer already", exact=True
        ),
        _metric("conditional.latency", "ms", "lower", "time of the answer to a client that has it already"),
        _metric("cache.hit_ratio", "fraction", "higher", "hits over hits and misses"),
        _metric("bundle.bytes", "bytes", "lower", "bytes of the front-end bundle as built, compressed", exact=True),
    )
}


def metric(name: str) -> Metric:
    """The metric of that name; KeyError names the known ones."""
    try:
        return METRICS[name]
    except KeyError:
        raise KeyError(f"no metric {name!r}; known: {', '.join(sorted(METRICS))}") from None
