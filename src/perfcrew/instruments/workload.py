"""The application under its mix of requests, at steps of the expected peak, in open loops."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from perfcrew.core.errors import Unmeasurable
from perfcrew.core.project import Scenario
from perfcrew.core.web import Fingerprint, Plan, Request
from perfcrew.instruments.baseline import Started
from perfcrew.instruments.combine import Combined, at_a_rate, share, values
from perfcrew.instruments.load import Aim, Driver, LoadResult, closed_loop, open_loop
from perfcrew.target.requests.template import owner

STEPS = (0.5, 1.0, 2.0)
CYCLE = 100
"""Requests of one turn of the mix."""


@dataclass(frozen=True)
class WorkloadStep:
    """One load step of one started instance."""

    step: float
    rate: float
    result: LoadResult
    rss_bytes: int

    @property
    def load(self) -> str:
        return f"{self.step:g} x peak ({self.rate:.3g}/s)"


@dataclass(frozen=True)
class Mix:
    """Requests with what they answer, and the order they are sent in, as indices."""

    requests: tuple[Request, ...]
    expected: tuple[Fingerprint, ...]
    order: tuple[int, ...]


def mix(plans: Sequence[Plan], shares: Mapping[str, float], length: int | None = None) -> Mix:
    """The requests of all plans, and an order in which each endpoint comes as often as its share says, evenly spread.

    The order is one turn of the mix, or `length` requests of it. Endpoints without a share have what is left in equal
    parts. Raises Unmeasurable where nothing has a share.
    """
    parts = weights_of(plans, shares)
    starts, requests, expected = {}, list[Request](), list[Fingerprint]()
    for plan in plans:
        starts[plan.endpoint.key] = len(requests)
        requests += plan.requests
        expected += plan.fingerprints
    complete = len(expected) == len(requests)
    order, turns, credit = list[int](), dict.fromkeys(parts, 0), dict.fromkeys(parts, 0.0)
    sizes = {p.endpoint.key: len(p.requests) for p in plans}
    for _ in range(max(CYCLE, len(requests)) if length is None else length):
        for key, weight in parts.items():
            credit[key] += weight
        key = max(credit, key=lambda k: credit[k])
        credit[key] -= 1.0
        order.append(starts[key] + turns[key] % sizes[key])
        turns[key] += 1
    return Mix(tuple(requests), tuple(expected) if complete else (), tuple(order))


def weights_of(plans: Sequence[Plan], shares: Mapping[str, float]) -> dict[str, float]:
    """The part of each endpoint in the mix, 1 together: as its share says; those without one have what is left.

    Raises Unmeasurable where nothing has a share.
    """
    keys = [p.endpoint.key for p in plans if p.requests]
    given = {key: shares[key] for key in keys if key in shares}
    rest = max(0.0, 1.0 - sum(given.values()))
    others = [key for key in keys if key not in given]
    weights = given | {key: rest / len(others) for key in others}
    whole = sum(weights.values())
    if whole <= 0:
        raise Unmeasurable("no endpoint of the workload has a share", do="correct [workload] shares in perfcrew.toml")
    return {key: weight / whole for key, weight in weights.items() if weight > 0}


def scenario_shares(scenarios: Iterable[Scenario], plans: Sequence[Plan]) -> dict[str, float]:
    """Shares of the scenarios that were given one, in equal parts to the endpoints that their requests ask."""
    endpoints, found = [p.endpoint for p in plans], dict[str, float]()
    for scenario in scenarios:
        for request in scenario.requests if scenario.share else ():
            asked = owner(endpoints, request.method.upper(), request.path.partition("?")[0])
            if asked is not None and scenario.share:
                found[asked.key] = found.get(asked.key, 0.0) + scenario.share / len(scenario.requests)
    return found


READS = ("GET", "HEAD")


def logged_shares(plans: Sequence[Plan]) -> dict[str, float]:
    """Shares as often as the access log has each endpoint; none where it has none of them.

    It has reads alone: endpoints that write keep the parts that they would have without a log.
    """
    reads = [p for p in plans if p.requests and p.endpoint.method in READS]
    whole = sum(p.logged_count for p in reads)
    if not whole:
        return {}
    part = len(reads) / sum(bool(p.requests) for p in plans)
    return {p.endpoint.key: part * p.logged_count / whole for p in reads}


def capacity_of(weights: Mapping[str, float], rates: Mapping[str, float]) -> float:
    """Requests a second of the mix, by what each endpoint reaches alone: what one takes is time that all others lack.

    The harmonic mean by weight, over the endpoints whose rate is known; 0 where none is.
    """
    known = {key: weight for key, weight in weights.items() if rates.get(key, 0.0) > 0}
    taken_s = sum(weight / rates[key] for key, weight in known.items())
    return sum(known.values()) / taken_s if taken_s else 0.0


async def measure_workload(
    running: Started,
    plans: Sequence[Plan],
    aim: Aim,
    *,
    shares: Mapping[str, float],
    peak_rps: float,
    steps: Sequence[float] = STEPS,
    seconds: float = 2.0,
    driver: Driver,
    warmed: Callable[[], Awaitable[None]] | None = None,
) -> list[WorkloadStep]:
    """Bear the mix at each step of `peak_rps` for `seconds`, after each endpoint was asked once to warm up.

    `warmed` is called between the two.
    """
    blend = mix(plans, shares)
    first = [plan.requests[0] for plan in plans if plan.requests]
    await closed_loop(aim, first, count=len(first), driver=driver)
    if warmed is not None:
        await warmed()
    found = []
    for step in steps:
        rate = step * peak_rps
        result = await open_loop(
            aim,
            blend.requests,
            rate=rate,
            duration_s=seconds,
            minimum=1,
            expected=blend.expected,
            order=blend.order,
            driver=driver,
        )
        found.append(WorkloadStep(step, rate, result, running.rss_bytes()))
    return found


def combine_workload(runs: Sequence[Sequence[WorkloadStep]]) -> list[Combined]:
    """Latency, throughput, errors and memory of each step, over the runs of several instances."""
    found: list[Combined] = []
    for steps in zip(*runs, strict=True):
        load, results = steps[0].load, [s.result for s in steps]
        if any(r.samples_ms for r in results):
            found += [
                at_a_rate(results, load).latency,
                values("throughput", load, [r.throughput_per_s for r in results]),
                values("rss.peak", load, [float(s.rss_bytes) for s in steps]),
            ]
        asked = sum(r.asked_count for r in results)
        found.append(share("error.rate", load, [r.error_count for r in results], asked, "warm"))
    return found
