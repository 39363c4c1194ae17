"""Plans of real statements, as drivers send them, on real databases."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from random import Random
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcrew.core.errors import ToolFailed, Unmeasurable
from perfcrew.instruments.binding import bind
from perfcrew.instruments.index_advice import Asked, advise
from perfcrew.instruments.plan_nodes import of_postgres, without_values
from perfcrew.instruments.plans import explain
from tests.instruments.clone_fixtures import clone as clone
from tests.instruments.database_clones import CUSTOMERS, EVENTS, TestClone

FORMS: dict[str, tuple[str, Any]] = {
    "asyncpg": ("SELECT * FROM events WHERE customer_id = $1 AND kind = $2", [5, "view"]),
    "asyncpg, the other way round": ("SELECT * FROM events WHERE kind = $2 AND customer_id = $1", [5, "view"]),
    "psycopg": ("SELECT * FROM events WHERE customer_id = %s AND kind = %s", [5, "view"]),
    "psycopg by name": (
        "SELECT * FROM events WHERE customer_id = %(c)s AND kind = %(k)s",
        {"k": "view", "c": 5, "other": 1},
    ),
    "by name": ("SELECT * FROM events WHERE customer_id = :c AND kind = :k", {"c": 5, "k": "view"}),
}

BOUND = {
    "sqlite numbered": ("a = ?2 AND b = ?1", [1, 2], "sqlite", "a = ? AND b = ?", (2, 1)),
    "one number twice": ("a = $1 OR b = $1", [1], "postgresql", "a = %s OR b = %s", (1, 1)),
    "one name twice": ("a = :x OR b = :x", {"x": 1}, "sqlite", "a = ? OR b = ?", (1, 1)),
    "percent in psycopg's text": ("a LIKE 'x%%' AND b = %s", [1], "sqlite", "a LIKE 'x%' AND b = ?", (1,)),
    "percent in asyncpg's text": ("a LIKE 'x%' AND b = $1", [1], "postgresql", "a LIKE 'x%%' AND b = %s", (1,)),
    "percent without values": ("a LIKE 'x%'", None, "postgresql", "a LIKE 'x%%'", ()),
    "marks in strings": ("a = '?' AND b = ?", [1], "sqlite", "a = '?' AND b = ?", (1,)),
    "marks in comments": ("a = ? -- why?\n", [1], "sqlite", "a = ? -- why?", (1,)),
    "an operator that looks like a mark": ("a ? 'x' AND b = $1", [1], "postgresql", "a ? 'x' AND b = %s", (1,)),
    "a cast": ("a = :x::int", {"x": 1}, "postgresql", "a = %s::int", (1,)),
    "psycopg2's tuple": ("a IN %s", [[1, 2]], "postgresql", "a IN (%s, %s)", (1, 2)),
    "an array": ("a = ANY($1)", [[1, 2]], "postgresql", "a = ANY(%s)", ([1, 2],)),
    "a semicolon at the end": ("a = ?;\n", [1], "sqlite", "a = ?", (1,)),
}

UNBOUND = {
    "a value is missing": ("SELECT ?, ?", ["secret"]),
    "a name is missing": ("SELECT :a, :b", {"a": "secret"}),
    "values were not recorded": ("SELECT ?", None),
    "two statements": ("SELECT ?; DELETE FROM events", ["secret"]),
}

REFUSED = {
    "no such table": ("SELECT * FROM nowhere WHERE a = :a", {"a": "secret"}),
    "no such column": ("SELECT nothing FROM events WHERE kind = :a", {"a": "secret"}),
    "no SQL": ("SELEC kind FROM events WHERE kind = :a", {"a": "secret"}),
}


@pytest.mark.parametrize(("statement", "parameters"), FORMS.values(), ids=FORMS.keys())
def test_each_driver_has_its_plan(clone: TestClone, statement: str, parameters: Any) -> None:
    plan = explain(clone, statement, parameters)
    assert [(n.operation.upper().replace("SEQ ", ""), n.relation, n.index) for n in plan.nodes] == [
        ("SCAN", "events", None)
    ]
    assert plan.engine == clone.engine
    assert plan.statement == statement
    assert plan.table_rows == {"events": EVENTS}
    assert plan.execution_ms is not None and plan.execution_ms > 0


def test_rows_of_each_node_are_counted_in_postgresql(clone: TestClone) -> None:
    plan = explain(clone, "SELECT * FROM events WHERE customer_id = $1", [5])
    (node,) = plan.nodes
    if clone.engine == "sqlite":
        assert (node.rows, node.removed_rows, node.own_ms) == (None, None, None)
    else:
        assert (node.rows, node.removed_rows) == (EVENTS / CUSTOMERS, EVENTS - EVENTS / CUSTOMERS)
        assert node.own_ms is not None and node.own_ms > 0


def test_an_index_is_named_and_no_value_is_told(clone: TestClone) -> None:
    statement = "SELECT * FROM customers c JOIN events e ON e.customer_id = c.id WHERE c.email = %s AND e.kind = 'view'"
    plan = explain(clone, statement, ["reader7@example.org"])
    found = [n for n in plan.nodes if n.relation == "customers"]
    assert [bool(n.index) for n in found] == [True]
    assert {n.relation for n in plan.nodes if n.relation} == {"customers", "events"}
    assert "reader7" not in plan.model_dump_json()
    assert not any("view" in n.condition for n in plan.nodes)
    assert plan.table_rows == {"customers": CUSTOMERS, "events": EVENTS}


@pytest.mark.parametrize(
    "statement", ["DELETE FROM events WHERE kind = %s", "UPDATE events SET kind = 'x' WHERE kind = %s"]
)
def test_a_write_is_planned_and_not_run(clone: TestClone, statement: str) -> None:
    plan = explain(clone, statement, ["view"])
    assert plan.nodes
    assert plan.execution_ms is None
    assert explain(clone, "SELECT count(*) FROM events WHERE kind = 'view'", None).table_rows == {"events": EVENTS}
    db = clone.connect()
    assert db.execute("SELECT count(*) FROM events WHERE kind = 'view'").fetchone()[0] > EVENTS / 4
    db.close()


def test_a_value_that_was_not_recorded_is_not_run(clone: TestClone) -> None:
    assert explain(clone, "SELECT * FROM events WHERE customer_id = %s", [None]).execution_ms is None
    assert explain(clone, "SELECT * FROM events WHERE kind = %s", ["x" * 200]).execution_ms is None


@pytest.mark.parametrize(("statement", "parameters"), REFUSED.values(), ids=REFUSED.keys())
def test_what_the_engine_refuses(clone: TestClone, statement: str, parameters: Any) -> None:
    with pytest.raises(ToolFailed) as caught:
        explain(clone, statement, parameters)
    assert "can't be explained" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("statement", "parameters"), UNBOUND.values(), ids=UNBOUND.keys())
def test_what_cannot_be_bound(statement: str, parameters: Any) -> None:
    with pytest.raises(ToolFailed) as caught:
        bind(statement, parameters, "sqlite")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("statement", "parameters", "engine", "text", "values"), BOUND.values(), ids=BOUND.keys())
def test_placeholders(statement: str, parameters: Any, engine: Any, text: str, values: tuple[Any, ...]) -> None:
    bound = bind(statement, parameters, engine)
    assert (bound.text, bound.values) == (text, values)


STYLES = {"dollar": "${n}", "numbered": "?{n}", "format": "%s", "pyformat": "%(v{n})s", "named": ":v{n}", "plain": "?"}


@given(
    values=st.lists(st.integers(-(2**63), 2**63 - 1) | st.text(max_size=30) | st.booleans(), min_size=1, max_size=12),
    order=st.randoms(use_true_random=False),
    style=st.sampled_from(sorted(STYLES)),
)
def test_every_value_comes_where_it_belongs(values: list[Any], order: Random, style: str) -> None:
    numbers = list(range(1, len(values) + 1))
    if style not in ("format", "plain"):
        order.shuffle(numbers)
    marks = ", ".join(STYLES[style].format(n=n) for n in numbers)
    by_name = {f"v{n}": value for n, value in enumerate(values, 1)}
    bound = bind(f"SELECT {marks} -- ${{1}} %s ?", by_name if style in ("pyformat", "named") else values, "sqlite")
    with closing(sqlite3.connect(":memory:")) as db:
        assert list(db.execute(bound.text, bound.values).fetchone()) == [values[n - 1] for n in numbers]


def test_a_read_that_locks_its_rows_is_timed(clone: TestClone) -> None:
    if clone.engine == "sqlite":
        pytest.skip("SQLite has no such statement")
    plan = explain(clone, "SELECT * FROM events WHERE kind = %s FOR UPDATE SKIP LOCKED", ["view"])
    assert plan.execution_ms is not None


def test_grouping_by_a_function_of_a_value(clone: TestClone) -> None:
    if clone.engine == "sqlite":
        pytest.skip("about types of parameters, which SQLite has none of")
    statement = "SELECT date_trunc(%s, happened_at), count(*) FROM events GROUP BY date_trunc(%s, happened_at) LIMIT %s"
    assert explain(clone, statement, ["day", "day", 5]).execution_ms is not None


def test_a_statement_without_end_is_ended_and_planned(monkeypatch: pytest.MonkeyPatch, clone: TestClone) -> None:
    monkeypatch.setattr(f"perfcrew.instruments.session_{clone.engine.removesuffix('ql')}.RUN_S", 0.3)
    plan = explain(clone, "SELECT count(*) FROM events a, events b, events c WHERE a.id + b.id = c.id + %s", [3])
    assert plan.nodes
    assert plan.execution_ms is None


def test_a_function_of_the_application_is_planned_and_not_run(clone: TestClone) -> None:
    statement = "SELECT django_date_trunc(%s, happened_at) FROM events WHERE customer_id = %s ORDER BY kind COLLATE own"
    if clone.engine == "postgresql":
        with pytest.raises(ToolFailed, match="can't be explained"):
            explain(clone, statement, ["day", 5])
        return
    plan = explain(clone, statement, ["day", 5])
    assert [n.operation for n in plan.nodes] == ["SCAN", "USE TEMP B-TREE FOR ORDER BY"]
    assert plan.execution_ms is None
    reason = advise(clone, [Asked(statement, [["day", 5]])]).trials[0]
    assert reason == "the statement can't be timed: no such function: django_date_trunc"


def test_no_database_to_plan_on() -> None:
    with pytest.raises(Unmeasurable, match="no database"):
        explain(TestClone("none", lambda: sqlite3.connect(":memory:")), "SELECT 1", None)


def test_times_of_a_parallel_plan_add_up_to_its_total() -> None:
    scan = {"Node Type": "Seq Scan", "Parallel Aware": True, "Relation Name": "t", "Filter": "(a = 'x')"}
    scan |= {"Actual Loops": 3, "Actual Rows": 10, "Plan Rows": 12, "Actual Total Time": 8.0}
    scan |= {"Rows Removed by Filter": 100}
    gather = {"Node Type": "Gather", "Workers Launched": 2, "Actual Loops": 1, "Actual Rows": 30, "Plan Rows": 36}
    nodes = of_postgres({**gather, "Actual Total Time": 10.0, "Plans": [scan]})
    assert [(n.depth, n.operation, n.rows, n.removed_rows, n.own_ms) for n in nodes] == [
        (0, "Gather", 30, None, 2.0),
        (1, "Parallel Seq Scan", 30, 300, 8.0),
    ]


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("(email = 'it''s me'::text)", "(email = ?::text)"),
        ("((a1 > 5) AND (b_2 < -1.5))", "((a1 > ?) AND (b_2 < ?))"),
        ("(id = ANY ('{1,2}'::integer[]))", "(id = ANY (?::integer[]))"),
        ("(NOT (SubPlan 1))", "(NOT (SubPlan 1))"),
        ("(id = $0)", "(id = $0)"),
        ("(customer_id=? AND happened_at>?)", "(customer_id=? AND happened_at>?)"),
    ],
)
def test_values_are_taken_out_of_conditions(told: str, kept: str) -> None:
    assert without_values(told) == kept


def test_a_role_that_is_no_superuser(clone: TestClone) -> None:
    """Whoever owns a database need not be one."""
    if clone.engine == "sqlite":
        pytest.skip("SQLite has no roles")
    db = clone.connect()
    db.execute("CREATE ROLE owner_only LOGIN; GRANT SELECT ON events TO owner_only")
    db.commit()
    try:
        theirs = TestClone("postgresql", lambda: psycopg.connect(db.info.dsn, user="owner_only"))
        assert explain(theirs, "SELECT * FROM events WHERE customer_id = %s", [5]).nodes
    finally:
        db.execute("DROP OWNED BY owner_only; DROP ROLE owner_only")
        db.commit()
        db.close()


def test_a_database_that_goes_away_while_a_statement_is_explained(clone: TestClone) -> None:
    if clone.engine == "sqlite":
        pytest.skip("a file does not go away")
    ended = threading.Event()

    def end() -> None:
        with clone.connect() as db:
            db.autocommit = True
            asked = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE strpos(query, 'events c') > 0 AND state = 'active' AND pid <> pg_backend_pid()"
            )
            while not ended.is_set() and not db.execute(asked).fetchall():
                time.sleep(0.02)

    killer = threading.Thread(target=end, daemon=True)
    killer.start()
    began = time.monotonic()
    try:
        with pytest.raises(ToolFailed, match="can't be explained"):
            explain(clone, "SELECT count(*) FROM events a, events b, events c WHERE a.id + b.id = c.id + %s", [3])
    finally:
        ended.set()
        killer.join(10)
    assert time.monotonic() - began < 8, "its own time-out ended it"


def test_a_role_that_may_read_nothing_is_told_without_values(clone: TestClone) -> None:
    if clone.engine == "sqlite":
        pytest.skip("SQLite has no roles")
    with clone.connect() as db:
        db.execute("CREATE ROLE nobody_here LOGIN")
        db.commit()
        theirs = TestClone("postgresql", lambda: psycopg.connect(db.info.dsn, user="nobody_here"))
        try:
            with pytest.raises(ToolFailed, match="permission denied") as failed:
                explain(theirs, "SELECT * FROM events WHERE kind = %s", ["a-secret"])
        finally:
            db.execute("DROP ROLE nobody_here")
    assert "a-secret" not in str(failed.value)
