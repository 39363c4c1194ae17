"""The use of indexes read from real databases: only read, and which of them another one makes needless."""

from __future__ import annotations

import time
from typing import Any

import psycopg
import pytest

from perfcrew.core.advice import IndexUsage
from perfcrew.core.errors import ToolFailed
from perfcrew.instruments import index_usage
from tests.instruments.clone_fixtures import clone as clone
from tests.instruments.database_clones import TestClone

MADE = (
    "CREATE INDEX ix_who ON events (customer_id)",
    "CREATE INDEX ix_who_again ON events (customer_id)",
    "CREATE INDEX ix_who_when ON events (customer_id, happened_at)",
    "CREATE INDEX ix_when ON events (happened_at)",
    "CREATE INDEX ix_who_down ON events (customer_id DESC)",
    "CREATE INDEX ix_who_some ON events (customer_id) WHERE kind = 'view'",
    "CREATE INDEX ix_lower ON events (lower(kind))",
    "CREATE INDEX ix_lower_again ON events (lower(kind))",
    "CREATE UNIQUE INDEX ix_id_again ON events (id)",
    "CREATE INDEX ix_email ON customers (email)",
)


@pytest.fixture(scope="module")
def made(clone: TestClone) -> TestClone:
    db = clone.connect()
    for statement in MADE:
        db.execute(statement)
    db.commit()
    db.close()
    return clone


def read(clone: TestClone) -> IndexUsage:
    return index_usage.of_sqlite(clone.connect) if clone.engine == "sqlite" else index_usage.of_postgres(clone.connect)


NEEDLESS = {
    "ix_who": "ix_who_again or ix_who_when",
    "ix_who_again": "ix_who or ix_who_when",
    "ix_lower_again": "ix_lower",
    "ix_email": "customers_email_key or sqlite_autoindex_customers_1",
}


def test_what_another_one_makes_needless(made: TestClone) -> None:
    found = {i.name: i.same_as for i in read(made).indexes if i.same_as}
    assert set(found) == set(NEEDLESS)
    assert all(other in NEEDLESS[name] for name, other in found.items())


def test_what_a_constraint_stands_on_is_needed(made: TestClone) -> None:
    needed = {i.name for i in read(made).indexes if i.needed}
    assert "ix_id_again" in needed
    assert not needed & {"ix_who", "ix_when", "ix_lower"}


def test_scans_are_counted_where_the_engine_counts(made: TestClone) -> None:
    usage = read(made)
    if made.engine == "sqlite":
        assert usage.since_s is None and {i.scans_count for i in usage.indexes} == {None}
        return
    assert usage.since_s is not None and usage.since_s > 0
    assert all(i.scans_count is not None and i.size_bytes for i in usage.indexes if i.table == "events")
    without = index_usage.of_postgres(made.connect, statistics=False)
    assert without.since_s is None and {i.scans_count for i in without.indexes} == {None}


def test_it_only_reads_and_says_who_asks(made: TestClone) -> None:
    if made.engine == "sqlite":
        pytest.skip("a copy is read")
    sent: list[str] = []

    class Watched(psycopg.Connection[Any]):
        def execute(self, query: Any, *rest: Any, **more: Any) -> Any:
            answer = super().execute(query, *rest, **more)
            sent.append(str(query))
            asked = super().execute("SELECT current_setting('transaction_read_only')").fetchone()
            assert asked == ("on",)
            return answer

    dsn = made.connect().info.dsn
    index_usage.of_postgres(lambda: Watched.connect(dsn))
    assert len(sent) == 4
    assert all(statement.startswith("/* perfcrew: read-only */") for statement in sent)
    assert [s.split("SET LOCAL ")[1] for s in sent[:2]] == ["statement_timeout = 5000", "lock_timeout = 1000"]


OTHERS = """
CREATE SCHEMA billing;
CREATE TABLE billing.events (id INTEGER, kind TEXT, customer_id INTEGER REFERENCES customers (id));
CREATE INDEX ix_who ON billing.events (customer_id, id);
CREATE INDEX ix_kind ON billing.events (kind);
CREATE INDEX ix_kind_c ON billing.events (kind COLLATE "C");
CREATE INDEX "Ix kind" ON billing.events (kind DESC);
"""


def test_schemas_collations_and_foreign_keys(made: TestClone) -> None:
    if made.engine == "sqlite":
        pytest.skip("SQLite has no schemas, and no statistics")
    with psycopg.connect(made.connect().info.dsn, autocommit=True) as db:
        db.execute(OTHERS)
        try:
            found = {i.path: i for i in read(made).indexes}
        finally:
            db.execute("DROP SCHEMA billing CASCADE")
    theirs = {path: i for path, i in found.items() if path.startswith("billing.")}
    assert set(theirs) == {"billing.ix_who", "billing.ix_kind", "billing.ix_kind_c", 'billing."Ix kind"'}
    assert [i.same_as for i in theirs.values()] == [""] * 4, "another collation is another order"
    assert {path: i.refers_to for path, i in found.items() if i.refers_to} == {"billing.ix_who": "customers"}
    assert found["public.ix_who"].same_as


def test_statistics_are_as_young_as_a_crash(made: TestClone) -> None:
    """Recovery empties all of them, and says so of the shared ones alone."""
    if made.engine == "sqlite":
        pytest.skip("SQLite has no statistics")
    time.sleep(1.5)
    before = read(made).since_s
    with psycopg.connect(made.connect().info.dsn, autocommit=True) as db:
        db.execute("SELECT pg_stat_reset_shared('bgwriter')")
        assert db.execute("SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()").fetchone() == (
            None,
        )
    after = read(made).since_s
    assert before is not None and after is not None and after < before


def test_a_statement_that_takes_too_long_is_ended(made: TestClone, monkeypatch: pytest.MonkeyPatch) -> None:
    if made.engine == "sqlite":
        pytest.skip("a copy is read")
    monkeypatch.setattr(index_usage, "STATEMENT_S", 0.1)
    monkeypatch.setattr(index_usage, "_SINCE", "SELECT pg_sleep(20)")
    with pytest.raises(ToolFailed, match="statement timeout"):
        read(made)


def test_a_database_that_is_gone(made: TestClone) -> None:
    if made.engine == "sqlite":
        pytest.skip("a copy is read")
    dsn = made.connect().info.dsn
    with pytest.raises(ToolFailed, match="the use of its indexes can't be read"):
        index_usage.of_postgres(lambda: psycopg.connect(dsn, dbname="nowhere"))
