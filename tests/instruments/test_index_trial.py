"""Indexes tried on real clones: found, used, measured on both sides, and gone again."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from perfcrew.core.evidence import IndexTrial
from perfcrew.instruments.index_trial import NO_CANDIDATE, RUNS, try_index
from perfcrew.instruments.plans import explain
from tests.instruments.clone_fixtures import clone as clone
from tests.instruments.database_clones import TestClone

BOOKSHOP = Path(__file__).parents[2] / "examples" / "bookshop"

HELPED: dict[str, tuple[str, Any, tuple[str, ...]]] = {
    "equality and order": (
        "SELECT * FROM events WHERE customer_id = %s ORDER BY happened_at DESC LIMIT %s",
        [5, 10],
        ("customer_id", "happened_at"),
    ),
    "the inner side of a join": (
        "SELECT e.id FROM customers c JOIN events e ON e.customer_id = c.id WHERE c.email = $1",
        ["reader7@example.org"],
        ("customer_id",),
    ),
    "a time as recorded": (
        "SELECT count(*) FROM events WHERE customer_id = $1 AND happened_at > $2",
        [5, "2026-01-20 00:00:00"],
        ("customer_id", "happened_at"),
    ),
}

WITHOUT = {
    "served already": ("SELECT * FROM customers WHERE email = %s", ["reader7@example.org"], NO_CANDIDATE),
    "a small table": ("SELECT * FROM settings WHERE value = %s", ["EUR"], NO_CANDIDATE),
    "a function": ("SELECT * FROM events WHERE lower(kind) = %s", ["view"], NO_CANDIDATE),
    "a write": ("DELETE FROM events WHERE customer_id = %s", [5], "writes"),
    "null or not recorded": ("SELECT * FROM events WHERE customer_id = %s", [None], "not recorded"),
    "cut": ("SELECT * FROM events WHERE kind = %s", ["x" * 200], "cut at 200"),
}


def tried(clone: TestClone, statement: str, parameters: Any) -> IndexTrial | str:
    return try_index(clone, statement, parameters, explain(clone, statement, parameters))


@pytest.mark.parametrize(("statement", "parameters", "columns"), HELPED.values(), ids=HELPED.keys())
def test_an_index_that_helps(clone: TestClone, statement: str, parameters: Any, columns: tuple[str, ...]) -> None:
    before = clone.indexes()
    trial = tried(clone, statement, parameters)
    assert isinstance(trial, IndexTrial)
    name = f"ix_events_{'_'.join(columns)}"
    assert trial.ddl == f"CREATE INDEX {name} ON events ({', '.join(columns)})"
    assert (trial.table, trial.columns, trial.used) == ("events", columns, True)
    assert name in {n.index for n in trial.after_nodes}
    assert (len(trial.before_ms), len(trial.after_ms)) == (RUNS, RUNS)
    assert trial.before_median_ms == median(trial.before_ms)
    assert trial.after_median_ms == median(trial.after_ms)
    assert trial.size_bytes is not None and trial.size_bytes > 100_000
    assert clone.indexes() == before


@pytest.mark.parametrize(("statement", "parameters", "why"), WITHOUT.values(), ids=WITHOUT.keys())
def test_no_trial_and_why(clone: TestClone, statement: str, parameters: Any, why: str) -> None:
    reason = tried(clone, statement, parameters)
    assert isinstance(reason, str)
    assert why in reason


def test_an_index_that_the_planner_leaves_aside(clone: TestClone) -> None:
    if clone.engine == "sqlite":
        pytest.skip("SQLite without statistics takes any index")
    before = clone.indexes()
    reason = tried(clone, "SELECT * FROM events WHERE happened_at > %s", ["2025-01-01"])
    assert reason == "indexes were tried in vain: events (happened_at): not used by the planner"
    assert clone.indexes() == before


def test_a_name_that_is_taken(clone: TestClone) -> None:
    db = clone.connect()
    db.execute("CREATE INDEX ix_events_customer_id ON events (customer_id) WHERE kind = 'basket'")
    db.commit()
    try:
        trial = tried(clone, "SELECT * FROM events WHERE customer_id = %s", [5])
        assert isinstance(trial, IndexTrial)
        assert trial.ddl == "CREATE INDEX ix_events_customer_id_2 ON events (customer_id)"
        assert "ix_events_customer_id" in clone.indexes()
    finally:
        db.execute("DROP INDEX ix_events_customer_id")
        db.commit()
        db.close()


def test_an_index_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch, clone: TestClone) -> None:
    before = clone.indexes()
    statement, parameters = "SELECT * FROM events WHERE customer_id = %s", [5]
    plan = explain(clone, statement, parameters)
    monkeypatch.setattr(f"perfcrew.instruments.session_{clone.engine.removesuffix('ql')}.BUILD_S", 0.001)
    reason = try_index(clone, statement, parameters, plan)
    assert reason == "indexes were tried in vain: events (customer_id): it takes longer than 0.001 s"
    assert clone.indexes() == before


PARTITIONED = """
CREATE SCHEMA "Log";
CREATE TABLE "Log".visits (id INTEGER, "Who" INTEGER, at DATE) PARTITION BY RANGE (id);
CREATE TABLE "Log".visits_1 PARTITION OF "Log".visits FOR VALUES FROM (0) TO (10000);
CREATE TABLE "Log".visits_2 PARTITION OF "Log".visits FOR VALUES FROM (10000) TO (20000);
INSERT INTO "Log".visits SELECT n, n % 1000, '2026-01-01' FROM generate_series(0, 19999) AS n;
"""


def test_a_partitioned_table_in_another_schema(clone: TestClone) -> None:
    if clone.engine == "sqlite":
        pytest.skip("SQLite has neither")
    db = clone.connect()
    db.execute(PARTITIONED)
    db.commit()
    db.close()
    before = clone.indexes()
    trial = tried(clone, 'SELECT * FROM "Log".visits WHERE "Who" = %s', [7])
    assert isinstance(trial, IndexTrial)
    assert trial.ddl == 'CREATE INDEX ix_visits_who ON "Log".visits ("Who")'
    assert (trial.table, trial.columns) == ("Log.visits", ("Who",))
    assert trial.size_bytes is not None and trial.size_bytes > 100_000
    assert clone.indexes() == before


@pytest.fixture(scope="module")
def bookshop(tmp_path_factory: pytest.TempPathFactory) -> TestClone:
    """The example's database, by its own migrations and seed."""
    folder = tmp_path_factory.mktemp("bookshop")
    kept = shutil.ignore_patterns("node_modules", "frontend", "*.sqlite3", "__pycache__")
    shutil.copytree(BOOKSHOP, folder / "app", ignore=kept)
    file = folder / "shop.sqlite3"
    environment = {**os.environ, "DATABASE_URL": f"sqlite+aiosqlite:///{file}"}
    for command in (["-m", "alembic", "upgrade", "head"], ["seed.py", "--books", "300"]):
        subprocess.run(
            [sys.executable, *command],
            cwd=folder / "app",
            env=environment,
            check=True,
            timeout=120,
            capture_output=True,
        )
    return TestClone("sqlite", lambda: sqlite3.connect(file))


SHOP: dict[str, tuple[str, Any, tuple[str, ...] | None]] = {
    "activity": (
        "SELECT events.id, events.kind, events.happened_at FROM events WHERE events.customer_id = ? "
        "ORDER BY events.happened_at DESC LIMIT ? OFFSET ?",
        [17, 20, 0],
        ("customer_id", "happened_at"),
    ),
    "bought together": (
        "SELECT a.book_id AS first_id, b.book_id AS second_id, count(*) AS orders FROM order_lines AS a "
        "JOIN order_lines AS b ON b.order_id = a.order_id AND b.book_id > a.book_id "
        "JOIN orders ON orders.id = a.order_id WHERE orders.placed_at <= ? GROUP BY a.book_id, b.book_id "
        "ORDER BY orders DESC, a.book_id, b.book_id LIMIT ? OFFSET ?",
        ["2026-11-21 00:00:00.000000", 20, 0],
        None,
    ),
    "bestsellers": (
        "SELECT books.id, books.title, authors.name AS author, sum(order_lines.quantity) AS copies FROM books "
        "JOIN order_lines ON order_lines.book_id = books.id JOIN orders ON orders.id = order_lines.order_id "
        "JOIN authors ON authors.id = books.author_id WHERE orders.status != ? "
        "GROUP BY books.id, books.title, authors.name ORDER BY copies DESC, books.id LIMIT ?",
        ["cancelled", 10],
        None,
    ),
    "a search by prefix": (
        "SELECT books.id FROM books WHERE books.sort_title >= ? AND books.sort_title < ? "
        "ORDER BY books.sort_title LIMIT ?",
        ["a", "b", 10],
        None,
    ),
    "newest orders": ("SELECT * FROM orders ORDER BY orders.placed_at DESC, orders.id DESC LIMIT ?", [20], None),
    "open orders": ("SELECT * FROM orders WHERE status = ? ORDER BY placed_at", ["open"], None),
}


@pytest.mark.parametrize(("statement", "parameters", "columns"), SHOP.values(), ids=SHOP.keys())
def test_the_bookshop(bookshop: TestClone, statement: str, parameters: Any, columns: tuple[str, ...] | None) -> None:
    trial = tried(bookshop, statement, parameters)
    assert (trial.columns if isinstance(trial, IndexTrial) else None) == columns
    if isinstance(trial, str):
        assert trial == NO_CANDIDATE
