"""Settings, read from the environment once at start-up."""

import os
from dataclasses import dataclass

DEFAULT_DATABASE_URL = "sqlite+aiosqlite:///./bookshop.sqlite3"
ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
}


@dataclass(frozen=True)
class Settings:
    database_url: str
    redis_url: str | None
    blurb_url: str | None
    blurb_model: str
    supplier_url: str | None


def with_async_driver(url: str) -> str:
    """Hosting platforms hand out `postgresql://…`; the engine needs the name of an async driver."""
    scheme, separator, rest = url.partition("://")
    return f"{ASYNC_DRIVERS.get(scheme, scheme)}{separator}{rest}"


def settings_from_env() -> Settings:
    return Settings(
        database_url=with_async_driver(os.environ.get("DATABASE_URL") or DEFAULT_DATABASE_URL),
        redis_url=os.environ.get("REDIS_URL") or None,
        blurb_url=os.environ.get("BLURB_URL") or None,
        blurb_model=os.environ.get("BLURB_MODEL") or "blurb-small",
        supplier_url=os.environ.get("SUPPLIER_URL") or None,
    )
