"""Later pages and hidden columns, on real databases of both engines."""

from __future__ import annotations

from typing import Any

import pytest

from perfcrew.core.sql_wrapped import wrapped
from perfcrew.instruments.index_advice import Asked, advise
from perfcrew.instruments.plans import explain
from perfcrew.instruments.rewrites import try_expression, try_pages
from tests.instruments.clone_fixtures import clone as clone
from tests.instruments.database_clones import EVENTS, TestClone

PAGED: dict[str, tuple[str, Any]] = {
    "by position": (
        "SELECT * FROM events WHERE kind <> %s ORDER BY happened_at, id LIMIT %s OFFSET %s",
        ["no", 20, 40],
    ),
    "numbers in the text": ("SELECT * FROM events ORDER BY happened_at LIMIT 20 OFFSET 0", None),
    "a number and a value": ("SELECT * FROM events WHERE kind <> %s ORDER BY id LIMIT 20 OFFSET 60", ["no"]),
    "by number": ("SELECT * FROM events WHERE kind <> $1 ORDER BY id LIMIT $2 OFFSET $3", ["no", 20, 0]),
    "by name": ("SELECT * FROM events ORDER BY id LIMIT :limit OFFSET :offset", {"limit": 20, "offset": 0}),
}
UNPAGED: dict[str, tuple[str, Any]] = {
    "no page": ("SELECT * FROM events WHERE kind = %s", ["view"]),
    "a limit alone": ("SELECT * FROM events LIMIT %s", [20]),
    "few rows": ("SELECT * FROM events WHERE id < %s LIMIT %s OFFSET %s", [50, 20, 0]),
    "a page within": ("SELECT * FROM (SELECT * FROM events LIMIT %s OFFSET %s) AS e WHERE id > %s", [20, 0, 5]),
    "a value that was not recorded": ("SELECT * FROM events WHERE kind = %s LIMIT 5 OFFSET 0", [None]),
    "no such table": ("SELECT * FROM nowhere LIMIT %s OFFSET %s", [20, 0]),
}
HIDDEN: dict[str, tuple[str, Any, str, str | None]] = {
    "lower": ("SELECT * FROM events WHERE lower(kind) = %s AND customer_id > 390", ["basket"], "kind", None),
    "arithmetic": ("SELECT * FROM events WHERE customer_id + 1 = %s", [7], "customer_id", None),
    "a unique column": ("SELECT e.* FROM events e WHERE e.id + 0 = %s", [7], "id", "key"),
}
OPEN: dict[str, tuple[str, Any]] = {
    "the column alone": ("SELECT * FROM events WHERE customer_id = %s", [7]),
    "a function of the value": ("SELECT * FROM events WHERE kind = lower(%s)", ["View"]),
    "a join": ("SELECT * FROM events e JOIN customers c ON e.customer_id + 0 = c.id WHERE c.id = %s", [7]),
    "a small table": ("SELECT * FROM settings WHERE upper(key) = %s", ["X"]),
    "an aggregate": ("SELECT kind FROM events GROUP BY kind HAVING count(*) = %s", [7]),
    "a value within": ("SELECT * FROM events WHERE coalesce(kind, %s) = %s", ["a", "b"]),
    "a write": ("DELETE FROM events WHERE lower(kind) = %s", ["view"]),
}


@pytest.mark.parametrize(("statement", "parameters"), PAGED.values(), ids=PAGED)
def test_a_later_page_is_timed_beside_the_first(clone: TestClone, statement: str, parameters: Any) -> None:
    tried = try_pages(clone, statement, parameters)
    assert tried is not None
    assert (tried.result_rows, tried.skipped_rows) == (EVENTS, EVENTS * 9 // 10)
    assert len(tried.first_ms) == len(tried.later_ms) >= 2
    if clone.engine == "postgresql":
        assert tried.later_read_rows is not None and tried.later_read_rows >= tried.skipped_rows


@pytest.mark.parametrize(("statement", "parameters"), UNPAGED.values(), ids=UNPAGED)
def test_nothing_to_vary(clone: TestClone, statement: str, parameters: Any) -> None:
    assert try_pages(clone, statement, parameters) is None


@pytest.mark.parametrize(("statement", "parameters", "column", "defeated"), HIDDEN.values(), ids=HIDDEN)
def test_a_hidden_column(clone: TestClone, statement: str, parameters: Any, column: str, defeated: str | None) -> None:
    indexes = clone.indexes()
    tried = try_expression(clone, statement, parameters, explain(clone, statement, parameters))
    assert tried is not None
    assert (tried.table, tried.column, tried.implicit) == ("events", column, False)
    assert tried.ddl.startswith("CREATE INDEX ix_events_") and tried.expression in tried.ddl
    assert len(tried.before_ms) == len(tried.after_ms)
    assert bool(tried.defeated) is bool(defeated and clone.engine == "postgresql")
    assert clone.indexes() == indexes, "an index was left behind"


def test_the_index_on_the_expression_is_used_and_faster(clone: TestClone) -> None:
    statement, values = HIDDEN["arithmetic"][:2]
    tried = try_expression(clone, statement, values, explain(clone, statement, values))
    assert tried is not None and tried.used
    assert tried.after_median_ms < tried.before_median_ms / 2
    assert tried.size_bytes is None or tried.size_bytes > 0


def test_a_cast_that_the_server_put_in(clone: TestClone) -> None:
    if clone.engine != "postgresql":
        pytest.skip("SQLite compares a column with what it is given")
    statement = "SELECT * FROM events WHERE customer_id = 7.5 OR customer_id = %s::numeric"
    tried = try_expression(clone, statement, [8], explain(clone, statement, [8]))
    assert tried is not None
    assert (tried.column, tried.expression, tried.implicit) == ("customer_id", "(customer_id)::numeric", True)


THERE = {
    "the index on the expression": (HIDDEN["lower"][0], ["basket"], "CREATE INDEX ix_there ON events (lower(kind))"),
    "a wider index that begins with it": (
        "SELECT * FROM events WHERE lower(kind) = %s AND customer_id = %s",
        ["basket", 7],
        "CREATE INDEX ix_there ON events (lower(kind), customer_id)",
    ),
    "arithmetic": (
        "SELECT * FROM events WHERE customer_id + 1 = %s",
        [7],
        "CREATE INDEX ix_there ON events ((customer_id + 1))",
    ),
}


@pytest.mark.parametrize(("statement", "parameters", "ddl"), THERE.values(), ids=THERE)
def test_what_goes_in_by_the_expression_now(clone: TestClone, statement: str, parameters: Any, ddl: str) -> None:
    db = clone.connect()
    db.execute(ddl)
    if clone.engine == "postgresql":
        db.execute("ANALYZE events")
    db.commit()
    try:
        assert try_expression(clone, statement, parameters, explain(clone, statement, parameters)) is None
    finally:
        db.execute("DROP INDEX ix_there")
        db.commit()
        db.close()


def test_an_expression_is_measured_with_its_statistics(clone: TestClone) -> None:
    """Without them the planner thinks that a third of the rows are a two-hundredth, and takes an index for them."""
    if clone.engine == "sqlite":
        pytest.skip("SQLite plans without statistics")
    db = clone.connect()
    db.execute("CREATE TABLE state (id INTEGER, name TEXT, note TEXT)")
    db.execute(
        "INSERT INTO state SELECT n, CASE WHEN n % 10 < 9 THEN 'Open' ELSE 'Shut' || n END, repeat('x', 100) "
        "FROM generate_series(1, 20000) n"
    )
    db.execute("ANALYZE state")
    db.commit()
    statement = "SELECT max(note) FROM state WHERE lower(name) = %s"
    try:
        tried = try_expression(clone, statement, ["open"], explain(clone, statement, ["open"]))
        assert tried is not None and not tried.used
        made = advise(clone, [Asked(statement, [["open"]])])
        assert made.advice.advised == ()
        assert "not used by the planner" in str(made.trials[0])
    finally:
        db.execute("DROP TABLE state")
        db.commit()
        db.close()


@pytest.mark.parametrize(("statement", "parameters"), OPEN.values(), ids=OPEN)
def test_nothing_is_hidden(clone: TestClone, statement: str, parameters: Any) -> None:
    assert try_expression(clone, statement, parameters, explain(clone, statement, parameters)) is None


COLUMNS = {"t": ("a", "b", "made"), "u": ("id", "t_id")}
WRAPPED = {
    "a cast": ("SELECT 1 FROM t WHERE CAST(t.a AS text) = %s", [("a", "CAST(a AS TEXT)")]),
    "a cast of PostgreSQL": ("SELECT 1 FROM t WHERE made::date = %s", [("made", "CAST(made AS DATE)")]),
    "a part of a date": ("SELECT 1 FROM t WHERE EXTRACT(year FROM made) = %s", [("made", "EXTRACT(YEAR FROM made)")]),
    "an alias": ("SELECT 1 FROM t AS x WHERE lower(x.a) IN (%s, %s)", [("a", "LOWER(a)")]),
    "on the right": ("SELECT 1 FROM t WHERE %s < a * 2", [("a", "a * 2")]),
    "two": ("SELECT 1 FROM t WHERE lower(a) = %s AND upper(b) LIKE %s", [("a", "LOWER(a)"), ("b", "UPPER(b)")]),
    "a text of its own": ("SELECT 1 FROM t WHERE replace(a, 'secret', 'x') = %s", []),
    "two columns": ("SELECT 1 FROM t WHERE a || b = %s", []),
    "a subquery": ("SELECT 1 FROM t WHERE lower(a) = (SELECT max(id) FROM u)", []),
    "no table of ours": ("SELECT 1 FROM other WHERE lower(c) = %s", []),
    "no SQL": ("MATCH (b:Book) WHERE lower(b.a) = $x RETURN b", []),
}


@pytest.mark.parametrize(("statement", "expected"), WRAPPED.values(), ids=WRAPPED)
def test_what_is_wrapped(statement: str, expected: list[tuple[str, str]]) -> None:
    assert [(w.column, w.expression) for w in wrapped(statement, "postgresql", COLUMNS)] == expected
