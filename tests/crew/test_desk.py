"""What is on a model's desk: it reads this run and this project, writes nothing, and every answer has an id."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from perfcrew.core.errors import Unmeasurable, UsageError
from perfcrew.core.evidence import Evidence, Failure, Method, Run
from perfcrew.core.thinking import Lookup
from perfcrew.crew.desk import Desk, rows
from perfcrew.crew.desk.files import Files
from perfcrew.crew.desk.place import MOST_LOOKUPS
from perfcrew.crew.desk.rows import MOST_ROWS, query
from perfcrew.crew.desk.tools import toolbox
from perfcrew.ledger import Ledger
from tests.crew.desk import desk, one, shop
from tests.report.make_ledger import RUN

ID = re.compile(r"^(E-[0-9a-f]{12}) \(")


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with shop(tmp_path_factory.mktemp("shop")) as made:
        yield made


async def asked(at: Desk, tool: str, **arguments: object) -> str:
    (found,) = [t for t in toolbox(at) if t.name == tool]
    return str(await found.ainvoke(arguments))


def kept(at: Desk, said: str) -> Evidence:
    """The evidence that an answer names; its text stands between the fence's marks."""
    match = ID.match(said)
    assert match, said
    assert said.count("<data>") == said.count("</data>") >= 1
    return at.ledger.get(match.group(1))


async def test_every_tool_answers_with_an_id_and_a_fence(ledger: Ledger) -> None:
    at = desk(ledger)
    some = one(ledger, "traces").id
    for tool, arguments in {
        "list_evidence": {"kind": "traces"},
        "query_ledger": {"sql": "SELECT kind, count(*) FROM evidence GROUP BY kind"},
        "show_source": {"file": "src/bookshop/api.py", "line": 5},
        "search_project": {"words": "authors"},
    }.items():
        item = kept(at, await asked(at, tool, **arguments))
        assert isinstance(item.body, Lookup) and item.body.tool == tool and not item.body.refused
    assert kept(at, await asked(at, "read_evidence", id=some)).id == some


async def test_the_same_question_is_kept_once(ledger: Ledger) -> None:
    at = desk(ledger)
    first = kept(at, await asked(at, "search_project", words="paged"))
    assert kept(at, await asked(at, "search_project", words="paged")).id == first.id


async def test_notes_come_before_source(ledger: Ledger) -> None:
    assert next(desk(ledger).files.names()) == "CLAUDE.md"


NOT_SHOWN = {
    "variables": ".env",
    "secrets by name": "config/secrets.yaml",
    "a key": "deploy/server.pem",
    "git's own": ".git/config",
    "packages": "node_modules/x/index.js",
    "the ledger": ".perfcrew/ledger.sqlite3",
    "above": "../outside.py",
    "absolute": "/etc/passwd",
    "around a corner": "src/../../outside.py",
    "a link": "link.py",
    "below a link": "linked/outside.py",
    "nothing": "nowhere.py",
    "a folder": "src",
}


@pytest.mark.parametrize("what", NOT_SHOWN)
async def test_not_shown(what: str, ledger: Ledger) -> None:
    at = desk(ledger)
    outside = at.root.parent / "outside.py"
    outside.write_text("SECRET\n")
    for name, to in (("link.py", outside), ("linked", at.root.parent)):
        if not (at.root / name).is_symlink():
            (at.root / name).symlink_to(to)
    said = await asked(at, "show_source", file=NOT_SHOWN[what])
    item = kept(at, said)
    assert isinstance(item.body, Lookup) and item.body.refused
    for secret in ("opensesame1", "sk_live", "PRIVATE", "SECRET"):
        assert secret not in said


async def test_a_search_does_not_look_where_nothing_is_shown(ledger: Ledger) -> None:
    for words in ("opensesame1", "sk_live", "stripe", "authors index"):
        assert "nothing holds" in await asked(desk(ledger), "search_project", words=words)


def test_a_long_file_is_shown_in_part(tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text("x = 1\n" * 5000)
    assert len(Files(tmp_path).lines("long.py", 2500, around=10_000).splitlines()) <= 161
    with pytest.raises(UsageError, match="has 5000 lines"):
        Files(tmp_path).lines("long.py", 6000)


REFUSED = {
    "delete": "DELETE FROM evidence",
    "update": "UPDATE evidence SET body = '{}'",
    "insert": "INSERT INTO evidence VALUES (1, 2, 3, 4, 5)",
    "drop": "DROP TABLE evidence",
    "make": "CREATE TABLE x (y)",
    "attach": "ATTACH DATABASE '/tmp/x' AS x",
    "pragma": "PRAGMA writable_schema = ON",
    "two statements": "SELECT 1; DELETE FROM evidence",
    "the schema": "SELECT * FROM sqlite_master",
    "an extension": "SELECT load_extension('/tmp/x.so')",
    "a file": "SELECT writefile('/tmp/x', 'y')",
    "a large value": "SELECT group_concat(a.body) FROM evidence a, evidence b, evidence c",
    "random": "SELECT randomblob(10)",
    "no SQL": "please",
    "nothing": "",
}


@pytest.mark.parametrize("what", REFUSED)
async def test_refused(what: str, ledger: Ledger) -> None:
    at = desk(ledger)
    item = kept(at, await asked(at, "query_ledger", sql=REFUSED[what]))
    if what == "nothing":
        assert isinstance(item.body, Lookup) and not item.body.said
        return
    assert isinstance(item.body, Lookup) and item.body.refused


async def test_a_question_without_end_ends(ledger: Ledger) -> None:
    forever = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    with pytest.raises(UsageError, match="interrupted"):
        await query(ledger.find(RUN), forever)


ENDLESS = "SELECT printf('%.*c', 900000, 'a') LIKE ('%' || printf('%.*c', 40000, 'a') || 'b')"


async def test_one_step_of_the_machine_without_end_ends_and_stops_nobody(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite does not look at its clock within a `LIKE`: an hour of it would be an hour in which no time-out counts."""
    monkeypatch.setattr(rows, "_PATIENCE_S", 1.5)
    asking = asyncio.create_task(query(ledger.find(RUN), ENDLESS))
    beats = 0
    while not asking.done():
        await asyncio.sleep(0.1)
        beats += 1
    with pytest.raises(UsageError, match="interrupted"):
        await asking
    assert beats > 5


async def test_a_question_that_is_given_up_leaves_no_process(ledger: Ledger) -> None:
    before = {p.pid for p in psutil.Process().children()}
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await query(ledger.find(RUN), ENDLESS)
    assert {p.pid for p in psutil.Process().children()} <= before


async def test_one_answer_that_asks_for_hundreds_is_refused_the_rest(ledger: Ledger) -> None:
    at = desk(ledger, _asked=MOST_LOOKUPS - 3)
    said = await asyncio.gather(*[asked(at, "show_source", file="CLAUDE.md", around=n) for n in range(8)])
    assert sum("no more" in one for one in said) == 5


@pytest.mark.parametrize("name", ["a" * 5000, "x\ud800.py", "CLAUDE.md/x.py"])
async def test_a_name_that_no_file_can_have_is_refused(name: str, ledger: Ledger) -> None:
    at = desk(ledger)
    assert "(refused)" in await asked(at, "show_source", file=name)


async def test_rows_are_bounded(ledger: Ledger) -> None:
    said = await query(ledger.find(RUN), "SELECT a.id FROM evidence a, evidence b")
    assert len(said.splitlines()) == MOST_ROWS + 2
    assert "narrow" in said


async def test_json_is_read_in_sql(ledger: Ledger) -> None:
    sql = "SELECT json_extract(body, '$.counts.statements_count') FROM evidence WHERE kind = 'traces' AND subject = ?"
    sql = sql.replace("?", "'GET /authors'")
    assert (await query(ledger.find(RUN), sql)).splitlines()[1] == "51.0"


async def test_another_runs_rows_are_not_there(ledger: Ledger) -> None:
    other = Run(id="another", root="/elsewhere", workflow="review", started_at=datetime.now(UTC))
    ledger.begin(other)
    theirs = ledger.put(
        "another", "f", Failure(stage="s", what="theirs alone", error="e"), Method(tool="t", version="1")
    )
    at = desk(ledger)
    assert "theirs alone" not in await asked(at, "query_ledger", sql="SELECT body FROM evidence WHERE kind = 'failure'")
    item = kept(at, await asked(at, "read_evidence", id=theirs.id))
    assert isinstance(item.body, Lookup) and item.body.refused


async def test_requests_and_variables_are_not_read(ledger: Ledger) -> None:
    at = desk(ledger)
    for kind in ("survey", "frame"):
        item = kept(at, await asked(at, "read_evidence", id=one(ledger, kind).id))
        assert isinstance(item.body, Lookup) and item.body.refused
        assert kind not in await asked(at, "query_ledger", sql="SELECT DISTINCT kind FROM evidence")


async def test_the_file_itself_is_as_before(ledger: Ledger) -> None:
    with sqlite3.connect(ledger.where) as db:
        before = db.execute("SELECT count(*) FROM evidence").fetchone()
    for sql in REFUSED.values():
        if sql:
            with pytest.raises(UsageError):
                await query(ledger.find(RUN), sql)
    with sqlite3.connect(ledger.where) as db:
        assert db.execute("SELECT count(*) FROM evidence").fetchone() == before


async def test_an_instrument_runs_on_an_endpoint_that_there_is(ledger: Ledger) -> None:
    told: list[tuple[str, str]] = []

    async def measure(instrument: str, endpoint: str) -> list[Evidence]:
        told.append((instrument, endpoint))
        return [one(ledger, "profile")]

    at = desk(ledger, instruments=("py-spy",), measure=measure)
    said = await asked(at, "run_instrument", instrument="py-spy", endpoint="GET /books")
    assert kept(at, said).kind == "profile"
    for instrument, endpoint in (("rm", "GET /books"), ("py-spy", "GET /admin; rm -rf /")):
        item = kept(at, await asked(at, "run_instrument", instrument=instrument, endpoint=endpoint))
        assert isinstance(item.body, Lookup) and item.body.refused
    assert told == [("py-spy", "GET /books")]


async def test_an_instrument_that_fails_is_told(ledger: Ledger) -> None:
    async def measure(instrument: str, endpoint: str) -> list[Evidence]:
        raise Unmeasurable("the time for measuring is used up")

    at = desk(ledger, instruments=("py-spy",), measure=measure)
    assert "used up" in await asked(at, "run_instrument", instrument="py-spy", endpoint="GET /books")


def test_without_instruments_there_is_no_such_tool(ledger: Ledger) -> None:
    assert "run_instrument" not in {t.name for t in toolbox(desk(ledger))}


async def test_secrets_of_the_target_are_taken_out_of_what_is_said(ledger: Ledger) -> None:
    at = desk(ledger, redact=lambda text: text.replace("titles", "***").replace("paged", "***"))
    assert "paged" not in await asked(at, "search_project", words="paged")
