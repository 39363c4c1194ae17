"""A ledger as a review of a book shop leaves it: real bodies, through the real Ledger, the same for the same seed."""

from __future__ import annotations

import gzip
import random
import statistics
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from perfcrew.core.evidence import (
    Counts,
    CpuProfile,
    Data,
    Environment,
    Estimate,
    Evidence,
    Failure,
    Findings,
    Frame,
    IndexTrial,
    Measurement,
    Memory,
    Method,
    Neighbour,
    NotMeasured,
    Payload,
    PlanNode,
    ProfileLine,
    QueryPlan,
    Run,
    Scaling,
    Stage,
    Startup,
    Survey,
    Traces,
)
from perfcrew.core.findings import Finding, Hypothesis, Level, Scores, Share
from perfcrew.core.metrics import metric
from perfcrew.core.project import Project
from perfcrew.core.prose import Prose, cite, write
from perfcrew.core.scene import Seen
from perfcrew.core.targets import Profile, Target
from perfcrew.core.trace import Frame as StackFrame
from perfcrew.core.trace import Span, Trace
from perfcrew.core.web import Endpoint, Place, Plan, Request
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
            statistics={"value": Estimate(value=value, low=low, high=high), "p50": Estimate(value=value)},
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
                shop, "latency", [round(s * (0.9 + 0.2 * step), 4) for s in samples[:60]], load=f"{step:g} x peak ({40 * step:g}/s)"
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


def n_plus_one_trace(root: Path, shop: Shop, *, warm: int) -> Trace:
    """One request that asks for the authors, then for each one's books."""
    at = 1_000_000_000
    stack = (
        StackFrame(file=str(root / "src/bookshop/api.py"), line=31, function="list_authors"),
        StackFrame(file="/venv/lib/site-packages/starlette/routing.py", line=73, function="app"),
    )
    spans = []
    for n in range(shop.statements):
        text = "SELECT * FROM author LIMIT ?" if n == 0 else "SELECT * FROM book WHERE author_id = ?"
        start = at + 2_000_000 + n * 820_000
        spans.append(
            Span(
                trace="t",
                span=f"s{n}",
                parent="root",
                kind="database",
                name="SELECT",
                start_ns=start,
                end_ns=start + 500_000,
                attributes={"db.query.text": text, "perfcrew.db.parameters": [n]},
                stack=stack,
            )
        )
    server = Span(trace="t", span="root", kind="server", name=shop.key, start_ns=at, end_ns=at + 46_000_000)
    return Trace(id=f"{warm:032x}", request=0, repeat=warm, server=server, spans=tuple(spans), items=50)


def _scores(impact: int) -> Scores:
    return Scores(impact=impact, evidence=5, effort=4, risk=4, reversibility=5, learning=3)


def _finding(
    rule: str,
    title: str,
    level: Level,
    endpoint: str | None,
    place: Place,
    prose: Prose,
    evidence: tuple[str, ...],
    share: float | None,
    hypothesis: str,
    recipe: str,
    metric_name: str = "latency",
    **more: object,
) -> Finding:
    suggestion = Hypothesis(
        id="H1",
        change=hypothesis,
        metric=metric_name,
        improvement=share * 0.9 if share else None,
        because="the cost goes with the pattern, as the traces show",
        kind="code",
        recipe=recipe,
        scores=_scores(5 if (share or 0) > 0.4 else 3),
        alternatives=("cache the answer", "paginate the listing"),
        trade_offs="One larger statement holds more rows in memory at once.",
        rollback="Revert the commit; no data changes.",
    )
    return Finding(
        rule=rule,
        title=title,
        level=level,
        endpoint=endpoint,
        place=place,
        prose=prose,
        evidence=evidence,
        share=Share(fraction=share, basis="time of the statements over the traced request") if share else None,
        confidence=0.93,
        hypotheses=(suggestion,),
        **more,  # type: ignore[arg-type]
    )


def _shop(key: str) -> Shop:
    return next(s for s in SHOP if s.key == key)


def _database(maker: Maker, root: Path) -> tuple[list[Finding], dict[str, Seen[Traces]]]:
    traced = {}
    for shop in maker.shops:
        spans = tuple(n_plus_one_trace(root, shop, warm=n) for n in range(4)) if shop.key == "GET /authors" else ()
        traced[shop.key] = maker.traced(shop, spans)
    authors = traced["GET /authors"]
    grows = Scaling(
        metric="db.statements",
        by="rows",
        sizes=(200, 400, 800),
        values=(21, 41, 81),
        growth="linear",
        slope=0.1,
        fit_share=1.0,
    )
    grown = maker.put("scaling:authors", grows, TRACING, "GET /authors")
    scaling = Seen(grown.id, grows)
    prose = write(
        "One request sends {n} statements of one shape from one line, {ms} of the {all} that the traced request takes. "
        "With {from_rows} authors it was {few} statements, with {to_rows} it was {many}: the count grows with the rows.",
        n=authors.cite("counts.statements_count"),
        ms=authors.cite("counts.statements_ms"),
        all=authors.cite("counts.request_ms"),
        from_rows=scaling.cite("sizes.0"),
        few=scaling.cite("values.0"),
        to_rows=scaling.cite("sizes.2"),
        many=scaling.cite("values.2"),
    )
    recipe = "Fetch the books with their authors:\n\n```python\nstatement = select(Author).options(selectinload(Author.books)).limit(limit)\n```\n"
    found = [
        _finding(
            "DB101",
            "N+1: the books of each author are fetched one by one",
            "high",
            "GET /authors",
            Place(file="src/bookshop/api.py", line=31, function="list_authors"),
            prose,
            (authors.evidence, grown.id),
            0.55,
            "load the books of all authors in one statement with `selectinload`",
            recipe,
        )
    ]
    return found, traced


def _index(maker: Maker, traced: dict[str, Seen[Traces]]) -> Finding:
    trial = IndexTrial(
        ddl="CREATE INDEX ON book (title)",
        table="book",
        columns=("title",),
        before_ms=(583.2, 590.1, 586.4),
        after_ms=(3.1, 2.9, 3.4),
        before_median_ms=586.4,
        after_median_ms=3.1,
        size_bytes=1_310_720,
        used=True,
    )
    plan = QueryPlan(
        engine="sqlite",
        shape="SELECT * FROM book WHERE title = ?",
        statement="SELECT * FROM book WHERE title = ?",
        execution_ms=586.4,
        table_rows={"book": 40_000},
        trial=trial,
        nodes=(PlanNode(depth=0, operation="SCAN", relation="book", rows=40_000, removed_rows=39_980),),
    )
    kept = maker.put("plan:search", plan, Method(tool="sqlite3", version="3.45.1"), "GET /search")
    seen = Seen(kept.id, plan)
    prose = write(
        "The statement scans `book`: {rows} are read and {removed} are thrown away again. Built on a clone, "
        "an index on `title` took it from {before} to {after}, {ratio} as fast, and holds {size} of disk.",
        rows=seen.cite("table_rows.book"),
        removed=seen.cite("nodes.0.removed_rows"),
        before=seen.cite("trial.before_median_ms"),
        after=seen.cite("trial.after_median_ms"),
        size=seen.cite("trial.size_bytes"),
        ratio=cite(
            586.4 / 3.1,
            "ratio",
            seen.ref("trial.before_median_ms"),
            seen.ref("trial.after_median_ms"),
            derivation="ratio",
        ),
    )
    return _finding(
        "DB103",
        "No index serves the search by title",
        "high",
        "GET /search",
        Place(file="src/bookshop/search.py", line=88, function="find"),
        prose,
        (kept.id, traced["GET /search"].evidence),
        0.81,
        "add an index on `book.title`",
        "```sql\nCREATE INDEX CONCURRENTLY book_title ON book (title);\n```",
        metric_name="db.time",
    )


def _profiled(maker: Maker) -> Finding:
    lines = tuple(
        ProfileLine(
            place=Place(file="src/bookshop/books.py", line=line, function=name),
            own_share=own,
            total_share=total,
            application=True,
        )
        for line, name, own, total in (
            (61, "word_cloud", 0.31, 0.44),
            (70, "normalise", 0.13, 0.13),
            (12, "list_books", 0.02, 0.91),
        )
    )
    body = CpuProfile(
        samples_count=1840, idle_share=0.21, requests_count=31, request_ms=212.0, lines=lines, functions=lines
    )
    raw = "\n".join(
        f"{';'.join(stack)} {count}"
        for stack, count in (
            (
                (
                    "run (uvicorn/server.py:67)",
                    "app (fastapi/routing.py:301)",
                    "list_books (src/bookshop/books.py:12)",
                    "word_cloud (src/bookshop/books.py:61)",
                ),
                570,
            ),
            (
                (
                    "run (uvicorn/server.py:67)",
                    "app (fastapi/routing.py:301)",
                    "list_books (src/bookshop/books.py:12)",
                    "word_cloud (src/bookshop/books.py:61)",
                    "normalise (src/bookshop/books.py:70)",
                ),
                240,
            ),
            (
                (
                    "run (uvicorn/server.py:67)",
                    "app (fastapi/routing.py:301)",
                    "list_books (src/bookshop/books.py:12)",
                    "execute (sqlalchemy/engine/base.py:1419)",
                ),
                510,
            ),
            (
                (
                    "run (uvicorn/server.py:67)",
                    "app (fastapi/routing.py:301)",
                    "serialize_response (fastapi/routing.py:197)",
                ),
                330,
            ),
            (("run (uvicorn/server.py:67)", "send (starlette/responses.py:165)"), 190),
        )
    )
    kept = maker.put("profile:books", body, PYSPY, "GET /books", raw=raw.encode(), speedscope=b"{}")
    seen = Seen(kept.id, body)
    prose = write(
        "`word_cloud` holds {own} of the processor's samples itself and {total} with what it calls, over {n} samples.",
        own=seen.cite("functions.0.own_share"),
        total=seen.cite("functions.0.total_share"),
        n=seen.cite("samples_count"),
    )
    return _finding(
        "RT303",
        "A hot function: `word_cloud`",
        "medium",
        "GET /books",
        Place(file="src/bookshop/books.py", line=61, function="word_cloud"),
        prose,
        (kept.id,),
        0.35,
        "count the words once, when the book is written",
        "Keep the counts in a column.",
        metric_name="cpu",
    )


def _blocking(maker: Maker, traced: dict[str, Seen[Traces]]) -> Finding:
    body = Neighbour(
        neighbour="GET /health",
        alone_median_ms=0.9,
        beside_median_ms=64.2,
        beside_max_ms=91.5,
        request_ms=88.0,
        stalls_count=6,
        stall_max_ms=90.2,
        stall_place=Place(file="src/bookshop/sales.py", line=44, function="fetch"),
    )
    kept = maker.put("neighbour:sales", body, METHOD, "GET /reports/sales")
    seen = Seen(kept.id, body)
    prose = write(
        "The event loop stands still meanwhile: a cheap neighbour waits {beside} instead of {alone}, at worst {worst}.",
        beside=seen.cite("beside_median_ms"),
        alone=seen.cite("alone_median_ms"),
        worst=seen.cite("beside_max_ms"),
    )
    return _finding(
        "RT301",
        "A blocking HTTP call in async code",
        "high",
        "GET /reports/sales",
        Place(file="src/bookshop/sales.py", line=44, function="fetch"),
        prose,
        (kept.id, traced["GET /reports/sales"].evidence),
        None,
        "use an async client",
        "```python\nasync with httpx.AsyncClient() as client: ...\n```",
        metric_name="neighbour.latency",
        also=("GET /recommendations",),
    )


def _payload(maker: Maker, traced: dict[str, Seen[Traces]]) -> Finding:
    body = Payload(
        content_type="application/json",
        content_encoding="",
        sent_bytes=1_640_000,
        decoded_bytes=1_640_000,
        gzip_bytes=212_000,
        items_count=4000,
    )
    kept = maker.put("payload:books", body, METHOD, "GET /books")
    seen = Seen(kept.id, body)
    prose = write(
        "The answer is {sent}, sent uncompressed; gzip would leave {gzip}, {share} of it.",
        sent=seen.cite("sent_bytes"),
        gzip=seen.cite("gzip_bytes"),
        share=cite(212_000 / 1_640_000, "fraction", seen.ref("gzip_bytes"), seen.ref("sent_bytes"), derivation="share"),
    )
    return _finding(
        "HT403",
        "A large answer, sent uncompressed",
        "low",
        "GET /books",
        Place(file="src/bookshop/books.py", line=12, function="list_books"),
        prose,
        (kept.id, traced["GET /books"].evidence),
        0.12,
        "compress answers",
        "```python\napp.add_middleware(GZipMiddleware)\n```",
        metric_name="response.bytes",
        status="acknowledged",
        status_reason="behind a proxy that compresses, until 2027-03-01",
    )


def _startup(maker: Maker) -> Finding:
    body = Startup(start_ms=(1840.0, 1902.0, 1871.0), median_ms=1871.0, imports_total_ms=1203.0)
    kept = maker.put("startup", body, METHOD)
    seen = Seen(kept.id, body)
    prose = write(
        "The application takes {all} to its first answer, {imports} of it to import modules.",
        all=seen.cite("median_ms"),
        imports=seen.cite("imports_total_ms"),
    )
    return _finding(
        "RT305",
        "A heavy import at start",
        "low",
        None,
        Place(file="src/bookshop/charts.py", line=3),
        prose,
        (kept.id,),
        0.4,
        "import it where it is used",
        "Move the import into the function.",
        metric_name="startup",
    )


def make(
    folder: Path, seed: int = 7, load_steps: tuple[float, ...] = (0.5, 1.0, 2.0), without: tuple[str, ...] = ()
) -> Ledger:
    """The ledger of one finished run in `folder/.perfcrew`."""
    maker = Maker(folder, seed, load_steps, tuple(s for s in SHOP if s.key not in without))
    write_frame(maker, folder)
    for shop in maker.shops:
        maker.baseline(shop)
    maker.whole(Shop("application", 1, 1, 0, 0, 0), "startup", 1871.0, 1840.0, 1902.0)
    database, traced = _database(maker, folder)
    database.append(_index(maker, traced))
    profiler = [_profiled(maker), _blocking(maker, traced), _startup(maker), _payload(maker, traced)]
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
    maker.put("findings:database", Findings(specialist="database", reasoner="rule book", findings=tuple(database)))
    maker.put("findings:profiler", Findings(specialist="profiler", reasoner="rule book", findings=tuple(profiler)))
    maker.put("findings:caching", Findings(specialist="caching", reasoner="rule book", findings=()))
    standing = [database[1], database[0], profiler[1], profiler[0], profiler[3], profiler[2]]
    maker.put(
        "findings:reviewer",
        Findings(
            specialist="reviewer",
            reasoner="rule book",
            findings=tuple(standing),
            objections=(f"{profiler[3].id}: seen on 1 endpoint only",),
        ),
    )
    return maker.ledger


def write_frame(maker: Maker, folder: Path) -> None:
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
