"""How many connections are needed, and what a real PostgreSQL says that it gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from perfcrew.core.errors import TargetFailed
from perfcrew.core.evidence import Connections
from perfcrew.core.pooling import needed
from perfcrew.instruments.pooling import Limits, Mix, limits, need
from perfcrew.target.clones import postgres
from perfcrew.target.workers import Said
from tests.instruments.clone_fixtures import _postgres
from tests.instruments.database_clones import TestClone


@pytest.fixture(scope="module")
def server() -> Iterator[TestClone]:
    yield from _postgres()


@pytest.mark.postgres
def test_what_the_server_gives(server: TestClone) -> None:
    with server.connect() as db:
        names = ("max_connections", "superuser_reserved_connections")
        most, kept = (int(str(db.execute(f"SHOW {name}").fetchone()[0])) for name in names)
    allowed = limits("postgresql", server.connect)
    assert (allowed.most, allowed.role, allowed.refused) == (most, None, "")
    assert allowed.reserved is not None and allowed.reserved >= kept
    assert allowed.usable == most - allowed.reserved


@pytest.mark.postgres
def test_a_login_with_a_bound_of_its_own(server: TestClone) -> None:
    with server.connect() as db:
        db.execute("CREATE ROLE few LOGIN CONNECTION LIMIT 7")
        dsn = db.info.dsn
    try:
        allowed = limits("postgresql", lambda: psycopg.connect(dsn, user="few"))
        assert (allowed.role, allowed.usable) == (7, 7)
    finally:
        with server.connect() as db:
            db.execute("DROP ROLE few")


@pytest.mark.postgres
def test_it_only_asks(server: TestClone) -> None:
    with server.connect() as db:
        dsn = db.info.dsn

    def read_only() -> Any:
        return psycopg.connect(dsn, options="-c default_transaction_read_only=on")

    assert limits("postgresql", read_only).most


def test_a_server_that_is_gone_is_told_without_its_password() -> None:
    def gone() -> Any:
        return postgres.connect("postgresql://u:opensesame1@127.0.0.1:1/x")

    with pytest.raises(TargetFailed):
        gone()
    allowed = limits("postgresql", gone)
    assert allowed.usable is None
    assert allowed.refused.startswith("no connection to PostgreSQL") and "opensesame1" not in allowed.refused


@pytest.mark.parametrize(("busy", "count"), [(0, 1), (0.01, 1), (1, 3), (4, 8), (40, 53), (100, 120)])
def test_room_for_bursts(busy: float, count: int) -> None:
    assert needed(busy) == count


def used(held_ms: float | None, at_once: float = 1) -> Connections:
    return Connections(
        connects_count=0, connect_ms=0, checkouts_count=1, wait_ms=0, at_once_count=at_once, commits_count=0,
        held_ms=held_ms,
    )  # fmt: skip


def test_the_mean_is_over_the_mix() -> None:
    mix = Mix(100, assumed=True, shares={"a": 0.75, "b": 0.25}, held={"a": used(40), "b": used(200, at_once=2)})
    body = need("postgresql", mix, Limits(100, 3), Said(2, "Procfile"))
    assert body.held_ms == pytest.approx(80)
    assert body.busy_count == pytest.approx(8)
    assert (body.needed_count, body.at_once_count, body.bound_count, body.pool_count) == (14, 2, 48, 8)
    assert body.assumed_rate


UNKNOWN = {
    "no rate": Mix(0, assumed=True, shares={"a": 1.0}, held={"a": used(40)}),
    "nothing held": Mix(10, assumed=True, shares={"a": 1.0}, held={}),
    "traced before it was told": Mix(10, assumed=True, shares={"a": 1.0}, held={"a": used(None)}),
    "not in the mix": Mix(10, assumed=True, shares={"a": 1.0}, held={"b": used(40)}),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known_is_no_zero(name: str) -> None:
    body = need("postgresql", UNKNOWN[name], Limits(100, 3), Said(2, "Procfile"))
    assert body.busy_count is body.needed_count is body.pool_count is None
    assert body.usable_count == 97
