"""Modules that stand in for sqlite3: heard as sqlite3 is, and what only has a like name is left alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from probe_harness import Probe, Records


@pytest.fixture(scope="module")
def records(new_probe: Callable[..., Probe], mode: str) -> Records:
    probe = new_probe(mode=mode)
    return probe.run("stand_ins.py", str(probe.folder / "db.sqlite"))


# mark of the line: rows of each of its statements
STATEMENTS = {
    "shortcut": [5],
    "own_function": [1],
    "other_name": [2],
    "orm": [6, 6],
    "orm_async": [3],
}


@pytest.mark.parametrize("mark", STATEMENTS)
def test_each_statement_has_one_span_at_its_line(records: Records, mark: str) -> None:
    spans = [span["attributes"] for span in records.at(mark, "database")]
    own = [one for one in spans if "db.query.text" in one and not one.get("perfcrew.framework")]
    assert [one["db.response.returned_rows"] for one in own] == STATEMENTS[mark]
    assert {one["db.system.name"] for one in own} == {"sqlite"}


def test_a_commit_is_heard_once(records: Records) -> None:
    assert [span["attributes"]["db.operation.name"] for span in records.at("commit", "database")] == ["COMMIT"]


def test_the_hello_names_the_stand_in_and_no_look_alike(records: Records) -> None:
    assert {"sqlean", "sqlite3"} <= set(records.hello["patched"])
    assert "elsewhere" not in records.hello["patched"]
    assert records.hello["notes"] == []
