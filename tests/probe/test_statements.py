"""Each way to send a statement: one span, the rows that were fetched, the line that asked."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from probe_harness import Probe, Records


@pytest.fixture(scope="module")
def records(new_probe: Callable[..., Probe], mode: str) -> Records:
    probe = new_probe(mode=mode)
    return probe.run("statements.py", str(probe.folder / "db.sqlite"))


# mark of the line: spans, rows of each
STATEMENTS = {
    "script": (1, 0),
    "many": (1, 0),
    "generated": (1, 0),
    "shortcut": (1, 5),
    "one": (1, 1),
    "many_fetched": (1, 7),
    "iterated": (1, 2),
    "failing": (1, 0),
    "own_factory": (1, 1),
    "aio_fetchall": (1, 3),
    "aio_cursor": (1, 4),
    "orm_async": (1, 1),
    "orm_run_sync": (1, 1),
    "orm_gathered": (2, 1),
    "orm_sync": (1, 6),
}


@pytest.mark.parametrize("mark", STATEMENTS)
def test_each_statement_has_one_span_at_its_line(records: Records, mark: str) -> None:
    spans = [span["attributes"] for span in records.at(mark, "database")]
    own = [one for one in spans if "db.query.text" in one and not one.get("perfcrew.framework")]
    count, rows = STATEMENTS[mark]
    assert [one["db.response.returned_rows"] for one in own] == [rows] * count


def test_no_statement_is_told_without_a_line_of_the_application(records: Records) -> None:
    without = [span["attributes"].get("db.query.text") for span in records.of("database") if not span["stack"]]
    assert without == []


def test_the_driver_counts_what_was_written(records: Records) -> None:
    written = [s["attributes"].get("perfcrew.db.written_rows") for s in records.at("many", "database")]
    assert written == [10]
    assert all("perfcrew.db.written_rows" not in s["attributes"] for s in records.at("shortcut", "database"))


def test_parameters_columns_and_operation(records: Records) -> None:
    attributes = records.at("shortcut", "database")[0]["attributes"]
    assert attributes["db.query.text"] == "select * from t where id < ?"
    assert json.loads(attributes["perfcrew.db.parameters"]) == [5]
    assert attributes["perfcrew.db.columns"] == ["id", "name"]
    assert attributes["db.operation.name"] == "SELECT"
    assert attributes["db.system.name"] == "sqlite"


def test_named_parameters_are_an_object(records: Records) -> None:
    assert json.loads(records.at("many_fetched", "database")[0]["attributes"]["perfcrew.db.parameters"]) == {"n": 7}


@pytest.mark.parametrize(("mark", "many"), [("many", 10), ("generated", 3)])
def test_executemany_says_how_many(records: Records, mark: str, many: int) -> None:
    assert records.at(mark, "database")[0]["attributes"]["perfcrew.db.executemany"] == many


def test_a_failing_statement_names_its_error(records: Records) -> None:
    assert records.at("failing", "database")[0]["attributes"]["error.type"] == "OperationalError"


def test_what_frameworks_ask_for_themselves_is_marked(records: Records) -> None:
    (pragma,) = records.at("pragma", "database")
    assert pragma["attributes"]["perfcrew.framework"] is True
    assert "perfcrew.framework" not in records.at("shortcut", "database")[0]["attributes"]


def test_a_commit_is_an_operation_without_text(records: Records) -> None:
    attributes = records.at("commit", "database")[0]["attributes"]
    assert attributes["db.operation.name"] == "COMMIT" and "db.query.text" not in attributes


def test_one_connection_keeps_its_id(records: Records) -> None:
    ids = {records.at(mark, "database")[0]["attributes"]["perfcrew.db.connection"] for mark in ("one", "shortcut")}
    assert len(ids) == 1


def test_times_do_not_run_backwards(records: Records) -> None:
    spans = records.of("database")
    assert spans and all(span["end_ns"] >= span["start_ns"] for span in spans)


def test_the_hello_says_mode_and_libraries(records: Records, mode: str) -> None:
    assert records.hello["mode"] == mode
    assert {"sqlite3", "aiosqlite"} <= set(records.hello["patched"])
    assert records.hello["notes"] == []
