"""The control socket: one JSON line in, one JSON line out, answered in a thread of its own."""

from __future__ import annotations

import atexit
import json
import os
import socket
import tempfile
import threading
from typing import Any, Callable

from . import writer
from .guard import guarded, report
from .settings import Settings

# Unix socket names are bounded (108 bytes on Linux, 104 on macOS).
_LONGEST_PATH = 100
_ELSEWHERE = "perfcrew-control-"
_LINE_BYTES = 65_536
_SECONDS_A_LINE = 30.0
_server: _Server


class _Server:
    """Listens at `<folder>/<pid>.sock`, or below the temporary folder where that name is too long."""

    def __init__(self, folder: str, actions: dict[str, Callable[[], dict[str, Any]]]) -> None:
        self._actions = actions
        self.path = _path(folder)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(self.path)
        os.chmod(self.path, 0o600)
        self._socket.listen(4)
        threading.Thread(target=self._serve, name="perfcrew-control", daemon=True).start()

    @guarded
    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection:
                connection.settimeout(_SECONDS_A_LINE)
                self._answer(connection)

    @guarded
    def _answer(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            for line in iter(lambda: lines.readline(_LINE_BYTES), b""):
                connection.sendall(json.dumps(self._act(line), default=str).encode() + b"\n")

    def _act(self, line: bytes) -> dict[str, Any]:
        try:
            wanted = json.loads(line)["do"]
            return self._actions[wanted]()
        # Asked from outside: the one who asks has to read what went wrong.
        except Exception as error:  # noqa: BLE001
            report("control socket", error)
            return {"error": f"{type(error).__name__}: {error}"}


def install(wanted: Settings) -> None:
    actions: dict[str, Callable[[], dict[str, Any]]] = {"ping": lambda: {"pid": os.getpid()}}
    if "heap" in wanted.parts:
        from . import heap

        actions["heap"] = heap.census
    if "allocations" in wanted.parts:
        from . import allocations

        actions["allocations.start"] = allocations.start
        actions["allocations.stop"] = allocations.stop
    _listen(wanted.folder, actions)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: _listen(wanted.folder, actions))
    atexit.register(_remove)


@guarded
def _listen(folder: str, actions: dict[str, Callable[[], dict[str, Any]]]) -> None:
    global _server
    _server = _Server(folder, actions)
    writer.control(_server.path)


@guarded
def _remove() -> None:
    if os.path.exists(_server.path):
        os.unlink(_server.path)
    folder = os.path.dirname(_server.path)
    if os.path.basename(folder).startswith(_ELSEWHERE):
        os.rmdir(folder)


def _path(folder: str) -> str:
    name = f"{os.getpid()}.sock"
    near = os.path.join(folder, name)
    if len(os.fsencode(near)) <= _LONGEST_PATH:
        return near
    return os.path.join(tempfile.mkdtemp(prefix=_ELSEWHERE), name)
