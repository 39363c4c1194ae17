"""What the crew finds in the book shop, from evidence that it puts into the ledger."""

from __future__ import annotations

from pathlib import Path

from perfcrew.core.evidence import (
    CpuProfile,
    IndexTrial,
    Method,
    Neighbour,
    Payload,
    PlanNode,
    ProfileLine,
    QueryPlan,
    Scaling,
    Startup,
    Traces,
)
from perfcrew.core.findings import Finding, Hypothesis, Level, Scores, Share
from perfcrew.core.prose import Prose, cite, write
from perfcrew.core.scene import Seen
from perfcrew.core.trace import Frame as StackFrame
from perfcrew.core.trace import Span, Trace
from perfcrew.core.web import Place
from tests.report.shop import METHOD, PYSPY, SHOP, TRACING, Maker, Shop


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


def database(maker: Maker, root: Path) -> tuple[list[Finding], dict[str, Seen[Traces]]]:
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
        "With {from_rows} of authors it was {few} statements, with {to_rows} it was {many}: it grows with the rows.",
        n=authors.cite("counts.statements_count"),
        ms=authors.cite("counts.statements_ms"),
        all=authors.cite("counts.request_ms"),
        from_rows=scaling.cite("sizes.0"),
        few=scaling.cite("values.0"),
        to_rows=scaling.cite("sizes.2"),
        many=scaling.cite("values.2"),
    )
    recipe = (
        "Fetch the books with their authors:\n\n```python\n"
        "statement = select(Author).options(selectinload(Author.books)).limit(limit)\n```\n"
    )
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


def index(maker: Maker, traced: dict[str, Seen[Traces]]) -> Finding:
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


def profiled(maker: Maker) -> Finding:
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


def blocking(maker: Maker, traced: dict[str, Seen[Traces]]) -> Finding:
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


def payload(maker: Maker, traced: dict[str, Seen[Traces]]) -> Finding:
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


def startup(maker: Maker) -> Finding:
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
