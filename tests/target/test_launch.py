"""The target run for real: it comes up, or the error says why; afterwards nothing of it is left."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import psutil
import pytest
from apps.support import habit, project

from perfcrew.core.errors import TargetFailed
from perfcrew.core.project import Project
from perfcrew.target import hints, process, startup
from perfcrew.target.digest import tree_digest
from perfcrew.target.environment import environment_of
from perfcrew.target.launch import Running, launch
from perfcrew.target.leftovers import Registry
from perfcrew.target.signals import terminating

pytestmark = pytest.mark.target
HERE = Path(__file__).parent


class Bench:
    """A folder to run targets in, and what is left of them."""

    def __init__(self, tmp_path: Path) -> None:
        self.tree, self.workspace = tmp_path / "tree", tmp_path / "workspace"
        self.tree.mkdir()
        self.registry = Registry(tmp_path / "leftovers")

    def launch(self, what: Project, **more: Any) -> Any:
        return launch(what, data=None, workspace=self.workspace, registry=self.registry, **more)

    def assert_clean(self, *running: Running) -> None:
        assert not list(self.registry.folder.iterdir())
        for one in running:
            assert process.is_free(one.port)
            assert not one.processes()
            assert not one.temporary.exists()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize("name", ["ok", "401", "404", "500", "slow", "child", "chatty", "daemon"])
async def test_whatever_answers_is_up(bench: Bench, name: str) -> None:
    async with bench.launch(project(bench.tree, *habit(name))) as running:
        await running.check()
        assert running.alive()
        assert running.start_ms > 0
        assert running.rss_bytes() > 1_000_000
        assert "ready on" in running.tail()
    bench.assert_clean(running)


async def test_a_slow_start_is_timed_from_its_own_begin(bench: Bench) -> None:
    async with bench.launch(project(bench.tree, *habit("slow"))) as running:
        assert running.start_ms >= 1000


async def test_a_chatty_target_fills_neither_the_pipe_nor_the_disk(bench: Bench) -> None:
    async with bench.launch(project(bench.tree, *habit("chatty"))) as running:
        await startup.ask(running.port, "/print", 20)
    kept = running.log.read_bytes()
    assert len(kept) <= 16_000_000
    assert kept.startswith(b"the very first line")
    assert b"bytes left out" in kept
    assert running.child.log.size_bytes > 35_000_000


@pytest.mark.parametrize(("start", "words"), [
    (habit("import"), ["ended before it answered", "exit: 1", "No module named 'shop_of_horrors'",
                       "the module shop_of_horrors is missing: install it"]),
    (habit("variable"), ["SHOP_SETTING is missing: add `SHOP_SETTING", "[target.environment]"]),
    (habit("other-port"), ["listens on port", "not on", "put `{port}` into `target.start`"]),
    (("python", "-c", "print('done')"), ["ended before it answered", "exit: 0", "done"]),
    (("no-such-server", "{port}"), ["cannot start no-such-server", "No such file"]),
])  # fmt: skip
async def test_a_failing_start_says_what_to_do(bench: Bench, start: tuple[str, ...], words: list[str]) -> None:
    with pytest.raises(TargetFailed) as failed:
        async with bench.launch(project(bench.tree, *start)):
            pytest.fail("it must not come up")
    assert [w for w in words if w not in str(failed.value)] == []
    assert failed.value.command
    bench.assert_clean()


@pytest.mark.parametrize(("name", "words"), [
    ("silent", "gave no HTTP answer within 2 s"),
    ("never", "did not listen on port"),
])  # fmt: skip
async def test_a_target_that_never_answers_is_given_up(bench: Bench, name: str, words: str) -> None:
    with pytest.raises(TargetFailed, match=words):
        async with bench.launch(project(bench.tree, *habit(name), start_timeout_s=2.0)):
            pytest.fail("it must not come up")
    bench.assert_clean()


async def test_a_crash_under_way_is_told_with_exit_and_tail(bench: Bench) -> None:
    async with bench.launch(project(bench.tree)) as running:
        await startup.ask(running.port, "/crash", 5)
        with pytest.raises(TargetFailed, match="died under way") as failed:
            await running.check()
    assert failed.value.exit == 7
    assert "about to fall over" in failed.value.tail
    bench.assert_clean(running)


async def test_a_hang_under_way_is_told(bench: Bench) -> None:
    async with bench.launch(project(bench.tree)) as running:
        hung = running.project.model_copy(update={"health": "/hang"})
        running.project = hung
        with pytest.raises(TargetFailed, match=r"did not answer within 0\.5 s"):
            await running.check(timeout_s=0.5)
    bench.assert_clean(running)


@pytest.mark.parametrize(("health", "status", "noted"), [
    ("/", "200", False), ("/ready", "404", True), (None, "404", False), (None, "500", True),
])  # fmt: skip
async def test_an_odd_health_answer_is_noted(bench: Bench, health: str | None, status: str, noted: bool) -> None:
    async with bench.launch(project(bench.tree, *habit(status), health=health)) as running:
        assert bool(running.notes) == noted


async def test_a_port_that_is_taken_under_our_feet_is_exchanged(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = process.free_port()
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(taken)]
    other = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not process.is_listening(taken):
            await asyncio.sleep(0.02)
        ports = iter([taken, process.free_port()])
        monkeypatch.setattr(process, "free_port", lambda host: next(ports))
        async with bench.launch(project(bench.tree)) as running:
            assert running.port != taken
        with pytest.raises(TargetFailed, match=f"port {taken}|already in use"):
            async with bench.launch(project(bench.tree), port=taken):
                pytest.fail("another one holds that port")
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
    bench.assert_clean(running)


@pytest.mark.parametrize("name", ["group", "session", "daemon", "stubborn"])
@pytest.mark.parametrize("how", ["exception", "cancelled"])
async def test_it_ends_whole_whatever_ends_the_block(bench: Bench, name: str, how: str) -> None:
    seen: list[Running] = []
    up = asyncio.Event()

    async def block() -> None:
        async with bench.launch(project(bench.tree, *habit(name))) as running:
            seen.append(running)
            up.set()
            if how == "exception":
                raise KeyError("something else went wrong")
            await asyncio.sleep(600)

    task = asyncio.create_task(block())
    await up.wait()
    if how == "cancelled":
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()  # an impatient second time, while it is being ended
    with pytest.raises(KeyError if how == "exception" else asyncio.CancelledError):
        await task
    bench.assert_clean(*seen)


async def test_cancelled_while_starting_leaves_nothing(bench: Bench) -> None:
    async def block() -> None:
        async with bench.launch(project(bench.tree, *habit("silent"))):
            pytest.fail("it must not come up")

    task = asyncio.create_task(block())
    await asyncio.sleep(0.5)
    left = list(bench.registry.folder.iterdir())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left
    bench.assert_clean()


MAIN = """
    import asyncio, sys
    from pathlib import Path
    sys.path.insert(0, {here!r})
    from apps.support import habit, project
    from perfcrew.target.launch import launch
    from perfcrew.target.leftovers import Registry
    from perfcrew.target.signals import terminating
    folder = Path({folder!r})
    async def main():
        with terminating():
            async with launch(project(folder, *habit("session")), data=None, workspace=folder / "w",
                              registry=Registry(folder / "leftovers")) as running:
                print(running.port, *[p.pid for p in running.processes()], flush=True)
                await asyncio.sleep(600)
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_perfcrew_ends_the_target(tmp_path: Path, number: signal.Signals) -> None:
    code = textwrap.dedent(MAIN).format(here=str(HERE), folder=str(tmp_path))
    perfcrew = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert perfcrew.stdout
    port, *pids = map(int, perfcrew.stdout.readline().split())
    processes = [psutil.Process(pid) for pid in pids]
    perfcrew.send_signal(number)
    perfcrew.send_signal(number)
    assert perfcrew.wait(timeout=30) == 130
    perfcrew.stdout.close()
    assert len(processes) == 2
    assert not [p for p in processes if process.alive(p)]
    assert process.is_free(port)
    assert not list((tmp_path / "leftovers").iterdir())


def test_terminating_outside_of_a_loop_raises_and_gives_the_handlers_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), terminating():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


async def test_cpu_counts_ended_children_too(bench: Bench) -> None:
    async with bench.launch(project(bench.tree, *habit("busy"))) as running:
        assert running.cpu_ms() >= 500


async def test_what_it_writes_into_its_tree_is_seen(bench: Bench) -> None:
    before = tree_digest(bench.tree)
    async with bench.launch(project(bench.tree, *habit("writes"))):
        pass
    assert tree_digest(bench.tree).changed_since(before) == ("written-here.txt",)


async def test_a_quiet_target_leaves_no_bytecode_behind(bench: Bench) -> None:
    (bench.tree / "shopping.py").write_text("from server import serve\n")
    (bench.tree / "server.py").write_text((HERE / "apps" / "server.py").read_text())
    before = tree_digest(bench.tree)
    start = ("python", "-c", "import sys, shopping; shopping.serve(int(sys.argv[1]))", "{port}")
    async with bench.launch(project(bench.tree, *start)):
        pass
    assert not list(bench.tree.rglob("__pycache__"))
    assert tree_digest(bench.tree).changed_since(before) == ()


async def test_secrets_stay_out_of_the_error(bench: Bench) -> None:
    environment = {"SHOP_URL": "postgresql://me:hunter2hunter@host/shop", "SHOP_TOKEN": "abcdef123456"}
    with pytest.raises(TargetFailed) as failed:
        async with bench.launch(project(bench.tree, *habit("secret"), environment=environment)):
            pytest.fail("it must not come up")
    said = str(failed.value)
    assert "connecting to postgresql://me:***@host/shop with ***" in said
    assert "hunter2hunter" not in said
    assert "abcdef123456" not in said


async def test_the_port_reaches_a_command_that_does_not_name_it(bench: Bench) -> None:
    server = str(HERE / "apps" / "server.py")
    code = "import os, runpy, sys; sys.argv = ['x', 'ok', os.environ['PORT']]; runpy.run_path(%r, run_name='__main__')"
    async with bench.launch(project(bench.tree, "python", "-c", code % server)) as running:
        await running.check()


def test_the_environments_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/users")
    monkeypatch.setenv("VIRTUAL_ENV", "/ours")
    what = project(tmp_path, environment={"PYTHONPATH": "/project", "A": "project", "B": "project"})
    merged = environment_of(what, None, {"PYTHONPATH": "/probe:/users", "A": "probe"})
    assert merged["PYTHONPATH"] == "/probe:/users:/project"
    assert (merged["A"], merged["B"]) == ("probe", "project")
    assert "VIRTUAL_ENV" not in merged
    assert merged["PATH"].startswith(str(Path(sys.executable).parent))


@pytest.mark.parametrize(("own", "taken"), [
    ("", False), ("compiled", False), ("{tree}/compiled", False),
    ("{tree}-compiled", True), ("/home/me/compiled", True),
])  # fmt: skip
def test_compiled_modules_go_where_the_user_keeps_them_but_never_into_the_tree(
    own: str, taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = own.replace("{tree}", str(tmp_path))
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", own)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    merged = environment_of(project(tmp_path), None, bytecode=Path("/workspace/compiled"))
    assert merged["PYTHONPYCACHEPREFIX"] == (own if taken else "/workspace/compiled")
    assert "PYTHONDONTWRITEBYTECODE" not in merged
    assert environment_of(project(tmp_path), None)["PYTHONDONTWRITEBYTECODE"] == "1"


@pytest.mark.parametrize(("tail", "says"), [
    ("ModuleNotFoundError: No module named 'flask_login'", "flask_login"),
    ("KeyError: 'DATABASE_URL'", "DATABASE_URL is missing"),
    ("django.core.exceptions.ImproperlyConfigured: Set the SECRET_KEY environment variable", "SECRET_KEY is missing"),
    ("decouple.UndefinedValueError: API_URL not found. Declare it as envvar", "API_URL is missing"),
    ("1 validation error for Settings\nmail_from\n  Field required [type=missing, in", "mail_from is missing"),
    ("sqlite3.OperationalError: no such table: book", "target.migrate"),
    ('psycopg.errors.UndefinedTable: relation "book" does not exist', "target.migrate"),
    ("redis.exceptions.ConnectionError: Error 111 connecting to localhost:6379. Connection refused.", "start it"),
    ("KeyError: 'name'", ""),
    ("everything is fine, no module was named", ""),
])  # fmt: skip
def test_known_complaints_become_something_to_do(tail: str, says: str) -> None:
    said = hints.what_to_do(tail, Path("/venv/bin/python"))
    assert says in said
    assert bool(said) == bool(says)
