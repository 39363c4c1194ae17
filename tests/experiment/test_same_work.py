"""Sides that answer otherwise get no verdict: revisions, settings and addresses, against a real application."""

from __future__ import annotations

import sqlite3
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from perfcrew.core.comparison import Comparison, Side
from perfcrew.core.web import Endpoint, Fingerprint, Plan, Request
from perfcrew.experiment.addresses import SUBJECT, compare_answers
from perfcrew.experiment.engine import OTHER_WORK, Rules
from perfcrew.experiment.markup import page_gaps
from perfcrew.experiment.same_work import Data, Work
from perfcrew.experiment.servers import APPLICATION
from perfcrew.experiment.sides import compare_sides
from perfcrew.experiment.wish import Wish

from .repositories import commit, git, write
from .test_servers import left

APP = Path(__file__).parent / "apps" / "library.py"
CONFIG = """
[target]
app = "library:app"
framework = "starlette"
start = ["{python}", "-m", "uvicorn", "library:app", "--host", "{{host}}", "--port", "{{port}}"]
health = "/health"
start_timeout_s = 20
database_url = "sqlite:///library.db"
database_variable = "LIBRARY"
seed = {seed}
"""
PAGES = ("books", "ordered", "first", "clock", "page")
SHORT = Rules(error=0.4, budget_s=20.0, fewest=2, most=2)
"""Enough to see whether it was measured, not for a verdict that says much."""


def library(root: Path, seed: str = "[]") -> Path:
    """The application as a project, its pages as scenarios."""
    scenarios = [f'[[scenarios]]\nname = "{page}"\nrequests = [{{ path = "/{page}" }}]\n' for page in PAGES]
    config = CONFIG.format(python=sys.executable, seed=seed)
    write(root, library_dot_py=APP.read_bytes(), perfcrew_dot_toml=config + "\n".join(scenarios))
    return root


def filled(root: Path, rows: int = 40) -> Path:
    with sqlite3.connect(root / "library.db") as db:
        db.execute("CREATE TABLE book (id INTEGER PRIMARY KEY, title VARCHAR(40) NOT NULL)")
        db.executemany("INSERT INTO book (title) VALUES (?)", [(f"Book {n}",) for n in range(rows)])
    return root


async def compared(root: Path, **wished: Any) -> dict[str, Comparison]:
    wish = Wish(root=root, rules=SHORT, **wished)
    return {one.subject: one for one in await compare_sides(wish, lambda what: None)}


@pytest.mark.target
async def test_what_is_answered_otherwise_has_no_verdict_and_the_others_are_judged(tmp_path: Path) -> None:
    """The time, a random id and a token in a page are in all answers, and no difference."""
    found = await compared(filled(library(tmp_path)), settings=("B:CHANGE=fewer order text",))
    said = {
        "GET /books": "GET /books: length $.books was list of 40, is list of 10",
        "GET /ordered": "GET /ordered: order $.books was list of 40, is the same in another order",
        "GET /page": "GET /page: value html/h1/text was text of 11 characters",
    }
    for subject, why in said.items():
        refused = found[subject]
        assert refused.refused.startswith(f"{OTHER_WORK}: {why}"), refused.refused
        assert (refused.verdict, refused.answers, refused.pairs_count) == (None, "different", 0)
        assert "library" not in refused.refused
    clock = found["GET /clock"]
    assert (clock.answers, clock.pairs_count) == ("equal", 2) and OTHER_WORK not in clock.refused
    assert found[APPLICATION].pairs_count == 2 and found[APPLICATION].answers is None
    notes = " ".join(found[APPLICATION].notes)
    assert "compared before measuring, in" in notes and "rows: book 40" in notes
    assert not left(tmp_path)


@pytest.mark.target
async def test_a_revision_with_a_limit_is_refused_by_name_unless_it_was_asked_for(tmp_path: Path) -> None:
    root = tmp_path / "library"
    library(root)
    git(root, "init", "-q", "-b", "main")
    write(root, _dot_gitignore=".perfcrew/\n*.db\n__pycache__/\n")
    commit(root, "one")
    source = APP.read_text().replace('"fewer" in CHANGE', "True").replace('"shape" in CHANGE', "True")
    write(root, library_dot_py=source)
    commit(root, "two")
    filled(root)
    revisions = ("HEAD~1", "HEAD")
    found = await compared(root, revisions=revisions, scenarios=("GET /books", "GET /ordered"))
    assert "length $.books was list of 40, is list of 10; --answers-may-differ" in found["GET /books"].refused
    assert "presence $.new was absent, is present" in found["GET /ordered"].refused
    assert APPLICATION not in found, "nothing was left to be measured"
    scenarios = ("GET /books", "GET /ordered", "GET /clock")
    found = await compared(
        root, revisions=revisions, scenarios=scenarios, settings=("B:CHANGE=status",), answers_may_differ=True
    )
    for subject in scenarios[:2]:
        judged = found[subject]
        assert OTHER_WORK not in judged.refused and judged.pairs_count == 2, judged.refused
        assert (judged.answers, judged.answers_may_differ) == ("different", True)
        assert any(note.startswith("the answers differ, which --answers-may-differ allows: ") for note in judged.notes)
    assert found["GET /clock"].verdict is None and OTHER_WORK in found["GET /clock"].refused, "an error is no answer"
    assert not left(tmp_path)


@pytest.mark.target
async def test_what_seeding_twice_makes_otherwise_may_differ(tmp_path: Path) -> None:
    """Titles are drawn by lot, so that both revisions have others; how many there are is drawn by nobody."""
    root = library(tmp_path / "library", f'["{sys.executable}", "library.py", "seed"]')
    git(root, "init", "-q", "-b", "main")
    write(root, _dot_gitignore=".perfcrew/\n*.db\n__pycache__/\n")
    commit(root, "one")
    write(root, library_dot_py=APP.read_text().replace("rows=40", "rows=10"))
    commit(root, "two")
    found = await compared(root, revisions=("HEAD~1", "HEAD"), scenarios=("GET /books", "GET /first"))
    assert (found["GET /books"].answers, found["GET /first"].answers) == ("different", "equal")
    assert "length $.books was list of 40, is list of 10" in found["GET /books"].refused
    notes = found[APPLICATION].notes
    assert "rows in A: book 40; in B: book 10" in notes
    assert any("A's were made twice to learn from" in note for note in notes)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """The address of a page that this answers."""
    application = web.Application()
    application.router.add_get("/books", handler)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/books?page=1"
    finally:
        await runner.cleanup()


def answering(**more: Any) -> Handler:
    """Forty books, with the time, a random id and a link to itself; `more` goes over that."""

    async def handler(request: web.Request) -> web.StreamResponse:
        status, headers = more.get("status", 200), more.get("headers", {})
        if "page" in more:
            return web.Response(text=more["page"], content_type="text/html", status=status, headers=headers)
        books = [{"id": n, "title": f"Book {n}"} for n in more.get("ids", range(40))]
        volatile = {"at": time.time(), "trace": uuid.uuid4().hex, "next": f"http://{request.host}/books?page=2"}
        return web.json_response({"books": books, **volatile}, status=status, headers=headers)

    return handler


ADDRESSES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("equal", {}, {}, ""),
    ("fewer", {}, {"ids": range(10)}, "length $.books was list of 40, is list of 10"),
    ("another order", {}, {"ids": [*range(1, 40), 0]}, "order $.books was list of 40, is the same in another order"),
    ("another status", {}, {"status": 500}, "status was 200, is 500"),
    ("another type", {}, {"page": "<p>Book 1</p>"}, "header content-type was application/json"),
    ("another text", {"page": "<p>one</p>"}, {"page": "<p>two</p>"}, "value p/text was text of 3 characters"),
    ("fewer in a page", {"page": "<b>1</b>" * 9}, {"page": "<b>1</b>" * 4}, "presence b was there 9 times, is there 4"),
    ("white space", {"page": "<p>one</p>\n<p>two</p>"}, {"page": "<p>one</p><p>two </p>"}, ""),
    ("another server's headers", {}, {"headers": {"Server": "x", "X-Served-By": "b", "Vary": "Cookie"}}, ""),
]


@pytest.mark.parametrize(("name", "one", "other", "said"), ADDRESSES, ids=[case[0] for case in ADDRESSES])
async def test_addresses_that_answer_otherwise(
    name: str, one: dict[str, Any], other: dict[str, Any], said: str
) -> None:
    async with serving(answering(**one)) as a, serving(answering(**other)) as b:
        work = await compare_answers(a, b, lambda what: None, pause_s=0.05)
    assert work.differing.get(SUBJECT, "").startswith(said) and bool(work.differing) == bool(said), work
    assert not work.unknown


async def test_addresses_that_answer_themselves_otherwise_are_not_known_to_differ() -> None:
    statuses = [200, 503]

    async def now_and_then(request: web.Request) -> web.StreamResponse:
        statuses.reverse()
        return web.Response(status=statuses[0])

    async with serving(now_and_then) as a, serving(answering()) as b:
        work = await compare_answers(a, b, lambda what: None, pause_s=0.05)
    assert not work.differing and "status" in work.unknown[SUBJECT]


async def test_an_address_that_nobody_serves_is_no_verdict(tmp_path: Path) -> None:
    async with serving(answering()) as gone:
        pass
    async with serving(answering()) as a:
        found = (await compared(tmp_path, urls=(a, gone)))[SUBJECT]
    assert found.verdict is None and f"could not be measured: {gone} gives no answer: no connection" in found.refused


async def test_a_comparison_of_addresses_is_refused_or_measured_as_asked_for(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        sides = answering(), answering(ids=range(10))
        urls = tuple([await stack.enter_async_context(serving(side)) for side in sides])
        refused = (await compared(tmp_path, urls=urls))[SUBJECT]
        judged = (await compared(tmp_path, urls=urls, answers_may_differ=True))[SUBJECT]
    assert refused.verdict is None and "list of 40, is list of 10" in refused.refused and not refused.effects
    assert (refused.answers, judged.answers, judged.answers_may_differ) == ("different", "different", True)
    assert judged.effects and OTHER_WORK not in judged.refused
    assert any("the answers differ" in note for note in judged.notes)


@pytest.mark.parametrize(
    ("name", "data", "little", "notes"),
    [
        ("no database", Data({}, {}), False, ()),
        ("empty tables", Data({"book": 0}, {"book": 0}), True, ("rows: book 0",)),
        ("a few", Data({"book": 99, "visit": 3}, {"book": 99, "visit": 3}), True, ("rows: book 99, visit 3",)),
        ("enough", Data({"book": 100}, {"book": 100}), False, ("rows: book 100",)),
        ("enough in B", Data({"book": 4}, {"book": 4000}), False, ("rows in A: book 4; in B: book 4,000",)),
        ("the largest", Data(dict(a=1, b=5, c=5, d=9), dict(a=1, b=5, c=5, d=9)), True, ("rows: d 9, b 5, c 5",)),
        ("no table in B", Data({"book": 4}, {}), True, ("rows in A: book 4; in B: none",)),
    ],
)
def test_how_much_data_there_is(name: str, data: Data, little: bool, notes: tuple[str, ...]) -> None:
    assert data.notes() == notes
    assert bool(data.little()) == little
    assert not little or ("N+1" in data.little() and "[data]" in data.little())


def plan(key: str, count: int = 2, known: int = 2, expect: int | None = None) -> Plan:
    method, _, path = key.partition(" ")
    requests = tuple(Request(endpoint=key, method=method, target=path, expect=expect) for _ in range(count))
    prints = tuple(Fingerprint(status=201, shape="x", size_bytes=1, items=None) for _ in range(known))
    return Plan(endpoint=Endpoint(method=method, path=path, source="scenario"), requests=requests, fingerprints=prints)


PLANS = (plan("GET /same"), plan("GET /other"), plan("GET /late", known=1), plan("GET /told", expect=200))
WORK = Work(
    frozenset(one.endpoint.key for one in PLANS),
    differing={"GET /other": "status was 200, is 404", "GET /told": "text was 1, is 2"},
    unknown={"GET /late": "it came too late"},
    notes=("of all",),
    little="so little",
)


def test_what_differs_is_not_measured_unless_it_may() -> None:
    assert [p.endpoint.key for p in WORK.measured(PLANS, may_differ=False)] == ["GET /same", "GET /late"]
    assert WORK.measured(PLANS, may_differ=False)[1] == PLANS[2]
    same, *others = WORK.measured(PLANS, may_differ=True)
    assert same == PLANS[0]
    assert [[r.expect for r in one.requests] for one in others] == [[201, 201], [201, None], [200, 200]]
    assert not any(one.fingerprints for one in others)


@pytest.mark.parametrize("may_differ", [False, True])
def test_what_is_known_of_the_answers_is_told(may_differ: bool) -> None:
    subjects = [*sorted(WORK.subjects), APPLICATION]
    late, other, same, _, last = WORK.told([comparison(subject) for subject in subjects], may_differ)
    assert (late.answers, other.answers, same.answers, last.answers) == ("unknown", "different", "equal", None)
    assert "not known: it came too late" in late.notes[0] and same.notes == ("so little",) and last.notes == ("of all",)
    assert ("which --answers-may-differ allows: status was 200, is 404" in other.notes[0]) == may_differ
    assert {one.answers_may_differ for one in (late, last)} == {may_differ}


def comparison(subject: str) -> Comparison:
    side = Side(label="A", what="a")
    return Comparison(
        subject=subject, a=side, b=side, verdict="equivalent", design="instances", pairs_count=6, margin_share=0.02,
        error_share=0.005, seed=0, spent_s=1.0, budget_s=60.0,
    )  # fmt: skip


def test_pages_that_are_made_of_other_pieces_say_how_many() -> None:
    gap = page_gaps("<ul>" + "<li>x</li>" * 40 + "</ul>", "<ul>" + "<li>x</li>" * 10 + "</ul>", frozenset())[0]
    assert gap.told == "presence ul/li was there 40 times, is there 10 times"
    moved = page_gaps("<i>1</i><b>2</b>", "<b>2</b><i>1</i>", frozenset())[0]
    assert (moved.base, moved.change) == ("another structure", "another structure")
