"""DB101 N+1: cases that must be found, and look-alikes that must not."""

from dataclasses import replace

import pytest

from perfcrew.core.scene import Scene

from .build import App, Found, Shot, Silent, check_found, measured, run, scaling, scene, traced, warm

SOURCE = """
from sqlalchemy import select

async def lines_of(session, order):
    return await session.scalars(select(Line).where(Line.order_id == order.id))  # helper

async def recent(session):
    orders = await session.scalars(select(Order).limit(50))  # listing
    return [await lines_of(session, order) for order in orders]  # comprehension

async def inline(session, orders):
    for order in orders:
        await session.get(Customer, order.customer_id)  # in loop

async def tag(session, books):
    for book in books:
        await session.execute(insert(Tag).values(book_id=book.id))  # write

async def two(session):
    await session.get(Customer, one)  # first line
    await session.get(Customer, other)  # second line
"""
LINES = "SELECT line.id FROM line WHERE line.order_id = ?"


def stack(app: App) -> list:
    app.write("orders.py", SOURCE)
    return [
        app.frame("orders.py", "# helper", "lines_of"),
        app.frame("orders.py", "# comprehension", "recent.<locals>.<listcomp>"),
    ]


def lazy(
    app: App, rows: int = 10, ms: float = 4.0, concurrent: bool = False, between: bool = False, repeat: int = 1
) -> Shot:
    frames = stack(app)
    shot = Shot(repeat=repeat).sql(
        "SELECT id FROM orders LIMIT ?", (50,), [app.frame("orders.py", "# listing", "recent")], rows=rows
    )
    for number in range(rows):
        shot.sql(LINES, (number,), frames, ms=ms, rows=3, at_ms=5.0 if concurrent else None)
        if between:
            shot.sql("SELECT 1 FROM other WHERE x = ?", (0,), [app.frame("orders.py", "# first line", "two")])
    return shot


def in_loop(app: App) -> Scene:
    stack(app)
    frames = [app.frame("orders.py", "# in loop", "inline")]
    shots = []
    for _ in range(3):
        shot = Shot()
        for number in range(6):
            shot.sql("SELECT * FROM customer WHERE id = ?", (number,), frames)
        shots.append(shot)
    return scene(app, traced(shots))


def writes(app: App) -> Scene:
    stack(app)

    def one() -> Shot:
        shot = Shot()
        for number in range(20):
            shot.sql(
                "INSERT INTO tag (book_id) VALUES (?)",
                (number,),
                [app.frame("orders.py", "# write", "tag")],
                ms=2,
                rows=0,
            )
        return shot

    return scene(app, traced(warm(one)), key="POST /tags")


def template(app: App) -> Scene:
    stack(app)
    app.write("templates/list.html", "<b>{{ order.customer.name }}</b>\n")
    frames = [
        app.frame("templates/list.html", "customer.name", "root"),
        app.library("jinja2/environment.py"),
        app.frame("orders.py", "# listing", "recent"),
    ]

    def one() -> Shot:
        shot = Shot()
        for number in range(8):
            shot.sql("SELECT * FROM customer WHERE id = ?", (number,), frames)
        return shot

    return scene(app, traced(warm(one)))


FOUND = {
    "a lazy relation in a helper, called in a comprehension": Found(
        lambda app: scene(app, traced(warm(lambda: lazy(app)))),
        "orders.py",
        "# helper",
        "medium",
        "# comprehension",
        "line.order_id",
    ),
    "a get in a loop": Found(in_loop, "orders.py", "# in loop", "medium", None, "customer"),
    "other statements in between": Found(
        lambda app: scene(app, traced(warm(lambda: lazy(app, between=True)))), "orders.py", "# helper", "medium"
    ),
    "gathered: they overlap in time": Found(
        lambda app: scene(app, traced(warm(lambda: lazy(app, concurrent=True, ms=12)))),
        "orders.py",
        "# helper",
        "medium",
    ),
    "growth with the rows raises the level": Found(
        lambda app: scene(
            app, traced(warm(lambda: lazy(app))), scaling=(scaling("db.statements", (3, 6, 11), "linear"),)
        ),
        "orders.py",
        "# helper",
        "high",
    ),
    "much of a long request": Found(
        lambda app: scene(app, traced(warm(lambda: lazy(app, rows=60))), measurements=(measured("latency", 200.0),)),
        "orders.py",
        "# helper",
        "high",
    ),
    "in a template: the template's line, and the application's": Found(
        template, "templates/list.html", "customer.name", "medium", "# listing", None, "orders.py"
    ),
    "only until a cache is filled: one level lower": Found(
        lambda app: scene(app, traced([lazy(app, repeat=0), *warm(Shot)])), "orders.py", "# helper", "low"
    ),
}


def four(app: App) -> Scene:
    return scene(app, traced(warm(lambda: lazy(app, rows=4))))


def same_parameters(app: App) -> Scene:
    frames = stack(app)

    def one() -> Shot:
        shot = Shot()
        for _ in range(20):
            shot.sql(LINES, (7,), frames)
        return shot

    return scene(app, traced(warm(one)))


def several_lines(app: App) -> Scene:
    stack(app)

    def one() -> Shot:
        shot = Shot()
        for number in range(6):
            line = "# first line" if number % 2 else "# second line"
            shot.sql("SELECT * FROM customer WHERE id = ?", (number,), [app.frame("orders.py", line, "two")])
        return shot

    return scene(app, traced(warm(one)))


def repeated(app: App, text: str, **more: object) -> Scene:
    frames = stack(app)

    def one() -> Shot:
        shot = Shot()
        for number in range(12):
            shot.sql(text, (number,), frames, **more)  # type: ignore[arg-type]
        return shot

    return scene(app, traced(warm(one)))


SILENT: dict[str, Silent] = {
    "an insert a row is DB110": writes,
    "four rows are below the bound": four,
    "the same parameters again are DB102": same_parameters,
    "several lines ask for one row each": several_lines,
    "eager loading in batches": lambda app: repeated(
        app, f"SELECT * FROM line WHERE order_id IN ({', '.join('?' * 50)})", rows=100
    ),
    "pages of one listing": lambda app: repeated(app, "SELECT * FROM line ORDER BY id LIMIT ? OFFSET ?", rows=500),
    "an executemany": lambda app: repeated(app, "INSERT INTO tag (id) VALUES (?)", perfcrew__db__executemany=100),
    "the framework's own statements": lambda app: repeated(app, "PRAGMA table_info(x)", perfcrew__framework=True),
    "commits": lambda app: repeated(app, ""),
    "nothing was instrumented": lambda app: scene(app, traced(warm(lambda: lazy(app)), instrumented=False)),
    "nothing was traced": lambda app: scene(app),
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("DB101", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("DB101", app, build(app)) == []


def test_growth_makes_surer_and_a_low_constant_count_less_sure(app: App) -> None:
    def confidence(growth: str) -> float:
        grown = (scaling("db.statements", (7, 7, 7), growth),)
        (found,) = run("DB101", app, scene(app, traced(warm(lambda: lazy(app, rows=6))), scaling=grown))
        return found.confidence

    assert confidence("linear") > confidence("unclear") > confidence("constant")


def test_one_line_that_loads_two_relations_is_one_finding(app: App) -> None:
    frames = stack(app)

    def one() -> Shot:
        shot = Shot()
        for number in range(8):
            shot.sql(LINES, (number,), frames).sql("SELECT * FROM customer WHERE id = ?", (number,), frames, ms=3)
        return shot

    (found,) = run("DB101", app, scene(app, traced(warm(one))))
    assert "customer" in found.subject


def test_without_a_stack_the_handler_stands_in_less_surely(app: App) -> None:
    stack(app)

    def one() -> Shot:
        shot = Shot()
        for number in range(8):
            shot.sql(LINES, (number,), [])
        return shot

    handler = app.place("orders.py", "async def recent", "recent")
    (found,) = run("DB101", app, scene(app, traced(warm(one)), handler=handler))
    assert found.place == handler
    assert found.confidence < 0.6


def test_the_bound_is_the_projects_to_set(app: App) -> None:
    assert run("DB101", app, four(app), {"repeats": 4})
    assert not run("DB101", app, scene(app, traced(warm(lambda: lazy(app)))), {"repeats": 11})


def cold_only(app: App) -> Scene:
    first = lazy(app, rows=20, repeat=0)
    return scene(app, traced([first, *warm(lambda: Shot().wait(1))]))


SAID = {
    "ten rows": (lambda app: scene(app, traced(warm(lambda: lazy(app)))), "10 times a request, for 40 ms of"),
    "at once, each moment counts once": (
        lambda app: scene(app, traced(warm(lambda: lazy(app, concurrent=True)))),
        "10 times a request, for 4 ms of",
    ),
    "other statements in between are not counted": (
        lambda app: scene(app, traced(warm(lambda: lazy(app, between=True)))),
        "10 times a request, for 40 ms of",
    ),
    "in the first request only": (cold_only, "20 times a request, for 80 ms of"),
}


@pytest.mark.parametrize(("build", "text"), SAID.values(), ids=SAID)
def test_the_text_says_how_often_and_how_long(app: App, build: Silent, text: str) -> None:
    (found,) = run("DB101", app, build(app))
    assert text in found.prose.text


def test_without_its_group_in_the_evidence_the_totals_are_cited(app: App) -> None:
    whole = scene(app, traced(warm(lambda: lazy(app))))
    (one,) = whole.traced
    bare = replace(one, seen=replace(one.seen, body=one.seen.body.model_copy(update={"groups": ()})))
    (found,) = run("DB101", app, replace(whole, traced=(bare,)))
    assert "times a request" not in found.prose.text and "Statements take" in found.prose.text
