"""The ledger keeps what it was given, once a slot, and says when somebody altered it."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from perfcrew.core.errors import LedgerError
from perfcrew.core.evidence import Counts, Failure, Method, Run, Traces
from perfcrew.ledger import Ledger

METHOD = Method(tool="test", version="1")


def failure(text: str) -> Failure:
    return Failure(stage="survey", what="a specialist", error=text)


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger.open(tmp_path / ".perfcrew") as opened:
        opened.begin(Run(id="r1", root=str(tmp_path), workflow="review", started_at=datetime.now(UTC)))
        yield opened


def test_what_was_put_comes_back_equal(ledger: Ledger) -> None:
    put = ledger.put("r1", "a", failure("x"), METHOD, subject="GET /", blobs={"log": b"hello"})
    got = ledger.get(put.id)
    assert got == put
    assert ledger.blob(got.blobs["log"]) == b"hello"
    assert ledger.find("r1", kind="failure", subject="GET /") == [put]
    assert ledger.find("r1", kind="plan") == []


def test_a_slot_keeps_its_first_item(ledger: Ledger) -> None:
    first = ledger.put("r1", "a", failure("first"), METHOD)
    again = ledger.put("r1", "a", failure("second"), METHOD)
    assert again == first
    assert len(ledger.find("r1")) == 1


@pytest.mark.parametrize("statement", ["UPDATE evidence SET content = ''", "DELETE FROM evidence", "DELETE FROM runs"])
def test_nothing_is_changed_or_deleted(ledger: Ledger, statement: str) -> None:
    ledger.put("r1", "a", failure("x"), METHOD)
    with sqlite3.connect(ledger.where) as other, pytest.raises(sqlite3.DatabaseError, match="append-only"):
        other.execute(statement)


def test_an_item_altered_behind_our_back_is_refused(ledger: Ledger) -> None:
    put = ledger.put("r1", "a", failure("true"), METHOD)
    with sqlite3.connect(ledger.where) as other:
        other.execute("DROP TRIGGER evidence_stays")
        other.execute("UPDATE evidence SET content = replace(content, 'true', 'false')")
    with pytest.raises(LedgerError, match="was altered"):
        ledger.get(put.id)


def test_an_item_from_before_a_field_came_is_as_it_was(ledger: Ledger) -> None:
    body = Traces(instrumented=True, mode="otel", requests_count=1, counts=Counts(statements_count=4))
    stored = json.loads(ledger.put("r1", "a", body, METHOD).model_dump_json())
    del stored["body"]["groups"], stored["id"]
    old = "E-" + sha256(json.dumps(stored, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:12]
    with sqlite3.connect(ledger.where) as other:
        row = (old, "r1", "b", "traces", "x", json.dumps({**stored, "id": old}))
        other.execute("INSERT INTO evidence (id, run, slot, kind, subject, content) VALUES (?, ?, ?, ?, ?, ?)", row)
    assert ledger.get(old).body == body


def test_an_altered_blob_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    digest = ledger.keep(b"flame graph")
    (tmp_path / ".perfcrew" / "blobs" / digest[:2] / digest[2:]).write_bytes(b"something else")
    with pytest.raises(LedgerError, match="was altered"):
        ledger.blob(digest)


def test_an_unknown_id_says_where_to_look(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match=r"perfcrew evidence"):
        ledger.get("E-000000000000")


def test_a_beginning_of_an_id_will_do(ledger: Ledger) -> None:
    put = ledger.put("r1", "a", failure("x"), METHOD)
    assert ledger.get(put.id[:8]) == put


def test_a_number_that_is_none_is_refused(ledger: Ledger) -> None:
    from perfcrew.core.evidence import Log

    with pytest.raises(LedgerError, match="NaN"):
        ledger.put("r1", "n", Log(size_bytes=1, tail=""), Method(tool="t", version="1", settings={"x": float("nan")}))


def test_a_file_that_is_no_ledger_is_said(tmp_path: Path) -> None:
    folder = tmp_path / ".perfcrew"
    folder.mkdir()
    (folder / "ledger.sqlite3").write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(LedgerError, match="can't be opened"):
        Ledger.open(folder)


def test_rooms_of_the_project_stay_visible_to_git_and_measurements_do_not(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / ".perfcrew" / "agents").mkdir()
    (tmp_path / ".perfcrew" / "agents" / "database.md").write_text("ours")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, timeout=30)
    seen = subprocess.run(
        ["git", "-C", str(tmp_path), "status", "--porcelain", "-uall"],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    ).stdout
    assert ".perfcrew/agents/database.md" in seen
    assert "ledger.sqlite3" not in seen


def test_a_kill_in_the_middle_of_writing_loses_nothing_that_was_put(tmp_path: Path) -> None:
    writer = textwrap.dedent("""
        import sys
        from datetime import UTC, datetime
        from pathlib import Path
        from perfcrew.core.evidence import Counts, Failure, Method, Run, Traces
        from perfcrew.ledger import Ledger
        ledger = Ledger.open(Path(sys.argv[1]))
        ledger.begin(Run(id="r1", root="/", workflow="review", started_at=datetime.now(UTC)))
        for n in range(100000):
            ledger.put("r1", f"slot {n}", Failure(stage="s", what="w", error="x" * 500), Method(tool="t", version="1"),
                       blobs={"b": str(n).encode()})
            print(n, flush=True)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", writer, str(tmp_path / "l")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 40:
                os.kill(process.pid, signal.SIGKILL)
                break
    with Ledger.open(tmp_path / "l") as ledger:
        kept = ledger.find("r1")
        assert len(kept) >= 41
        assert all(ledger.blob(e.blobs["b"]) for e in kept)
