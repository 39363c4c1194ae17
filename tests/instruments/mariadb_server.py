"""A real MariaDB server for tests: in a folder of its own, on a port of its own, ended with the block."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql
import pytest

UP_S = 60.0
_SHARE = Path("/usr/share/mysql")
_SMALL = ("--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M", "--skip-name-resolve", "--skip-log-bin")


def program() -> str:
    """The server's program; without one the test is skipped, and fails in CI."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    found = shutil.which("mariadbd", path=path)
    if found is None and os.environ.get("CI"):
        pytest.fail("mariadbd is not installed: apt-get install mariadb-server-core")
    if found is None:
        pytest.skip("mariadbd is not installed: apt-get install mariadb-server-core")
    return found


@contextmanager
def serving() -> Iterator[str]:
    """The URL of its database `shop`, which is empty."""
    binary, folder = program(), Path(tempfile.mkdtemp(prefix="perfcrew-maria-"))
    data, port = folder / "data", _free_port()
    data.mkdir()
    # As root it runs only when told to.
    common = [binary, "--no-defaults", f"--datadir={data}", *_SMALL, *(["--user=root"] if os.geteuid() == 0 else [])]
    try:
        subprocess.run([*common, "--bootstrap"], input=_system_tables(), check=True, capture_output=True, timeout=UP_S)
        process = subprocess.Popen(
            [*common, f"--socket={folder / 's'}", f"--port={port}", "--bind-address=127.0.0.1",
             f"--pid-file={folder / 'pid'}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _wait(port)
            yield f"mysql+pymysql://root@127.0.0.1:{port}/shop"
        finally:
            process.kill()
            process.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _system_tables() -> bytes:
    """What mariadb-install-db sends, which needs programs of other packages. A statement a line."""
    begun = ["CREATE DATABASE mysql;", "USE mysql;", "SET @auth_root_socket=NULL;", "SET @skip_auth_anonymous=1;"]
    texts = [(_SHARE / f"mysql_system_tables{part}.sql").read_bytes() for part in ("", "_data")]
    return "\n".join([*begun, ""]).encode() + b"\n".join(texts)


def _wait(port: int) -> None:
    until = time.monotonic() + UP_S
    while True:
        try:
            with pymysql.connect(host="127.0.0.1", port=port, user="root") as db, db.cursor() as cursor:
                cursor.execute("CREATE DATABASE shop")
            return
        except pymysql.err.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
