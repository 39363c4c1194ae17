"""Trees of real processes: told apart from others, ended whole, swept after their owner was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
from apps.support import SERVER

from perfcrew.core.errors import TargetFailed
from perfcrew.target import process, spawn
from perfcrew.target.bounded_log import BoundedLog
from perfcrew.target.leftovers import Registry

HERE = Path(__file__).parent


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "leftovers", run="r1")


def _start(tmp_path: Path, registry: Registry, habit: str) -> spawn.Child:
    port = process.free_port()
    child = spawn.spawn(
        [sys.executable, str(SERVER), habit, str(port)],
        cwd=tmp_path,
        environment=dict(os.environ),
        log=tmp_path / "log",
        registry=registry,
        what=habit,
    )
    for _ in range(500):
        if process.is_listening(port):
            return child
        time.sleep(0.02)
    child.end()
    raise AssertionError(child.log.tail())


@pytest.mark.target
@pytest.mark.parametrize(("habit", "members"), [
    ("ok", 1), ("group", 2), ("session", 2), ("daemon", 2), ("child", 2), ("stubborn", 1),
])  # fmt: skip
def test_a_tree_is_seen_and_ended_whole(tmp_path: Path, registry: Registry, habit: str, members: int) -> None:
    child = _start(tmp_path, registry, habit)
    seen = child.processes()
    child.end(grace_s=0.5)
    assert len(seen) == members
    assert not [p for p in seen if process.alive(p)]
    assert not list(registry.folder.iterdir())


@pytest.mark.target
def test_a_stranger_of_the_same_program_is_let_live(tmp_path: Path, registry: Registry) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        child = _start(tmp_path, registry, "session")
        child.end(grace_s=0.5)
        assert registry.sweep() == ()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.target
def test_what_the_leader_left_behind_is_ended_too(tmp_path: Path, registry: Registry) -> None:
    child = _start(tmp_path, registry, "session")
    before = child.processes()
    os.kill(child.pid, signal.SIGKILL)
    child.popen.wait()
    assert child.processes(), "the sleeper outlives its leader"
    child.end(grace_s=0.5)
    assert not [p for p in before if process.alive(p)]


OWNER = """
    import os, sys, time
    from pathlib import Path
    sys.path.insert(0, {here!r})
    from apps.support import SERVER
    from perfcrew.target import process, spawn
    from perfcrew.target.leftovers import Registry
    registry = Registry(Path({folder!r}), run="killed")
    port = process.free_port()
    scratch = Path({folder!r}).parent / "scratch"
    registry.temporary(scratch)
    scratch.mkdir()
    registry.database("perfcrew_x", "postgresql://nobody@localhost")
    child = spawn.spawn([sys.executable, str(SERVER), {habit!r}, str(port)], cwd=Path({folder!r}).parent,
        environment=dict(os.environ), log=Path({folder!r}).parent / "log", registry=registry, what="shop")
    while not process.is_listening(port): time.sleep(0.02)
    if {remember!r}: child.remember()
    print(port, *[p.pid for p in child.processes()], flush=True)
    time.sleep(600)
"""


def _owner(folder: Path, habit: str, remember: bool = True) -> subprocess.Popen[str]:
    code = textwrap.dedent(OWNER).format(here=str(HERE), folder=str(folder), habit=habit, remember=remember)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


@pytest.mark.target
@pytest.mark.parametrize("remember", [True, False])
@pytest.mark.parametrize("habit", ["ok", "group", "session", "daemon"])
def test_a_sweep_ends_what_a_killed_owner_left(tmp_path: Path, habit: str, remember: bool) -> None:
    folder = tmp_path / "leftovers"
    owner = _owner(folder, habit, remember)
    assert owner.stdout
    port, *pids = map(int, owner.stdout.readline().split())
    processes = [psutil.Process(pid) for pid in pids]
    registry = Registry(folder)
    assert registry.sweep() == (), "a living owner's things are left alone"
    assert all(map(process.alive, processes))

    owner.kill()
    owner.wait()
    owner.stdout.close()
    dropped: list[tuple[str, str]] = []

    def drop(url: str, name: str) -> str:
        dropped.append((url, name))
        return ""

    ended = registry.sweep(drop)
    assert not [p for p in processes if process.alive(p)]
    assert process.is_free(port)
    assert not (tmp_path / "scratch").exists()
    assert dropped == [("postgresql://nobody@localhost", "perfcrew_x")]
    assert {e.run for e in ended} == {"killed"}
    assert all(e.done for e in ended)
    assert registry.sweep(drop) == ()


@pytest.mark.target
def test_the_direct_child_ends_with_a_killed_owner_at_once(tmp_path: Path) -> None:
    owner = _owner(tmp_path / "leftovers", "stubborn")
    assert owner.stdout
    port, pid = map(int, owner.stdout.readline().split())
    target = psutil.Process(pid)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    psutil.wait_procs([target], timeout=5)
    assert not process.alive(target)
    assert process.wait_free(port)


def test_a_database_that_can_not_be_dropped_stays_on_the_list(tmp_path: Path) -> None:
    folder = tmp_path / "leftovers"
    folder.mkdir()
    owner = {"owner": {"pid": os.getpid(), "started": "another time", "where": _here(folder)}}
    entry = {"add": {"token": "t", "what": "database", "name": "perfcrew_y", "url": "postgresql://h"}}
    (folder / "1-a.jsonl").write_text(json.dumps(owner) + "\n" + json.dumps(entry) + "\n" + '{"cut off by a cra')
    registry = Registry(folder)
    assert [e.done for e in registry.sweep()] == [False]
    assert [e.detail for e in registry.sweep(lambda url, name: "the server is away")] == ["the server is away"]
    assert [e.done for e in registry.sweep(lambda url, name: "")] == [True]
    assert registry.sweep() == ()


def test_a_recycled_pid_is_not_ours(tmp_path: Path) -> None:
    folder = tmp_path / "leftovers"
    folder.mkdir()
    innocent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        owner = {"owner": {"pid": innocent.pid, "started": "another time", "where": _here(folder)}}
        add = {"add": {"token": "t", "what": "process", "name": "shop"}}
        began = {"began": {"token": "t", "what": "process", "name": "", "pid": innocent.pid, "started": "boot:1",
                           "members": [[innocent.pid, "boot:2"]]}}  # fmt: skip
        (folder / "1-a.jsonl").write_text("".join(json.dumps(x) + "\n" for x in (owner, add, began)))
        assert Registry(folder).sweep() == ()
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


def _here(folder: Path) -> str:
    registry = Registry(folder)
    token = registry.temporary(folder / "nothing")
    mine = next(folder.glob(f"{os.getpid()}-*"))
    where = json.loads(mine.read_text().splitlines()[0])["owner"]["where"]
    registry.over(token)
    return str(where)


@pytest.mark.parametrize(("command", "words"), [
    (["no-such-program-anywhere"], "No such file"),
    ([str(HERE)], "Permission denied"),
])  # fmt: skip
def test_a_program_that_is_not_there_says_so(
    tmp_path: Path, registry: Registry, command: list[str], words: str
) -> None:
    with pytest.raises(TargetFailed, match=words):
        spawn.spawn(
            command, cwd=tmp_path, environment=dict(os.environ), log=tmp_path / "l", registry=registry, what="x"
        )
    assert not list(registry.folder.iterdir())


async def test_a_command_gives_its_output_or_fails_with_it(tmp_path: Path, registry: Registry) -> None:
    async def run(code: str, timeout_s: float = 20) -> spawn.Ran:
        command = [sys.executable, "-c", code]
        return await spawn.run(
            command, cwd=tmp_path, environment=dict(os.environ), log=tmp_path / "l", registry=registry, what="a seed",
            timeout_s=timeout_s,
        )  # fmt: skip

    assert (await run("print('sown')")).tail == "sown"
    with pytest.raises(TargetFailed, match="a seed failed") as failed:
        await run("import sys; print('no soil'); sys.exit(3)")
    assert (failed.value.exit, failed.value.tail) == (3, "no soil")
    with pytest.raises(TargetFailed, match=r"did not end within 0\.5 s"):
        await run("import time; time.sleep(60)", timeout_s=0.5)
    assert not list(registry.folder.iterdir())


@pytest.mark.parametrize("size", [0, 1, 899, 900, 901, 1000, 1001, 5000, 100_000])
def test_a_log_keeps_head_and_tail_within_its_bound(tmp_path: Path, size: int) -> None:
    text = bytes(97 + i % 26 for i in range(size))
    read, write = os.pipe()
    log = BoundedLog(tmp_path / "log", cap_bytes=1000, tail_bytes=100)
    log.pump(read)
    for at in range(0, size, 333):
        os.write(write, text[at : at + 333])
    os.close(write)
    log.close()
    kept = (tmp_path / "log").read_bytes()
    assert log.size_bytes == size
    assert len(kept) <= 1000
    assert kept.startswith(text[: min(size, 800)])
    assert kept.endswith(text[-50:])
    assert (b"left out" in kept) == (size > 900)
