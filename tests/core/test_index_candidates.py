"""Which indexes are worth trying for a whole workload, and which look-alikes are not."""

from __future__ import annotations

import pytest

from perfcrew.core.index_candidates import Sent, candidates, union
from perfcrew.core.indexes import IndexSpec
from perfcrew.core.sql_candidates import Engine, Parts, TableFacts

COLUMNS = ("id", "who", "kind", "at", "gone_at", "data", "tags", "title", "email", "active", "words", "note")
TYPES = {"id": "integer", "data": "jsonb", "tags": "text[]", "words": "tsvector", "note": "json"}
SCHEMA = {
    "ev": TableFacts(COLUMNS, 50_000, (("id",),), (("id",),), TYPES),
    "ready": TableFacts(("id", "who", "at"), 50_000, (("id",), ("who", "at")), (("id",),), {"id": "integer"}),
    "few": TableFacts(("id", "who"), 20, (("id",),), (("id",),)),
}
ALL = frozenset({"pg_trgm"})

FOUND = {
    "one order for two shapes": (
        ["SELECT * FROM ev WHERE who = ? AND kind = ?", "SELECT * FROM ev WHERE kind = ?"],
        "kind, who",
    ),
    "an order that another shape compares": (
        ["SELECT * FROM ev WHERE who = ? ORDER BY kind LIMIT 5", "SELECT * FROM ev WHERE kind = ? AND who = ?"],
        "who, kind",
    ),
    "a constant that all share": (
        ["SELECT * FROM ev WHERE who = ? AND gone_at IS NULL", "SELECT * FROM ev WHERE gone_at IS NULL AND who = ?"],
        "who WHERE gone_at IS NULL",
    ),
    "a flag in the text": (["SELECT * FROM ev WHERE active AND kind = ?"], "kind WHERE active"),
    "few columns read": (["SELECT at, kind FROM ev WHERE who = ?"], "who INCLUDE (kind, at)"),
    "few columns read through an alias": (["SELECT e.at FROM ev AS e WHERE e.who = ?"], "who INCLUDE (at)"),
    "covering what is indexed by now": (["SELECT id FROM ready WHERE who = ?"], "who INCLUDE (id)"),
    "lower": (["SELECT * FROM ev WHERE lower(email) = ?"], "lower(email)"),
    "a cast to a date": (["SELECT * FROM ev WHERE at::date = %s"], "CAST(at AS DATE)"),
    "cut to the day": (["SELECT * FROM ev WHERE date_trunc('day', at) = %s"], "date_trunc('day', at)"),
    "a key of a document": (["SELECT * FROM ev WHERE note ->> 'kind' = %s"], "note ->> 'kind'"),
    "ordered by an expression": (["SELECT * FROM ev ORDER BY lower(title) LIMIT 5"], "lower(title)"),
    "text anywhere": (["SELECT * FROM ev WHERE title LIKE %s"], "gin (title gin_trgm_ops)"),
    "text anywhere, as Django sends it": (
        ['SELECT * FROM ev WHERE UPPER("ev"."title"::text) LIKE UPPER(%s)'],
        'gin (upper(CAST("title" AS TEXT)) gin_trgm_ops)',
    ),
    "text anywhere in any case": (["SELECT * FROM ev WHERE title ILIKE %s"], "gin (title gin_trgm_ops)"),
    "a beginning in the text": (["SELECT * FROM ev WHERE title LIKE 'x%'"], "title text_pattern_ops"),
    "a document's content": (["SELECT * FROM ev WHERE data @> %s"], "gin (data jsonb_path_ops)"),
    "an array's content": (["SELECT * FROM ev WHERE tags @> %s"], "gin (tags)"),
    "arrays that overlap": (["SELECT * FROM ev WHERE tags && %s"], "gin (tags)"),
    "words": (["SELECT * FROM ev WHERE words @@ plainto_tsquery('english', %s)"], "gin (words)"),
    "words made on the way": (
        ["SELECT * FROM ev WHERE to_tsvector('english', title) @@ plainto_tsquery('english', %s)"],
        "gin (to_tsvector('english', title))",
    ),
}
SILENT = {
    "a constant that one statement lacks": (
        ["SELECT * FROM ev WHERE who = ? AND gone_at IS NULL", "SELECT * FROM ev WHERE who = ?"],
        "who WHERE gone_at IS NULL",
    ),
    "a constant that is a value": (["SELECT * FROM ev WHERE kind = %s AND who = %s"], "who WHERE kind = %s"),
    "all columns read": (["SELECT * FROM ev WHERE who = ?"], "INCLUDE"),
    "all columns of an alias read": (["SELECT e.* FROM ev AS e WHERE e.who = ?"], "INCLUDE"),
    "many columns read": (["SELECT at, kind, data, title, email FROM ev WHERE who = ?"], "INCLUDE"),
    "served by now": (["SELECT * FROM ready WHERE who = ? AND at > ?"], "who"),
    "a prefix of what is there": (["SELECT * FROM ready WHERE who = ?"], "who"),
    "an expression over a value": (["SELECT * FROM ev WHERE coalesce(kind, %s) = %s"], "coalesce"),
    "an expression over two columns": (["SELECT * FROM ev WHERE concat(kind, title) = %s"], "concat"),
    "a document that is text": (["SELECT * FROM ev WHERE note @> %s"], "gin"),
    "a small table": (["SELECT * FROM few WHERE who = ?"], "who"),
    "a primary key, covering": (["SELECT id, at FROM ev WHERE id = ?"], "id"),
    "a total": (["SELECT max(at) FROM ev"], "max"),
    "a text that can't be read": (["SELECT FROM WHERE ("], "("),
    "a text in the text": (["SELECT * FROM ev WHERE kind = 'x' ORDER BY at LIMIT 3"], "'x'"),
    "an address in the text": (["SELECT * FROM ev WHERE email = 'user42@example.org' ORDER BY at LIMIT 3"], "user42"),
    "a number in the text": (["SELECT * FROM ev WHERE who = 42 ORDER BY at LIMIT 3"], "42"),
    "a value that stands for null": (["SELECT * FROM ev WHERE coalesce(kind, 'secret') = %s"], "secret"),
    "a number that stands for null": (["SELECT * FROM ev WHERE coalesce(who, 7) = %s"], "7"),
    "a text within a function": (["SELECT * FROM ev WHERE replace(kind, 'secret', '') = %s"], "secret"),
    "a document's key that is somebody's": (["SELECT * FROM ev WHERE data ->> 'user42' = %s"], "user42"),
    "a number within a function": (["SELECT * FROM ev WHERE mod(who, 4217) = %s"], "4217"),
}


def found(texts: list[str], dialect: Engine = "postgresql", extensions: frozenset[str] = ALL) -> list[str]:
    sent = [Sent(text, ["%part%", 5], 1.0) for text in texts]
    return [spec.said for spec in candidates(sent, SCHEMA, dialect, extensions)]


@pytest.mark.parametrize(("texts", "index"), FOUND.values(), ids=FOUND)
def test_found(texts: list[str], index: str) -> None:
    assert index in found(texts)


@pytest.mark.parametrize(("texts", "part"), SILENT.values(), ids=SILENT)
def test_not_found(texts: list[str], part: str) -> None:
    assert [said for said in found(texts) if part in said] == []


KIND = "SELECT * FROM ev WHERE kind = 'open' AND at > '{}' ORDER BY at LIMIT 3"
AGREED = {
    "all texts agree": ([KIND.format("2026-01-01"), KIND.format("2026-01-02")], "at WHERE kind = 'open'"),
    "a small number": (
        [f"SELECT * FROM ev WHERE who = 3 AND at > '{day}' ORDER BY at LIMIT 3" for day in ("2026", "2027")],
        "at WHERE who = 3",
    ),
}
APART = {
    "each has a value of its own": [
        f"SELECT * FROM ev WHERE kind = '{kind}' AND at > '2026-01-01' ORDER BY at LIMIT 3" for kind in ("open", "shut")
    ],
    "one of three has another one": [
        *(KIND.format(day) for day in ("2026-01-01", "2026-01-02")),
        KIND.replace("open", "shut").format("2026-01-03"),
    ],
    "one text, sent twice": [KIND.format("2026-01-01")] * 2,
    "texts that a comment tells apart": [KIND.format("2026-01-01") + f" /* trace {n} */" for n in (1, 2)],
    "one user's address in all": [
        f"SELECT * FROM ev WHERE email = 'user42@example.org' AND at > '{day}' ORDER BY at" for day in ("2026", "2027")
    ],
    "one user's number in all": [
        f"SELECT * FROM ev WHERE who = 4217 AND at > '{day}' ORDER BY at" for day in ("2026-01-01", "2026-01-02")
    ],
}


def of_shape(texts: list[str]) -> list[str]:
    """Executions of one shape, as a run has them."""
    return [spec.said for spec in candidates([Sent(texts[0], [], 1.0, texts)], SCHEMA, "postgresql", ALL)]


@pytest.mark.parametrize(("texts", "index"), AGREED.values(), ids=AGREED)
def test_a_value_that_all_texts_of_a_shape_have(texts: list[str], index: str) -> None:
    assert index in of_shape(texts)


@pytest.mark.parametrize("texts", APART.values(), ids=APART)
def test_a_value_that_may_be_a_requests(texts: list[str]) -> None:
    assert [said for said in of_shape(texts) if "WHERE" in said or "'" in said] == []


def test_no_trigrams_without_their_extension() -> None:
    assert found(["SELECT * FROM ev WHERE title LIKE %s"], extensions=frozenset()) == []


def test_sqlite_has_one_kind_of_index() -> None:
    texts = ["SELECT * FROM ev WHERE title LIKE ? OR 1", "SELECT id, at FROM ev WHERE who = ?"]
    assert found(texts, "sqlite") == ["who", "who, at"]


def test_the_costly_statement_comes_first() -> None:
    sent = [Sent("SELECT * FROM ev WHERE who = ?", [], 1.0), Sent("SELECT * FROM ev WHERE kind = ?", [], 9.0)]
    assert [s.said for s in candidates(sent, SCHEMA, "postgresql", ALL)] == ["kind", "who"]


def test_an_index_for_two_shapes_comes_before_one_for_each() -> None:
    first, *_ = found(["SELECT * FROM ev WHERE who = ? AND kind = ?", "SELECT * FROM ev WHERE who = ?"])
    assert first == "who"
    assert union(Parts(("a",), ("b",)), Parts(("a", "b"), ("c",))) == Parts(("a", "b"), ("c",))
    assert union(Parts(("a",), ("c",)), Parts(("a", "b"), ())) is None
    assert union(Parts(("x",), ()), Parts(("a", "b"), ())) is None


BEGINS = {
    "fewer keys": (IndexSpec(table="t", keys=("a",)), IndexSpec(table="t", keys=("a", "b")), True),
    "kept beside": (IndexSpec(table="t", keys=("a",), include=("b",)), IndexSpec(table="t", keys=("a", "b")), True),
    "another order": (IndexSpec(table="t", keys=("b",)), IndexSpec(table="t", keys=("a", "b")), False),
    "of fewer rows": (IndexSpec(table="t", keys=("a",), where="b"), IndexSpec(table="t", keys=("a", "b")), False),
    "another kind": (IndexSpec(table="t", keys=("a",), using="gin"), IndexSpec(table="t", keys=("a",)), False),
}


@pytest.mark.parametrize(("one", "other", "begins"), BEGINS.values(), ids=BEGINS)
def test_an_index_that_another_one_begins_with(one: IndexSpec, other: IndexSpec, begins: bool) -> None:
    assert one.begins(other) is begins
