"""What a composed report says of a run, and that it says the same each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfcrew.core.errors import LedgerError
from perfcrew.core.evidence import Counts, Measurement, Method, Traces
from perfcrew.core.numerals import touching, uncited
from perfcrew.core.report import Report, digest
from perfcrew.core.trace import Span
from perfcrew.gate.held import texts
from perfcrew.ledger import Ledger
from perfcrew.report import html, markdown
from perfcrew.report.book import Book
from perfcrew.report.compose import compose
from perfcrew.report.drawing import _label
from tests.report.make_ledger import RUN, SHOP, Maker, make, write_frame


def test_the_same_ledger_gives_the_same_report(shop_ledger: Ledger, report: Report) -> None:
    assert compose(shop_ledger, RUN) == report
    assert digest(compose(shop_ledger, RUN)) == digest(report)


def test_every_number_of_every_text_is_cited(report: Report) -> None:
    for placed in texts(report):
        assert uncited(placed.prose) == [], placed.where
        assert touching(placed.prose) == [], placed.where


def test_endpoints_stand_slowest_first(report: Report) -> None:
    assert [row.endpoint for row in report.state][:3] == ["GET /search", "POST /login", "GET /books"]
    assert {row.endpoint for row in report.state} == {shop.key for shop in SHOP}


def test_a_cell_shows_the_ledgers_number_with_its_interval(shop_ledger: Ledger, report: Report) -> None:
    cell = report.state[2].reading("p95")
    (figure,) = cell.value.figures
    body = shop_ledger.get(figure.refs[0].evidence).body
    assert isinstance(body, Measurement) and body.metric == "latency"
    assert figure.refs[0].field == "statistics.p95.value" and " to " in cell.interval.text


@pytest.mark.parametrize(
    ("endpoint", "column", "shown"),
    [
        ("GET /authors", "statements", "51"),
        ("GET /books", "rows", "4,000 rows"),
        ("GET /reports/sales", "trips", "3"),
        ("GET /books/{book_id}", "trips", "1"),
        ("GET /health", "statements", "0"),
        ("GET /books", "bytes", "1.64 MB"),
    ],
)
def test_counts(report: Report, endpoint: str, column: str, shown: str) -> None:
    row = next(r for r in report.state if r.endpoint == endpoint)
    assert row.reading(column).value.text == shown


def test_a_refused_statistic_says_why(report: Report) -> None:
    cell = report.state[0].reading("p95")
    assert not cell.measured and cell.refused is not None
    assert cell.refused.text == "needs at least 60 samples, 45 were taken"


def test_targets(report: Report) -> None:
    outcomes = {(t.target.name, t.subject): t.outcome for t in report.targets}
    assert outcomes["API p95", "GET /books"] == "met"
    assert outcomes["API p95", "GET /search"] == "not measured"
    assert outcomes["Redis hit ratio", "application"] == "not measured"
    assert outcomes["start-up", "application"] == "met"


def test_findings_stand_in_the_reviewers_order_with_who_found_them(report: Report) -> None:
    assert [s.finding.rule for s in report.findings] == ["DB103", "DB101", "RT301", "RT303", "HT403", "RT305"]
    assert report.findings[0].specialist == "database" and report.findings[3].specialist == "profiler"
    assert report.worst == "high" and len(report.open_findings) == 5


def test_a_finding_has_every_part(report: Report) -> None:
    section = report.findings[1]
    assert "51 statements of one shape" in section.problem.text and "an estimated" not in section.problem.text
    assert "Nothing was changed" in section.changes.text and "After: not measured" in section.benchmark_note.text
    assert section.command[-1] == "GET /authors" and section.budget.text == "500 ms"
    assert {s.who for s in section.next_steps} == {"Code review", "Tests"}


def test_what_was_not_measured_is_listed_with_its_reason(report: Report) -> None:
    listed = {u.endpoint: (u.status, u.reason.text) for u in report.not_measured}
    assert listed["GET /admin/stats"] == (401, "answered 401 to each of 5 requests")
    assert listed["GET /orders/{slug}"] == (None, "no value found for {slug}")


def test_the_waterfall_is_of_a_warm_request_and_names_the_applications_line(report: Report) -> None:
    (waterfall,) = [w for w in report.charts.waterfalls if w.endpoint == "GET /authors"]
    assert len(waterfall.bars) == 51 and waterfall.trace != f"{0:032x}"
    assert waterfall.bars[3].place == "src/bookshop/api.py:31" and waterfall.bars[3].repeated


def test_the_flame_graph_counts_every_sample(report: Report) -> None:
    (flame,) = report.charts.flames
    assert flame.root.samples == 1840 == sum(c.samples for c in flame.root.children)


def test_a_run_that_could_measure_nothing_says_so(tmp_path: Path) -> None:
    maker = Maker(tmp_path, seed=1, load_steps=(), shops=SHOP)
    write_frame(maker, tmp_path)
    report = compose(maker.ledger, RUN)
    assert report.state == () and report.findings == ()
    assert report.summary.text.startswith("No endpoint could be measured")
    assert {t.outcome for t in report.targets} == {"not measured"}
    assert "No rule found its pattern" in markdown.render(report)


def test_what_it_is_for_stands_at_the_head_in_the_users_words(tmp_path: Path) -> None:
    maker = Maker(tmp_path, seed=1, load_steps=(), shops=SHOP)
    write_frame(maker, tmp_path, "500 editors wait <b>2 s</b>.\nSince Monday.", ("4 GB", "no new service"))
    report = compose(maker.ledger, RUN)
    assert report.purpose.context and report.purpose.context.ref.field == "context"
    assert [q.ref.field for q in report.purpose.constraints] == ["constraints.0", "constraints.1"]
    document = markdown.render(report)
    assert "in the user's words: “500 editors wait &lt;b>2 s&lt;/b>. Since Monday.”" in document
    assert "What must hold: “4 GB”; “no new service”" in document
    assert document.index("user's words") < document.index("## Summary")
    page = html.render(report)
    assert "&lt;b&gt;2 s" in page and "<b>2 s" not in page and "“no new service”" in page


def test_nothing_is_said_of_what_it_is_for_where_nobody_said_it(report: Report) -> None:
    assert not report.purpose.context and not report.purpose.constraints
    for text in (markdown.render(report), html.render(report)):
        assert "primary metric" in text and "words:" not in text and "What must hold" not in text


def test_traces_that_caught_nothing_are_no_counts(tmp_path: Path) -> None:
    with make(tmp_path) as ledger:
        ledger.put(RUN, "again", ledger.find(RUN, "traces", "GET /authors")[0].body.model_copy(
            update={"instrumented": False}), Method(tool="probe", version="1"), "GET /authors")  # fmt: skip
        report = compose(ledger, RUN)
        assert isinstance(ledger.find(RUN, "traces", "GET /authors")[-1].body, Traces)
    row = next(r for r in report.state if r.endpoint == "GET /authors")
    assert not row.reading("statements").measured
    life = report.life_of("GET /authors")
    assert life is not None and not life.instrumented


def test_an_unknown_run_is_an_error(shop_ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="is not in the ledger"):
        compose(shop_ledger, "no-such-run")


@pytest.mark.parametrize(("attributes", "shown"), [
    ({"db.query.text": "SELECT id FROM user\n WHERE email = 'me@example.org'"}, "SELECT id FROM user WHERE email = ?"),
    ({"url.full": "http://127.0.0.1/rates?key="}, "http://127.0.0.1/rates?key="),
    ({}, "the name"),
])  # fmt: skip
def test_a_bar_shows_no_value_of_the_users_data(attributes: dict[str, str], shown: str) -> None:
    span = Span(
        trace="t", span="s", kind="database", name="the name", start_ns=0, end_ns=1, attributes=dict(attributes)
    )
    assert _label(span) == shown


@pytest.mark.parametrize("sizes", [(100, 200, 400), (400, 100, 200)], ids=["smallest first", "largest first"])
def test_counts_are_of_the_size_of_the_baseline_whichever_was_traced_last(
    tmp_path: Path, sizes: tuple[int, ...]
) -> None:
    maker = Maker(tmp_path, 7, (), ())
    for size in sizes:
        body = Traces(
            instrumented=True,
            mode="otel",
            size=size,
            requests_count=1,
            counts=Counts(rows=size),
            cold=Counts(rows=size),
            stages=(),
        )
        maker.put(f"traces/{size}", body, Method(tool="probe", version="1"), "GET /sized")
    item = Book(maker.ledger, RUN).traces("GET /sized")
    assert item is not None and isinstance(item.body, Traces)
    assert item.body.counts.rows == max(sizes)
