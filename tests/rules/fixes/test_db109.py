"""A vector index as a migration that can be undone, and the model that knows of it; and what must not be written."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from perfcrew.core.patches import Declined, Fix
from perfcrew.core.project import Framework
from perfcrew.core.scene import Seen
from perfcrew.core.sql import shape
from perfcrew.core.vectors import VectorSearch, VectorSetting
from perfcrew.rules.fixes import propose

from .cases import At, finding, hypothesis, same, write
from .database import fixed, refused, with_scene

STATEMENT = "SELECT items.id FROM items ORDER BY items.e <=> $1 LIMIT $2"
BEST = VectorSetting(
    access="hnsw", options={"m": 16, "ef_construction": 64}, session={"hnsw.ef_search": "40"}, recall_share=0.98,
    worst_share=0.8, median_ms=0.5, exact_ms=9, exact_ratio=18, build_ms=900, size_bytes=1_000_000,
)  # fmt: skip
LISTS = BEST.model_copy(update={"access": "ivfflat", "options": {"lists": 200}, "session": {"ivfflat.probes": "8"}})
MODELS = """
from pgvector.sqlalchemy import Vector
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
    e = mapped_column(Vector(128))


def near(session, vector):
    return session.scalars(select(Item).order_by(Item.e.cosine_distance(vector)).limit(10))
"""
FIRST = """
\"\"\"first\"\"\"

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table("items")
"""
INI = "[alembic]\nscript_location = %(here)s/alembic\n"
ALEMBIC = {"shop/app.py": MODELS, "alembic.ini": INI, "alembic/env.py": "", "alembic/versions/0001_first.py": FIRST}
AT = At("return session.scalars", "near")


def asked(
    root: Path,
    files: dict[str, str],
    at: At = AT,
    best: VectorSetting | None = BEST,
    framework: Framework = "fastapi",
    named: tuple[str, ...] = ("DB109-index",),
    **more: Any,
) -> list[Fix | Declined]:
    """What is proposed for a search that was swept."""
    write(root, files)
    body = VectorSearch(**{
        "shape": shape(STATEMENT), "table": "items", "column": "e", "column_type": "vector", "expression": "e",
        "operator": "<=>", "operator_class": "vector_cosine_ops", "direct": True, "wanted_count": 10, "filtered": False,
        "kept_share": 1, "dimensions_count": 128, "table_rows": 40_000, "queries_count": 40, "captured_count": 0,
        "asked_share": 0.95, "exact_ms": 9, "current": BEST, "settings": (BEST,), "recommended": best, **more,
    })  # fmt: skip
    app = with_scene(root, framework=framework)
    (scene,) = app.scenes
    seen = dataclasses.replace(scene, vectors=(Seen("E-vectors", body),))
    found = finding(root, "DB109", at, subject=shape(STATEMENT), hypotheses=tuple(hypothesis(name) for name in named))
    known = found.model_copy(update={"endpoint": "GET /page", "evidence": ("E-vectors",)})
    return propose(root, known, dataclasses.replace(app, scenes=(seen,)))


def test_a_revision_and_an_index_of_the_class(tmp_path: Path) -> None:
    answers = asked(tmp_path, ALEMBIC)
    files = fixed(answers, "Alembic")
    same(
        files["alembic/versions/0002_index_items_by_hnsw_e_vector_cosine_ops.py"],
        '''
        """index items by hnsw (e vector_cosine_ops)"""

        from alembic import op

        revision = "0002"
        down_revision = "0001"
        branch_labels = None
        depends_on = None


        def upgrade() -> None:
            with op.get_context().autocommit_block():
                op.create_index(
                    "ix_items_e_hnsw",
                    "items",
                    ["e"],
                    unique=False,
                    postgresql_using="hnsw",
                    postgresql_with={"m": 16, "ef_construction": 64},
                    postgresql_ops={"e": "vector_cosine_ops"},
                    postgresql_concurrently=True,
                )


        def downgrade() -> None:
            with op.get_context().autocommit_block():
                op.drop_index("ix_items_e_hnsw", table_name="items", postgresql_concurrently=True)
        ''',
    )
    model = files["shop/app.py"]
    assert "from sqlalchemy import Index, select\n" in model
    assert '"ix_items_e_hnsw", "e", postgresql_using="hnsw", postgresql_with={"m": 16, "ef_construction": 64}' in model
    assert "index=True" not in model
    (fix,) = answers
    assert isinstance(fix, Fix) and not fix.exact


def test_the_revision_and_the_class_are_what_sqlalchemy_makes_of_them(tmp_path: Path) -> None:
    from sqlalchemy import Column, Index, MetaData, Table
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.schema import CreateIndex
    from sqlalchemy.types import UserDefinedType

    revision = fixed(asked(tmp_path, ALEMBIC), "Alembic")[
        "alembic/versions/0002_index_items_by_hnsw_e_vector_cosine_ops.py"
    ]
    made: list[Index] = []

    class Operations:
        def get_context(self) -> Operations:
            return self

        def autocommit_block(self) -> nullcontext[None]:
            return nullcontext()

        def create_index(self, name: str, table: str, columns: list[str], **rest: Any) -> None:
            at = Table(table, MetaData(), *(Column(c, UserDefinedType()) for c in columns))
            made.append(Index(name, *at.columns, **rest))

    names: dict[str, Any] = {}
    exec(revision.replace("from alembic import op\n", ""), names)
    names["op"] = Operations()
    names["upgrade"]()
    said = str(CreateIndex(made[0]).compile(dialect=postgresql.dialect()))
    assert said == (
        "CREATE INDEX CONCURRENTLY ix_items_e_hnsw ON items USING hnsw (e vector_cosine_ops) "
        "WITH (m = 16, ef_construction = 64)"
    )


DJANGO = {
    "shop/__init__.py": "",
    "shop/models.py": """
        from django.db import models
        from pgvector.django import VectorField


        class Item(models.Model):
            e = VectorField(dimensions=128)

            class Meta:
                db_table = "items"
        """,
    "shop/migrations/0001_initial.py": """
        from django.db import migrations


        class Migration(migrations.Migration):
            dependencies = []
        """,
    "shop/views.py": """
        from shop.models import Item

        def near(request, vector):
            return list(Item.objects.order_by(CosineDistance("e", vector))[:10])
        """,
}
DJANGO_AT = At("return list", "near", "shop/views.py")


def test_django_gets_pgvectors_own_index(tmp_path: Path) -> None:
    made = 'IvfflatIndex(fields=["e"], name="item_e_ivfflat_idx", opclasses=["vector_cosine_ops"], lists=200)'
    files = fixed(asked(tmp_path, DJANGO, DJANGO_AT, LISTS, "django"), "Django migration")
    same(
        files["shop/migrations/0002_item_e_ivfflat_idx.py"],
        """
        from django.contrib.postgres.operations import AddIndexConcurrently
        from django.db import migrations
        from pgvector.django import IvfflatIndex


        class Migration(migrations.Migration):
            atomic = False
            dependencies = [("shop", "0001_initial")]

            operations = [
                AddIndexConcurrently(
                    model_name="item",
                    index=INDEX,
                ),
            ]
        """.replace("INDEX,", f"{made},"),
    )
    model = files["shop/models.py"]
    assert "from pgvector.django import IvfflatIndex, VectorField\n" in model
    assert 'indexes = [IvfflatIndex(fields=["e"], name="item_e_ivfflat_idx"' in model


RAW = {"shop/app.py": "def near(db, vector):\n    return db.execute('SELECT …').fetchall()\n"}
RAW_AT = At("return db.execute", "near")
SCHEMA = "CREATE TABLE items (\n  id INTEGER PRIMARY KEY,\n  e vector(128)\n);\n"


def test_without_migrations_it_is_sql_with_its_roll_back(tmp_path: Path) -> None:
    files = fixed(asked(tmp_path, {**RAW, "shop/schema.sql": SCHEMA}, RAW_AT), "SQL")
    on = "ix_items_e_hnsw ON items USING hnsw (e vector_cosine_ops) WITH (m = 16, ef_construction = 64);"
    assert files["shop/schema.sql"] == f"{SCHEMA}\nCREATE INDEX IF NOT EXISTS {on}\n"
    wanted = f"CREATE INDEX CONCURRENTLY {on}\n\n-- To roll back:\n-- DROP INDEX CONCURRENTLY"
    assert files["migrations/ix_items_e_hnsw.sql"].startswith(wanted)


def test_the_name_of_the_index_that_it_replaces_is_not_taken_again(tmp_path: Path) -> None:
    files = fixed(asked(tmp_path, RAW, RAW_AT, taken=("ix_items_e_hnsw", "ix_items_e_hnsw_2")), "SQL")
    assert "CREATE INDEX CONCURRENTLY ix_items_e_hnsw_3 ON" in files["migrations/ix_items_e_hnsw_3.sql"]


DECLINED: dict[str, tuple[dict[str, Any], str]] = {
    "nothing was built that would serve": ({"best": None}, "nothing to make permanent"),
    "the index that is there serves": (
        {"best": BEST.model_copy(update={"existing": "ix_e"})}, "nothing to make permanent",
    ),
    "an index on a cast": ({"expression": "((e)::halfvec(128))"}, "no model declares"),
    "a table without a class": ({"table": "notes"}, "no mapped class of `notes`"),
    "a column that the class doesn't have": ({"column": "colour"}, "no column `colour`"),
    "a setting of sessions": ({"named": ("DB109-session",)}, "belongs to the database"),
    "another order": ({"named": ("DB109-order",)}, "beside its rows"),
}  # fmt: skip


@pytest.mark.parametrize("name", DECLINED)
def test_declines(name: str, tmp_path: Path) -> None:
    more, reason = DECLINED[name]
    assert reason in refused(asked(tmp_path, ALEMBIC, **more))
