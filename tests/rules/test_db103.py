"""DB103 missing index: cases that must be found, and look-alikes that must not."""

from typing import Any

import pytest

from perfcrew.core.evidence import IndexTrial, PlanNode, QueryPlan
from perfcrew.core.scene import Scene, Seen

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
    )
    plan = QueryPlan(
        engine="sqlite",
        shape="",
        statement=text,
        table_rows={"events": rows},
        nodes=(PlanNode(depth=0, operation=node, relation="events", index=index),),
        trial=trial if tried else None,
        trial_refused="" if tried else "every candidate exists",
    )
    frames = [app.frame("people.py", "# read", "activity")]
    shots = warm(lambda: Shot().sql(TEXT, 1, frames, ms=ms, rows=20).wait(2))
    return scene(app, traced(shots), plans=(Seen("plan-1", plan),), key="GET /customers/{id}/activity", **rest)


FOUND = {
    "SQLite scans": Found(planned, "people.py", "# read", "medium", None, "events"),
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
