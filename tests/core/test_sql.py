"""Shapes, tables and reads of statements, as the drivers send them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcrew.core.sql import is_read, shape, tables

SAME = {
    "placeholder styles": ("SELECT a FROM t WHERE x = $1", "SELECT a FROM t WHERE x = %s", "select a from t where x=?"),
    "named styles": ("SELECT a FROM t WHERE x = :x_1", "SELECT a FROM t WHERE x = %(x_1)s"),
    "literals": ("SELECT a FROM t WHERE x = 5 AND y = 'it''s'", "SELECT a FROM t WHERE x = 6 AND y = ''"),
    "lists of any length": ("SELECT a FROM t WHERE x IN (?, ?)", "SELECT a FROM t WHERE x IN (1, 2, 3, -4)"),
    "lists of pairs": ("SELECT a FROM t WHERE (x, y) IN ((?, ?))", "SELECT a FROM t WHERE (x, y) IN ((?, ?), (?, ?))"),
    "rows of an insert": ("INSERT INTO t (a) VALUES (?)", "INSERT INTO t (a) VALUES (?), (?)"),
    "comments": ("SELECT a FROM t -- from the list view", "SELECT a /* hint */ FROM t"),
}

DIFFERENT = {
    "columns": ("SELECT a FROM t", "SELECT b FROM t"),
    "tables": ("SELECT a FROM t", "SELECT a FROM u"),
    "operators": ("SELECT a FROM t WHERE x = ?", "SELECT a FROM t WHERE x > ?"),
    "a null is no value": ("SELECT a FROM t WHERE x = ?", "SELECT a FROM t WHERE x IS NULL"),
    "order": ("SELECT a FROM t ORDER BY a", "SELECT a FROM t ORDER BY b"),
}

READS = {
    "SELECT 1": True,
    "  -- who\n SELECT replace(a, 'x', 'y') FROM t": True,
    "SELECT 'DELETE FROM t'": True,
    "SELECT update_at FROM t FOR UPDATE": True,
    "WITH q AS (SELECT 1) SELECT * FROM q": True,
    "WITH q AS (DELETE FROM t RETURNING *) SELECT * FROM q": False,
    "SELECT * INTO copy FROM t": False,
    "INSERT INTO t SELECT * FROM u": False,
    "UPDATE t SET a = 1": False,
    "PRAGMA table_info('t')": True,
    "PRAGMA journal_mode = WAL": False,
    "SAVEPOINT s": False,
    "": False,
}


@pytest.mark.parametrize("statements", SAME.values(), ids=SAME.keys())
def test_same_shape(statements: tuple[str, ...]) -> None:
    assert len({shape(s) for s in statements}) == 1


@pytest.mark.parametrize("statements", DIFFERENT.values(), ids=DIFFERENT.keys())
def test_another_shape(statements: tuple[str, ...]) -> None:
    assert len({shape(s) for s in statements}) == len(statements)


@pytest.mark.parametrize(("statement", "expected"), READS.items())
def test_is_read(statement: str, expected: bool) -> None:
    assert is_read(statement) is expected


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ('WITH q AS (SELECT * FROM a) SELECT * FROM q JOIN public."Book" b ON true', {"a", "Book"}),
        ("SELECT * FROM Shop.Orders, items", {"orders", "items"}),
        ("UPDATE t SET a = (SELECT max(b) FROM u)", {"t", "u"}),
        ("SELECT * FROM generate_series(1, 3)", set()),
        ("nonsense ~~ FROM t", {"t"}),
    ],
)
def test_tables(statement: str, expected: set[str]) -> None:
    assert tables(statement) == expected


def test_values_never_stay_in_a_shape() -> None:
    assert "secret" not in shape("SELECT a FROM t WHERE token = 'secret'")
    assert "secret" not in shape("nonsense ~~ FROM t WHERE token = 'secret'")


@given(st.text(max_size=200))
def test_any_text_has_a_shape_and_never_raises(text: str) -> None:
    shape(text), tables(text), is_read(text)
