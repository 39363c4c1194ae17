"""Profiles: stacks read and weighed; py-spy attached to a real server, and what is said where it can't be."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcrew.core.errors import ToolFailed, ToolMissing, Unmeasurable
from perfcrew.instruments import pyspy
from perfcrew.instruments.load import Aim
from perfcrew.instruments.stacks import by_function, by_line, collapsed, parse, speedscope, working
from tests.instruments.servers import serving

ROOT = Path("/srv/shop")
RAW = """\
thread (7): MainThread;<module> (/srv/shop/app.py:90);run (/lib/python3.11/asyncio.py:5);view (/srv/shop/app.py:10) 6
thread (7): MainThread;view (/srv/shop/app.py:11);dumps (/lib/python3.11/json.py:3);inner (/lib/python3.11/json.py:9) 3
thread (7): MainThread;other (/srv/shop/app.py:40);dumps (/lib/python3.11/json.py:3) 1
thread (8): Thread-1 (rd);read (/srv/shop/.venv/lib/python3.11/site-packages/x.py:2) 10
this is no stack
"""


def test_stacks_are_read_with_their_thread() -> None:
    stacks = parse(RAW)
    assert [(s.thread, s.count, s.frames[-1].line) for s in stacks] == [(7, 6, 10), (7, 3, 9), (7, 1, 3), (8, 10, 2)]
    assert stacks[3].frames[0].function == "read", "a thread's name is no frame"
    assert parse("a (f.py:1);b (g.py) 2")[0].frames[1].line == 0


def test_a_thread_has_as_many_samples_as_its_processor_time_explains() -> None:
    left = working(parse(RAW), {7: 0.05, 8: 0.0}, rate=100)
    assert sum(s.count for s in left) == pytest.approx(5) and {s.thread for s in left} == {7}
    assert sum(s.count for s in working(parse(RAW), {7: 9.0}, rate=100)) == 20, "more time than samples changes nothing"


def test_shares_by_line_and_function_with_the_line_that_leads_to_a_library() -> None:
    stacks = parse(RAW)[:3]
    lines = {(str(p.place), str(p.trigger)): p for p in by_line(stacks, ROOT)}
    assert lines[("app.py:10 (view)", "None")].own_share == pytest.approx(0.6)
    inner = lines[("/lib/python3.11/json.py:9 (inner)", "app.py:11 (view)")]
    assert inner.own_share == pytest.approx(0.3) and not inner.application
    functions = {(p.place.function, p.trigger.function if p.trigger else ""): p for p in by_function(stacks, ROOT)}
    assert functions[("view", "")].total_share == pytest.approx(0.9)
    assert functions[("dumps", "view")].total_share == pytest.approx(0.3)
    assert functions[("dumps", "other")].own_share == pytest.approx(0.1)


def test_recursion_counts_once_and_installed_packages_are_no_application() -> None:
    (line,) = by_function(parse("f (/srv/shop/a.py:1);f (/srv/shop/a.py:1);f (/srv/shop/a.py:2) 4"), ROOT)
    assert (line.own_share, line.total_share) == (1.0, 1.0)
    assert not by_line(parse(RAW)[3:], ROOT)[0].application


@given(st.text(max_size=200))
def test_no_text_can_stop_the_reader(text: str) -> None:
    stacks = parse(text)
    if stacks and sum(s.count for s in stacks):
        assert sum(p.own_share for p in by_line(stacks, ROOT)) <= 1 + 1e-9
    json.loads(speedscope(stacks, "x", 100))


def test_speedscope_and_collapsed_hold_the_same_samples() -> None:
    profile = json.loads(speedscope(parse(RAW), "GET /", 100))["profiles"][0]
    assert profile["endValue"] == pytest.approx(0.2) and len(profile["samples"]) == len(profile["weights"]) == 4
    assert sum(s.count for s in parse(collapsed(parse(RAW)))) == 20


HOT = """
def hot(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until:
        sum(n * n for n in range(200))

@routes.get("/hot")
async def view(request):
    hot(0.02)
    return web.json_response({"a": 1})

@routes.get("/broken")
async def broken(request):
    return web.Response(status=500)
"""


def spies() -> list[psutil.Process]:
    return [p for p in psutil.Process().children(recursive=True) if p.name() == "py-spy"]


@pytest.mark.target
async def test_the_hot_function_is_found_in_a_running_server(tmp_path: Path) -> None:
    with serving(tmp_path, HOT) as server:
        plan = await server.tried("/hot")
        found = await pyspy.profile(server, plan, Aim(server.base_url), tmp_path, seconds=1.0)
    hot = [f for f in found.body.functions if f.place.file == "server.py" and f.place.function.startswith("hot")]
    others = [f.own_share for f in found.body.functions if f not in hot]
    assert sum(f.own_share for f in hot) > max(others, default=0.0)
    assert found.body.samples_count > 20 and found.body.requests_count > 5
    assert parse(found.blobs["raw"].decode()) and json.loads(found.blobs["speedscope"])["profiles"]
    assert spies() == []


@pytest.mark.target
async def test_an_endpoint_that_answers_errors_has_no_profile_and_py_spy_is_ended(tmp_path: Path) -> None:
    with serving(tmp_path, HOT) as server, pytest.raises(Unmeasurable):
        await pyspy.profile(server, server.plan("/broken"), Aim(server.base_url), tmp_path, seconds=0.2)
    assert spies() == []


async def test_what_py_spy_says_of_permission_comes_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for py-spy, since root may attach to anything."""
    refusing = tmp_path / "py-spy"
    refusing.write_text(
        "#!/bin/sh\necho 'Error: Permission Denied: Try running again with elevated permissions' >&2\nexit 1\n"
    )
    refusing.chmod(0o755)
    monkeypatch.setattr(pyspy, "program", lambda name, install: str(refusing))
    with serving(tmp_path, HOT) as server, pytest.raises(ToolFailed, match="SYS_PTRACE") as error:
        await pyspy.profile(server, server.plan("/hot"), Aim(server.base_url), tmp_path, seconds=0.2)
    assert "Permission Denied" in error.value.tail and error.value.exit == 1


async def test_without_py_spy_it_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match="pip install py-spy"):
        pyspy.program("py-spy", pyspy.INSTALL)
