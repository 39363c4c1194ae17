"""The statements of a run that indexes are advised for: no value of a request becomes part of an index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perfcrew.core.index_candidates import Sent, candidates
from perfcrew.core.sql_candidates import TableFacts
from perfcrew.graphs.steps.plans import workload
from tests.rules.build import App, Shot, scene, traced

FACTS = {"orders": TableFacts(("id", "email", "state", "at"), 50_000, (("id",),), (("id",),))}
WRITTEN_IN = "SELECT * FROM orders WHERE email = 'user{}@example.org' AND state = 'open' ORDER BY at LIMIT 9"


def found(texts: list[str], root: Path) -> list[str]:
    """The indexes that would be tried for requests that send these."""
    app = App(root)
    app.write("app.py", "rows = load()\n")
    stack = [app.frame("app.py", "load")]
    shots = [Shot(repeat=n).sql(text, [], stack) for n, text in enumerate(texts)]
    (asked,) = workload([scene(app, traced(shots))])
    return [s.said for s in candidates([Sent(asked.statement, [], 1.0, asked.texts)], FACTS, "postgresql", frozenset())]


def test_what_each_request_writes_into_its_text_is_in_no_index(tmp_path: Path) -> None:
    said = found([WRITTEN_IN.format(n) for n in range(4)], tmp_path)
    assert "email, at WHERE state = 'open'" in said
    assert not any("user" in one for one in said)


def test_what_one_request_writes_into_its_text_is_in_no_index(tmp_path: Path) -> None:
    assert not any("'" in one for one in found([WRITTEN_IN.format(7)] * 4, tmp_path))


INSERT = "INSERT INTO orders (email) VALUES ($1)"
WRITTEN: dict[str, tuple[list[tuple[str, dict[str, Any]]], float]] = {
    "one row": ([(INSERT, {})], 1.0),
    "as many as the driver counted": ([("DELETE FROM orders WHERE at < $1", {"perfcrew__db__written_rows": 40})], 40.0),
    "none that fitted": ([("DELETE FROM orders WHERE at < $1", {"perfcrew__db__written_rows": 0})], 0.0),
    "an executemany's": ([(INSERT, {"perfcrew__db__executemany": 25, "perfcrew__db__written_rows": 1})], 25.0),
    "what came back": ([(f"{INSERT} RETURNING id", {"rows": 7})], 7.0),
    "two in a request": ([(INSERT, {}), (INSERT, {})], 2.0),
}


@pytest.mark.parametrize("sent, rows", WRITTEN.values(), ids=WRITTEN)
def test_writes_weigh_by_their_rows(tmp_path: Path, sent: list[tuple[str, dict[str, Any]]], rows: float) -> None:
    app = App(tmp_path)
    app.write("app.py", "rows = load()\n")
    shots = []
    for number in range(4):
        shot = Shot(repeat=number)
        for text, more in sent:
            shot.sql(text, ["who"], [app.frame("app.py", "load")], **{"rows": 0, **more})
        shots.append(shot)
    (asked,) = workload([scene(app, traced(shots))])
    assert asked.sent * asked.rows == pytest.approx(rows)
