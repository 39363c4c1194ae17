"""How many connections the application needs, and how many its server gives: the server's own settings are read on a
clone's connection, by SELECT alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from perfcrew.core.errors import PerfcrewError
from perfcrew.core.evidence import Connections
from perfcrew.core.pooling import ConnectionNeed, needed
from perfcrew.target.workers import Said

STATEMENT_S = 5.0
_POSTGRES = """
SELECT current_setting('max_connections')::int,
       current_setting('superuser_reserved_connections')::int
         + coalesce(current_setting('reserved_connections', true), '0')::int,
       (SELECT CASE WHEN rolsuper OR rolconnlimit < 0 THEN NULL ELSE rolconnlimit END
        FROM pg_roles WHERE rolname = current_user)
"""
_MYSQL = "SELECT @@max_connections, 0, NULLIF(@@max_user_connections, 0)"


@dataclass(frozen=True)
class Limits:
    """What the server allows; `role` is the most that this login may have. None: it did not tell, or has no such
    bound."""

    most: int | None = None
    reserved: int | None = None
    role: int | None = None
    refused: str = ""

    @property
    def usable(self) -> int | None:
        """For the application."""
        if self.most is None:
            return None
        left = max(0, self.most - (self.reserved or 0))
        return left if self.role is None else min(left, self.role)


@dataclass(frozen=True)
class Mix:
    """The requests at their peak: how many a second, what each endpoint's part is, and what it was traced to hold."""

    rate_per_s: float
    assumed: bool
    shares: Mapping[str, float]
    held: Mapping[str, Connections]
    """Without those that use no database."""


def limits(engine: str, connect: Callable[[], Any]) -> Limits:
    """What the server of a clone allows; `refused` says why it told nothing."""
    errors: tuple[type[Exception], ...] = (PerfcrewError, *_errors(engine))
    try:
        with closing(connect()) as db, closing(db.cursor()) as cursor:
            if engine == "postgresql":
                cursor.execute(f"SET statement_timeout = {int(STATEMENT_S * 1000)}")
            cursor.execute(_POSTGRES if engine == "postgresql" else _MYSQL)
            most, reserved, role = (None if value is None else int(value) for value in cursor.fetchone())
            return Limits(most, reserved, role)
    except errors as error:
        return Limits(refused=(str(error).strip().splitlines() or [type(error).__name__])[0][:200])


def _errors(engine: str) -> tuple[type[Exception], ...]:
    if engine == "postgresql":
        import psycopg

        return (psycopg.Error,)
    import pymysql

    return (pymysql.MySQLError,)


def need(engine: str, mix: Mix, allowed: Limits, workers: Said | None) -> ConnectionNeed:
    """Little's law over the mix, bounded by what the server gives to each process."""
    held_ms = _held_ms(mix)
    busy = mix.rate_per_s * held_ms / 1e3 if held_ms is not None and mix.rate_per_s > 0 else None
    count, usable = (workers.count if workers else None), allowed.usable
    at_once = max((round(used.at_once_count) for used in mix.held.values()), default=1)
    bound = usable // count if usable is not None and count else None
    return ConnectionNeed(
        engine=engine,
        rate_per_s=mix.rate_per_s if mix.rate_per_s > 0 else None,
        assumed_rate=mix.assumed,
        held_ms=held_ms,
        at_once_count=max(1, at_once),
        busy_count=busy,
        needed_count=needed(busy) if busy is not None else None,
        max_connections_count=allowed.most,
        reserved_count=allowed.reserved,
        usable_count=usable,
        refused=allowed.refused,
        workers_count=count,
        workers_said=workers.source if workers else "",
        bound_count=bound,
        pool_count=_pool(busy, count or 1, max(1, at_once), bound if count else usable),
    )


def _held_ms(mix: Mix) -> float | None:
    """The mean over the mix, in which an endpoint without a database holds nothing; None where none was traced."""
    known = {key: used.held_ms for key, used in mix.held.items() if used.held_ms is not None and key in mix.shares}
    whole = sum(mix.shares.values())
    return sum(mix.shares[key] * ms for key, ms in known.items()) / whole if known and whole > 0 else None


def _pool(busy: float | None, processes: int, at_once: int, bound: int | None) -> int | None:
    """Each process has its part of the requests, and its own bursts: room is kept in each."""
    if busy is None:
        return None
    wanted = max(at_once, needed(busy / processes))
    return wanted if bound is None else max(1, min(wanted, bound))
