"""MySQL and MariaDB: the reader of their plans, and a session on a real MariaDB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from perfcrew.core.errors import ToolFailed
from perfcrew.core.evidence import PlanNode
from perfcrew.core.indexes import IndexSpec
from perfcrew.instruments import plans, pooling, session_mysql
from perfcrew.instruments.binding import bind
from perfcrew.instruments.index_advice import Asked, advise
from perfcrew.instruments.mysql_plan import of_mysql
from perfcrew.instruments.sessions import Gone, Refused, session
from perfcrew.rules.db103_missing_index import scanned
from tests.instruments.database_clones import EVENTS, TestClone, mysql_clone
from tests.instruments.mariadb_server import serving

SCAN = {"table_name": "e", "access_type": "ALL"}
MYSQL_8 = {
    "query_block": {
        "select_id": 1,
        "cost_info": {"query_cost": "2018.50"},
        "ordering_operation": {
            "using_temporary_table": True,
            "using_filesort": True,
            "nested_loop": [
                {"table": {**SCAN, "rows_examined_per_scan": 20000, "rows_produced_per_join": 2000, "filtered": "10.00",
                           "attached_condition": "((`shop`.`e`.`kind` = 'view') and (`shop`.`e`.`id` > 7))"}},
                {"table": {"table_name": "c", "access_type": "eq_ref", "key": "PRIMARY", "used_key_parts": ["id"],
                           "rows_examined_per_scan": 1, "filtered": "100.00"}},
            ],
        },
    }
}  # fmt: skip
# Recorded from MariaDB 10.11.
MARIADB = {
    "query_block": {
        "select_id": 1,
        "r_loops": 1,
        "nested_loop": [{"read_sorted_file": {"r_rows": 10, "filesort": {
            "sort_key": "`events`.happened_at desc", "r_loops": 1, "r_total_time_ms": 12.13648557, "r_limit": 10,
            "r_used_priority_queue": True, "r_output_rows": 11,
            "table": {"table_name": "events", "access_type": "ALL", "r_loops": 1, "rows": 19680, "r_rows": 20000,
                      "r_table_time_ms": 7.289367619, "r_other_time_ms": 4.83893452, "filtered": 100,
                      "r_filtered": 0.25, "attached_condition": "`events`.customer_id = 5"}}}}],
    }
}  # fmt: skip
TEMPORARY = {
    "query_block": {
        "filesort": {
            "sort_key": "e.kind",
            "temporary_table": {"nested_loop": [
                {"table": {"table_name": "c", "access_type": "const", "key": "email", "used_key_parts": ["email"],
                           "r_loops": 0, "rows": 1, "r_rows": None, "filtered": 100, "r_filtered": None}},
                {"table": {**SCAN, "rows": 19680, "filtered": 100, "attached_condition": "e.customer_id = 7"}},
            ]},
        }
    }
}  # fmt: skip
ORDERED_BY_INDEX = {
    "query_block": {"ordering_operation": {"using_filesort": False, "table": {
        "table_name": "e", "access_type": "index", "key": "ix", "rows_examined_per_scan": 10, "filtered": "100"}}}
}  # fmt: skip
NO_TABLE = {"query_block": {"select_id": 1, "message": "No tables used"}}
UNION = {"query_block": {"union_result": {"query_specifications": [
    {"query_block": {"nested_loop": [{"table": {**SCAN, "rows": 5, "filtered": 100}}]}},
    {"query_block": {"nested_loop": [{"table": {"table_name": "<derived3>", "access_type": "ALL", "rows": 5}}]}},
]}}}  # fmt: skip

READ: dict[str, tuple[Any, list[tuple[int, str, str | None, str | None]]]] = {
    "MySQL's sort over a join": (MYSQL_8, [
        (0, "Sort (filesort)", None, None), (1, "Scan (ALL)", "events", None), (1, "Search (eq_ref)", "c", "PRIMARY")]),
    "MariaDB's sort of a scan": (MARIADB, [(0, "Sort (filesort)", None, None), (1, "Scan (ALL)", "events", None)]),
    "MariaDB's temporary table": (TEMPORARY, [
        (0, "Sort (filesort)", None, None), (1, "Temporary table", None, None), (2, "Search (const)", "c", "email"),
        (2, "Scan (ALL)", "events", None)]),
    "an order that an index gives is no sort": (ORDERED_BY_INDEX, [(0, "Index scan (index)", "events", "ix")]),
    "no table": (NO_TABLE, []),
    "a union, and rows that were made aside": (UNION, [
        (0, "Scan (ALL)", "events", None), (0, "Scan (ALL)", None, None)]),
}  # fmt: skip


@pytest.mark.parametrize(("document", "nodes"), READ.values(), ids=READ)
def test_a_plan_is_read(document: Any, nodes: list[tuple[int, str, str | None, str | None]]) -> None:
    found = of_mysql(document, {"e": "events"})
    assert [(n.depth, n.operation, n.relation, n.index) for n in found] == nodes


def test_estimates_of_what_is_filtered_and_no_values() -> None:
    scan = of_mysql(MYSQL_8, {})[1]
    assert (scan.estimated_rows, scan.rows) == (2000.0, None)
    assert scan.condition == "Filter: ((kind = ?) and (id > ?))"


def test_what_was_counted() -> None:
    scan = of_mysql(MARIADB, {})[1]
    assert (scan.read_rows, scan.rows, scan.removed_rows) == (20000.0, 50.0, 19950.0)
    assert scan.own_ms == pytest.approx(12.128, abs=0.01)
    assert of_mysql(TEMPORARY, {})[2].rows is None, "what was never run was not counted"


@pytest.mark.parametrize(("kind", "reads_all"), [("ALL", True), ("index", False), ("ref", False), ("range", False)])
def test_only_all_is_a_table_read_from_end_to_end(kind: str, reads_all: bool) -> None:
    (node,) = of_mysql({"query_block": {"table": {"table_name": "t", "access_type": kind}}}, {})
    assert scanned(node) is reads_all


@pytest.fixture(scope="module")
def clone() -> Iterator[TestClone]:
    with serving() as url:
        yield mysql_clone(url)


def test_what_the_server_gives_to_a_pool(clone: TestClone) -> None:
    """Its own setting, and the login's bound where it has one."""
    with closing(clone.connect()) as db, db.cursor() as cursor:
        cursor.execute("SELECT @@max_connections")
        most = cursor.fetchone()[0]
    allowed = pooling.limits("mysql", clone.connect)
    assert (allowed.most, allowed.reserved, allowed.refused) == (most, 0, "")
    assert allowed.usable == most or allowed.role is not None


ORDERED = "SELECT * FROM events WHERE customer_id = %s ORDER BY happened_at DESC LIMIT %s"
PLANNED: dict[str, tuple[str, Any, str, str]] = {
    "PyMySQL by position": (ORDERED, [5, 10], "Scan (ALL)", "Filter: events.customer_id = ?"),
    "PyMySQL by name": (
        "SELECT kind FROM events WHERE customer_id = %(who)s", {"who": 5}, "Scan (ALL)", "Filter: events.customer_id ="
    ),
    "PyMySQL's tuple": ("SELECT kind FROM events WHERE customer_id IN %s", [[5, 6]], "Scan (ALL)", "Filter: events."),
    "a percent sign": (
        "SELECT kind FROM events WHERE kind LIKE 'v%%' AND id = %s", [6], "Search (const)", "Index Cond: id"
    ),
    "Django": (
        "SELECT `customers`.`id` FROM `customers` WHERE `customers`.`email` IN (%s, %s)", ["reader7@example.org", "x"],
        "Search (range)", "Index Cond: email; Filter: customers.email in (?,?)"
    ),
    "no values": ("SELECT kind FROM events WHERE kind LIKE 'v%'", None, "Scan (ALL)", "Filter: events.kind like ?"),
    "a write is planned and not run": (
        "UPDATE events SET kind = %s WHERE customer_id = %s", ["gone", 3], "Index scan (index)",
        "Index Cond: id; Filter"
    ),
}  # fmt: skip


@pytest.mark.mariadb
@pytest.mark.parametrize(("statement", "values", "operation", "condition"), PLANNED.values(), ids=PLANNED)
def test_statements_of_each_driver(
    clone: TestClone, statement: str, values: Any, operation: str, condition: str
) -> None:
    plan = plans.explain(clone, statement, values)
    assert plan.engine == "mysql" and set(plan.table_rows.values()) <= {EVENTS, 400}
    last = plan.nodes[-1]
    assert last.operation == operation and last.condition.startswith(condition)
    assert (plan.execution_ms is None) is statement.startswith("UPDATE")
    with closing(clone.connect()) as db, db.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM events WHERE kind = 'gone'")
        assert cursor.fetchone() == (0,)


@pytest.mark.mariadb
def test_an_index_is_built_proven_and_gone_again(clone: TestClone) -> None:
    before = clone.indexes()
    made = advise(clone, [Asked(ORDERED, [[5, 10], [77, 10]], 3.0)], budget_s=40.0)
    (one, *_) = made.advice.advised
    assert one.index.keys[0] == "customer_id" and one.verdict == "improved"
    assert one.ddl.startswith("CREATE INDEX ix_events_customer_id") and (one.size_bytes or 0) > 0
    assert one.writes is not None and "not measured" in one.writes.refused
    assert clone.indexes() == before


@pytest.mark.mariadb
def test_what_these_engines_have_not_is_refused(clone: TestClone) -> None:
    with session(clone) as db:
        for spec in (
            IndexSpec(table="events", keys=("id",), where="kind = 'view'"),
            IndexSpec(table="events", keys=("id",), include=("kind",)),
        ):
            with pytest.raises(Refused, match="no such index"):
                db.index(spec)
        with pytest.raises(Refused, match="not measured"):
            db.writes("events", ["kind"], 10)


@pytest.mark.mariadb
def test_a_twin_is_known_and_a_hidden_index_is_not_used(clone: TestClone) -> None:
    bound = bind("SELECT kind FROM events WHERE customer_id = %s", [5], "mysql")
    with session(clone) as db:
        one = db.index(IndexSpec(table="events", keys=("customer_id",)))
        db.build(one)
        two = db.index(IndexSpec(table="events", keys=("customer_id",)))
        db.build(two)
        try:
            assert (db.twin(two), one.name != two.name) == (one.name, True)
            db.drop(two)
            assert [n.index for n in db.plan(bound, run=False)] == [one.name]
            with db.without([one]):
                assert [n.operation for n in db.plan(bound, run=False)] == ["Scan (ALL)"]
            assert [n.index for n in db.plan(bound, run=False)] == [one.name]
        finally:
            db.drop(one)
            db.drop(two)  # it is not there any more


@pytest.mark.mariadb
def test_a_statement_that_is_refused_tells_no_values(clone: TestClone) -> None:
    with pytest.raises(ToolFailed) as failed:
        plans.explain(clone, "SELECT nothing FROM events WHERE kind = %s", ["secret-value"])
    assert "secret-value" not in str(failed.value) and "nothing" in str(failed.value)


@pytest.mark.mariadb
def test_one_that_takes_too_long_is_ended_and_planned(monkeypatch: pytest.MonkeyPatch, clone: TestClone) -> None:
    monkeypatch.setattr(session_mysql, "RUN_S", 0.3)
    plan = plans.explain(clone, "SELECT count(*) FROM events a, events b WHERE a.kind <> b.kind", None)
    assert plan.execution_ms is None and len(plan.nodes) >= 2
    assert all(isinstance(n, PlanNode) and n.read_rows is None for n in plan.nodes)


@pytest.mark.mariadb
def test_a_connection_that_is_lost_is_gone(clone: TestClone) -> None:
    with session(clone) as db, closing(clone.connect()) as other, other.cursor() as cursor:
        cursor.execute("SELECT ID FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND DB = 'shop'")
        for (pid,) in cursor.fetchall():
            cursor.execute(f"KILL {pid}")
        with pytest.raises(Gone):
            db.plan(bind("SELECT kind FROM events", None, "mysql"), run=False)
