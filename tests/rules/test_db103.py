"""DB103 missing index: cases that must be found, and look-alikes that must not."""

import dataclasses
from typing import Any

import pytest

from perfcrew.core.evidence import IndexTrial, PlanNode, QueryPlan
from perfcrew.core.indexes import IndexSpec
from perfcrew.core.scene import Scene, Seen
from perfcrew.rules.fixes.wanted_index import Wanted
from perfcrew.rules.recipes import migration

from .build import App, Found, Shot, Silent, check_found, measured, run, scene, traced, warm

SOURCE = """
from sqlalchemy import select

async def activity(session, customer):
    return await session.scalars(select(Event).where(Event.customer_id == customer).limit(20))  # read
"""
TEXT = "SELECT id FROM events WHERE customer_id = ? ORDER BY happened_at DESC LIMIT ?"


def planned(
    app: App,
    *,
    node: str = "SCAN events",
    index: str | None = None,
    rows: int = 40_000,
    before: tuple[float, ...] = (9.0, 9.2, 9.4, 9.1, 9.6),
    after: tuple[float, ...] = (0.1, 0.2, 0.1, 0.15, 0.12),
    used: bool = True,
    tried: bool = True,
    ms: float = 10.0,
    text: str = TEXT,
    name: str = "ix_events_customer_id_happened_at",
    beside: tuple[IndexTrial, ...] = (),
    partitioned: bool = False,
    **rest: Any,
) -> Scene:
    app.write("people.py", SOURCE)
    trial = IndexTrial(
        ddl=f"CREATE INDEX {name} ON events (customer_id, happened_at)",
        table="events",
        columns=("customer_id", "happened_at"),
        before_ms=before,
        after_ms=after,
        before_median_ms=sorted(before)[len(before) // 2],
        after_median_ms=sorted(after)[len(after) // 2],
        size_bytes=900_000,
        used=used,
        partitioned=partitioned,
    )
    plan = QueryPlan(
        engine="sqlite",
        shape="",
        statement=text,
        table_rows={"events": rows},
        nodes=(PlanNode(depth=0, operation=node, relation="events", index=index),),
        trial=trial if tried else None,
        trials_beside=beside,
        execution_ms=40.0,
        trial_refused="" if tried else "every candidate exists",
    )
    frames = [app.frame("people.py", "# read", "activity")]
    shots = warm(lambda: Shot().sql(TEXT, 1, frames, ms=ms, rows=20).wait(2))
    return scene(app, traced(shots), plans=(Seen("plan-1", plan),), key="GET /customers/{id}/activity", **rest)


FOUND = {
    "SQLite scans": Found(planned, "people.py", "# read", "medium", None, "events"),
    "MariaDB scans": Found(lambda app: planned(app, node="Scan (ALL)"), "people.py", "# read", "medium"),
    "MariaDB sorts what an index finds": Found(
        lambda app: planned(app, node="Sort (filesort)"), "people.py", "# read", "medium"
    ),
    "PostgreSQL scans": Found(lambda app: planned(app, node="Seq Scan"), "people.py", "# read", "medium"),
    "PostgreSQL scans in parallel": Found(
        lambda app: planned(app, node="Parallel Seq Scan"), "people.py", "# read", "medium"
    ),
    "SQLite builds an index at each run": Found(
        lambda app: planned(app, node="SEARCH USING AUTOMATIC COVERING INDEX"), "people.py", "# read", "medium"
    ),
    "much of a slow request": Found(
        lambda app: planned(app, measurements=(measured("latency", 120.0),)), "people.py", "# read", "high"
    ),
    "SQLite sorts": Found(
        lambda app: planned(app, node="USE TEMP B-TREE FOR ORDER BY"), "people.py", "# read", "medium"
    ),
}

SILENT: dict[str, Silent] = {
    "a small table": lambda app: planned(app, rows=300),
    "the planner leaves the index aside": lambda app: planned(app, used=False),
    "no index could be tried": lambda app: planned(app, tried=False),
    "the gain is within the noise": lambda app: planned(app, before=(1.0, 4.0, 9.0), after=(0.9, 3.0, 9.5)),
    "the gain is small": lambda app: planned(app, after=(8.0, 8.1, 8.2, 8.0, 8.1)),
    "microseconds": lambda app: planned(app, before=(0.3, 0.3, 0.3), after=(0.1, 0.1, 0.1)),
    "an index is used already": lambda app: planned(
        app, node="SEARCH events USING INDEX ix (customer_id=?)", index="ix"
    ),
    "a plan of another statement": lambda app: planned(app, text="SELECT id FROM events WHERE kind = ?"),
    "next to nothing of the request": lambda app: planned(app, ms=0.05),
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("DB103", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("DB103", app, build(app)) == []


def test_the_recipe_is_a_reversible_migration(app: App) -> None:
    (found,) = run("DB103", app, planned(app))
    recipe = found.hypotheses[0].recipe
    assert "op.create_index('ix_events_customer_id_happened_at', 'events', ['customer_id', 'happened_at'])" in recipe
    assert "op.drop_index" in recipe


def test_the_recipe_has_the_name_that_was_free(app: App) -> None:
    (found,) = run("DB103", app, planned(app, name="ix_events_customer_id_happened_at_2"))
    recipe = found.hypotheses[0].recipe
    assert recipe.count("ix_events_customer_id_happened_at_2'") == 2
    assert "ix_events_customer_id_happened_at'" not in recipe


def test_each_of_several_indexes_is_a_finding(app: App) -> None:
    """One of them alone would be credited with what the others save."""
    other = IndexTrial(
        ddl="CREATE INDEX ix_customers_region ON customers (region)",
        table="customers",
        columns=("region",),
        before_ms=(30.0, 31.0, 32.0),
        after_ms=(0.1, 0.1, 0.1),
        before_median_ms=31.0,
        after_median_ms=0.1,
        size_bytes=700_000,
        used=True,
    )
    found = planned(app, beside=(other,))
    plan = found.plans[0]
    rows = plan.body.model_copy(update={"table_rows": {"events": 40_000, "customers": 9_000}})
    one, two = run("DB103", app, dataclasses.replace(found, plans=(Seen(plan.evidence, rows),)))
    assert ("events" in one.title, "customers" in two.title) == (True, True)
    assert one.id != two.id
    assert one.share is not None and two.share is not None and one.share.fraction < two.share.fraction < 0.8
    assert "from 9.2 ms to" in one.prose.text and "from 31 ms to" in two.prose.text
    assert all(", others that are advised for it being there." in f.prose.text for f in (one, two))
    assert "ix_customers_region" in two.hypotheses[0].recipe


def test_one_that_adds_nothing_beside_the_others_is_none(app: App) -> None:
    nothing = IndexTrial(
        ddl="CREATE INDEX ix_customers_region ON customers (region)",
        table="customers",
        columns=("region",),
        before_ms=(),
        after_ms=(),
        before_median_ms=0.1,
        after_median_ms=0.1,
        size_bytes=700_000,
        used=True,
    )
    assert len(run("DB103", app, planned(app, beside=(nothing,)))) == 1


def test_a_partitioned_table_is_indexed_part_by_part(app: App) -> None:
    (found,) = run("DB103", app, planned(app, partitioned=True))
    recipe = found.hypotheses[0].recipe
    assert "ON ONLY events (customer_id, happened_at);" in recipe
    assert "ALTER INDEX ix_events_customer_id_happened_at ATTACH PARTITION" in recipe
    assert "op.create_index" not in recipe


def test_mysql_is_told_how_nobody_is_locked_out_and_the_way_back() -> None:
    ddl = "CREATE INDEX ix_events_customer_id ON `events` (`customer_id`)"
    spec = IndexSpec(table="events", keys=("customer_id",))
    said = migration("sql", ddl, spec)
    assert f"{ddl} ALGORITHM=INPLACE LOCK=NONE;" in said and "CONCURRENTLY" not in said
    assert "DROP INDEX ix_events_customer_id ON `events` ALGORITHM=INPLACE LOCK=NONE;" in said
    wanted = Wanted("events", None, spec, ddl, "mysql")
    assert (wanted.name, wanted.concurrently) == ("ix_events_customer_id", False)
    assert wanted.made() == f"{ddl} ALGORITHM=INPLACE LOCK=NONE"
    assert wanted.dropped() == "DROP INDEX ix_events_customer_id ON `events`"
