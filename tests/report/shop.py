"""A book shop: what its endpoints are like, and what measuring them leaves in a ledger."""

from __future__ import annotations

import gzip
import random
import statistics
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from perfcrew.core.evidence import (
    Counts,
    Estimate,
    Evidence,
    Measurement,
    Method,
    Run,
    Stage,
    Traces,
)
from perfcrew.core.metrics import metric
from perfcrew.core.scene import Seen
from perfcrew.core.trace import Trace
from perfcrew.core.web import Place
from perfcrew.ledger import Ledger

RUN = "20261121-0900-bookshop"
METHOD = Method(tool="perfcrew load", version="0.1.0", command=("perfcrew", "review", "."), settings={"seconds": 0.6})
TRACING = Method(tool="opentelemetry-sdk", version="1.38.0", settings={"repeats": 3})
PYSPY = Method(tool="py-spy", version="0.4.1", command=("py-spy", "record", "--rate", "100"))
WRITING = Method(tool="perfcrew", version="0.1.0")


@dataclass(frozen=True)
class Shop:
    """What one endpoint of the shop is like."""

    key: str
    median_ms: float
    spread: float
    statements: int
    rows: int
    bytes: int
    cache: int = 0
    http: int = 0
    runs: int = 3
    requests: int = 420


SHOP = (
    Shop("GET /authors", 46.0, 0.16, 51, 100, 18_400),
    Shop("GET /books", 212.0, 0.2, 2, 4000, 1_640_000, requests=90),
    Shop("GET /books/{book_id}", 4.1, 0.25, 2, 2, 910, cache=1),
    Shop("GET /search", 618.0, 0.12, 1, 20, 8_100, requests=45),
    Shop("GET /reports/sales", 88.0, 0.1, 3, 3, 1_200, http=3),
    Shop("POST /login", 241.0, 0.04, 1, 1, 220, requests=75),
    Shop("GET /recommendations", 31.0, 0.3, 4, 40, 5_100, http=1),
    Shop("GET /health", 0.9, 0.3, 0, 0, 15),
)
HANDLERS = {
    s.key: Place(file="src/bookshop/api.py", line=20 + 30 * n, function=f"handler_{n}") for n, s in enumerate(SHOP)
}


class Maker:
    """Writes one run into a ledger."""

    def __init__(self, folder: Path, seed: int, load_steps: tuple[float, ...], shops: tuple[Shop, ...]) -> None:
        self.load_steps, self.shops = load_steps, shops
        self.ledger = Ledger.open(folder / ".perfcrew")
        self.random = random.Random(seed)
        self.ledger.begin(
            Run(id=RUN, root=str(folder), workflow="review", started_at=datetime(2026, 11, 21, 9, 0, tzinfo=UTC))
        )

    def put(self, slot: str, body, method: Method = WRITING, subject: str = "application", **blobs: bytes) -> Evidence:  # type: ignore[no-untyped-def]
        return self.ledger.put(RUN, slot, body, method, subject, blobs)

    def estimate(self, samples: list[float], q: float) -> Estimate:
        ordered = sorted(samples)
        at = min(len(ordered) - 1, int(q * len(ordered)))
        low, high = ordered[max(0, at - 6)], ordered[min(len(ordered) - 1, at + 6)]
        return Estimate(value=ordered[at], low=low, high=high)

    def samples(self, shop: Shop) -> list[float]:
        return [
            round(
                shop.median_ms * self.random.lognormvariate(0, shop.spread)
                + (self.random.random() < 0.04) * shop.median_ms,
                4,
            )
            for _ in range(shop.requests)
        ]

    def measure(
        self, shop: Shop, name: str, samples: list[float], load: str = "closed c=1", phase: str = "warm"
    ) -> Seen[Measurement]:
        known = metric(name)
        refused = {}
        found = {"p50": self.estimate(samples, 0.5), "mean": Estimate(value=round(statistics.fmean(samples), 4))}
        if len(samples) >= 60:
            found["p95"] = self.estimate(samples, 0.95)
        elif name == "latency":
            refused["p95"] = f"needs at least 60 samples, {len(samples)} were taken"
        if len(samples) >= 300:
            found["p99"] = self.estimate(samples, 0.99)
        elif name == "latency":
            refused["p99"] = f"needs at least 300 samples, {len(samples)} were taken"
        body = Measurement(
            metric=name,
            unit=known.unit,
            direction=known.direction,
            phase=phase,
            load=load,
            runs=shop.runs,  # type: ignore[arg-type]
            count=len(samples),
            statistics=found,
            refused=refused,
            samples=tuple(samples),
        )
        kept = self.put(f"{name}:{load}:{phase}:{shop.key}", body, METHOD, shop.key)
        return Seen(kept.id, body)

    def whole(self, shop: Shop, name: str, value: float, low: float, high: float) -> None:
        known = metric(name)
        body = Measurement(
            metric=name,
            unit=known.unit,
            direction=known.direction,
            phase="any" if name == "startup" else "warm",
            runs=shop.runs,
            count=3,
            statistics={
                "value": Estimate(value=value, low=low, high=high),
                "p50": Estimate(value=value, low=low, high=high),
            },
            samples=(low, value, high),
        )
        self.put(f"{name}:{shop.key}", body, METHOD, shop.key)

    def baseline(self, shop: Shop) -> None:
        samples = self.samples(shop)
        self.measure(shop, "latency", samples)
        cold = [round(shop.median_ms * self.random.uniform(2.5, 6), 3) for _ in range(3)]
        self.measure(shop, "latency.cold", cold, phase="cold")
        rate = 1000 / shop.median_ms * 1.6
        self.whole(shop, "throughput", round(rate, 2), round(rate * 0.95, 2), round(rate * 1.06, 2))
        cpu = shop.median_ms * 0.62
        self.whole(shop, "cpu", round(cpu, 3), round(cpu * 0.97, 3), round(cpu * 1.04, 3))
        rss = 141_000_000 + shop.bytes * 9
        self.whole(shop, "rss.peak", rss, rss - 900_000, rss + 1_200_000)
        self.whole(shop, "rss.average", rss - 4_000_000, rss - 4_400_000, rss - 3_100_000)
        for step in self.load_steps:
            self.measure(
                shop,
                "latency",
                [round(s * (0.9 + 0.2 * step), 4) for s in samples[:60]],
                load=f"{step:g} x peak ({40 * step:g}/s)",
            )

    def traced(self, shop: Shop, traces: tuple[Trace, ...] = ()) -> Seen[Traces]:
        sql_ms, http_ms = (
            round(shop.median_ms * 0.55, 3) if shop.statements else 0.0,
            round(shop.median_ms * 0.2, 3) if shop.http else 0.0,
        )
        left = shop.median_ms - sql_ms - http_ms
        parts = [
            ("SQL", sql_ms),
            ("HTTP", http_ms),
            ("endpoint", left * 0.4),
            ("serialization", left * 0.45),
            ("middleware", left * 0.15),
        ]
        stages = tuple(
            Stage(name=n, own_ms=round(ms, 3), own_share=round(ms / shop.median_ms, 4), spans_count=1)
            for n, ms in parts
            if ms
        )
        counts = Counts(
            statements_count=shop.statements,
            rows=shop.rows,
            cache_count=shop.cache,
            http_count=shop.http,
            response_bytes=shop.bytes,
            statements_ms=sql_ms,
            request_ms=shop.median_ms,
        )
        body = Traces(instrumented=True, mode="otel", requests_count=9, counts=counts, cold=counts, stages=stages)
        lines = "\n".join(t.model_dump_json() for t in traces).encode()
        kept = self.put(f"traces:{shop.key}", body, TRACING, shop.key, traces=gzip.compress(lines, mtime=0))
        return Seen(kept.id, body)
