"""DB104 slow statement: cases that must be found, and look-alikes that must not."""

from typing import Any

import pytest

from perfcrew.core.evidence import Payload, PlanNode, QueryPlan
from perfcrew.core.scene import Scene, Seen

from .build import App, Found, Shot, Silent, check_found, run, scene, traced, warm

SOURCE = """
async def report(session):
    return await session.execute(statement)  # report
"""
TEXT = "SELECT a.book_id, b.book_id, count(*) FROM line a JOIN line b ON a.order_id = b.order_id GROUP BY 1, 2 LIMIT ?"


def shots(app: App, ms: float, rows: int = 20, times: int = 1, wait: float = 2.0, text: str = TEXT) -> list[Shot]:
    app.write("reporting.py", SOURCE)

    def make() -> Shot:
        shot = Shot()
        for number in range(times):
            shot.sql(text, number, [app.frame("reporting.py", "# report", "report")], ms=ms, rows=rows)
        return shot.wait(wait)

    return warm(make)


def slow(app: App, ms: float, **more: Any) -> Scene:
    return scene(app, traced(shots(app, ms, **more)))


def moving(app: App, ms: float) -> Scene:
    """Parameters that follow the clock: no two requests ask the same."""
    app.write("reporting.py", SOURCE)
    frames = [app.frame("reporting.py", "# report", "report")]
    return scene(app, traced([Shot().sql(TEXT, moment, frames, ms=ms, rows=20) for moment in range(3)]))


def sizes(app: App, *times: float) -> Scene:
    return scene(app, *(traced(shots(app, ms), size=200 * 2**n) for n, ms in enumerate(times)))


def with_plan(app: App) -> Scene:
    plan = QueryPlan(
        engine="sqlite",
        shape="",
        statement=TEXT,
        nodes=(PlanNode(depth=0, operation="SCAN a"),),
        execution_ms=140.0,
        trial_refused="no candidate: the join columns have an index",
    )
    return scene(app, traced(shots(app, 150)), plans=(Seen("plan-1", plan),))


def streamed(app: App) -> Scene:
    payload = Payload(
        content_type="text/csv", content_encoding="", sent_bytes=10, decoded_bytes=10, gzip_bytes=9, streamed=True
    )
    return scene(app, traced(shots(app, 150)), payload=Seen("payload-1", payload))


FOUND = {
    "a report": Found(lambda app: slow(app, 150), "reporting.py", "# report", "medium", None, "JOIN line AS b"),
    "a slow report": Found(lambda app: slow(app, 900), "reporting.py", "# report", "high"),
    "with its plan": Found(with_plan, "reporting.py", "# report", "medium"),
    "with a plan that spills": Found(lambda app: spilling(app), "reporting.py", "# report", "medium"),
    "time grows with the data": Found(lambda app: sizes(app, 15, 30, 60), "reporting.py", "# report", "high"),
}

SILENT: dict[str, Silent] = {
    "fast enough": lambda app: slow(app, 30),
    "slow, but little of the request": lambda app: slow(app, 110, wait=400),
    "many of them are DB101": lambda app: slow(app, 110, times=10),
    "a large result is DB105": lambda app: slow(app, 150, rows=5000),
    "the time stays the same": lambda app: sizes(app, 60, 61, 60),
    "growth below the bound": lambda app: sizes(app, 40, 42, 45),
    "a stream": streamed,
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("DB104", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("DB104", app, build(app)) == []


def spilling(app: App) -> Scene:
    nodes = (
        PlanNode(depth=0, operation="Sort", rows=50_000, own_ms=80.0, method="external merge", disk_bytes=4_194_304),
        PlanNode(depth=1, operation="Seq Scan", relation="line", rows=50_000, read_rows=90_000, own_ms=30.0),
    )
    plan = QueryPlan(engine="postgresql", shape="", statement=TEXT, nodes=nodes, execution_ms=140.0)
    return scene(app, traced(shots(app, 150)), plans=(Seen("plan-1", plan),))


def test_it_says_what_the_plan_spends_on(app: App) -> None:
    (found,) = run("DB104", app, spilling(app))
    assert "`Sort` does not fit into memory and writes 4.19 MB to disk." in found.prose.text
    assert "reads `line` from end to end: 90,000 rows looked at, of which 55.6 % are kept." in found.prose.text
    assert found.hypotheses[0].id == "DB104-plan"
    assert "work_mem" in found.hypotheses[0].recipe


def test_without_a_plan_it_says_nothing_of_one(app: App) -> None:
    (found,) = run("DB104", app, slow(app, 150))
    assert [h.id for h in found.hypotheses] == ["DB104-rewrite", "DB104-keep"]
