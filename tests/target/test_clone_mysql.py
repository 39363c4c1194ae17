"""Clones of a real MariaDB: all that the original holds, made by reading it alone, and gone afterwards."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from apps.support import APPS, project

from perfcrew.core.answers import Mask
from perfcrew.core.errors import TargetFailed, UsageError
from perfcrew.experiment import tables
from perfcrew.target import clone
from perfcrew.target.clones import mysql, urls
from perfcrew.target.launch import launch
from perfcrew.target.leftovers import Registry
from tests.instruments.mariadb_server import serving

pytestmark = pytest.mark.mariadb
UVICORN = ("python", "-m", "uvicorn", "orm_app:app", "--port", "{port}", "--log-level", "warning")
SCHEMA = (
    "CREATE TABLE author (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(80) NOT NULL)",
    "CREATE TABLE a_note (id INT PRIMARY KEY, author_id INT NOT NULL, text VARCHAR(80), half INT AS (id DIV 2) STORED, "
    "whole INT AS (id * 2) VIRTUAL, FOREIGN KEY (author_id) REFERENCES author (id), KEY (text))",
    "CREATE TABLE log (said VARCHAR(80))",
    "CREATE VIEW a_view AS SELECT name FROM names",
    "CREATE TRIGGER told AFTER INSERT ON author FOR EACH ROW INSERT INTO log VALUES (concat('100% ', NEW.name))",
    "INSERT INTO author (name) VALUES ('Ann'), ('Ben'), ('C%s')",
    "INSERT INTO a_note (id, author_id, text) VALUES (0, 1, 'x'), (7, 2, 'y')",
)
PLAINLY = ("SET AUTOCOMMIT", "SET NAMES", "COMMIT", "ROLLBACK")
"""What the driver sends by itself."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as url:
        with closing(mysql.connect(url)) as db, db.cursor() as cursor:
            for statement in SCHEMA:
                cursor.execute(statement.replace("FROM names", "FROM author"))
            cursor.execute("CREATE USER guest@'127.0.0.1' IDENTIFIED BY 'secret'")
            cursor.execute("GRANT SELECT, SHOW VIEW, TRIGGER ON shop.* TO guest@'127.0.0.1'")
        yield url


def ask(url: str, statement: str) -> list[tuple[Any, ...]]:
    with closing(mysql.connect(url, "")) as db, db.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def databases(server: str) -> set[str]:
    return {name for (name,) in ask(server, "SHOW DATABASES")}


def test_a_copy_holds_all_and_the_original_is_only_read(server: str) -> None:
    before = ask(server, "CHECKSUM TABLE shop.author, shop.a_note, shop.log")
    ask(server, "SET GLOBAL log_output = 'TABLE', general_log = ON")
    mysql.copy(server, "perfcrew_all")
    sent = ask(server, "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log WHERE command_type = 'Query'")
    ask(server, "SET GLOBAL general_log = OFF")
    assert len(sent) > 10
    ours = [text for (text,) in sent if not text.startswith(PLAINLY)]
    last = [text for text in ours if "general_log" not in text]
    assert [text for text in last if not text.startswith("/* perfcrew")] == []
    assert [text for text in last if text.startswith(mysql.READ_ONLY) and "START TRANSACTION READ ONLY" in text]
    assert ask(server, "CHECKSUM TABLE shop.author, shop.a_note, shop.log") == before
    copied = urls.with_database(server, "perfcrew_all")
    with closing(mysql.connect(copied)) as db, db.cursor() as cursor:
        assert mysql.count(db) == {"a_note": 2, "author": 3, "log": 3}
        cursor.execute("SELECT id, half, whole FROM a_note ORDER BY id")
        assert cursor.fetchall() == ((0, 0, 0), (7, 3, 14))
        cursor.execute("INSERT INTO author (name) VALUES ('Dan')")
        cursor.execute("SELECT said FROM log ORDER BY said DESC LIMIT 1")
        assert cursor.fetchone() == ("100% Dan",), "the trigger came along"
        cursor.execute("SELECT count(*) FROM a_view")
        assert cursor.fetchone() == (4,), "the view reads the copy"
        cursor.execute("SELECT count(*) FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = 'perfcrew_all' "
                       "AND REFERENCED_TABLE_SCHEMA = 'perfcrew_all'")  # fmt: skip
        assert cursor.fetchone() == (1,)
        mysql.empty(db, frozenset(["log"]))
        assert {n for n, c in mysql.count(db).items() if c} == {"log"}
    mysql.drop(server, "perfcrew_all")
    assert "perfcrew_all" not in databases(server)


def test_one_who_may_only_read_is_told_what_to_do(server: str) -> None:
    before = databases(server)
    theirs = server.replace("root@", "guest:secret@")
    assert mysql.exists(theirs)
    with pytest.raises(UsageError, match="the user guest may not make a clone") as refused:
        mysql.copy(theirs, "perfcrew_theirs")
    assert "GRANT ALL ON `perfcrew_%`" in refused.value.do and "secret" not in str(refused.value)
    assert databases(server) == before


@pytest.mark.parametrize(("change", "word"), [
    (("root@", "guest:wrong-one@"), "Access denied"), (("root@127.0.0.1:", "root@127.0.0.1:1"), "no connection"),
])  # fmt: skip
def test_no_connection_tells_no_password(server: str, change: tuple[str, str], word: str) -> None:
    broken = "mysql://root:wrong-one@127.0.0.1:1/shop" if word == "no connection" else server.replace(*change)
    with pytest.raises(TargetFailed, match=word) as failed:
        mysql.exists(broken)
    assert "wrong-one" not in str(failed.value) + failed.value.where


def test_only_databases_of_our_own_are_dropped(server: str) -> None:
    with pytest.raises(UsageError, match="not a database of ours"):
        mysql.drop(server, "shop")
    assert "is not a database" in mysql.try_drop(server, "shop")
    assert "shop" in databases(server)


def test_a_database_that_is_not_there_or_empty(server: str) -> None:
    assert not mysql.exists(urls.with_database(server, "nowhere"))
    mysql.create(server, "perfcrew_empty")
    assert not mysql.exists(urls.with_database(server, "perfcrew_empty"))
    mysql.drop(server, "perfcrew_empty")


@pytest.mark.target
async def test_the_target_writes_to_the_clone_alone(server: str, tmp_path: Path) -> None:
    before = databases(server)
    tree, registry = tmp_path / "tree", Registry(tmp_path / "leftovers")
    tree.mkdir()
    shutil.copy(APPS / "orm_app.py", tree)
    what = project(tree, *UVICORN, framework="fastapi", database_url=server, database_variable="SHOP_DB")
    what = what.model_copy(update={"start_timeout_s": 90.0})
    async with await clone.prepare(what, workspace=tmp_path / "work", registry=registry) as template:
        data = await template.clone("one")
        assert (template.engine, template.original, data.engine) == ("mysql", None, "mysql")
        async with launch(what, data=data, workspace=tmp_path / "work", registry=registry) as running:
            with urllib.request.urlopen(running.base_url + "/", timeout=10) as answer:
                assert json.load(answer)["books"] >= 1
            assert data.tables()["book"] >= 1 and data.tables()["author"] == 3
        assert tables.snapshot(data, Mask()).tables["author"].rows == 3
        data.drop()
    assert databases(server) == before
    assert "book" not in {name for (name,) in ask(server, "SHOW TABLES FROM shop")}
    assert not list(registry.folder.iterdir())
