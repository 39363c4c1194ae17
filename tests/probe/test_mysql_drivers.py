"""Drivers of MySQL and MariaDB, against a real server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from probe_harness import Probe, Records

from tests.instruments.mariadb_server import serving

pytestmark = pytest.mark.mariadb


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as one:
        yield one


@pytest.fixture(scope="module")
def records(new_probe: Callable[..., Probe], url: str) -> Records:
    return new_probe(mode="otel").run("mysql.py", url)


# mark of the line: rows of each span
STATEMENTS = {
    "create": [0],
    "rows": [3],
    "many": [0],
    "one_by_one": [0],
    "delete": [0],
    "failing": [0],
    "dicts": [2],
    "aio": [4],
    "my": [6],
    "orm": [7],
    "orm_async": [8, 8],
}
WRITTEN = {"many": (3, 3), "one_by_one": (2, 6), "delete": (None, 1)}


@pytest.mark.parametrize("mark", STATEMENTS)
def test_each_statement_has_one_span_at_its_line(records: Records, mark: str) -> None:
    spans = [span for span in records.at(mark, "database") if "db.query.text" in span["attributes"]]
    own = [span["attributes"] for span in spans if not span["attributes"].get("perfcrew.framework")]
    assert [attributes["db.response.returned_rows"] for attributes in own] == STATEMENTS[mark]
    assert {attributes["db.system.name"] for attributes in own} == {"mysql"}


@pytest.mark.parametrize("mark", WRITTEN)
def test_rows_that_were_written(records: Records, mark: str) -> None:
    attributes = records.at(mark, "database")[0]["attributes"]
    many, written = WRITTEN[mark]
    assert (attributes.get("perfcrew.db.executemany"), attributes["perfcrew.db.written_rows"]) == (many, written)


def test_text_values_columns_and_database(records: Records) -> None:
    attributes = records.at("rows", "database")[0]["attributes"]
    assert attributes["db.query.text"] == "select seq as n, 'x' as name from seq_1_to_5 where seq > %s"
    assert json.loads(attributes["perfcrew.db.parameters"]) == [2]
    assert (attributes["perfcrew.db.columns"], attributes["db.namespace"]) == (["n", "name"], "shop")


def test_a_commit_is_an_operation_and_ends_the_transaction(records: Records) -> None:
    assert [span["attributes"]["db.operation.name"] for span in records.at("commit", "database")] == ["COMMIT"]
    assert records.at("delete", "database")[0]["attributes"].get("perfcrew.db.in_transaction") in (True, None)


def test_no_hook_failed(records: Records) -> None:
    assert records.hello["notes"] == []
