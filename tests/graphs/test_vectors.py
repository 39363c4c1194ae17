"""Which traced statements are swept, and what the application itself set for them."""

from __future__ import annotations

import json
from pathlib import Path

from perfcrew.graphs.steps.vectors import _said, _searches
from perfcrew.instruments.vector_catalog import said_settings
from tests.rules.build import App, Shot, scene, traced, warm

NEAR = "SELECT id FROM items ORDER BY e <=> $1 LIMIT 5"
OTHER = "SELECT id FROM notes ORDER BY e <-> $1 LIMIT 5"


def test_searches_of_an_endpoint(tmp_path: Path) -> None:
    app = App(tmp_path)

    def shot() -> Shot:
        made = Shot().sql("SET LOCAL hnsw.ef_search = 90", None, [], perfcrew__framework=True)
        made.sql("SELECT id FROM shops LIMIT 5", None, [], ms=9)
        made.sql(OTHER, None, [], ms=1)
        return made.sql(NEAR, None, [], ms=4, perfcrew__db__parameters=json.dumps(["[1,2]"]))

    near, other = _searches(found := scene(app, traced(warm(shot))))
    assert (near.text, near.parameters) == ("SELECT id FROM items ORDER BY e <=> ? NULLS LAST LIMIT ?", [["[1,2]"]] * 3)
    assert "<->" in other.text
    assert said_settings(list(_said(found))) == {"hnsw.ef_search": "90"}
