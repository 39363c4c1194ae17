"""Tables that belong to a framework or a migration tool: never filled, never emptied."""

from __future__ import annotations

FRAMEWORK_TABLES = frozenset(
    (
        "alembic_version",
        "alembic_version_history",
        "aerich",
        "auth_group_permissions",
        "auth_permission",
        "auth_user_groups",
        "auth_user_user_permissions",
        "django_admin_log",
        "django_content_type",
        "django_migrations",
        "django_session",
        "django_site",
        "flask_sessions",
        "migratehistory",
        "schema_migrations",
        "spatial_ref_sys",
        "yoyo_migrations",
        "_yoyo_log",
        "_yoyo_migration",
        "_yoyo_version",
        "yoyo_lock",
    )
)


def is_framework_table(name: str) -> bool:
    """Whether a table (perhaps with its schema in front) is a framework's own."""
    return name.rpartition(".")[2].lower() in FRAMEWORK_TABLES
