"""The target gets a Redis of its own, however it names the user's, and the user's is never written."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis as client
from apps.own_redis import port_of, users_redis
from apps.support import APPS, project

from perfcrew.core.errors import TargetFailed, UsageError
from perfcrew.core.project import RedisAddress
from perfcrew.target import process
from perfcrew.target.detect.redis import find
from perfcrew.target.detect.tree import Tree
from perfcrew.target.launch import launch
from perfcrew.target.leftovers import Registry
from perfcrew.target.redis import address, private

pytestmark = pytest.mark.redis
APP = str(APPS / "redis_app.py")


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[client.Redis]:
    """The user's own Redis, on a port, with something in it."""
    with users_redis(tmp_path_factory.mktemp("mine")) as one:
        yield one


@pytest.fixture(autouse=True)
def _untouched(request: pytest.FixtureRequest) -> Iterator[None]:
    """Nothing but what the user put there is in the user's Redis, after any test."""
    yield
    if "mine" in request.fixturenames:
        assert request.getfixturevalue("mine").keys() == [b"mine"]


class Bench:
    def __init__(self, tmp_path: Path) -> None:
        self.tree, self.workspace = tmp_path / "tree", tmp_path / "workspace"
        self.tree.mkdir()
        self.registry = Registry(tmp_path / "leftovers")

    def launch(self, how: str, environment: dict[str, str], name: str = "target", **more: Any) -> Any:
        what = project(self.tree, "python", APP, how, "{port}", **more)
        return launch(
            what, data=None, workspace=self.workspace, registry=self.registry, environment=environment, name=name
        )

    def assert_clean(self) -> None:
        assert not list(self.registry.folder.iterdir())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def visit(running: Any) -> dict[str, Any]:
    with urllib.request.urlopen(running.base_url, timeout=5) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


PARTS = RedisAddress(
    source="conf.py",
    variables={"REDIS_HOST": "host", "REDIS_PORT": "port", "REDIS_PASSWORD": "password"},
)


@pytest.mark.parametrize(("how", "variables", "known"), [
    ("url", {"REDIS_URL": "redis://localhost:{port}/3"}, {}),
    ("url", {"REDIS_URL": "redis://:wrong@127.0.0.1:{port}"}, {}),
    ("parts", {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "{port}"}, {"redis": (PARTS,)}),
    ("parts", {"REDIS_HOST": "localhost", "REDIS_PORT": "{port}", "REDIS_PASSWORD": 's"c\\t é'}, {"redis": (PARTS,)}),
    ("socket", {"REDIS_SOCKET": "/run/redis.sock"},
     {"redis": (RedisAddress(source="conf.py", variables={"REDIS_SOCKET": "socket"}),)}),
])  # fmt: skip
async def test_it_is_empty_at_the_start_and_gone_at_the_end(
    bench: Bench, mine: client.Redis, how: str, variables: dict[str, str], known: dict[str, Any]
) -> None:
    told = {name: value.replace("{port}", str(port_of(mine))) for name, value in variables.items()}
    async with bench.launch(how, told, **known) as running:
        first = visit(running)
        server = running.redis.server
        assert first["visits"] == 2, "the start's own question was the first visit"
        assert first.get("port", str(server.port)) == str(server.port)
        assert first["db"] == ("3" if "/3" in str(told) else "0")
        assert "of its own" in running.notes[0]
        assert client.Redis.from_url(running.redis.url.replace("/0", f"/{first['db']}")).get("visits") == b"2"
        assert server.folder.stat().st_mode & 0o77 == 0
    bench.assert_clean()
    assert not server.folder.exists()
    assert not process.is_listening(server.port)


async def test_two_instances_have_one_each(bench: Bench, mine: client.Redis) -> None:
    told = {"REDIS_URL": f"redis://localhost:{port_of(mine)}"}
    async with bench.launch("url", told, "a") as a, bench.launch("url", told, "b") as b:
        visit(a)
        assert (visit(a)["visits"], visit(b)["visits"]) == (3, 2)
        assert a.redis.server.port != b.redis.server.port
    bench.assert_clean()


async def test_it_stays_while_the_target_is_started_again(bench: Bench, mine: client.Redis) -> None:
    async with bench.launch("url", {"REDIS_URL": f"redis://localhost:{port_of(mine)}"}) as running:
        await running.again()
        assert visit(running)["visits"] == 3


@pytest.mark.parametrize("variables", [{}, {"REDIS_URL": ""}], ids=["not set", "switched off"])
async def test_a_target_without_redis_gets_none(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    known = RedisAddress(source="conf.py", variables={"REDIS_URL": "url"}, url="redis://x" if variables else None)
    what = project(bench.tree, redis=(known,))
    async with launch(
        what, data=None, workspace=bench.workspace, registry=bench.registry, environment=variables
    ) as running:
        assert running.redis.server is None


def fixed(port: int) -> RedisAddress:
    return RedisAddress(url=f"redis://localhost:{port}", source="conf.py:3")


async def refused(bench: Bench, environment: dict[str, str], **more: Any) -> UsageError:
    with pytest.raises(UsageError) as error:
        async with bench.launch("url", environment, **more):
            pytest.fail("it must not start")
    assert "shared_redis = true" in error.value.do
    bench.assert_clean()
    return error.value


async def test_an_address_in_the_source_where_one_answers_is_refused(bench: Bench, mine: client.Redis) -> None:
    error = await refused(bench, {}, redis=(fixed(port_of(mine)),))
    assert "written out" in str(error)
    assert error.where == "conf.py:3"


async def test_a_host_alone_does_not_redirect(bench: Bench, mine: client.Redis) -> None:
    """Its port is written out: with our host it would come to whatever has that port here."""
    host = RedisAddress(url=f"redis://localhost:{port_of(mine)}", source="conf.py:5", variables={"REDIS_HOST": "host"})
    error = await refused(bench, {"REDIS_HOST": "127.0.0.1"}, redis=(host,))
    assert error.where == "conf.py:5"


async def test_a_host_with_its_port_in_one_variable(bench: Bench, mine: client.Redis) -> None:
    told = {"REDIS_ADDR": f"localhost:{port_of(mine)}", "REDIS_URL": f"redis://localhost:{port_of(mine)}"}
    known = RedisAddress(source="conf.py", variables={"REDIS_ADDR": "host"})
    async with bench.launch("url", told, redis=(known,)) as running:
        port = running.redis.server.port
        assert running.redis.environment["REDIS_ADDR"] == f"127.0.0.1:{port}"


async def test_a_client_of_a_cluster_says_what_to_do(bench: Bench, mine: client.Redis) -> None:
    start = ("import os, redis; redis.RedisCluster.from_url(os.environ['REDIS_URL']).get('x')",)
    what = project(bench.tree, "python", "-c", *start)
    told = {"REDIS_URL": f"redis://localhost:{port_of(mine)}"}
    with pytest.raises(TargetFailed, match="no cluster and no sentinel"):
        async with launch(what, data=None, workspace=bench.workspace, registry=bench.registry, environment=told):
            pytest.fail("it must not come up")


async def test_an_address_in_the_source_where_nobody_answers_is_a_note(bench: Bench) -> None:
    what = project(bench.tree, redis=(fixed(process.free_port()),))
    async with launch(what, data=None, workspace=bench.workspace, registry=bench.registry) as running:
        assert "nobody answers" in running.notes[0]


async def test_a_cluster_is_refused(bench: Bench, mine: client.Redis) -> None:
    url = f"redis+sentinel://localhost:{port_of(mine)}/mymaster"
    assert "sentinel" in str(await refused(bench, {"REDIS_URL": url}))


async def test_without_a_program_the_users_is_refused(
    bench: Bench, mine: client.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private, "program", lambda: None)
    error = await refused(bench, {"REDIS_URL": f"redis://:secret@localhost:{port_of(mine)}"})
    assert "no redis-server" in str(error)
    assert "apt-get install" in error.do
    assert "secret" not in str(error)


async def test_one_that_would_use_the_users_all_the_same_is_refused(bench: Bench, mine: client.Redis) -> None:
    """Its address comes from where nobody can see it; only its connection shows, and that is not made."""
    told = {"CACHE_URL": f"redis://localhost:{port_of(mine)}"}
    with pytest.raises(TargetFailed, match="not its own; the connection was refused") as error:
        async with bench.launch(str(port_of(mine)), told):
            pytest.fail("it must not be measured")
    assert "redis_app.py" in error.value.where
    assert "shared_redis = true" in error.value.do
    bench.assert_clean()


async def test_the_users_is_used_where_it_says_so(bench: Bench, mine: client.Redis) -> None:
    told = {"REDIS_URL": f"redis://localhost:{port_of(mine)}"}
    async with bench.launch("url", told, shared_redis=True) as running:
        assert visit(running)["port"] == str(port_of(mine))
        assert running.redis.url is None
        assert "shared_redis" in running.notes[0]
    mine.delete("visits")


def test_a_killed_one_is_swept(bench: Bench, mine: client.Redis) -> None:
    """As `perfcrew clean` does it after a kill -9."""
    script = f"""
import asyncio, sys, pathlib
sys.path.insert(0, {str(APPS.parent)!r})
from apps.support import project
from perfcrew.target.launch import launch
from perfcrew.target.leftovers import Registry
tree, workspace = map(pathlib.Path, ({str(bench.tree)!r}, {str(bench.workspace)!r}))
async def main():
    what = project(tree, "python", {APP!r}, "url", "{{port}}")
    registry = Registry(pathlib.Path({str(bench.registry.folder)!r}))
    async with launch(what, data=None, workspace=workspace, registry=registry) as running:
        print(running.redis.server.child.pid, running.redis.server.folder, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    told = {**os.environ, "REDIS_URL": f"redis://localhost:{port_of(mine)}"}
    other = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=told, text=True)
    assert other.stdout
    pid, folder = other.stdout.readline().split()
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    ended = bench.registry.sweep()
    assert all(item.done for item in ended)
    assert {item.name for item in ended if item.what == "folder"} >= {folder}
    assert not Path(folder).exists()
    assert not psutil.pid_exists(int(pid)) or psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE
    assert not list(bench.registry.folder.glob("*.jsonl"))


SETTINGS = """
SECRET_KEY = "x"
ROOT_URLCONF = "site_urls"
ALLOWED_HOSTS = ["*"]
DATABASES = {}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://localhost:PORT/2"}}
CHANNEL_LAYERS = {"default": {"CONFIG": {"hosts": [("localhost", PORT)]}}}
RQ_QUEUES = {"default": {"HOST": "localhost", "PORT": PORT, "DB": 0}}
CELERY_BROKER_URL = "redis://localhost:PORT/0"
REDIS_PORT = PORT
OTHER = {"a": [1, ("b", 2)], "url": "https://localhost:PORT"}
"""
URLS = """
import site_settings
from django.conf import settings
from django.core.cache import cache
from django.http import JsonResponse
from django.urls import path

def show(request):
    cache.add("visits", 0)
    names = ("CACHES", "CHANNEL_LAYERS", "RQ_QUEUES", "CELERY_BROKER_URL", "REDIS_PORT", "OTHER")
    assert site_settings.CELERY_BROKER_URL == settings.CELERY_BROKER_URL, "whoever imports the module itself"
    return JsonResponse({"visits": cache.incr("visits"), **{n: getattr(settings, n) for n in names}})

urlpatterns = [path("", show)]
"""
SERVE = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_settings")
from wsgiref.simple_server import make_server
from django.core.wsgi import get_wsgi_application
make_server("127.0.0.1", int(sys.argv[1]), get_wsgi_application()).serve_forever()
"""


async def test_django_settings_are_turned_wherever_they_name_a_redis(bench: Bench, mine: client.Redis) -> None:
    port = port_of(mine)
    for name, text in {"site_settings": SETTINGS, "site_urls": URLS, "serve": SERVE}.items():
        (bench.tree / f"{name}.py").write_text(text.replace(" PORT", f" {port}").replace(":PORT", f":{port}"))
    held = RedisAddress(url=f"redis://localhost:{port}/2", source="settings", settings=True)
    what = project(
        bench.tree, "python", "serve.py", "{port}", framework="django", settings_module="site_settings", redis=(held,)
    )
    async with launch(what, data=None, workspace=bench.workspace, registry=bench.registry) as running:
        seen, own = visit(running), running.redis.server.port
    assert seen["visits"] == 2
    assert seen["CACHES"]["default"]["LOCATION"] == f"redis://127.0.0.1:{own}/2"
    assert seen["CHANNEL_LAYERS"]["default"]["CONFIG"]["hosts"] == [["127.0.0.1", own]]
    assert seen["RQ_QUEUES"]["default"] == {"HOST": "127.0.0.1", "PORT": own, "DB": 0}
    assert seen["CELERY_BROKER_URL"] == f"redis://127.0.0.1:{own}/0"
    assert seen["REDIS_PORT"] == own
    assert seen["OTHER"] == {"a": [1, ["b", 2]], "url": f"https://localhost:{port}"}
    bench.assert_clean()


@pytest.mark.parametrize(("url", "moved"), [
    ("redis://localhost", "redis://h:7/0"),
    ("redis://u:p%40@cache.internal:6380/4", "redis://h:7/4"),
    ("rediss://u:p@cache:6380/1?ssl_cert_reqs=none&socket_timeout=2", "redis://h:7/1?socket_timeout=2"),
    ("unix:///run/redis.sock?db=3", "redis://h:7/3"),
    ("redis+socket:///run/redis.sock?virtual_host=2", "redis://h:7/2"),
    ("redis://localhost?db=5&password=x", "redis://h:7/5"),
    ("valkeys://cache:6379/1", "valkey://h:7/1"),
    ("redis://a:1/2;redis://b:2/2", "redis://h:7/2"),
    ("redis://[::1]:6379/1", "redis://h:7/1"),
])  # fmt: skip
def test_a_url_is_moved_with_its_database(url: str, moved: str) -> None:
    assert address.moved(url, "h", 7) == moved


@pytest.mark.parametrize(("name", "text", "is_one"), [
    ("X", "redis://localhost", True), ("X", "REDISS://h:1", True), ("CACHE_URL", "unix:///run/redis.sock", True),
    ("DOCKER_HOST", "unix:///var/run/docker.sock", False), ("X", "https://redis.io", False), ("X", "redis", False),
    ("X", "see redis://localhost", False), ("CELERY_BROKER_URL", "amqp://localhost", False),
])  # fmt: skip
def test_what_is_a_url_of_a_redis(name: str, text: str, is_one: bool) -> None:
    assert address.is_url(text, name) == is_one


@pytest.mark.parametrize(("url", "shown"), [
    ("redis://localhost:6379/1", "redis://localhost:6379/1"),
    ("redis://:p%40ss@h:1/2", "redis://***@h:1/2"),
    ("redis://:p@ss@h:1", "redis://***@h:1"),
    ("redis://u:a/b@c#d@h:1?password=x&db=2", "redis://***@h:1?password=***&db=2"),
    ("redis://:a@b@h:1;redis://:c@d@i:2", "redis://***@h:1;redis://***@i:2"),
    ("unix://:se@cret@/run/redis.sock?db=1", "unix://***@/run/redis.sock?db=1"),
])  # fmt: skip
def test_no_part_of_a_password_is_shown(url: str, shown: str) -> None:
    assert address.without_password(url) == shown


def test_only_a_refusal_says_that_nobody_is_there(tmp_path: Path) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as six:
        assert address.answers(f"redis://[::1]:{six.getsockname()[1]}")
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(busy.getsockname())
        assert address.answers(f"redis://127.0.0.1:{busy.getsockname()[1]}"), "slow is not absent"
        for one in waiting:
            one.close()
    nowhere = ("redis://no-such-host.invalid", f"unix://{tmp_path}/redis.sock", "redis://h:99999")
    assert not any(map(address.answers, (f"redis://localhost:{process.free_port()}", *nowhere)))


@pytest.mark.parametrize("value", [None, "", "localhost:{port}", "redis://localhost:{port}/3"])
async def test_a_variable_that_the_user_names_is_always_set(
    bench: Bench, mine: client.Redis, value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the source's own default would be used, which is the user's."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    named = find(Tree(bench.tree), "REDIS_URL", ())
    told = {} if value is None else {"REDIS_URL": value.format(port=port_of(mine))}
    what = project(bench.tree, redis=named)
    async with private.private(what, told, workspace=bench.workspace, registry=bench.registry, name="x") as one:
        assert one.server is not None
        database = 3 if value and "/3" in value else 0
        assert one.environment["REDIS_URL"] == f"redis://127.0.0.1:{one.server.port}/{database}"


async def test_a_variable_that_the_user_names_empty_gives_none(bench: Bench) -> None:
    what = project(bench.tree, redis=find(Tree(bench.tree), "", ()))
    async with private.private(what, {}, workspace=bench.workspace, registry=bench.registry, name="x") as one:
        assert one.server is None
