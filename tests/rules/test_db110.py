"""DB110 writes in a loop: cases that must be found, and look-alikes that must not."""

from collections.abc import Sequence
from typing import Any

import pytest

from perfcrew.core.scene import Scene
from perfcrew.rules.recipes import ESTIMATE

from .build import App, Found, Shot, Silent, check_found, measured, run, scaling, scene, traced, warm

SOURCE = """
def tag(session, books):
    for book in books:
        session.execute(insert(Tag).values(book_id=book.id))  # in loop

def helper(session, row):
    session.add(row)
    session.flush()  # flush

def fill(session, rows):
    for row in rows:
        helper(session, row)  # calls

def bulk(session, rows):
    session.execute(insert(Tag), rows)  # bulk

def chain(cursor, names, parent=None):
    for name in names:
        row = cursor.execute(INSERT, (parent, name)).fetchone()  # chain
        parent = row[0]

def kept(cursor, names, made):
    for name in names:
        row = cursor.execute(INSERT, (name,)).fetchone()  # kept
        made.append(row[0])

def two(session):
    session.execute(insert(Tag))  # first
    session.execute(insert(Tag))  # second
"""
INSERT = "INSERT INTO tag (book_id, name) VALUES ($1, $2) RETURNING tag.id"


def shot(app: App, count: int, needles: Sequence[str], text: str = INSERT, commits: bool = False, **more: Any) -> Shot:
    app.write("tags.py", SOURCE)
    frames = [app.frame("tags.py", f"# {needle}", "tag") for needle in needles]
    one = Shot()
    for number in range(count):
        one.sql(text, (number, "same"), frames, ms=2, rows=0, **more)
        if commits:
            one.span("database", 1.0, frames, db__operation__name="COMMIT")
    return one


def writing(
    app: App, count: int = 20, needles: Sequence[str] = ("in loop",), scaled: bool = False, **more: Any
) -> Scene:
    shots = warm(lambda: shot(app, count, needles, **more))
    grown = (scaling("db.statements", (21, 41, 81), "linear"),) if scaled else ()
    return scene(app, traced(shots), key="POST /tags", scaling=grown)


def several_lines(app: App) -> Scene:
    app.write("tags.py", SOURCE)
    one = [app.frame("tags.py", "# first", "two")]
    other = [app.frame("tags.py", "# second", "two")]
    return scene(app, traced(warm(lambda: Shot().sql(INSERT, 1, one).sql(INSERT, 2, other))))


def long_one(app: App) -> Scene:
    shots = warm(lambda: shot(app, 60, ("in loop",)))
    return scene(app, traced(shots), key="POST /tags", measurements=(measured("latency", 300.0),))


FOUND = {
    "an insert a row": Found(writing, "tags.py", "# in loop", "medium", None, "INSERT INTO tag"),
    "a flush in a helper, called in a loop": Found(
        lambda app: writing(app, needles=("flush", "calls")), "tags.py", "# flush", "medium", "# calls"
    ),
    "an update a row": Found(
        lambda app: writing(app, text="UPDATE tag SET name = $2 WHERE id = $1"), "tags.py", "# in loop", "medium"
    ),
    "a delete a row": Found(
        lambda app: writing(app, text="DELETE FROM tag WHERE id = $1"), "tags.py", "# in loop", "medium"
    ),
    "each with a commit": Found(lambda app: writing(app, commits=True), "tags.py", "# in loop", "medium"),
    "each gives its key back, which the next one does not need": Found(
        lambda app: writing(app, needles=("kept",)), "tags.py", "# kept", "medium"
    ),
    "growing with the data": Found(lambda app: writing(app, scaled=True), "tags.py", "# in loop", "high"),
    "much of a long request": Found(long_one, "tags.py", "# in loop", "high"),
}

SILENT: dict[str, Silent] = {
    "four rows": lambda app: writing(app, count=4),
    "reads are DB101": lambda app: writing(app, text="SELECT name FROM tag WHERE book_id = $1"),
    "reads for update are DB101": lambda app: writing(app, text="SELECT id FROM tag WHERE id = $1 FOR UPDATE"),
    "an executemany, several times": lambda app: writing(app, needles=("bulk",), perfcrew__db__executemany=100),
    "one write each from two lines": several_lines,
    "each row needs the key of the one before": lambda app: writing(app, needles=("chain",)),
    "the framework's own": lambda app: writing(app, text="SAVEPOINT x", perfcrew__framework=True),
    "commits alone": lambda app: writing(app, text=""),
    "nothing was traced": scene,
    "nothing was instrumented": lambda app: scene(
        app, traced(warm(lambda: shot(app, 20, ("in loop",))), instrumented=False)
    ),
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("DB110", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("DB110", app, build(app)) == []


def test_a_commit_a_row_is_told_and_has_its_own_cure(app: App) -> None:
    (found,) = run("DB110", app, writing(app, commits=True))
    assert "commits each by itself" in found.prose.text
    assert [h.id for h in found.hypotheses] == ["DB110-bulk", "DB110-commit"]
    (plain,) = run("DB110", app, writing(app))
    assert "commits" not in plain.prose.text
    assert [h.id for h in plain.hypotheses] == ["DB110-bulk"]


def test_what_a_row_gives_back_is_kept(app: App) -> None:
    (by_hand,) = run("DB110", app, writing(app))
    assert "RETURNING id, name" in by_hand.hypotheses[0].recipe
    (plain,) = run("DB110", app, writing(app, text=INSERT.partition(" RETURNING")[0]))
    assert "RETURNING" not in plain.hypotheses[0].recipe
    assert by_hand.confidence < plain.confidence


def test_an_orm_asks_for_keys_whether_they_are_needed_or_not(app: App) -> None:
    app.write("models.py", "import sqlalchemy\n")
    frames = [app.frame("models.py", "sqlalchemy", "tag")]

    def make() -> Shot:
        one = Shot()
        for number in range(20):
            one.sql(INSERT, (number, "same"), frames, ms=2, rows=0)
        return one

    (found,) = run("DB110", app, scene(app, traced(warm(make)), key="POST /tags"))
    (plain,) = run("DB110", app, writing(app, text=INSERT.partition(" RETURNING")[0]))
    assert found.confidence == plain.confidence
    assert "sort_by_parameter_order" in found.hypotheses[0].recipe


def test_a_page_without_a_count_knows_its_last_page() -> None:
    assert "maxsize" not in ESTIMATE["django"] and "size + 1" in ESTIMATE["django"]
