"""DB113 a count for every page: cases that must be found, and look-alikes that must not."""

from typing import Any

import pytest

from perfcrew.core.evidence import Data, PlanNode, QueryPlan
from perfcrew.core.scene import Scene, Seen

from .build import App, Found, Shot, Silent, check_found, run, scene, traced, warm

SOURCE = """
def books(session, page):
    total = session.scalar(select(func.count()).select_from(Book))  # count
    return total, session.scalars(select(Book).limit(20).offset(page * 20)).all()  # page
"""
COUNT = "SELECT count(*) AS n FROM book WHERE book.visible = $1"
NESTED = "SELECT count(*) AS count_1 FROM (SELECT book.id AS id FROM book WHERE book.visible = $1) AS anon_1"
PAGE = "SELECT book.id, book.title FROM book WHERE book.visible = $1 ORDER BY book.id LIMIT $2 OFFSET $3"


def paged(
    app: App,
    count: str = COUNT,
    page: str = PAGE,
    ms: float = 30.0,
    rows: int = 200_000,
    planned: bool = True,
    data: bool = False,
    times: int = 1,
    returned: int = 20,
) -> Scene:
    app.write("listing.py", SOURCE)

    def make() -> Shot:
        shot = Shot()
        for number in range(times):
            shot.sql(count, number, [app.frame("listing.py", "# count", "books")], ms=ms, rows=1)
        return shot.sql(page, (True, 20, 0), [app.frame("listing.py", "# page", "books")], ms=2, rows=returned)

    node = PlanNode(depth=0, operation="Seq Scan", relation="book", rows=rows, read_rows=rows)
    plan = QueryPlan(engine="postgresql", shape="", statement=count, table_rows={"book": rows}, nodes=(node,))
    body = Data(engine="postgresql", how="generated", before={"book": 5}, after={"book": rows})
    more: dict[str, Any] = {"data": Seen("data-1", body)} if data else {}
    return scene(app, traced(warm(make)), plans=(Seen("plan-1", plan),) if planned else (), **more)


FOUND = {
    "a count beside a page": Found(paged, "listing.py", "# count", "medium", None, "COUNT(*)"),
    "as SQLAlchemy wraps it": Found(lambda app: paged(app, NESTED), "listing.py", "# count", "medium"),
    "a slow one": Found(lambda app: paged(app, ms=300), "listing.py", "# count", "high"),
    "behind a key": Found(
        lambda app: paged(
            app, page="SELECT b.id FROM book b WHERE b.visible = $1 AND b.id > $2 ORDER BY b.id LIMIT $3"
        ),
        "listing.py",
        "# count",
        "medium",
    ),
    "what is shown beside is looked up": Found(
        lambda app: paged(
            app,
            page='SELECT "b"."id" FROM "book" "b" LEFT OUTER JOIN "author" ON ("author"."id" = "b"."author_id") '
            'WHERE "b"."visible" = $1 ORDER BY "b"."id" LIMIT 20',
        ),
        "listing.py",
        "# count",
        "medium",
    ),
    "the size known from the data": Found(
        lambda app: paged(app, planned=False, data=True), "listing.py", "# count", "medium"
    ),
}

SILENT: dict[str, Silent] = {
    "a small table": lambda app: paged(app, rows=500),
    "a count by group": lambda app: paged(app, "SELECT count(*) FROM book GROUP BY book.kind"),
    "a count beside other columns": lambda app: paged(app, "SELECT count(*), max(book.id) FROM book"),
    "quick, by an index": lambda app: paged(app, ms=0.5),
    "the page is of another table": lambda app: paged(app, page="SELECT author.id FROM author LIMIT $1"),
    "all rows are fetched, there is no page": lambda app: paged(app, page="SELECT book.id FROM book"),
    "many counts are DB101's or DB102's": lambda app: paged(app, times=10),
    "a size that nobody knows": lambda app: paged(app, planned=False),
    "the latest one is shown beside it": lambda app: paged(
        app, page="SELECT book.id FROM book WHERE book.visible = $1 ORDER BY book.id DESC LIMIT 1", returned=1
    ),
    "one is looked up as Django does": lambda app: paged(
        app, page="SELECT book.id FROM book WHERE book.visible = $1 LIMIT 21", returned=1
    ),
    "a page of other rows": lambda app: paged(app, page="SELECT book.id FROM book WHERE book.owner = $1 LIMIT 20"),
    "a page of more rows than are counted": lambda app: paged(app, page="SELECT book.id FROM book LIMIT 20"),
    "a page of fewer rows than are counted": lambda app: paged(
        app, "SELECT count(*) FROM book", "SELECT book.id FROM book WHERE book.kind = $1 LIMIT $2 OFFSET $3"
    ),
    "a page that another table narrows": lambda app: paged(
        app, page="SELECT b.id FROM book b JOIN loan l ON l.book = b.id WHERE b.visible = $1 LIMIT 20"
    ),
    "nothing was traced": scene,
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("DB113", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("DB113", app, build(app)) == []
