"""DB105 result without bound: cases that must be found, and look-alikes that must not."""

from dataclasses import dataclass
from typing import Any

import pytest

from perfcrew.core.evidence import Data, Payload
from perfcrew.core.findings import Level
from perfcrew.core.scene import Scene, Seen

from .build import App, Found, Shot, Silent, check_found, measured, run, scaling, scene, traced, warm

SOURCE = """
from sqlalchemy import select

async def open_orders(session):
    return list(await session.scalars(select(Order).where(Order.status == "open")))  # all
"""
TEXT = "SELECT id, status FROM orders WHERE status = ? ORDER BY placed_at"


def listing(
    app: App,
    rows: tuple[int, ...] = (100, 200, 400),
    text: str = TEXT,
    growth: str | None = "linear",
    by: str = "rows",
    times: int = 1,
    **rest: Any,
) -> Scene:
    app.write("ordering.py", SOURCE)

    def make(count: int) -> Shot:
        shot = Shot()
        for number in range(times):
            shot.sql(text, ("open", number), [app.frame("ordering.py", "# all", "open_orders")], ms=8, rows=count)
        return shot.wait(4)

    points = [traced(warm(lambda count=count: make(count)), size=200 * 2**n) for n, count in enumerate(rows)]
    grown = (scaling("db.rows", rows, growth, by),) if growth else ()
    return scene(app, *points, scaling=grown, **rest)


def payload(content_type: str = "application/json", streamed: bool = False, **headers: str) -> Seen[Payload]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = Payload(
        content_type=content_type,
        content_encoding="",
        sent_bytes=80_000,
        decoded_bytes=80_000,
        gzip_bytes=9_000,
        items_count=400,
        streamed=streamed,
        headers=named,
    )
    return Seen("payload-1", body)


def rows(**tables: tuple[int, int]) -> Seen[Data]:
    """Rows by table: in the project's own data, and as measured."""
    before, after = ({name: counts[at] for name, counts in tables.items()} for at in (0, 1))
    return Seen("data-1", Data(engine="sqlite", how="multiplied", before=before, after=after, size=400))


JOINED = "SELECT o.id, u.name FROM orders o JOIN users u ON u.id = o.user_id"

FOUND = {
    "all open orders": Found(listing, "ordering.py", "# all", "high", None, "orders"),
    "with the answer's size": Found(lambda app: listing(app, payload=payload()), "ordering.py", "# all", "high"),
    "without a fit, by the traces of two sizes": Found(
        lambda app: listing(app, rows=(100, 200), growth=None), "ordering.py", "# all", "medium"
    ),
    "a slow one is high": Found(
        lambda app: listing(app, measurements=(measured("latency", 400.0),)), "ordering.py", "# all", "high"
    ),
    "a handful beside large tables: generated rows prove little": Found(
        lambda app: listing(app, data=rows(orders=(2, 400), pages=(62, 400))), "ordering.py", "# all", "low"
    ),
}

SILENT: dict[str, Silent] = {
    "a bound in the statement": lambda app: listing(app, text=TEXT + " LIMIT ?"),
    "FETCH FIRST": lambda app: listing(app, text=TEXT + " FETCH FIRST 50 ROWS ONLY"),
    "the rows don't grow": lambda app: listing(app, rows=(300, 300, 300), growth="constant"),
    "it grows with the page that was asked for": lambda app: listing(app, by="page size"),
    "a stream by design": lambda app: listing(app, payload=payload("text/csv", streamed=True)),
    "a download": lambda app: listing(
        app, payload=payload("text/csv", content_disposition="attachment; filename=x.csv")
    ),
    "a lookup table within an endpoint that grows": lambda app: listing(app, rows=(150, 150, 150), growth="linear"),
    "few rows": lambda app: listing(app, rows=(5, 10, 20)),
    "many statements of few rows are DB101": lambda app: listing(app, times=30),
    "one size only": lambda app: listing(app, rows=(400,), growth=None),
    "an INSERT … RETURNING": lambda app: listing(app, text="INSERT INTO orders (id) VALUES (?) RETURNING id"),
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("DB105", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("DB105", app, build(app)) == []


@dataclass(frozen=True)
class Held:
    """What the project's own data holds, and how sure a finding is then."""

    data: Seen[Data]
    level: Level
    confidence: float
    text: str = TEXT


OWN_DATA = {
    "a handful beside large tables": Held(rows(orders=(2, 400), pages=(62, 400)), "low", 0.4),
    "a handful, with its schema": Held(rows(**{"app.orders": (2, 400), "pages": (62, 400)}), "low", 0.4),
    "a handful where all tables hold a handful": Held(rows(orders=(2, 400), pages=(5, 400)), "high", 0.9),
    "a large table of its own": Held(rows(orders=(60, 400), pages=(62, 400)), "high", 0.9),
    "an empty database": Held(rows(orders=(0, 400), pages=(0, 400)), "high", 0.9),
    "a feature that the own data doesn't use yet": Held(rows(orders=(0, 400), pages=(62, 400)), "high", 0.9),
    "a small one joined to a large one": Held(rows(users=(1, 400), orders=(62, 400)), "high", 0.9, JOINED),
    "a small one that did not grow": Held(rows(users=(1, 1), orders=(90, 400)), "high", 0.9, JOINED),
    "by the project's own seeds": Held(
        Seen("data-1", Data(engine="sqlite", how="seeded", before={}, after={"orders": 400}, size=400)), "high", 0.9
    ),
}


@pytest.mark.parametrize("held", OWN_DATA.values(), ids=OWN_DATA)
def test_how_sure_the_projects_own_data_makes_it(app: App, held: Held) -> None:
    (finding,) = run("DB105", app, listing(app, text=held.text, data=held.data))
    assert (finding.level, finding.confidence) == (held.level, held.confidence)
    assert ("Only generated rows made it grow" in finding.prose.text) == (held.level == "low")


def test_a_handful_in_the_own_data_is_said_in_figures(app: App) -> None:
    (finding,) = run("DB105", app, listing(app, data=rows(orders=(2, 400), pages=(62, 400))))
    assert "the project's own data holds 2 rows of `orders`, and 400 rows were measured" in finding.prose.text
    assert "data-1" in finding.evidence
