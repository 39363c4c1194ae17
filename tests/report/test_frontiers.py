"""The frontier of a vector search in the report: drawn, in a table, and held against the ledger."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from perfcrew.core.report import Report
from perfcrew.core.vectors import VectorSearch, VectorSetting
from perfcrew.gate import whole
from perfcrew.gate.held import Held
from perfcrew.gate.judge import limits_of
from perfcrew.ledger import Ledger
from perfcrew.report import html, html_charts, markdown
from perfcrew.report.compose import compose
from tests.report.make_ledger import RUN, make
from tests.report.shop import METHOD


def way(ef_search: int, recall: float, ratio: float, frontier: bool = True) -> VectorSetting:
    return VectorSetting(
        access="hnsw", options={"m": 16, "ef_construction": 64}, session={"hnsw.ef_search": str(ef_search)},
        recall_share=recall, worst_share=0.5, median_ms=9 / ratio, exact_ms=9, exact_ratio=ratio, build_ms=8000,
        size_bytes=25_000_000, frontier=frontier,
    )  # fmt: skip


WAYS = (way(20, 0.9, 16), way(40, 0.97, 12), way(60, 0.96, 9, frontier=False), way(80, 0.99, 8))
SEARCH = VectorSearch(
    shape="SELECT id FROM items ORDER BY e <=> ? LIMIT ?", table="items", column="e", column_type="vector",
    expression="e", operator="<=>", operator_class="vector_cosine_ops", direct=True, wanted_count=10, filtered=False,
    kept_share=1, dimensions_count=128, table_rows=40_000, queries_count=40, captured_count=0, asked_share=0.95,
    exact_ms=9, current=way(40, 1, 1), settings=WAYS, recommended=WAYS[1],
)  # fmt: skip


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with make(tmp_path_factory.mktemp("shop")) as made:
        made.put(RUN, "vectors/GET /search/1", SEARCH, METHOD, "GET /search")
        yield made


@pytest.fixture(scope="module")
def report(ledger: Ledger) -> Report:
    return compose(ledger, RUN)


def test_drawn_with_a_table_beside_it(report: Report) -> None:
    page = html.render(report)
    assert page.count("<circle class=") == len(WAYS) + 1  # the ring of the recommended one
    assert page.count('class="hnsw behind"') == 1
    assert "hnsw m=16 ef_construction=64, hnsw.ef_search=40</code> recommended" in page
    (drawn,) = report.charts.frontiers
    assert "ef_search=80 99 % at 8 ×" in str(html_charts.frontier(drawn))


def test_what_nothing_beats_is_in_the_document(report: Report) -> None:
    text = markdown.render(report)
    assert "### Nearest neighbours: `items.e <=>` at `GET /search`" in text
    assert "`hnsw m=16 ef_construction=64, hnsw.ef_search=40` **recommended** | 97 % | 750 µs | 12 ×" in text
    assert "ef_search=60" not in text


def test_the_gate_refuses_another_frontier(ledger: Ledger, report: Report) -> None:
    held, limits = Held.read(ledger, RUN), limits_of()
    assert whole.check_drawings(report, held, limits).passed
    (drawn,) = report.charts.frontiers
    for change in ({"settings": WAYS[:2]}, {"recommended": WAYS[3]}, {"endpoint": "GET /books"}):
        changed = report.charts.model_copy(update={"frontiers": (drawn.model_copy(update=change),)})
        assert not whole.check_drawings(report.model_copy(update={"charts": changed}), held, limits).passed


def test_a_sweep_that_tried_nothing_draws_nothing(report: Report) -> None:
    (drawn,) = report.charts.frontiers
    assert html_charts.frontier(drawn.model_copy(update={"settings": ()})) == ""
