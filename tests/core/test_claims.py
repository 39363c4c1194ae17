"""Numbers of a model's text become figures that resolve, or faults that name them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from perfcrew.core.claims import told
from perfcrew.core.evidence import Evidence
from perfcrew.ledger import Ledger
from tests.crew.desk import one, shop
from tests.report.make_ledger import RUN


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with shop(tmp_path_factory.mktemp("shop")) as made:
        yield made


@pytest.fixture(scope="module")
def held(ledger: Ledger) -> Mapping[str, Evidence]:
    return {e.id: e for e in ledger.find(RUN)}


GOOD = {
    "by reference": "It sends {{ T.counts.statements_count }} statements.",
    "by reference, spaced": "It sends {{  T . counts.statements_count  }} statements.",
    "written out": "It sends 51 statements.",
    "with its unit": "It fetches 100 rows.",
    "a share of two": "{{ share T.counts.statements_ms T.counts.request_ms }} of it waits for the database.",
    "names with digits": "`book2` of DB101 has p95 in `SELECT 1 FROM x`, which is an N+1.",
    "two of them": "51 statements fetch 100 rows.",
    "no number": "It asks again and again.",
}


@pytest.mark.parametrize("what", GOOD)
def test_taken(what: str, ledger: Ledger, held: Mapping[str, Evidence]) -> None:
    id = one(ledger, "traces", "GET /authors").id
    found = told(GOOD[what].replace("T", id, 9) if "{{" in GOOD[what] else GOOD[what], [id], held)
    assert found.faults == ()
    assert "{{" not in found.prose.text


def test_a_figure_says_where_its_number_is_from(ledger: Ledger, held: Mapping[str, Evidence]) -> None:
    id = one(ledger, "traces", "GET /authors").id
    (figure,) = told("It sends 51 statements.", [id], held).prose.figures
    assert (figure.refs[0].evidence, figure.refs[0].field) == (id, "counts.statements_count")


BAD = {
    "another number": "It sends 52 statements.",
    "another unit": "It fetches 100 ms.",
    "a number in code": "It takes `51 ms`.",
    "a sign": "It sends -51 statements.",
    "in words": "It is twice as slow.",
    "more digits around it": "It sends 51,000 statements.",
    "a field that is not there": "{{ T.counts.nothing }} statements.",
    "a field that is no number": "{{ T.mode }} statements.",
    "an item that is not cited": "{{ X.count }} requests.",
    "an item that is not there": "{{ E-000000000000 . count }} requests.",
    "a broken reference": "{{ T }} statements.",
    "another reference": "{{ statements }} statements.",
    "a share of what does not fit": "{{ share T.counts.rows T.counts.request_ms }}.",
    "what was estimated": "It would gain some 30 %.",
    "a power": "It is 10² times slower.",
}


@pytest.mark.parametrize("what", BAD)
def test_sent_back(what: str, ledger: Ledger, held: Mapping[str, Evidence]) -> None:
    traces, other = one(ledger, "traces", "GET /authors").id, one(ledger, "measurement", "GET /authors").id
    text = BAD[what].replace("T.", f"{traces}.").replace("{{ T }}", f"{{{{ {traces} }}}}").replace("X.", f"{other}.")
    assert told(text, [traces], held).faults


@pytest.mark.parametrize("kind", ["findings", "frame"])
def test_nobody_cites_a_number_that_somebody_chose(kind: str, ledger: Ledger, held: Mapping[str, Evidence]) -> None:
    item = one(ledger, kind)
    path = "findings.0.confidence" if kind == "findings" else "profile.users"
    assert told(f"{{{{ {item.id}.{path} }}}} of it.", [item.id], held).faults


def test_an_unknown_id_is_named(held: Mapping[str, Evidence]) -> None:
    assert told("Nothing.", ["E-ffffffffffff"], held).faults == ("there is no evidence 'E-ffffffffffff'",)
