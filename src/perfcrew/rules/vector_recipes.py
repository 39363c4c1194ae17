"""What to do about a vector index, in the words of the target's own library: its migration, a session's setting."""

from __future__ import annotations

from collections.abc import Mapping

from perfcrew.core.indexes import IndexSpec, free_name
from perfcrew.core.vectors import VectorSearch, VectorSetting
from perfcrew.rules.recipes import Flavour, alembic_arguments, python, sql


def index_name(search: VectorSearch, best: VectorSetting) -> str:
    """`ix_items_embedding_hnsw`, or one like it that nothing in the database has."""
    taken = (*search.taken, *(index.name for index in search.indexes))
    return free_name(f"ix_{search.table.rpartition('.')[2]}_{search.column}_{best.access}", taken)


def create(search: VectorSearch, best: VectorSetting, *, concurrently: bool = True) -> str:
    """CREATE INDEX as SQL."""
    options = ", ".join(f"{name} = {value}" for name, value in best.options.items())
    how = "INDEX CONCURRENTLY" if concurrently else "INDEX"
    return (
        f"CREATE {how} {index_name(search, best)} ON {search.table}\n"
        f"  USING {best.access} ({search.expression} {search.operator_class}) WITH ({options})"
    )


def spec_of(search: VectorSearch, best: VectorSetting) -> IndexSpec:
    """The index in words of no engine."""
    return IndexSpec.model_validate(
        {
            "table": search.table,
            "keys": (search.column,),
            "using": best.access,
            "opclass": search.operator_class,
            "parameters": tuple(best.options.items()),
        }
    )


def django_index(search: VectorSearch, best: VectorSetting, field: str, name: str) -> str:
    """pgvector's own index class for Django."""
    options = ", ".join(f"{key}={value}" for key, value in best.options.items())
    return f'{django_class(best)}(name="{name}", fields=["{field}"], {options}, opclasses=["{search.operator_class}"])'


def django_class(best: VectorSetting) -> str:
    return "HnswIndex" if best.access == "hnsw" else "IvfflatIndex"


def migration(kind: Flavour, search: VectorSearch, best: VectorSetting, replaced: str) -> str:
    """The index as a reversible migration; `replaced` is the one that it takes the place of."""
    name = index_name(search, best)
    text = "Outside of a transaction, so that writes go on meanwhile:\n\n" + sql(
        f"{create(search, best)};\n\n-- To roll back:\nDROP INDEX CONCURRENTLY IF EXISTS {name};"
    )
    plain = "::" not in search.expression
    if kind == "django" and plain:
        made = django_index(search, best, search.column, name[:30])
        text += "\n\nAs part of the model, then `manage.py makemigrations`:\n\n" + python(
            f"from pgvector.django import {django_class(best)}\n\nclass Meta:\n    indexes = [\n        {made},\n    ]"
        )
    if kind == "sqlalchemy" and plain:
        given = [*alembic_arguments(spec_of(search, best), name, '"'), "postgresql_concurrently=True"]
        lines = "".join(f"            {one},\n" for one in given)
        text += "\n\nAs an Alembic migration:\n\n" + python(
            f"def upgrade() -> None:\n    with op.get_context().autocommit_block():\n"
            f"        op.create_index(\n{lines}        )\n\n\n"
            f"def downgrade() -> None:\n    with op.get_context().autocommit_block():\n"
            f'        op.drop_index("{name}", table_name="{search.table}", postgresql_concurrently=True)'
        )
    if best.access == "ivfflat":
        text += "\n\nBuild it once the table has its rows: its lists are made of those that are there."
    if replaced:
        text += f"\n\nThen drop `{replaced}`, which it takes the place of."
    return text


def session_setting(kind: Flavour, session: Mapping[str, str]) -> str:
    """The setting for one transaction, and for all sessions of the application."""
    local = "\n".join(f"SET LOCAL {name} = {value};" for name, value in session.items())
    always = "\n".join(f"ALTER DATABASE its_name SET {name} = {value};" for name, value in session.items())
    text = "For every session of the application, by its database or its role:\n\n" + sql(always)
    text += "\n\nOr for the searches alone, within their transaction:\n\n" + sql(f"BEGIN;\n{local}\nSELECT …;\nCOMMIT;")
    sent = [f"SET LOCAL {name} = {value}" for name, value in session.items()]
    if kind == "sqlalchemy":
        lines = "\n".join(f'    await session.execute(text("{one}"))' for one in sent)
        text += "\n\n" + python(f"async with session.begin():\n{lines}\n    found = await session.scalars(statement)")
    if kind == "django":
        lines = "\n".join(f'    cursor.execute("{one}")' for one in sent)
        text += "\n\n" + python(
            f"with transaction.atomic(), connection.cursor() as cursor:\n{lines}\n    found = list(queryset)"
        )
    return text
