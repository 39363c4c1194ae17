"""An index as a migration that can be undone, and the model that knows of it; and what must not be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfcrew.core.indexes import name_in
from perfcrew.core.patches import Fix
from perfcrew.core.sql import shape
from perfcrew.rules.fixes import propose

from .cases import At, finding, hypothesis, same, write
from .database import asked, fixed, refused, tried, with_scene

STATEMENT = "SELECT events.id FROM events WHERE events.customer_id = ? ORDER BY events.at LIMIT ?"
MODELS = """
from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Event(Base):
    __tablename__ = "events"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))  # who
    at: Mapped[int]


def latest(session, customer_id):
    return session.scalars(select(Event).where(Event.customer_id == customer_id))
"""
FIRST = """
\"\"\"first\"\"\"

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table("events")
"""
INI = "[alembic]\nscript_location = %(here)s/alembic\n"
ALEMBIC = {"shop/app.py": MODELS, "alembic.ini": INI, "alembic/env.py": "", "alembic/versions/0001_first.py": FIRST}
AT = At("return session.scalars", "latest")


def test_two_columns_are_a_revision_and_an_index_of_the_class(tmp_path: Path) -> None:
    plan = tried(STATEMENT, "events", "customer_id", "at")
    files = fixed(asked(tmp_path, "DB103", ALEMBIC, AT, STATEMENT, plan=plan), "Alembic")
    same(
        files["alembic/versions/0002_index_events_by_customer_id_at.py"],
        '''
        """index events by customer_id, at"""

        from alembic import op

        revision = "0002"
        down_revision = "0001"
        branch_labels = None
        depends_on = None


        def upgrade() -> None:
            op.create_index("ix_events_customer_id_at", "events", ["customer_id", "at"], unique=False)


        def downgrade() -> None:
            op.drop_index("ix_events_customer_id_at", table_name="events")
        ''',
    )
    model = files["shop/app.py"]
    assert "from sqlalchemy import ForeignKey, Index, String\n" in model
    assert '    __table_args__ = (Index("ix_events_customer_id_at", "customer_id", "at"),)\n\n    id:' in model
    assert len(model.splitlines()) == len(MODELS.lstrip().splitlines()) + 1


ONE_COLUMN = {
    "a column with arguments": (MODELS, 'mapped_column(ForeignKey("customers.id"), index=True)  # who'),
    "a column without a call": (
        MODELS.replace(' = mapped_column(ForeignKey("customers.id"))  # who', ""),
        "customer_id: Mapped[int] = mapped_column(index=True)",
    ),
    "a class of the older style": (
        MODELS.replace(
            'customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))', "customer_id = Column(Integer)"
        ),
        "customer_id = Column(Integer, index=True)",
    ),
}


@pytest.mark.parametrize("name", ONE_COLUMN)
def test_one_column_is_indexed_where_it_is_declared(name: str, tmp_path: Path) -> None:
    source, expected = ONE_COLUMN[name]
    plan = tried(STATEMENT, "events", "customer_id")
    files = fixed(asked(tmp_path, "DB103", {**ALEMBIC, "shop/app.py": source}, AT, STATEMENT, plan=plan), "Alembic")
    assert expected in files["shop/app.py"]
    assert '"ix_events_customer_id", "events", ["customer_id"]' in "".join(files.values())


TABLE_ARGUMENTS = {
    "a tuple": (
        '__table_args__ = (Index("a", "at"),)',
        '__table_args__ = (Index("a", "at"), Index("ix_events_customer_id_at", "customer_id", "at"))',
    ),
    "a tuple on lines of its own": (
        '__table_args__ = (\n        Index("a", "at"),\n    )',
        '__table_args__ = (\n        Index("a", "at"),\n'
        '        Index("ix_events_customer_id_at", "customer_id", "at"),\n    )',
    ),
    "a tuple that ends with options": (
        '__table_args__ = (Index("a", "at"), {"schema": "x"})',
        '__table_args__ = (Index("a", "at"), Index("ix_events_customer_id_at", "customer_id", "at"), {"schema": "x"})',
    ),
    "options": (
        '__table_args__ = {"schema": "x"}',
        '__table_args__ = (Index("ix_events_customer_id_at", "customer_id", "at"), {"schema": "x"})',
    ),
}


@pytest.mark.parametrize("name", TABLE_ARGUMENTS)
def test_table_arguments_that_are_there_are_kept(name: str, tmp_path: Path) -> None:
    before, after = TABLE_ARGUMENTS[name]
    source = MODELS.replace('__tablename__ = "events"\n', f'__tablename__ = "events"\n    {before}\n')
    plan = tried(STATEMENT, "events", "customer_id", "at")
    files = fixed(asked(tmp_path, "DB103", {**ALEMBIC, "shop/app.py": source}, AT, STATEMENT, plan=plan), "Alembic")
    assert f"    {after}\n" in files["shop/app.py"]


def test_revisions_with_digests_and_annotations_are_followed(tmp_path: Path) -> None:
    head = (
        FIRST.replace('revision = "0001"', "revision: str = '5f3a9c1e2b7d'")
        .replace("down_revision = None", "down_revision: str | None = None")
        .replace(" -> None", "")
    )
    kept = {k: v for k, v in ALEMBIC.items() if "versions" not in k}
    files = {**kept, "alembic/versions/2024_01_02_5f3a9c1e2b7d_first.py": head}
    written = fixed(
        asked(tmp_path, "DB103", files, AT, STATEMENT, plan=tried(STATEMENT, "events", "customer_id")), "Alembic"
    )
    (path,) = [p for p in written if "versions" in p]
    text = written[path]
    assert path.startswith("alembic/versions/2024_01_02_") and path.endswith("_index_events_by_customer_id.py")
    assert "down_revision: str | None = '5f3a9c1e2b7d'" in text
    assert "def upgrade():" in text


def test_a_revisions_own_classes_and_namesakes_are_not_taken_for_the_models(tmp_path: Path) -> None:
    old = """
        from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

        revision = "0002"
        down_revision = "0001"


        class Base(DeclarativeBase):
            pass


        class Event(Base):
            __tablename__ = "events"
            id: Mapped[int] = mapped_column(primary_key=True)
        """
    answer = "class Event(Base):\n    id: int\n"
    files = {**ALEMBIC, "alembic/versions/0002_rows.py": old, "shop/web.py": answer, "web/types/Event.py": answer}
    plan = tried(STATEMENT, "events", "customer_id", "at")
    written = fixed(asked(tmp_path, "DB103", files, AT, STATEMENT, plan=plan), "Alembic")
    assert set(written) == {"alembic/versions/0003_index_events_by_customer_id_at.py", "shop/app.py"}


STAMPED = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Stamped(Base):
    __abstract__ = True
    at: Mapped[int]
"""


def test_columns_come_from_the_base_that_is_imported(tmp_path: Path) -> None:
    models = MODELS.replace("    at: Mapped[int]\n", "").replace("class Event(Base)", "class Event(Stamped)")
    own_base = "\n\nclass Base(DeclarativeBase):\n    pass\n"
    others = {f"{folder}/stamped.py": "class Stamped:\n    pass\n" for folder in ("apes", "zoo")}
    files = {**ALEMBIC, **others, "shop/base.py": STAMPED}
    files["shop/app.py"] = models.replace(own_base, "from shop.base import Stamped\n")
    plan = tried(STATEMENT, "events", "customer_id", "at")
    written = fixed(asked(tmp_path, "DB103", files, AT, STATEMENT, plan=plan), "Alembic")
    assert 'Index("ix_events_customer_id_at", "customer_id", "at")' in written["shop/app.py"]


DJANGO = {
    "shop/__init__.py": "",
    "shop/models.py": """
        from django.db import models


        class Event(models.Model):
            customer = models.ForeignKey("Customer", on_delete=models.CASCADE)
            at = models.DateTimeField()

            def __str__(self):
                return str(self.at)
        """,
    "shop/migrations/0001_initial.py": """
        from django.db import migrations


        class Migration(migrations.Migration):
            dependencies = []
        """,
    "shop/migrations/0002_more.py": """
        from django.db import migrations


        class Migration(migrations.Migration):
            dependencies = [("auth", "0012_x"), ("shop", "0001_initial")]
        """,
    "shop/views.py": """
        from shop.models import Event

        def latest(request, customer_id):
            return list(Event.objects.filter(customer_id=customer_id).order_by("at"))
        """,
}
DJANGO_AT = At("return list", "latest", "shop/views.py")
DJANGO_STATEMENT = "SELECT shop_event.id FROM shop_event WHERE shop_event.customer_id = ? ORDER BY shop_event.at"
DJANGO_PLAN = tried(DJANGO_STATEMENT, "shop_event", "customer_id", "at")


def test_django_gets_a_migration_and_its_meta(tmp_path: Path) -> None:
    files = fixed(
        asked(tmp_path, "DB103", DJANGO, DJANGO_AT, DJANGO_STATEMENT, plan=DJANGO_PLAN, framework="django"),
        "Django migration",
    )
    same(
        files["shop/migrations/0003_event_customer_at_idx.py"],
        """
        from django.db import migrations, models


        class Migration(migrations.Migration):
            dependencies = [("shop", "0002_more")]

            operations = [
                migrations.AddIndex(
                    model_name="event",
                    index=models.Index(fields=["customer", "at"], name="event_customer_at_idx"),
                ),
            ]
        """,
    )
    same(
        files["shop/models.py"],
        """
        from django.db import models


        class Event(models.Model):
            customer = models.ForeignKey("Customer", on_delete=models.CASCADE)
            at = models.DateTimeField()

            class Meta:
                indexes = [models.Index(fields=["customer", "at"], name="event_customer_at_idx")]

            def __str__(self):
                return str(self.at)
        """,
    )


META = {
    "a Meta without indexes": ("ordering = ['at']", "ordering = ['at']\n        indexes = [models.Index("),
    "indexes that are there": (
        "indexes = [models.Index(fields=['at'])]",
        "indexes = [models.Index(fields=['at']), models.Index(fields=",
    ),
}


@pytest.mark.parametrize("name", META)
def test_a_meta_that_is_there_is_kept(name: str, tmp_path: Path) -> None:
    before, after = META[name]
    source = DJANGO["shop/models.py"].replace(
        "            def __str__", f"            class Meta:\n                {before}\n\n            def __str__"
    )
    files = {**DJANGO, "shop/models.py": source}
    written = fixed(
        asked(tmp_path, "DB103", files, DJANGO_AT, DJANGO_STATEMENT, plan=DJANGO_PLAN, framework="django"),
        "Django migration",
    )
    assert after in written["shop/models.py"]


RAW = {"shop/app.py": "def latest(db, customer_id):\n    return db.execute('SELECT …').fetchall()\n"}
SCHEMA = "CREATE TABLE events (\n  id INTEGER PRIMARY KEY,\n  customer_id INTEGER\n);\n"


def test_without_migrations_it_is_sql_with_its_roll_back(tmp_path: Path) -> None:
    plan = tried(STATEMENT, "events", "customer_id")
    at = At("return db.execute", "latest")
    files = fixed(asked(tmp_path, "DB103", {**RAW, "shop/schema.sql": SCHEMA}, at, STATEMENT, plan=plan), "SQL")
    made = "CREATE INDEX IF NOT EXISTS ix_events_customer_id ON events (customer_id);"
    assert files["shop/schema.sql"] == f"{SCHEMA}\n{made}\n"
    assert files["migrations/ix_events_customer_id.sql"].startswith(f"{made}\n\n-- To roll back:\n-- DROP INDEX")


@pytest.mark.parametrize(("engine", "made"), [
    ("sqlite", "CREATE INDEX IF NOT EXISTS ix_events_customer_id ON events (customer_id)"),
    ("postgresql", "CREATE INDEX IF NOT EXISTS ix_events_customer_id ON events (customer_id)"),
    ("mysql", "CREATE INDEX ix_events_customer_id ON events (customer_id) ALGORITHM=INPLACE LOCK=NONE"),
])  # fmt: skip
def test_what_no_tool_would_run_is_told_for_the_clones(engine: str, made: str, tmp_path: Path) -> None:
    """Not CONCURRENTLY, though the file on PostgreSQL is."""
    plan = tried(STATEMENT, "events", "customer_id").model_copy(update={"engine": engine})
    (found,) = asked(tmp_path, "DB103", RAW, At("return db.execute", "latest"), STATEMENT, plan=plan)
    assert isinstance(found, Fix) and (found.variant, found.ddl) == ("SQL", (made,)) and name_in(made)
    assert ("CONCURRENTLY" in "".join(str(text) for text in found.files.values())) == (engine == "postgresql")


def test_what_the_projects_tool_runs_is_not_told_for_the_clones(tmp_path: Path) -> None:
    plan = tried(STATEMENT, "events", "customer_id")
    (found,) = asked(tmp_path, "DB103", ALEMBIC, AT, STATEMENT, plan=plan)
    assert isinstance(found, Fix) and (found.variant, found.ddl) == ("Alembic", ())


def test_a_name_that_another_index_has_is_left_alone(tmp_path: Path) -> None:
    """The trial knew which names are taken; `index=True` would ask for the taken one."""
    plan = tried(STATEMENT, "events", "customer_id", name="ix_events_customer_id_2")
    files = fixed(asked(tmp_path, "DB103", ALEMBIC, AT, STATEMENT, plan=plan), "Alembic")
    (revision,) = [text for path, text in files.items() if "versions" in path]
    assert revision.count('"ix_events_customer_id_2"') == 2 and '"ix_events_customer_id"' not in revision
    assert 'Index("ix_events_customer_id_2", "customer_id")' in files["shop/app.py"]
    assert "index=True" not in files["shop/app.py"]


def test_numbered_sql_is_followed(tmp_path: Path) -> None:
    plan = tried(STATEMENT, "events", "customer_id")
    files = {**RAW, "db/007_events.up.sql": SCHEMA, "db/007_events.down.sql": "DROP TABLE events;\n"}
    written = fixed(asked(tmp_path, "DB103", files, At("return db.execute", "latest"), STATEMENT, plan=plan), "SQL")
    assert set(written) == {"db/008_ix_events_customer_id.up.sql", "db/008_ix_events_customer_id.down.sql"}


TWO_HEADS = {"alembic/versions/0009_other.py": FIRST.replace('revision = "0001"', 'revision = "0009"', 1)}
DECLINED = {
    "no trial": (ALEMBIC, None, "no index was tried"),
    "two heads": ({**ALEMBIC, **TWO_HEADS}, ("events", "at"), "not one head but: 0001, 0009"),
    "a column that the class doesn't have": (ALEMBIC, ("events", "colour"), "no column `colour`"),
    "a table without a class": (ALEMBIC, ("visits", "at"), "no mapped class of `visits`"),
    "an index that is ruled out": (
        {**ALEMBIC, "shop/app.py": MODELS.replace('ForeignKey("customers.id"))', "Integer, index=False)")},
        ("events", "customer_id"),
        "says otherwise about its index",
    ),
}


@pytest.mark.parametrize("name", DECLINED)
def test_declines(name: str, tmp_path: Path) -> None:
    files, index, reason = DECLINED[name]
    plan = tried(STATEMENT, *index) if index else None
    assert reason in refused(asked(tmp_path, "DB103", files, AT, STATEMENT, plan=plan))


def test_of_several_indexes_the_findings_own_is_made(tmp_path: Path) -> None:
    plan, other = tried(STATEMENT, "events", "customer_id"), tried(STATEMENT, "events", "at").trial
    assert other is not None
    both = plan.model_copy(update={"trials_beside": (other,)})
    write(tmp_path, ALEMBIC)
    proposing = hypothesis("DB103-index").model_copy(update={"recipe": f"As tried:\n{other.ddl}"})
    found = finding(tmp_path, "DB103", AT, None, f"{shape(STATEMENT)} by events (at)", hypotheses=(proposing,))
    known = found.model_copy(update={"endpoint": "GET /page", "evidence": ("E-plan",)})
    files = fixed(propose(tmp_path, known, with_scene(tmp_path, both)), "Alembic")
    assert '"ix_events_at"' in next(text for path, text in files.items() if "versions" in path)


def test_an_index_of_a_partitioned_table_is_not_written(tmp_path: Path) -> None:
    plan = tried(STATEMENT, "events", "customer_id")
    assert plan.trial is not None
    parted = plan.model_copy(update={"trial": plan.trial.model_copy(update={"partitioned": True})})
    assert "is partitioned" in refused(asked(tmp_path, "DB103", ALEMBIC, AT, STATEMENT, plan=parted))
