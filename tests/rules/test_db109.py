"""DB109 vector index missing or mistuned: cases that must be found, and look-alikes that must not."""

from __future__ import annotations

from typing import Any

import pytest

from perfcrew.core.evidence import Data
from perfcrew.core.findings import Finding
from perfcrew.core.scene import Scene, Seen
from perfcrew.core.sql import shape
from perfcrew.core.vectors import VectorGrowth, VectorIndex, VectorSearch, VectorSetting

from .build import App, Found, Shot, Silent, check_found, measured, run, scene, traced, warm

SOURCE = """
from sqlalchemy import select

async def alike(session, vector):
    return await session.scalars(select(Item).order_by(Item.e.cosine_distance(vector)).limit(10))  # search
"""
TEXT = "SELECT items.id FROM items ORDER BY items.e <=> %(e_1)s::VECTOR LIMIT %(param_1)s"


def way(
    access: str = "hnsw",
    recall: float = 0.98,
    ratio: float = 12.0,
    existing: str = "",
    returned: float = 1.0,
    **options: int,
) -> VectorSetting:
    session = {"hnsw.ef_search": "40"} if access == "hnsw" else {"ivfflat.probes": "4"}
    return VectorSetting(
        access=access,  # type: ignore[arg-type]
        options=options or ({"m": 16, "ef_construction": 64} if access == "hnsw" else {"lists": 200}),
        session={} if access == "exact" else session,
        existing=existing,
        recall_share=recall,
        worst_share=recall / 2,
        returned_share=returned,
        median_ms=9.0 / ratio,
        exact_ms=9.0,
        exact_ratio=ratio,
        build_ms=None if existing else 9000.0,
        size_bytes=25_000_000,
    )


def index(access: str = "hnsw", ops: str = "vector_cosine_ops", **options: int) -> VectorIndex:
    wrong = "" if ops == "vector_cosine_ops" else f"its operator class is {ops}, and <=> takes vector_cosine_ops"
    return VectorIndex(
        name="ix_e", access=access, operator_class=ops, options=options, size_bytes=20_000_000, why_not=wrong
    )  # type: ignore[arg-type]


BUILT = way()
EXACT = way("exact", 1.0, 1.0)
OWN = way("hnsw", 0.99, 8.0, "ix_e")
BY_OWN: dict[str, Any] = {"settings": (OWN,), "best": OWN, "indexes": (index(),)}


def searched(
    app: App,
    *,
    current: VectorSetting = EXACT,
    settings: tuple[VectorSetting, ...] = (BUILT,),
    best: VectorSetting | None = BUILT,
    indexes: tuple[VectorIndex, ...] = (),
    rows: int = 40_000,
    direct: bool = True,
    kept: float = 1.0,
    exact_ms: float = 9.0,
    ms: float = 10.0,
    text: str = TEXT,
    swept: bool = True,
    how: str = "as found",
    before: int = 40_000,
    **rest: Any,
) -> Scene:
    app.write("near.py", SOURCE)
    body = VectorSearch(
        shape=shape(text), table="items", column="e", column_type="vector", expression="e", operator="<=>",
        operator_class="vector_cosine_ops", direct=direct, wanted_count=10, filtered=kept < 1, kept_share=kept,
        dimensions_count=128, table_rows=rows, indexes=indexes, queries_count=40, captured_count=0, asked_share=0.95,
        exact_ms=exact_ms, current=current, settings=settings, recommended=best,
        growth=(VectorGrowth(access="exact", sizes=(1, 2, 4), values_ms=(1, 2, 4), pages=(1, 2, 4), by_time="linear",
                             by_plan="linear"),),
    )  # fmt: skip
    data = Data(engine="postgresql", how=how, before={"items": before}, after={"items": rows})  # type: ignore[arg-type]
    frames = [app.frame("near.py", "# search", "alike")]
    shots = warm(lambda: Shot().sql(TEXT, 1, frames, ms=ms, rows=10).wait(2))
    seen = (Seen("vectors-1", body),) if swept else ()
    return scene(app, traced(shots), vectors=seen, data=Seen("data-1", data), key="GET /alike", **rest)


PROBES_1 = way("ivfflat", 0.6, 20.0, "ix_e", lists=200)
MORE_PROBES = way("ivfflat", 0.97, 9.0, "ix_e", lists=200)
FAR_OFF = way("ivfflat", 0.97, 2.0, "ix_e", lists=4)

FOUND = {
    "no index": Found(searched, "near.py", "# search", "medium", None, "items"),
    "much of a slow request": Found(
        lambda app: searched(app, measurements=(measured("latency", 120.0),)), "near.py", "# search", "high"
    ),
    "an index of another operator class": Found(
        lambda app: searched(app, indexes=(index(ops="vector_l2_ops", m=16, ef_construction=64),)),
        "near.py", "# search", "medium",
    ),
    "ordered by the similarity": Found(
        lambda app: searched(app, direct=False, **BY_OWN),
        "near.py", "# search", "medium",
    ),
    "too few probes": Found(
        lambda app: searched(
            app, current=PROBES_1, settings=(PROBES_1, MORE_PROBES), best=MORE_PROBES,
            indexes=(index("ivfflat", lists=200),),
        ),
        "near.py", "# search", "medium",
    ),
    "an ef_search that is a little low": Found(
        lambda app: searched(app, current=way("hnsw", 0.92, 9.0, "ix_e"), **BY_OWN),
        "near.py", "# search", "low",
    ),
    "an index that runs out of rows": Found(
        lambda app: searched(
            app, current=way("hnsw", 0.4, 9.0, "ix_e", 0.4), **BY_OWN, kept=0.2
        ),
        "near.py", "# search", "medium",
    ),
    "too few lists": Found(
        lambda app: searched(app, current=FAR_OFF, settings=(FAR_OFF, way()), indexes=(index("ivfflat", lists=4),)),
        "near.py", "# search", "medium",
    ),
    "no index, on vectors that were generated": Found(
        lambda app: searched(app, how="generated", before=0), "near.py", "# search", "medium"
    ),
    "half of the rows kept": Found(lambda app: searched(app, kept=0.5), "near.py", "# search", "medium"),
}  # fmt: skip

SILENT: dict[str, Silent] = {
    "a small table": lambda app: searched(app, rows=1500),
    "few rows after a selective condition": lambda app: searched(app, kept=0.005),
    "no setting meets the recall": lambda app: searched(app, best=None, settings=(way(recall=0.7),)),
    "an index is hardly quicker": lambda app: searched(app, best=way(ratio=1.2)),
    "microseconds": lambda app: searched(app, exact_ms=0.4),
    "a well tuned index": lambda app: searched(app, current=OWN, **BY_OWN),
    "a recall that lies within the slack": lambda app: searched(
        app, current=way("hnsw", 0.945, 9.0, "ix_e"), **BY_OWN
    ),
    "the planner leaves a fitting index aside": lambda app: searched(app, **BY_OWN),
    "a low recall of generated vectors": lambda app: searched(
        app, current=PROBES_1, settings=(MORE_PROBES,), best=MORE_PROBES, indexes=(index("ivfflat", lists=200),),
        how="generated", before=0,
    ),
    "lists a little off": lambda app: searched(
        app, current=way("ivfflat", 0.97, 2.0, "ix_e", lists=100), indexes=(index("ivfflat", lists=100),)
    ),
    "lists far off that cost nothing": lambda app: searched(
        app, current=way("ivfflat", 0.97, 11.0, "ix_e", lists=4), indexes=(index("ivfflat", lists=4),)
    ),
    "a sweep of another statement": lambda app: searched(app, text=TEXT.replace("<=>", "<->")),
    "not swept": lambda app: searched(app, swept=False),
    "next to nothing of the request": lambda app: searched(app, ms=0.05),
}  # fmt: skip


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    finding = check_found("DB109", app, case)
    assert "vectors-1" in finding.evidence
    assert all(ref.field for figure in finding.prose.figures for ref in figure.refs)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("DB109", app, build(app)) == []


def of(app: App, name: str) -> Finding:
    (found,) = run("DB109", app, FOUND[name].build(app))  # type: ignore[arg-type]
    return found


def test_the_recipe_is_a_reversible_migration_and_the_setting_beside_it(app: App) -> None:
    index, session = of(app, "no index").hypotheses
    assert "CREATE INDEX CONCURRENTLY ix_items_e_hnsw ON items\n  USING hnsw (e vector_cosine_ops)" in index.recipe
    assert "DROP INDEX CONCURRENTLY IF EXISTS ix_items_e_hnsw" in index.recipe
    assert 'postgresql_ops={"e": "vector_cosine_ops"}' in index.recipe and "op.drop_index" in index.recipe
    assert "SET LOCAL hnsw.ef_search = 40" in session.recipe


def test_a_setting_alone_mends_what_the_index_that_is_there_can_give(app: App) -> None:
    (session,) = of(app, "too few probes").hypotheses
    assert session.id == "DB109-session" and session.improvement is None
    assert "SET LOCAL ivfflat.probes = 4" in session.recipe


def test_an_order_that_no_index_gives_is_mended_in_the_code(app: App) -> None:
    first, *_ = of(app, "ordered by the similarity").hypotheses
    assert first.id == "DB109-order" and "ORDER BY e <=> :vector" in first.recipe


def test_the_index_that_is_replaced_is_named(app: App) -> None:
    assert "Then drop `ix_e`" in of(app, "an index of another operator class").hypotheses[0].recipe
