"""A clean report on a nearly empty database says which rules could not judge, and the gate holds it to that."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from perfcrew.core.evidence import OutOfReach, Reach
from perfcrew.core.prose import Prose
from perfcrew.core.report import Report
from perfcrew.gate.held import Held
from perfcrew.gate.judge import decide, limits_of
from perfcrew.ledger import Ledger
from perfcrew.report import html, markdown
from perfcrew.report.compose import compose
from tests.report.make_ledger import RUN, make
from tests.report.shop import METHOD

LIMITS = limits_of()
BODY = OutOfReach(
    rules=(Reach(rule="DB103", least_rows=1000), Reach(rule="DB113", least_rows=10_000)),
    table="book", largest_rows=800, data="E-data",
)  # fmt: skip
SAID = (
    "No table was large enough for these rules to judge: DB103 from 1,000 rows on, DB113 from 10,000 rows on; the "
    "largest one, `book`, has 800 rows."
)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with make(tmp_path_factory.mktemp("shop")) as made:
        made.put(RUN, "out of reach", BODY, METHOD)
        yield made


@pytest.fixture(scope="module")
def report(ledger: Ledger) -> Report:
    return compose(ledger, RUN)


def test_it_is_one_line_of_the_method(report: Report) -> None:
    text = markdown.render(report)
    (line,) = [line for line in text.splitlines() if line.startswith(SAID)]
    assert text.index("## Method") < text.index(line)
    page = html.render(report)
    assert "No table was large enough" in page[page.index('id="method"') :]


def test_nothing_is_said_where_all_could_judge(tmp_path_factory: pytest.TempPathFactory) -> None:
    with make(tmp_path_factory.mktemp("large")) as ledger:
        told = compose(ledger, RUN)
        assert told.unjudged.text == "" and "No table was large" not in markdown.render(told) + html.render(told)


def test_the_gate(ledger: Ledger, report: Report) -> None:
    held = Held.read(ledger, RUN)
    assert decide(report, held, LIMITS).failed == ()
    wrong = report.unjudged.text.replace("DB113", "DB999")
    for said in (Prose(text=""), report.unjudged.model_copy(update={"text": wrong})):
        verdict = decide(report.model_copy(update={"unjudged": said}), held, LIMITS)
        assert any("DB113 could not judge" in reason for check in verdict.failed for reason in check.reasons)
