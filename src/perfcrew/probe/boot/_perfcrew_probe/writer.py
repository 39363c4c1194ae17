"""This process's file of records, safe across threads and forks.

Records are gathered as text and written with one `write` in append mode, at a request's end or at once where
no request is under way. Buffers of the file object are avoided: a forked child would write them again.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
from typing import Any

_FLUSH_AT = 500
_lock = threading.Lock()
_lines: list[str] = []
_folder = ""
_descriptor = -1
_hello: dict[str, Any] = {"mode": "none", "patched": [], "notes": [], "control": None}
_ready = False
_requests = 0


def open_in(folder: str, mode: str) -> None:
    """Begin `<folder>/<pid>.jsonl`; the folder is made where it is missing."""
    global _folder
    os.makedirs(folder, exist_ok=True)
    _folder = folder
    _hello["mode"] = mode
    _open()
    atexit.register(flush)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forked)


def started() -> None:
    """Write the first hello: from here on each change of it is written as an update."""
    global _ready
    _ready = True
    _say_hello()


def emit(record: dict[str, Any]) -> None:
    line = json.dumps(record, separators=(",", ":"), default=str)
    with _lock:
        _lines.append(line)
        due = not _requests or len(_lines) >= _FLUSH_AT
    if due:
        flush()


def request_began() -> None:
    """Gather until it ends."""
    global _requests
    with _lock:
        _requests += 1


def request_ended() -> None:
    global _requests
    with _lock:
        _requests -= 1
    flush()


def flush() -> None:
    with _lock:
        if not _lines or _descriptor < 0:
            return
        data = ("\n".join(_lines) + "\n").encode()
        _lines.clear()
        while data:
            data = data[os.write(_descriptor, data) :]


def note(text: str) -> None:
    _update("notes", text)


def patched(library: str) -> None:
    _update("patched", library)


def mode(name: str) -> None:
    if _hello["mode"] != name:
        _hello["mode"] = name
        _say_hello()


def control(path: str) -> None:
    _hello["control"] = path
    _say_hello()


def _update(field: str, value: str) -> None:
    if value not in _hello[field]:
        _hello[field].append(value)
        _say_hello()


def _say_hello() -> None:
    if not _ready:
        return
    record = {"type": "hello", "pid": os.getpid(), "python": sys.version.split()[0]}
    emit({**record, **{key: value for key, value in _hello.items() if value is not None}})
    flush()


def _open() -> None:
    global _descriptor
    path = os.path.join(_folder, f"{os.getpid()}.jsonl")
    _descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _forked() -> None:
    global _lock, _requests
    _lock, _requests = threading.Lock(), 0
    _lines.clear()
    os.close(_descriptor)
    _open()
    _say_hello()
