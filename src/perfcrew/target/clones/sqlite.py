"""SQLite: a consistent copy that leaves the original alone, also while somebody writes to it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from perfcrew.core.errors import Unmeasurable

_WAL_VERSION = 2
_ATTEMPTS = 5
_TIMEOUT_S = 30.0


def exists(file: Path) -> bool:
    """Whether there is a database in that file (an empty one holds nothing to copy)."""
    return file.is_file() and file.stat().st_size > 0


def copy(original: Path, to: Path) -> None:
    """Copy a database with all that is committed, its write-ahead log included.

    Readers of a write-ahead log make files beside it; where they aren't there yet, the files are copied instead
    and put together in the copy. Raises Unmeasurable where the original keeps changing or is no database.
    """
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        if _can_be_read_in_place(original):
            _back_up(original, to)
        else:
            _copy_files(original, to)
        with closing(connect(to)) as db:
            db.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as error:
        do = "stop what is writing to it, or check it with `PRAGMA integrity_check`"
        raise Unmeasurable(f"the SQLite database can't be copied: {error}", where=str(original), do=do) from error


def _can_be_read_in_place(original: Path) -> bool:
    with open(original, "rb") as file:
        header = file.read(20)
    if _beside(original, "-journal").exists():  # left by a crash: to read in place would roll it back in place
        return False
    return header[18:19] != bytes([_WAL_VERSION]) or (
        _beside(original, "-wal").exists() and _beside(original, "-shm").exists()
    )


def _beside(file: Path, suffix: str) -> Path:
    return file.with_name(file.name + suffix)


def _back_up(original: Path, to: Path) -> None:
    uri = f"{original.resolve().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(uri, uri=True, timeout=_TIMEOUT_S)) as source,
        closing(sqlite3.connect(to)) as target,
    ):
        source.backup(target)


def _copy_files(original: Path, to: Path) -> None:
    for _ in range(_ATTEMPTS):
        before = _state(original)
        for suffix in ("", "-wal", "-journal"):
            source, target = _beside(original, suffix), _beside(to, suffix)
            target.unlink(missing_ok=True)
            if source.exists():
                shutil.copyfile(source, target)
        if _state(original) == before:
            break
    else:
        raise Unmeasurable("the SQLite database changes while it is copied", where=str(original), do="stop its writers")
    with closing(connect(to)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _state(original: Path) -> list[tuple[int, int] | None]:
    return [state(_beside(original, suffix)) for suffix in ("", "-wal", "-journal")]


def state(file: Path) -> tuple[int, int] | None:
    """Size and time of change, None where there is no such file."""
    try:
        stat = file.stat()
    except FileNotFoundError:
        return None
    return stat.st_size, stat.st_mtime_ns


def connect(file: Path) -> sqlite3.Connection:
    """A connection to a clone, waiting up to 30 s for a lock."""
    return sqlite3.connect(file, timeout=_TIMEOUT_S)


def tables(db: sqlite3.Connection) -> list[str]:
    """The tables that hold rows of their own: without views, virtual tables, their shadows and SQLite's own."""
    rows = db.execute("SELECT name FROM pragma_table_list WHERE schema='main' AND type='table' ORDER BY name")
    return [name for (name,) in rows if not name.startswith("sqlite_")]


def count(db: sqlite3.Connection) -> dict[str, int]:
    """Rows by table."""
    return {name: db.execute(f"SELECT count(*) FROM {quote(name)}").fetchone()[0] for name in tables(db)}


def empty(db: sqlite3.Connection, keep: frozenset[str]) -> None:
    """Delete the rows of every table but these."""
    db.execute("PRAGMA foreign_keys=OFF")
    for name in tables(db):
        if name not in keep:
            db.execute(f"DELETE FROM {quote(name)}")
    db.commit()


def quote(name: str) -> str:
    """An identifier as SQL."""
    return '"' + name.replace('"', '""') + '"'
