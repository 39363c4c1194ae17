"""Database URLs as frameworks write them: which engine, which file or name, and the same URL for another one."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from perfcrew.core.errors import UsageError

Engine = Literal["sqlite", "postgresql", "mysql"]

_POSTGRES = ("postgres", "postgresql", "pgsql", "psql", "postgis", "asyncpg", "cockroach")


def engine_of(url: str) -> Engine:
    """The engine that a URL, or the path of a SQLite file, speaks of. Raises UsageError for others."""
    scheme = url.partition("://")[0].lower() if "://" in url else "sqlite"
    family = scheme.partition("+")[0]
    if family in ("sqlite", "sqlite3", "spatialite", "file"):
        return "sqlite"
    if family in _POSTGRES:
        return "postgresql"
    if family in ("mysql", "mariadb"):
        return "mysql"
    raise UsageError(
        f"no clone can be made of a {family} database: SQLite, PostgreSQL, MySQL and MariaDB are supported",
        where=f"the database URL begins with {scheme}://",
        do="set `target.database_url` and `target.database_variable` in perfcrew.toml to one of those",
    )


def sqlite_file(url: str, workdir: Path) -> Path | None:
    """The file of a SQLite URL or path, absolute; None for a database in memory."""
    if "://" not in url:
        name = url.removeprefix("file:")
    else:
        rest = url.partition("://")[2]
        name = rest[1:] if rest.startswith("/") else rest
        name = name.removeprefix("file:")
    name = unquote(name.partition("?")[0])
    if name in ("", ":memory:") or "mode=memory" in url:
        return None
    return (workdir / name).resolve()


def with_sqlite_file(url: str, file: Path) -> str:
    """The same URL (or path) for another file, absolute: driver and query stay."""
    if "://" not in url:
        return f"file:{file}{_query(url)}" if url.startswith("file:") else str(file)
    scheme, _, rest = url.partition("://")
    slash = "/" if rest.startswith("/") else ""  # two slashes is how Tortoise writes it
    prefix = "file:" if rest.lstrip("/").startswith("file:") else ""
    return f"{scheme}://{slash}{prefix}{file}{_query(url)}"


def _query(url: str) -> str:
    _, mark, query = url.partition("?")
    return mark + query


def database_name(url: str) -> str:
    """The database that a server's URL names; libpq's own default (the user) where it names none."""
    parts = urlsplit(url)
    named = unquote(parts.path.lstrip("/")) or dict(parse_qsl(parts.query)).get("dbname", "")
    return named or unquote(parts.username or "postgres")


def with_database(url: str, name: str) -> str:
    """The same URL for another database of that server: driver, user and query stay."""
    head, mark, query = url.partition("?")
    scheme, _, rest = head.partition("://")
    kept = urlencode([(k, v) for k, v in parse_qsl(query, keep_blank_values=True) if k != "dbname"], safe="/:,")
    return f"{scheme}://{rest.partition('/')[0]}/{name}" + (f"{mark}{kept}" if kept else "")


def without_password(url: str) -> str:
    """The URL as it may be written down."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    credentials, at, host = authority.rpartition("@")
    return f"{scheme}://{credentials.partition(':')[0]}{at}{host}{slash}{path}"
