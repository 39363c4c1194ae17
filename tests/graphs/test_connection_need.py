"""What a run keeps of the connections that its application needs: by a real server, once, from what was traced."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from perfcrew.core.evidence import Traces
from perfcrew.core.pooling import ConnectionNeed
from perfcrew.graphs import scenes
from perfcrew.graphs.context import Context
from perfcrew.graphs.steps import connections
from tests.crew.desk import shop
from tests.crew.thought import context
from tests.instruments.clone_fixtures import _postgres
from tests.instruments.database_clones import TestClone, sqlite_clone
from tests.instruments.test_pooling import used
from tests.report.make_ledger import RUN
from tests.report.shop import TRACING

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def server() -> Iterator[TestClone]:
    yield from _postgres()


def traced(made: Context) -> None:
    """As if the traces of one endpoint had seen a pool."""
    item = made.ledger.find(RUN, "traces", "GET /authors")[0]
    assert isinstance(item.body, Traces)
    body = item.body.model_copy(update={"connections": used(42.0)})
    blobs = {"traces": made.ledger.blob(item.blobs["traces"])}
    made.ledger.put(RUN, "traces/with a pool", body, TRACING, "GET /authors", blobs)


def test_it_is_kept_once_and_every_scene_has_it(server: TestClone, tmp_path: Path) -> None:
    with shop(tmp_path) as ledger:
        made = context(ledger)
        traced(made)
        connections.need(made, server)  # type: ignore[arg-type]
        connections.need(made, server)  # type: ignore[arg-type]
        (item,) = ledger.find(RUN, "connection need")
        body = item.body
        assert isinstance(body, ConnectionNeed)
        assert body.max_connections_count and body.usable_count and body.held_ms and body.busy_count
        assert body.assumed_rate and body.workers_count is None
        assert {s.need.evidence for s in scenes.application(ledger, RUN).scenes if s.need} == {item.id}
        assert ledger.find(RUN, "failure") == [e for e in ledger.find(RUN, "failure") if "connections" not in e.slot]


@pytest.mark.parametrize("name", ["a SQLite file", "no pool was seen"])
def test_not_where_there_is_nothing_to_say(name: str, server: TestClone, tmp_path: Path) -> None:
    with shop(tmp_path) as ledger:
        made = context(ledger)
        if name == "a SQLite file":
            traced(made)
            connections.need(made, sqlite_clone(str(tmp_path / "x.sqlite3")))  # type: ignore[arg-type]
        else:
            connections.need(made, server)  # type: ignore[arg-type]
        assert ledger.find(RUN, "connection need") == []
