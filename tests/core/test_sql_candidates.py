"""Which indexes are worth trying for a statement, and which look-alikes are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcrew.core.sql_candidates import Engine, TableFacts, candidate_indexes

SCHEMA = {
    "events": TableFacts(("id", "customer_id", "kind", "happened_at", "seen"), 120_000, (("id",),), (("id",),)),
    "orders": TableFacts(
        ("id", "customer_id", "status", "placed_at"),
        6_000,
        (("id",), ("customer_id", "id"), ("status", "placed_at", "id")),
        (("id",),),
    ),
    "lines": TableFacts(("id", "order_id", "book_id", "quantity"), 72_000, (("id",),), (("id",),)),
    "customers": TableFacts(("id", "email", "name"), 2_000, (("id",), ("email", "id")), (("id",), ("email",))),
    "settings": TableFacts(("key", "value"), 3, (("key",),), (("key",),)),
    "audit.Entries": TableFacts(("id", "Actor", "at"), 5_000, (("id",),), (("id",),)),
}
EVENTS_BY_TIME = [("events", ("customer_id", "happened_at")), ("events", ("customer_id",))]

FOUND = {
    "equality and order": (
        "SELECT * FROM events WHERE customer_id = ? ORDER BY happened_at DESC LIMIT ?",
        EVENTS_BY_TIME,
    ),
    "equality and range": ("SELECT * FROM events WHERE happened_at > $1 AND customer_id = $2", EVENTS_BY_TIME),
    "a range in both words": (
        "SELECT * FROM events WHERE happened_at BETWEEN %s AND %s AND %s = customer_id",
        EVENTS_BY_TIME,
    ),
    "labelled by an ORM, through an alias": (
        "SELECT e.id AS e_id, e.happened_at AS e_happened_at FROM events AS e "
        "WHERE e.customer_id = :customer_id_1 ORDER BY e_happened_at LIMIT 5",
        EVENTS_BY_TIME,
    ),
    "order by position": ("SELECT happened_at FROM events WHERE customer_id = ? ORDER BY 1 LIMIT 5", EVENTS_BY_TIME),
    "in a derived table": (
        "SELECT a.happened_at FROM (SELECT events.customer_id AS c, events.happened_at FROM events) AS a "
        "WHERE a.c = ? ORDER BY a.happened_at",
        EVENTS_BY_TIME,
    ),
    "in a subquery with a limit": (
        "SELECT a.id FROM (SELECT id FROM events WHERE customer_id = ? ORDER BY happened_at LIMIT 3) AS a",
        EVENTS_BY_TIME,
    ),
    "in a CTE": (
        "WITH theirs AS (SELECT * FROM events WHERE customer_id = ? AND happened_at < ?) SELECT count(*) FROM theirs",
        EVENTS_BY_TIME,
    ),
    "correlated": (
        "SELECT id FROM customers c WHERE email = ? AND EXISTS (SELECT 1 FROM events e WHERE e.customer_id = c.id)",
        [("events", ("customer_id",))],
    ),
    "a list after an equality": (
        "SELECT * FROM events WHERE kind IN (?, ?) AND customer_id = ?",
        [("events", ("customer_id", "kind")), ("events", ("customer_id",))],
    ),
    "nulls": ("SELECT * FROM events WHERE kind IS NULL", [("events", ("kind",))]),
    "cast values, bare columns": (
        "SELECT * FROM events WHERE events.customer_id = $1::INTEGER",
        [("events", ("customer_id",))],
    ),
    "quoted, in another schema": (
        'SELECT * FROM audit."Entries" WHERE "Actor" = %s',
        [("audit.Entries", ("Actor",))],
    ),
    "the inner side of a join": (
        "SELECT * FROM orders o JOIN lines l ON l.order_id = o.id WHERE o.customer_id = ?",
        [("lines", ("order_id",))],
    ),
    "JOIN … USING": ("SELECT * FROM orders JOIN events USING (customer_id)", [("events", ("customer_id",))]),
    "an inner side with a value of its own": (
        "SELECT * FROM orders o LEFT JOIN lines l ON l.order_id = o.id AND l.book_id = ?",
        [("lines", ("book_id",)), ("lines", ("order_id", "book_id")), ("lines", ("order_id",))],
    ),
    "both tables, the one with the value first": (
        "SELECT * FROM events e JOIN lines l ON l.order_id = e.id WHERE e.kind = ?",
        [("events", ("kind",)), ("lines", ("order_id",))],
    ),
    "order alone, with a limit": (
        "SELECT * FROM events ORDER BY happened_at LIMIT 10",
        [("events", ("happened_at",))],
    ),
    "mixed directions, up to where they change": (
        "SELECT * FROM events WHERE customer_id = ? ORDER BY happened_at DESC, kind ASC LIMIT 10",
        EVENTS_BY_TIME,
    ),
    "wider than what is there": (
        "SELECT * FROM orders WHERE customer_id = ? ORDER BY placed_at LIMIT 1",
        [("orders", ("customer_id", "placed_at"))],
    ),
    "range before order, without a limit": (
        "SELECT * FROM events WHERE customer_id = ? AND happened_at > ? ORDER BY kind",
        [*EVENTS_BY_TIME, ("events", ("customer_id", "kind"))],
    ),
}

SILENT = {
    "a primary key": "SELECT * FROM events WHERE id = ?",
    "a unique column with others": "SELECT * FROM customers WHERE email = ? AND name = ?",
    "an index that is there": "SELECT * FROM orders WHERE status = ? AND placed_at > ?",
    "its prefix": "SELECT * FROM orders WHERE status = ?",
    "its columns in another order": "SELECT * FROM orders WHERE placed_at = ? AND status = ?",
    "a small table": "SELECT * FROM settings WHERE value = ?",
    "an unknown table": "SELECT * FROM sessions WHERE data = ?",
    "an unknown column": "SELECT * FROM events WHERE nothing = ?",
    "inside a function": "SELECT * FROM events WHERE lower(kind) = ?",
    "inside a cast": "SELECT * FROM events WHERE CAST(customer_id AS TEXT) = ?",
    "in a calculation": "SELECT * FROM events WHERE customer_id + 1 = ?",
    "text anywhere": "SELECT * FROM events WHERE kind LIKE ?",
    "a difference": "SELECT * FROM events WHERE kind != ?",
    "not in a list": "SELECT * FROM events WHERE kind NOT IN (?, ?)",
    "not null": "SELECT * FROM events WHERE kind IS NOT NULL",
    "either of two": "SELECT * FROM events WHERE kind = ? OR customer_id = ?",
    "its own row": "SELECT * FROM events WHERE kind = seen",
    "order without a limit": "SELECT * FROM events ORDER BY happened_at",
    "order of groups": "SELECT kind, count(*) FROM events GROUP BY kind ORDER BY kind LIMIT 3",
    "order of a calculation": "SELECT id, length(kind) AS size FROM events ORDER BY size LIMIT 3",
    "order of two tables": "SELECT 1 FROM events e, lines l ORDER BY e.id, l.quantity LIMIT 3",
    "the order of another outcome": "SELECT max(id) AS happened_at FROM events ORDER BY happened_at LIMIT 1",
    "whole tables": "SELECT * FROM events",
    "no SQL": "SELECT FROM WHERE (",
    "nothing": "",
}


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@pytest.mark.parametrize(("statement", "expected"), FOUND.values(), ids=FOUND.keys())
def test_candidates(statement: str, expected: list[tuple[str, tuple[str, ...]]], engine: Engine) -> None:
    assert candidate_indexes(statement, SCHEMA, engine) == expected


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@pytest.mark.parametrize("statement", SILENT.values(), ids=SILENT.keys())
def test_no_candidate(statement: str, engine: Engine) -> None:
    assert candidate_indexes(statement, SCHEMA, engine) == []


@pytest.mark.parametrize(
    ("statement", "engine", "found"),
    [
        ("SELECT * FROM events WHERE seen", "postgresql", True),
        ("SELECT * FROM events WHERE seen", "sqlite", False),
        ("SELECT * FROM events WHERE customer_id = ANY($1)", "postgresql", True),
        ("SELECT * FROM events WHERE kind = ? ORDER BY seen DESC NULLS LAST", "sqlite", True),
        ("SELECT * FROM events ORDER BY seen DESC NULLS LAST LIMIT 2", "postgresql", False),
        ("SELECT * FROM events ORDER BY seen DESC NULLS FIRST LIMIT 2", "postgresql", True),
        ("SELECT * FROM events ORDER BY seen NULLS LAST LIMIT 2", "sqlite", False),
    ],
)
def test_engines_differ(statement: str, engine: Engine, found: bool) -> None:
    assert bool(candidate_indexes(statement, SCHEMA, engine)) is found


COLUMNS = st.lists(st.sampled_from(["customer_id", "kind", "happened_at", "seen"]), min_size=1, max_size=4, unique=True)


@given(equal=COLUMNS, order=COLUMNS, engine=st.sampled_from(["sqlite", "postgresql"]))
def test_what_was_proposed_once_is_not_proposed_when_it_is_there(
    equal: list[str], order: list[str], engine: Engine
) -> None:
    where = " AND ".join(f"{c} = ?" for c in equal)
    statement = f"SELECT * FROM events WHERE {where} ORDER BY {', '.join(order)} LIMIT 5"
    first = candidate_indexes(statement, SCHEMA, engine)
    assert {c for _, columns in first for c in columns} <= {*equal, *order}
    facts = SCHEMA["events"]
    built = TableFacts(facts.columns, facts.rows, (*facts.indexes, *(c for _, c in first)), facts.unique)
    assert candidate_indexes(statement, {"events": built}, engine) == []
