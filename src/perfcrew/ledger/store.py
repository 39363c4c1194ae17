"""The ledger on SQLite: one file and a folder of blobs under the project's `.perfcrew/`."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import ValidationError

from perfcrew.core.errors import LedgerError
from perfcrew.core.evidence import Body, Evidence, Method, Run
from perfcrew.ledger.blobs import Blobs
from perfcrew.rooms import ROOMS

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (id TEXT PRIMARY KEY, content TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS evidence (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, run TEXT NOT NULL REFERENCES runs(id), slot TEXT NOT NULL,
  kind TEXT NOT NULL, subject TEXT NOT NULL, content TEXT NOT NULL, UNIQUE (run, slot));
CREATE INDEX IF NOT EXISTS evidence_kind ON evidence (run, kind, subject);
CREATE TRIGGER IF NOT EXISTS evidence_stays BEFORE UPDATE ON evidence
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS evidence_kept BEFORE DELETE ON evidence
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS runs_stay BEFORE UPDATE ON runs
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS runs_kept BEFORE DELETE ON runs
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""


class Ledger:
    """Evidence of all runs of one project. Safe to use from several threads of one process."""

    def __init__(self, connection: sqlite3.Connection, blobs: Blobs, where: Path) -> None:
        self._db, self._blobs, self.where = connection, blobs, where
        self._lock = threading.RLock()

    @classmethod
    def open(cls, folder: Path) -> Ledger:
        """Open, or begin, the ledger in a folder (a project's `.perfcrew`). LedgerError where it can't be read."""
        folder.mkdir(parents=True, exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text(
                "# perfcrew keeps its measurements here; a project's own rooms may be committed.\n" + _IGNORED
            )
        path = folder / "ledger.sqlite3"
        try:
            connection = sqlite3.connect(path, timeout=30, check_same_thread=False, isolation_level=None)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.executescript(SCHEMA)
        except sqlite3.DatabaseError as error:
            raise LedgerError(
                f"the ledger can't be opened: {error}", where=str(path), do="move the file away"
            ) from None
        return cls(connection, Blobs(folder / "blobs"), path)

    @classmethod
    def existing(cls, root: Path) -> Ledger:
        """The ledger of a project that has one under `.perfcrew`. LedgerError where it has none."""
        folder = root.resolve() / ".perfcrew"
        if not (folder / "ledger.sqlite3").is_file():
            raise LedgerError("no ledger here", where=str(folder), do="name the project's folder, or review it first")
        return cls.open(folder)

    def close(self) -> None:
        """Close the file; nothing is lost without it."""
        self._db.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def begin(self, run: Run) -> Run:
        """Write down a run before anything is measured; the same run again changes nothing."""
        with self._lock:
            self._db.execute("INSERT OR IGNORE INTO runs VALUES (?, ?)", (run.id, run.model_dump_json()))
        return run

    def run(self, run_id: str) -> Run:
        """The run of that id (a unique beginning will do)."""
        row = self._one("runs", run_id)
        return Run.model_validate_json(row)

    def runs(self) -> list[Run]:
        """All runs, oldest first."""
        with self._lock:
            rows = self._db.execute("SELECT content FROM runs ORDER BY rowid").fetchall()
        return [Run.model_validate_json(content) for (content,) in rows]

    def put(
        self,
        run_id: str,
        slot: str,
        body: Body,
        method: Method,
        subject: str = "application",
        blobs: Mapping[str, bytes] | None = None,
    ) -> Evidence:
        """Keep one item. A slot that is taken keeps what it has, so that a step done again counts once."""
        there = self.slot(run_id, slot)
        if there is not None:
            return there
        evidence = Evidence(
            id="",
            run=run_id,
            slot=slot,
            subject=subject,
            body=body,
            method=method,
            blobs={name: self._blobs.put(content) for name, content in (blobs or {}).items()},
            taken_at=datetime.now(UTC),
        )
        evidence = evidence.model_copy(update={"id": identify(evidence)})
        row = (evidence.id, run_id, slot, evidence.kind, subject, evidence.model_dump_json())
        try:
            with self._lock:
                self._db.execute(
                    "INSERT INTO evidence (id, run, slot, kind, subject, content) VALUES (?, ?, ?, ?, ?, ?)", row
                )
        except sqlite3.DatabaseError as error:
            raise LedgerError(
                f"evidence could not be kept: {error}", where=str(self.where), do="check the disk"
            ) from None
        return evidence

    def slot(self, run_id: str, slot: str) -> Evidence | None:
        """What a run holds in a slot, None where it is free."""
        with self._lock:
            row = self._db.execute("SELECT content FROM evidence WHERE run = ? AND slot = ?", (run_id, slot)).fetchone()
        return self._parsed(row[0]) if row else None

    def get(self, evidence_id: str) -> Evidence:
        """The item of that id (a unique beginning will do). LedgerError where there is none or it was altered."""
        return self._parsed(self._one("evidence", evidence_id))

    def find(self, run_id: str, kind: str | None = None, subject: str | None = None) -> list[Evidence]:
        """A run's items in the order they were taken, of one kind and subject if given."""
        with self._lock:
            rows = self._db.execute(
                "SELECT content FROM evidence WHERE run = ? AND kind = coalesce(?, kind)"
                " AND subject = coalesce(?, subject) ORDER BY number",
                (run_id, kind, subject),
            ).fetchall()
        return [self._parsed(content) for (content,) in rows]

    def blob(self, digest: str) -> bytes:
        """The content of a blob by its hash."""
        return self._blobs.get(digest)

    def keep(self, content: bytes) -> str:
        """Keep a blob that evidence will name; returns its hash."""
        return self._blobs.put(content)

    def _one(self, table: str, beginning: str) -> str:
        with self._lock:
            rows = self._db.execute(
                f"SELECT content FROM {table} WHERE substr(id, 1, length(?)) = ? LIMIT 2", (beginning, beginning)
            ).fetchall()
        if len(rows) == 1:
            return str(rows[0][0])
        what = "is ambiguous" if rows else f"is not in the ledger's {table}"
        raise LedgerError(f"{beginning!r} {what}", where=str(self.where), do="`perfcrew evidence` lists what there is")

    def _parsed(self, content: str) -> Evidence:
        try:
            evidence, as_written = _read(content)
        except ValidationError as error:
            raise LedgerError(
                f"evidence can't be read: {error.errors()[0]['msg']}",
                where=str(self.where),
                do="it was written by another version of perfcrew; measure again",
            ) from None
        if not as_written:
            raise LedgerError(f"evidence {evidence.id} was altered", where=str(self.where), do="measure again")
        return evidence


@lru_cache(maxsize=8192)
def _read(content: str) -> tuple[Evidence, bool]:
    """An item, and whether its id is that of its content. It never changes, so it is parsed once."""
    evidence = Evidence.model_validate_json(content)
    return evidence, _identified(json.loads(content)) == evidence.id


_IGNORED = "\n".join(
    ["# perfcrew keeps its measurements here; a project's own rooms may be committed.", "*"]
    + [f"!{room}/\n!{room}/**" for room in ROOMS]
)


def identify(evidence: Evidence) -> str:
    """`E-` and the beginning of the SHA-256 of the item's canonical JSON without its id."""
    try:
        return _identified(evidence.model_dump(mode="json"))
    except ValueError:
        raise LedgerError(f"{evidence.slot} holds NaN or an infinity", do="measure again") from None


def _identified(plain: dict[str, Any]) -> str:
    """Of what is stored, not of what this version reads in it: a field that came later has not altered the item."""
    without_id = {name: value for name, value in plain.items() if name != "id"}
    content = json.dumps(without_id, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return "E-" + hashlib.sha256(content.encode()).hexdigest()[:12]
