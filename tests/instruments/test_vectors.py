"""Vector searches swept on a real pgvector: recall against the exact answer, the right operator class, nothing left."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest

from perfcrew.core.vectors import VectorSearch, VectorSetting
from perfcrew.instruments.vector_catalog import said_settings
from perfcrew.instruments.vector_queries import whole
from perfcrew.instruments.vectors import Asked, recommended, sweep
from tests.instruments.database_clones import TestClone
from tests.instruments.vector_tables import DIMENSIONS, ROWS, clustered, indexed, written
from tests.instruments.vector_tables import vectors as vectors

pytestmark = pytest.mark.postgres
NEAR = "SELECT id FROM items ORDER BY e <=> $1 LIMIT 10"
QUICK = Asked(budget_s=20, queries=8, growth=False)
OWN = Asked(budget_s=4, queries=8, growth=False)
"""Time for the statement as it stands and the index that is there, which come first."""
CUT = "[" + "0.123456," * 30


def swept(clone: TestClone, statement: str, parameters: object = (CUT,), asked: Asked = QUICK) -> VectorSearch:
    found = sweep(clone, statement, list(parameters) if isinstance(parameters, tuple) else parameters, asked)
    assert isinstance(found, VectorSearch), found
    return found


@contextmanager
def untouched(clone: TestClone) -> Iterator[None]:
    """Tables, indexes and rows are afterwards what they were."""

    def state() -> list[tuple[object, ...]]:
        db = clone.connect()
        try:
            names = db.execute("SELECT relname, relkind FROM pg_class WHERE relname !~ '^pg_' ORDER BY 1").fetchall()
            return [*names, *db.execute("SELECT count(*) FROM items").fetchall()]
        finally:
            db.close()

    before = state()
    yield
    assert state() == before


def test_a_column_without_an_index(vectors: TestClone) -> None:
    with untouched(vectors):
        found = swept(vectors, NEAR, asked=Asked(budget_s=40, queries=20))
    assert (found.table, found.column, found.operator, found.operator_class) == (
        "items",
        "e",
        "<=>",
        "vector_cosine_ops",
    )
    assert (found.table_rows, found.dimensions_count, found.wanted_count) == (ROWS, DIMENSIONS, 10)
    assert (found.current.access, found.current.recall_share, found.indexes) == ("exact", 1.0, ())
    assert {s.access for s in found.settings} == {"hnsw", "ivfflat"}
    assert {s.options.get("lists") for s in found.settings if s.access == "ivfflat"} == {45, 10}
    assert all(s.build_ms and s.size_bytes and s.size_bytes > 100_000 for s in found.settings)
    assert any(s.recall_share >= 0.95 for s in found.settings)
    probes = [s for s in found.settings if s.options == {"lists": 45}]
    shares = [s.recall_share for s in probes]
    assert shares == sorted(shares) and shares[0] < 0.95 < shares[-1]
    exact, *others = found.growth
    assert exact.access == "exact" and exact.by_plan == "linear" and len(exact.sizes) == 4
    assert [g.access for g in others] == ["hnsw"] or [g.access for g in others] == ["ivfflat"]
    assert max(others[0].pages) < max(exact.pages) * 20


OPERATORS = {
    "<->": ("vector_l2_ops", {"hnsw", "ivfflat"}),
    "<#>": ("vector_ip_ops", {"hnsw", "ivfflat"}),
    "<+>": ("vector_l1_ops", {"hnsw"}),
}


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_class_of_the_operator(vectors: TestClone, operator: str) -> None:
    wanted, kinds = OPERATORS[operator]
    found = swept(
        vectors, f"SELECT id FROM items ORDER BY e {operator} %s LIMIT 5", asked=Asked(0.9, 12, 8, growth=False)
    )
    assert found.operator_class == wanted
    assert {s.access for s in found.settings} == kinds
    assert max(s.recall_share for s in found.settings) >= 0.9


def test_an_index_of_another_operator_class_is_not_used(vectors: TestClone) -> None:
    with indexed(vectors, "hnsw (e vector_l2_ops)"), untouched(vectors):
        found = swept(vectors, NEAR)
    (index,) = found.indexes
    assert "vector_l2_ops, and <=> takes vector_cosine_ops" in index.why_not
    assert found.current.access == "exact"
    assert not any(s.existing for s in found.settings)


def test_too_few_probes(vectors: TestClone) -> None:
    with indexed(vectors, "ivfflat (e vector_cosine_ops) WITH (lists = 60)"), untouched(vectors):
        found = swept(vectors, NEAR, asked=OWN)
    assert (found.current.access, found.current.existing, found.current.options) == ("ivfflat", "own_0", {"lists": 60})
    assert found.current.session == {"ivfflat.probes": "1"}
    assert found.current.recall_share < 0.95
    own = [s for s in found.settings if s.existing == "own_0"]
    assert own[0].recall_share < own[-1].recall_share and own[-1].recall_share > 0.99


def test_what_the_application_sets_holds(vectors: TestClone) -> None:
    session = said_settings(["SET LOCAL ivfflat.probes = 60", "select set_config('hnsw.ef_search', '80', true)"])
    assert session == {"ivfflat.probes": "60", "hnsw.ef_search": "80"}
    with indexed(vectors, "ivfflat (e vector_cosine_ops) WITH (lists = 60)"):
        found = swept(vectors, NEAR, asked=replace(OWN, session=session))
    assert found.session["ivfflat.probes"] == "60"
    assert found.current.recall_share == 1.0


def test_what_is_set_for_the_database_holds(vectors: TestClone) -> None:
    db = vectors.connect()
    db.autocommit = True
    name = db.execute("SELECT current_database()").fetchone()[0]
    db.execute(f'ALTER DATABASE "{name}" SET hnsw.ef_search = 200')
    try:
        assert swept(vectors, NEAR, asked=replace(OWN, database=name)).session["hnsw.ef_search"] == "200"
    finally:
        db.execute(f'ALTER DATABASE "{name}" RESET hnsw.ef_search')
        db.close()


def test_an_order_that_no_index_gives(vectors: TestClone) -> None:
    with indexed(vectors, "hnsw (e vector_cosine_ops)"):
        found = swept(vectors, "SELECT id, 1 - (e <=> %s) AS s FROM items ORDER BY s DESC LIMIT 10", asked=OWN)
    assert not found.direct
    assert found.current.access == "exact" and found.current.recall_share == 1.0
    assert any(s.existing == "own_0" for s in found.settings)


def test_a_condition_that_leaves_an_index_short(vectors: TestClone) -> None:
    """Half of the rows meet it: of forty that the index gives by default, twenty."""
    statement = "SELECT id FROM items WHERE shop = %s AND name LIKE 'a%%' ORDER BY e <=> %s LIMIT %s"
    with indexed(vectors, "hnsw (e vector_cosine_ops)"):
        found = swept(vectors, statement, (1, CUT, 35), asked=OWN)
    assert found.filtered and found.kept_share == pytest.approx(0.49) and found.wanted_count == 35
    assert found.current.existing == "own_0" and found.current.returned_share < 0.9
    scans = [s for s in found.settings if s.existing and s.session.get("hnsw.iterative_scan") == "strict_order"]
    assert scans and all(s.returned_share == 1 for s in scans)


def test_a_condition_that_leaves_few_rows(vectors: TestClone) -> None:
    with indexed(vectors, "hnsw (e vector_cosine_ops)", "btree (shop)"):
        found = swept(vectors, "SELECT id FROM items WHERE shop = %s ORDER BY e <=> %s LIMIT 15", (3, CUT), asked=OWN)
    assert found.kept_share == pytest.approx(0.01)
    assert found.current.access == "exact" and found.current.recall_share == 1


def test_a_cast_of_the_column(vectors: TestClone) -> None:
    statement = f"SELECT id FROM items ORDER BY e::halfvec({DIMENSIONS}) <-> %s LIMIT 10"
    with indexed(vectors, f"hnsw ((e::halfvec({DIMENSIONS})) halfvec_l2_ops)", "hnsw (e vector_l2_ops)"):
        found = swept(vectors, statement, asked=OWN)
    assert found.operator_class == "halfvec_l2_ops"
    assert found.current.existing == "own_0"
    assert [i.why_not == "" for i in found.indexes] == [True, False]


def test_vectors_of_the_application_are_asked_again(vectors: TestClone) -> None:
    sent = [[written(vector), 10] for vector in clustered(5, DIMENSIONS)]
    found = swept(vectors, "SELECT id FROM items ORDER BY e <=> $1 LIMIT $2", (CUT, 10),
                  replace(OWN, captured=sent))  # fmt: skip
    assert (found.captured_count, found.queries_count) == (5, 8)


NOTHING = {
    "no vector search": ("SELECT id FROM items ORDER BY id LIMIT 5", [], "no search for nearest neighbours"),
    "a small table": ("SELECT id FROM few ORDER BY e <-> %s LIMIT 5", [CUT], "small (100 rows)"),
    "another type": ("SELECT id FROM items ORDER BY name <-> %s LIMIT 5", ["ghost"], "is a text"),
    "no such table": ("SELECT id FROM ghosts ORDER BY e <-> %s LIMIT 5", [CUT], "no column of type"),
    "a limit that was not recorded": ("SELECT id FROM items ORDER BY e <-> %s LIMIT %s", [CUT, None], "LIMIT"),
    "a condition that was cut": (
        "SELECT id FROM items WHERE name = %s ORDER BY e <-> %s LIMIT 5", ["x" * 200, CUT], "not recorded whole",
    ),
    "a condition that finds nothing": (
        "SELECT id FROM items WHERE shop = %s ORDER BY e <-> %s LIMIT 5", [99, CUT], "finds no row",
    ),
    "a broken condition": (
        "SELECT id FROM items WHERE nowhere(shop) ORDER BY e <-> %s LIMIT 5", [CUT], "does not exist",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTHING)
def test_nothing_to_sweep_and_why(vectors: TestClone, name: str) -> None:
    statement, parameters, why = NOTHING[name]
    with untouched(vectors):
        found = sweep(vectors, statement, parameters, QUICK)
    assert isinstance(found, str) and why in found


def test_it_keeps_to_its_time(vectors: TestClone) -> None:
    began = time.monotonic()
    with untouched(vectors):
        found = swept(vectors, NEAR, asked=Asked(budget_s=1.0, queries=40))
    assert time.monotonic() - began < 6
    assert any("time" in note for note in found.notes)


def test_a_database_that_goes_away(vectors: TestClone) -> None:
    """In the middle of the sweep: what was found until then stands, or the reason why nothing was; nothing hangs."""

    def end(pid: int) -> None:
        with vectors.connect() as other:
            other.execute("SELECT pg_terminate_backend(%s)", [pid])

    def connect() -> psycopg.Connection[object]:
        db = vectors.connect()
        threading.Timer(0.4, end, [db.info.backend_pid]).start()
        return db

    began = time.monotonic()
    with untouched(vectors):
        found = sweep(TestClone("postgresql", connect), NEAR, [CUT], Asked(budget_s=30))
    assert time.monotonic() - began < 10
    assert "connection" in (found if isinstance(found, str) else " ".join(found.notes))


def test_whole_vectors_among_parameters() -> None:
    sent = [["[1,2,3]", 5], {"e": [1.0, 2.5, 3.0]}, ["[1,2"], ["[1,2,3]"], None, ["text"], [[1, 2]]]
    assert list(whole(sent, 3)) == ["[1,2,3]", "[1,2.5,3]"]


def setting(recall: float, ratio: float, build_ms: float | None = 100.0, existing: str = "") -> VectorSetting:
    return VectorSetting(
        access="hnsw", recall_share=recall, worst_share=0, median_ms=1, exact_ms=1, exact_ratio=ratio,
        build_ms=build_ms, existing=existing,
    )  # fmt: skip


CHOICES = {
    "the quickest of those that find enough": ([setting(0.9, 20), setting(0.96, 5), setting(0.99, 9)], 2),
    "as quick, and built sooner": ([setting(0.96, 10, 900), setting(0.96, 9.5, 100)], 1),
    "as quick, and there already": ([setting(0.96, 10), setting(0.96, 9.5, None, "own")], 1),
    "none finds enough": ([setting(0.9, 20)], None),
    "none is quicker than reading all": ([setting(0.99, 1.02)], None),
}


@pytest.mark.parametrize(("settings", "chosen"), CHOICES.values(), ids=CHOICES)
def test_what_is_recommended(settings: list[VectorSetting], chosen: int | None) -> None:
    assert recommended(settings, 0.95) == (None if chosen is None else settings[chosen])
