"""Rules that could not judge for want of rows are named; those that could, or that found something, are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from perfcrew.core.evidence import Data
from perfcrew.core.scene import ApplicationScene, Seen
from perfcrew.rules import book
from perfcrew.rules.catalog import entries
from perfcrew.rules.reach import out_of_reach
from tests.report.test_frontiers import SEARCH

from .build import App, Shot, application, scene, thresholds, traced, warm

ALL = tuple(entry.id for entry in entries())
NEEDING = ("DB103", "DB105", "DB109", "DB112", "DB113")


def shop(app: App, rows: dict[str, int] | None, statements: bool = True, **more: Any) -> ApplicationScene:
    app.write("a.py", "x = 1  # read\n")

    def make() -> Shot:
        return Shot().sql("SELECT 1 FROM book", (), [app.frame("a.py", "# read")]) if statements else Shot()

    body = Data(engine="sqlite", how="as found", before=rows or {}, after=rows or {})
    data = None if rows is None else Seen("data", body)
    return application(app, scene(app, traced(warm(make)), data=data, **more))


FEW = {"book": 40, "author": 9}
NAMED: dict[str, tuple[Callable[[App], ApplicationScene], tuple[str, ...]]] = {
    "an empty development database": (lambda app: shop(app, {"book": 0}), ("DB103", "DB105", "DB112", "DB113")),
    "a few rows": (lambda app: shop(app, FEW), ("DB103", "DB105", "DB112", "DB113")),
    "enough for most": (lambda app: shop(app, {"book": 1000, "author": 3}), ("DB113",)),
    "with a vector search": (
        lambda app: shop(app, {"items": 1500}, vectors=(Seen("search", SEARCH),)),
        ("DB109", "DB113"),
    ),
}
NOT_NAMED: dict[str, Callable[[App], ApplicationScene]] = {
    "a large table": lambda app: shop(app, {"book": 10_000, "author": 3}),
    "no database": lambda app: shop(app, None),
    "a database that nothing was asked of": lambda app: shop(app, FEW, statements=False),
    "no table at all": lambda app: shop(app, {}),
}


@pytest.mark.parametrize("name", NAMED)
def test_named(name: str, app: App) -> None:
    build, rules = NAMED[name]
    found = out_of_reach(build(app), ALL, thresholds())
    assert found is not None and tuple(one.rule for one in found.rules) == rules
    assert all(one.least_rows == thresholds()[one.rule]["min_rows"] > found.largest_rows for one in found.rules)


@pytest.mark.parametrize("name", NOT_NAMED)
def test_not_named(name: str, app: App) -> None:
    assert out_of_reach(NOT_NAMED[name](app), ALL, thresholds()) is None


def test_the_largest_table_and_its_evidence_are_told(app: App) -> None:
    found = out_of_reach(shop(app, FEW), ALL, thresholds())
    assert found is not None and (found.table, found.largest_rows, found.data) == ("book", 40, "data")


def test_a_rule_that_found_something_could_judge(app: App) -> None:
    silent = [rule for rule in ALL if rule != "DB103"]
    found = out_of_reach(shop(app, FEW), silent, thresholds())
    assert found is not None and "DB103" not in {one.rule for one in found.rules}


def test_a_projects_own_threshold_counts(app: App) -> None:
    own = {**thresholds(), "DB103": {**thresholds()["DB103"], "min_rows": 10}}
    found = out_of_reach(shop(app, FEW), ALL, own)
    assert found is not None and "DB103" not in {one.rule for one in found.rules}


def test_each_rule_that_asks_for_the_rows_of_a_table_says_so() -> None:
    """DB106 counts rows of an answer, DB111 those of the user's own database, by its statistics."""
    asking = {rule for rule, limits in thresholds().items() if "min_rows" in limits}
    assert asking == {*NEEDING, "DB106", "DB111"}
    assert {rule.id for rule in book.rules() if rule.needs_rows} == set(NEEDING)
