"""A ledger as a review of a book shop leaves it: real bodies, through the real Ledger, the same for the same seed."""

from __future__ import annotations

from pathlib import Path

from perfcrew.core.evidence import (
    Data,
    Environment,
    Estimate,
    Failure,
    Findings,
    Frame,
    Memory,
    NotMeasured,
    Survey,
)
from perfcrew.core.project import Project
from perfcrew.core.targets import Profile, Target
from perfcrew.core.web import Endpoint, Plan, Request
from perfcrew.ledger import Ledger
from tests.report.shop import HANDLERS, METHOD, RUN, SHOP, Maker, Shop
from tests.report.shop_findings import blocking, database, index, payload, profiled, startup

__all__ = ["RUN", "SHOP", "Maker", "make", "write_frame"]


def make(
    folder: Path, seed: int = 7, load_steps: tuple[float, ...] = (0.5, 1.0, 2.0), without: tuple[str, ...] = ()
) -> Ledger:
    """The ledger of one finished run in `folder/.perfcrew`."""
    maker = Maker(folder, seed, load_steps, tuple(s for s in SHOP if s.key not in without))
    write_frame(maker, folder)
    for shop in maker.shops:
        maker.baseline(shop)
    maker.whole(Shop("application", 1, 1, 0, 0, 0), "startup", 1871.0, 1840.0, 1902.0)
    slow_queries, traced = database(maker, folder)
    slow_queries.append(index(maker, traced))
    seen = [profiled(maker), blocking(maker, traced), startup(maker), payload(maker, traced)]
    maker.put(
        "memory:books",
        Memory(
            requests_count=60,
            rss_bytes=(150_000_000, 151_000_000, 151_200_000),
            slope_bytes=Estimate(value=310, low=-90, high=720),
            objects=(),
            containers=(),
            allocations=(),
        ),
        METHOD,
        "GET /books/{book_id}",
    )
    maker.put(
        "failure:plans", Failure(stage="plans", what="EXPLAIN of `SELECT 1`", error="no such table: ghost (exit 1)")
    )
    maker.put("findings:database", Findings(specialist="database", reasoner="rule book", findings=tuple(slow_queries)))
    maker.put("findings:profiler", Findings(specialist="profiler", reasoner="rule book", findings=tuple(seen)))
    maker.put("findings:caching", Findings(specialist="caching", reasoner="rule book", findings=()))
    standing = [slow_queries[1], slow_queries[0], seen[1], seen[0], seen[3], seen[2]]
    maker.put(
        "findings:reviewer",
        Findings(
            specialist="reviewer",
            reasoner="rule book",
            findings=tuple(standing),
            objections=(f"{seen[3].id}: seen on 1 endpoint only",),
        ),
    )
    return maker.ledger


def write_frame(maker: Maker, folder: Path, context: str = "", constraints: tuple[str, ...] = ()) -> None:
    maker.put(
        "environment",
        Environment(
            cpu_model="AMD EPYC 7B13",
            cores=2,
            memory_bytes=8_335_000_000,
            kernel="6.1.0",
            python="3.11.7",
            packages={"fastapi": "0.121.0", "sqlalchemy": "2.0.44", "uvicorn": "0.38.0"},
            commit="c8e7034f1d",
            dirty=False,
            load_average=0.4,
        ),
    )
    project = Project(
        root=folder,
        name="bookshop",
        framework="fastapi",
        python=Path("/usr/bin/python3"),
        workdir=folder,
        start=("uvicorn", "bookshop.main:app", "--port", "{port}"),
        database_url="sqlite:///shop.sqlite3",
    )
    targets = (
        Target(
            name="API p95",
            metric="latency",
            statistic="p95",
            operator="<",
            bound=500,
            unit="ms",
            measured_by="open-loop requests at a fixed rate",
        ),
        Target(
            name="Redis hit ratio",
            metric="cache.hit_ratio",
            statistic="value",
            operator=">",
            bound=0.8,
            unit="fraction",
            subject="application",
            optional=True,
            measured_by="cache spans",
        ),
        Target(
            name="start-up",
            metric="startup",
            statistic="p50",
            operator="<",
            bound=5000,
            unit="ms",
            subject="application",
            measured_by="start to first answer",
        ),
    )
    maker.put(
        "frame",
        Frame(
            project=project,
            profile=Profile(name="web-api", description="A web application.", users=500, targets=targets),
            primary_metric="latency p95",
            context=context,
            constraints=constraints,
            scope="all",
            assumptions=("No peak rate is known: 20 requests a second were assumed.", "All endpoints count the same."),
            settings={"runs": 3},
        ),
    )
    plans = [
        Plan(
            endpoint=Endpoint(
                method=s.key.split()[0], path=s.key.split()[1], source="openapi", handler=HANDLERS[s.key]
            ),
            requests=(Request(endpoint=s.key, method=s.key.split()[0], target=s.key.split()[1]),),
        )
        for s in maker.shops
    ]
    plans.append(
        Plan(
            endpoint=Endpoint(method="GET", path="/orders/{slug}", source="openapi"),
            skipped="no value found for {slug}",
        )
    )
    maker.put("survey", Survey(plans=tuple(plans), out_of_scope=("GET /docs",)))
    maker.put(
        "not measured:admin",
        NotMeasured(reason="answered 401 to each of 5 requests", status=401),
        subject="GET /admin/stats",
    )
    maker.put(
        "data",
        Data(
            engine="sqlite",
            how="generated",
            before={"author": 12, "book": 60, "sale": 0},
            after={"author": 2000, "book": 40_000, "sale": 2000},
            size=2000,
            note="rows were generated from the schema up to 2000 a table",
        ),
    )
