"""DB111 needless index: cases that must be found, and look-alikes that must not."""

from typing import Any

import pytest

from perfcrew.core.advice import IndexUsage, KnownIndex
from perfcrew.core.evidence import PlanNode, QueryPlan
from perfcrew.core.scene import ApplicationScene, Seen

from .build import App, Found, Silent, application, check_found, run, scene

SOURCE = """
class Event(Base):  # event
    __tablename__ = "events"

    id = Column(Integer, primary_key=True)
"""
NAMED = """
op.create_index("ix_events_kind", "events", ["kind"])  # made
"""
DAY = 86400


def used(app: App, *, engine: str = "postgresql", days: float | None = 30, rows: int = 50_000, **one: Any) -> Any:
    """A database with one index that nobody used."""
    app.write("shop/models.py", SOURCE)
    index = KnownIndex.model_validate(
        {
            "name": "ix_events_kind",
            "table": "events",
            "ddl": "CREATE INDEX ix_events_kind ON events (kind)",
            "scans_count": 0,
            "table_scans_count": 90_000,
            "size_bytes": 4_000_000,
            "siblings_count": 2,
            **one,
        }
    )
    key = KnownIndex(name="events_pkey", table="events", ddl="…", scans_count=0, size_bytes=9_000_000, needed=True)
    since = None if days is None else days * DAY
    body = IndexUsage(engine=engine, since_s=since, tables_rows={"events": rows}, indexes=(key, index))
    return application(app, index_usage=Seen("usage-1", body))


def named(app: App) -> ApplicationScene:
    app.write("alembic/versions/0002.py", NAMED)
    found: ApplicationScene = used(app)
    return found


def planned(app: App, relation: str | None = "events") -> ApplicationScene:
    """A plan of this run uses it."""
    node = PlanNode(depth=0, operation="Index Scan", relation=relation, index="ix_events_kind")
    plan = Seen("plan-1", QueryPlan(engine="postgresql", shape="", statement="SELECT 1", nodes=(node,)))
    return application(app, scene(app, plans=(plan,)), index_usage=used(app).index_usage)


FOUND = {
    "unused": Found(used, "shop/models.py", "# event", "low", None, "ix_events_kind"),
    "unused, and the source names it": Found(named, "alembic/versions/0002.py", "# made", "low"),
    "a plan uses another table's of that name": Found(
        lambda app: planned(app, "stock"), "shop/models.py", "# event", "low"
    ),
    "unused and large": Found(lambda app: used(app, size_bytes=2 * 10**8), "shop/models.py", "# event", "medium"),
    "the same as another": Found(
        lambda app: used(app, scans_count=700, same_as="ix_2", equal=True), "shop/models.py", "# event", "low"
    ),
    "the beginning of another": Found(
        lambda app: used(app, scans_count=700, same_as="ix_2", days=None), "shop/models.py", "# event", "low"
    ),
    "in SQLite, by definition": Found(
        lambda app: used(app, engine="sqlite", days=None, scans_count=None, size_bytes=None, same_as="ix_2"),
        "shop/models.py",
        "# event",
        "low",
    ),
}
SILENT: dict[str, Silent] = {
    "used": lambda app: used(app, scans_count=3),
    "unique, or under a constraint": lambda app: used(app, needed=True),
    "young statistics": lambda app: used(app, days=2),
    "no statistics": lambda app: used(app, days=None),
    "a table that nobody reads": lambda app: used(app, table_scans_count=4),
    "a small table": lambda app: used(app, rows=90),
    "a small index": lambda app: used(app, size_bytes=8192),
    "in SQLite, which counts nothing": lambda app: used(app, engine="sqlite", days=None, scans_count=None),
    "a plan of this run uses it": planned,
    "a bitmap of this run uses it": lambda app: planned(app, None),
    "nothing was read": application,
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("DB111", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("DB111", app, build(app)) == []


def test_the_recipe_can_be_undone(app: App) -> None:
    (found,) = run("DB111", app, used(app))
    recipe = found.hypotheses[0].recipe
    assert "DROP INDEX CONCURRENTLY ix_events_kind;" in recipe
    assert "CREATE INDEX CONCURRENTLY ix_events_kind ON events (kind);" in recipe


def test_the_recipe_names_the_schema(app: App) -> None:
    """Whoever runs it may look in other schemas first, where another index has that name."""
    (found,) = run("DB111", app, used(app, table="billing.events", path='billing."ix_events_Kind"', same_as="ix_2"))
    assert 'DROP INDEX CONCURRENTLY billing."ix_events_Kind";' in found.hypotheses[0].recipe


def test_a_foreign_key_is_told(app: App) -> None:
    (found,) = run("DB111", app, used(app, refers_to="customers"))
    assert "foreign key to `customers`" in str(found.prose) and "`customers`" in found.hypotheses[0].trade_offs
    (found,) = run("DB111", app, used(app, refers_to="customers", same_as="ix_2"))
    assert "foreign key" not in str(found.prose), "the other one serves it"


def test_a_table_without_a_class_is_in_the_database(app: App) -> None:
    (found,) = run("DB111", app, used(app, table="visits", same_as="ix_2"))
    assert (found.place.file, found.place.function) == ("database", "visits")
