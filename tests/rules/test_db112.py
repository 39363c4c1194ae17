"""DB112 OFFSET that grows: cases that must be found, and look-alikes that must not."""

import json
from collections.abc import Sequence

import pytest

from perfcrew.core.evidence import PageTrial, QueryPlan
from perfcrew.core.scene import Scene, Seen

from .build import App, Found, Shot, Silent, check_found, run, scene, traced, warm

SOURCE = """
def listing(session, page):
    return session.scalars(select(Book).limit(20).offset(page * 20)).all()  # page
"""
TEXT = "SELECT book.id FROM book ORDER BY book.id LIMIT $1 OFFSET $2"


def trial(first: float = 1.0, later: float = 20.0, rows: int = 50_000) -> PageTrial:
    return PageTrial(
        result_rows=rows,
        skipped_rows=rows * 9 // 10,
        first_ms=(first, first * 1.1),
        later_ms=(later, later * 1.1),
        first_median_ms=first * 1.05,
        later_median_ms=later * 1.05,
        later_read_rows=rows * 9 / 10 + 20,
    )


NEWEST = """
def listing(session):
    return session.scalars(select(Book).limit(20)).all()  # page
"""


def paged(
    app: App,
    tried: PageTrial | None = None,
    offsets: Sequence[tuple[int, float]] = ((0, 1.0),),
    text: str = TEXT,
    code: str = SOURCE,
) -> Scene:
    app.write("listing.py", code)
    frames = [app.frame("listing.py", "# page", "listing")]
    shots = [
        Shot().sql(text, (20, offset), frames, ms=ms, rows=20, perfcrew__db__parameters=json.dumps([20, offset]))
        for offset, ms in offsets
        for _ in range(3)
    ]
    plan = QueryPlan(engine="postgresql", shape="", statement=text, nodes=(), pages=tried)
    return scene(app, traced(shots), plans=(Seen("plan-1", plan),))


FOUND = {
    "a later page on the clone": Found(
        lambda app: paged(app, trial()), "listing.py", "# page", "medium", None, "OFFSET"
    ),
    "far later": Found(lambda app: paged(app, trial(later=200)), "listing.py", "# page", "high"),
    "as the traced requests show": Found(
        lambda app: paged(app, offsets=((0, 1.0), (40, 1.1), (40_000, 30.0))), "listing.py", "# page", "medium"
    ),
    "with an offset that was sent, whatever the code says": Found(
        lambda app: paged(app, trial(), offsets=((20, 1.0),), code=NEWEST), "listing.py", "# page", "medium"
    ),
    "by a slice": Found(
        lambda app: paged(app, trial(), code=NEWEST.replace(".limit(20)", "[start:start + 20]")),
        "listing.py",
        "# page",
        "medium",
    ),
    "with the offset in the text": Found(
        lambda app: paged(app, trial(), text="SELECT id FROM book ORDER BY id LIMIT 20 OFFSET 0"),
        "listing.py",
        "# page",
        "medium",
    ),
}

SILENT: dict[str, Silent] = {
    "a later page that is as quick": lambda app: paged(app, trial(later=1.5)),
    "times that overlap": lambda app: paged(
        app, trial().model_copy(update={"first_ms": (1.0, 25.0), "later_ms": (20.0, 22.0)})
    ),
    "a small result": lambda app: paged(app, trial(rows=300)),
    "a difference that nobody feels": lambda app: paged(app, trial(first=0.1, later=0.9)),
    "no trial, and one page": paged,
    "traced pages that are as quick": lambda app: paged(app, offsets=((0, 5.0), (40_000, 6.0))),
    "traced pages that are near": lambda app: paged(app, offsets=((0, 1.0), (40, 30.0))),
    "no OFFSET": lambda app: paged(app, trial(), text="SELECT book.id FROM book ORDER BY book.id LIMIT $1"),
    "an offset of 0 that SQLAlchemy adds for SQLite": lambda app: paged(app, trial(), code=NEWEST),
    "nothing was traced": scene,
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("DB112", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("DB112", app, build(app)) == []


def test_the_offsets_of_users_are_not_told(app: App) -> None:
    (found,) = run("DB112", app, paged(app, offsets=((0, 1.0), (40_123, 30.0))))
    assert "40,123" not in found.model_dump_json() and "40123" not in found.model_dump_json()


NAMED = "SELECT book.id FROM book ORDER BY book.id LIMIT {} OFFSET {}"
MARKS = {
    "psycopg by name": ("%(param_1)s", "%(skips)s", {"param_1": 20}),
    "by name": (":a", ":skips", {"a": 20}),
    "by number, the other way round": ("$2", "$1", None),
    "by position": ("%s", "%s", [20]),
    "SQLite's": ("?", "?", [20]),
}


@pytest.mark.parametrize(("limit", "mark", "given"), MARKS.values(), ids=MARKS)
def test_the_offset_is_found_whatever_its_mark(app: App, limit: str, mark: str, given: object) -> None:
    def values(offset: int) -> object:
        if isinstance(given, dict):
            return {**given, "skips": offset}
        return [*given, offset] if isinstance(given, list) else [offset, 20]

    app.write("listing.py", SOURCE)
    frames = [app.frame("listing.py", "# page", "listing")]
    text = NAMED.format(limit, mark)
    shots = [
        Shot().sql(text, offset, frames, ms=ms, perfcrew__db__parameters=json.dumps(values(offset)))
        for offset, ms in ((0, 1.0), (40_000, 30.0))
        for _ in range(3)
    ]
    assert len(run("DB112", app, scene(app, traced(shots)))) == 1


def test_without_a_shot_there_is_nothing(app: App) -> None:
    assert run("DB112", app, scene(app, traced(warm(Shot)))) == []
