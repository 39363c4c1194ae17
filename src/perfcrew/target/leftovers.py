"""What we started and made, written down before it exists, so that the next run can clear up after a killed one.

Refuses: to end anything by its name, and anything that a living perfcrew owns.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import psutil

from perfcrew.core.base import Noun
from perfcrew.target import process

What = Literal["process", "database", "folder"]
_FOREIGN_AFTER_S = 24 * 3600.0


class Ended(Noun):
    """One thing that a dead run left. `done`: whether it is gone now; `detail`: why not, or which pids."""

    what: What
    name: str
    run: str
    done: bool
    detail: str = ""


class Entry(Noun):
    """One thing we own. `name`: what it is, the database's name, or the folder's path."""

    token: str
    what: What
    name: str
    run: str = ""
    pid: int | None = None
    started: str | None = None
    pgid: int | None = None
    members: tuple[tuple[int, str], ...] = ()
    """Pid and start of the descendants as last seen."""
    url: str = ""
    """A database's server, without the password."""


DropDatabase = Callable[[str, str], str]
"""Drop this database (server URL without password, name); gives why it could not, empty where it did."""


class Registry:
    """The things that this process owns, in a file of its own below `folder` (`<root>/.perfcrew/leftovers`)."""

    def __init__(self, folder: Path, run: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.run = folder, run
        self._file = folder / f"{os.getpid()}-{secrets.token_hex(4)}.jsonl"
        self._live: set[str] = set()

    def process(self, name: str) -> str:
        """Announce a process before it is started; gives the token that its environment must carry (`process.MARK`)."""
        return self._add(Entry(token=secrets.token_hex(12), what="process", name=name, run=self.run))

    def began(self, token: str, pid: int, members: Sequence[psutil.Process] = ()) -> None:
        """The announced process runs under this pid; call it again with the descendants once they are known."""
        seen = tuple((p.pid, at) for p in members if (at := process.started(p.pid)))
        entry = Entry(token=token, what="process", name="", run=self.run, pid=pid, pgid=pid, members=seen)
        self._write({"began": entry.model_copy(update={"started": process.started(pid)}).model_dump()})

    def database(self, name: str, url: str) -> str:
        """Announce a database of our own making before it is created. `url` names its server, without the password."""
        return self._add(Entry(token=secrets.token_hex(12), what="database", name=name, run=self.run, url=url))

    def temporary(self, path: Path) -> str:
        """Announce a temporary folder, or a file, before it is made."""
        return self._add(Entry(token=secrets.token_hex(12), what="folder", name=str(path), run=self.run))

    def over(self, token: str) -> None:
        """The thing is gone. The file goes with the last one."""
        self._live.discard(token)
        if self._live:
            self._write({"over": token})
        else:
            self._file.unlink(missing_ok=True)

    def sweep(self, drop: DropDatabase | None = None) -> tuple[Ended, ...]:
        """End what dead runs left. Without `drop`, databases are named but stay, for a later sweep."""
        ended: list[Ended] = []
        for file in sorted(self.folder.glob("*.jsonl")):
            with _locked(file) as lines:
                if lines and not _owned(lines[0]["owner"], file):
                    ended += _clear(file, _entries(lines), drop)
        return tuple(ended)

    def _add(self, entry: Entry) -> str:
        if not self._file.exists():
            self._write({"owner": _myself()})
        self._live.add(entry.token)
        self._write({"add": entry.model_dump()})
        return entry.token

    def _write(self, line: dict[str, Any]) -> None:
        with open(self._file, "a", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
            out.write(json.dumps(line) + "\n")


def _myself() -> dict[str, Any]:
    return {"pid": os.getpid(), "started": process.started(os.getpid()), "where": _where()}


def _where() -> str:
    """Pids mean something only here: host and pid namespace."""
    space = os.readlink("/proc/self/ns/pid") if os.path.exists("/proc/self/ns/pid") else ""
    return f"{platform.node()} {space}"


def _owned(owner: dict[str, Any], file: Path) -> bool:
    """Whether its perfcrew lives. From another host or container we can't see it: trust it for a day."""
    if owner["where"] != _where():
        return time.time() - file.stat().st_mtime < _FOREIGN_AFTER_S
    return process.started(int(owner["pid"])) == str(owner["started"])


@contextmanager
def _locked(file: Path) -> Iterator[list[dict[str, Any]]]:
    """The file's lines, empty where another sweep has it. A last line that was cut off by a crash is left out."""
    try:
        with open(file) as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield []
            else:
                yield _lines(handle.read())
    except FileNotFoundError:
        yield []


def _lines(text: str) -> list[dict[str, Any]]:
    complete = text[: text.rfind("\n") + 1]
    return [json.loads(line) for line in complete.splitlines()]


def _entries(lines: list[dict[str, Any]]) -> list[Entry]:
    entries: dict[str, Entry] = {}
    for line in lines[1:]:
        if "add" in line:
            entry = Entry.model_validate(line["add"])
            entries[entry.token] = entry
        elif "began" in line:
            began = Entry.model_validate(line["began"])
            entries[began.token] = began.model_copy(update={"name": entries[began.token].name})
        else:
            entries.pop(line["over"], None)
    return list(entries.values())


def _clear(file: Path, entries: list[Entry], drop: DropDatabase | None) -> list[Ended]:
    order = {"process": 0, "database": 1, "folder": 2}
    ended = [_end(entry, drop) for entry in sorted(entries, key=lambda e: order[e.what])]
    if all(e.done for e in ended):
        file.unlink(missing_ok=True)
    return [e for e in ended if e.what != "process" or e.detail]


def _end(entry: Entry, drop: DropDatabase | None) -> Ended:
    if entry.what == "process":
        return _end_process(entry)
    if entry.what == "database":
        why = drop(entry.url, entry.name) if drop else "no connection to its server is known in this run"
        return Ended(what="database", name=entry.name, run=entry.run, done=not why, detail=why)
    remove(Path(entry.name))
    return Ended(what="folder", name=entry.name, run=entry.run, done=not os.path.lexists(entry.name))


def remove(path: Path) -> None:
    """Remove a folder of ours with all that is in it, also where a target took the right to write away; or a file."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
        return
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        for folder, _, _ in os.walk(path):
            os.chmod(folder, stat.S_IRWXU)
        shutil.rmtree(path, ignore_errors=True)


def _end_process(entry: Entry) -> Ended:
    pids = process.end(lambda: _survivors(entry), grace_s=2.0)
    done = not _survivors(entry)
    return Ended(what="process", name=entry.name, run=entry.run, done=done, detail=", ".join(map(str, sorted(pids))))


def _survivors(entry: Entry) -> list[psutil.Process]:
    """What is left of a start: by its mark, and by pid where the start time is still the same."""
    found = {p.pid: p for p in process.marked({entry.token})}
    for pid, at in (*entry.members, *([(entry.pid, entry.started)] if entry.pid and entry.started else [])):
        if pid not in found and process.started(pid) == at:
            found.update({p.pid: p for p in process.tree(pid)})
    return list(found.values())
