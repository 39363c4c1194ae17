"""hypopg and trigrams, where a PostgreSQL with them is installed: an embedded one has no contrib extensions."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from perfcrew.core.evidence import IndexTrial
from perfcrew.instruments.index_advice import Asked, advise
from tests.instruments.database_clones import TestClone

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
TRIGRAMS = [p for p in PROGRAMS if Path(f"/usr/share/postgresql/{p.parent.name}/extension/pg_trgm.control").exists()]
HYPOPG = [p for p in TRIGRAMS if Path(f"/usr/share/postgresql/{p.parent.name}/extension/hypopg.control").exists()]
pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(not TRIGRAMS, reason="needs Debian's postgresql, which has pg_trgm"),
]
ROWS = 20_000


def user() -> str | None:
    """The server refuses to run as root."""
    if os.getuid():
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in known), None)


@pytest.fixture(scope="module")
def clone() -> Iterator[TestClone]:
    folder = Path(tempfile.mkdtemp(prefix="perfcrew-pg-"))
    runs_as = user()
    if runs_as:
        shutil.chown(folder, runs_as)
    programs = (HYPOPG or TRIGRAMS)[0]
    started = f"-c listen_addresses='' -k {folder} -c fsync=off"

    def run(*command: str) -> None:
        subprocess.run(command, user=runs_as, cwd=folder, check=True, timeout=60, stdout=subprocess.DEVNULL)

    run(str(programs / "initdb"), "-D", f"{folder}/data", "-U", "postgres", "-A", "trust", "--no-sync")
    run(str(programs / "pg_ctl"), "-D", f"{folder}/data", "-w", "-l", f"{folder}/log", "-o", started, "start")
    try:
        url = f"postgresql://postgres@/postgres?host={folder}"
        with psycopg.connect(url) as db:
            db.execute(
                "CREATE EXTENSION pg_trgm; CREATE TABLE book (id integer PRIMARY KEY, title text, shelf integer)"
            )
            db.execute(
                f"INSERT INTO book SELECT n, md5(n::text) || ' ' || md5((n * 7)::text), n % 500 "
                f"FROM generate_series(1, {ROWS}) n"
            )
        yield TestClone("postgresql", lambda: psycopg.connect(url))
    finally:
        run(str(programs / "pg_ctl"), "-D", f"{folder}/data", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


FORMS = {
    "LIKE": ("SELECT id FROM book WHERE title LIKE %s", ["%abcde%"]),
    "ILIKE": ("SELECT id FROM book WHERE title ILIKE $1", ["%ABCDE%"]),
    "as Django sends it": ('SELECT id FROM "book" WHERE UPPER("book"."title"::text) LIKE UPPER(%s)', ["%abcde%"]),
}


@pytest.mark.parametrize(("statement", "values"), FORMS.values(), ids=FORMS)
def test_text_anywhere_by_trigrams(clone: TestClone, statement: str, values: list[str]) -> None:
    trial = advise(clone, [Asked(statement, [values])]).trials[0]
    assert isinstance(trial, IndexTrial)
    assert trial.spec.using == "gin" and "gin_trgm_ops" in trial.ddl
    assert trial.after_median_ms < trial.before_median_ms


@pytest.mark.skipif(not HYPOPG, reason="needs Debian's postgresql-…-hypopg")
def test_hypopg_leaves_out_what_the_planner_would_not_use(clone: TestClone) -> None:
    before = clone.indexes()
    workload = [
        Asked("SELECT * FROM book WHERE shelf = %s", [[7]]),
        Asked("SELECT count(*) FROM book WHERE shelf > %s", [[3]]),
        Asked("SELECT count(*) FROM book WHERE lower(title) > %s", [[""]]),
    ]
    advice = advise(clone, workload).advice
    assert advice.filtered
    assert [a.index.keys for a in advice.advised] == [("shelf",)]
    assert ("book (lower(title))", "the planner would not use it") in {(r.index, r.reason) for r in advice.refused}
    assert clone.indexes() == before
