"""The parts besides spans: the watchdog, executed functions, loaded columns, the control socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from probe_harness import Probe, Server, app_line, until, uvicorn

pytestmark = pytest.mark.target
PARTS = ("spans", "watchdog", "functions", "orm", "heap", "allocations")


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def server(request: pytest.FixtureRequest, new_probe: Callable[..., Probe]) -> Iterator[Server]:
    with new_probe(parts=PARTS).serve("fast.py", *uvicorn("fast:app"), "--loop", request.param) as running:
        # The first request imports and compiles: not what is looked for.
        running.get("/v1/books/1", trace="9" * 32)
        yield running


@pytest.mark.parametrize("what", ["block", "compute"])
def test_the_watchdog_names_the_blocking_line(server: Server, what: str) -> None:
    trace = {"block": "a", "compute": "b"}[what] * 32
    server.get(f"/v1/{what}", trace=trace)
    until(lambda: bool(server.records.type("block", trace)))
    longest = max(server.records.type("block", trace), key=lambda block: block["duration_ms"])
    assert longest["duration_ms"] > 20
    assert app_line(longest["stack"], server.records.source) == server.records.line(what)


def test_waiting_is_not_blocking(server: Server) -> None:
    server.get("/v1/wait", trace="c" * 32)
    assert [b for b in server.records.type("block", "c" * 32) if b["duration_ms"] > 80] == []


@pytest.mark.parametrize(("path", "names"), [("/v1/books/2", {"session", "books", "titled"}), ("/v1/sync", {"sync"})])
def test_the_functions_that_a_request_executed(server: Server, path: str, names: set[str]) -> None:
    trace = f"{len(path):032x}"
    server.get(path, trace=trace, x_perfcrew_record="functions")
    (record,) = server.records.type("functions", trace)
    assert {function[3] for function in record["functions"]} == names
    assert all(
        function[0] == str(server.records.source) and function[1] <= function[2] for function in record["functions"]
    )


def test_functions_are_recorded_on_demand_only(server: Server) -> None:
    server.get("/v1/books/2", trace="d" * 32)
    assert server.records.type("functions", "d" * 32) == []


def test_what_was_loaded_and_what_of_it_was_read(server: Server) -> None:
    server.get("/v1/books/5", trace="e" * 32)
    (record,) = server.records.type("orm", "e" * 32)
    book = record["loaded"]["Book"]
    assert (book["table"], book["instances"], book["columns"]["body"]) == ("book", 5, 5000)
    assert record["read"] == ["Author.name", "Book.author_id", "Book.title"]


def ask(server: Server, what: str) -> Any:
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(30)
        control.connect(server.records.hello["control"])
        control.sendall(json.dumps({"do": what}).encode() + b"\n")
        return json.loads(control.makefile().readline())


def test_the_heap_names_the_container_that_grows(server: Server) -> None:
    before = next((c["len"] for c in ask(server, "heap")["containers"] if c["where"] == "fast.seen"), 0)
    server.get("/v1/grow", trace="f" * 32)
    after = ask(server, "heap")
    (grown,) = [c for c in after["containers"] if c["where"] == "fast.seen"]
    assert (grown["type"], grown["len"] - before) == ("list", 100)
    assert after["types"]["builtins.function"] > 100


def test_allocations_name_the_line(server: Server) -> None:
    assert ask(server, "allocations.start") == {"started": True}
    server.get("/v1/grow", trace="ab" * 16)
    file, line, held, count = ask(server, "allocations.stop")["lines"][0]
    assert (file, line) == (str(server.records.source), server.records.line("grow"))
    assert held > 100_000 and count >= 100


def test_the_control_socket_answers_what_it_does_not_know(server: Server) -> None:
    assert ask(server, "ping") == {"pid": server.pid}
    assert "KeyError" in ask(server, "nonsense")["error"]


def test_only_heap_hooks_nothing(new_probe: Callable[..., Probe]) -> None:
    with new_probe(parts=("heap",)).serve("fast.py", *uvicorn("fast:app")) as running:
        until(lambda: bool(running.records.all))
        assert running.records.hello["patched"] == []
        assert "types" in ask(running, "heap")


def test_a_long_folder_gets_a_socket_elsewhere(new_probe: Callable[..., Probe]) -> None:
    probe = new_probe(parts=("heap",))
    probe.folder = probe.folder / ("long" * 30)
    probe.folder.mkdir()
    with probe.serve("fast.py", *uvicorn("fast:app")) as running:
        until(lambda: bool(running.records.all))
        assert not running.records.hello["control"].startswith(str(probe.folder))
        assert ask(running, "ping") == {"pid": running.pid}
        control = Path(running.records.hello["control"])
    # uvicorn ends by the signal's own default action, so nothing in the process could take it away.
    control.unlink(missing_ok=True)
    control.parent.rmdir()
