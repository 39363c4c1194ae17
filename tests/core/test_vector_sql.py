"""Statements that ask for nearest neighbours, as adapters and people write them; and look-alikes."""

from __future__ import annotations

import pytest

from perfcrew.core.sql import shape
from perfcrew.core.vector_sql import Amount, nearest

FIVE = Amount(number=5)

# statement, table, column, operator, cast, ordered by the distance itself, limit, filtered
FOUND: dict[str, tuple[str, str, str, str, str, bool, Amount, bool]] = {
    "plain": ("SELECT id FROM items ORDER BY e <-> $1 LIMIT 5", "items", "e", "<->", "", True, FIVE, False),
    "pgvector.sqlalchemy on psycopg": (
        "SELECT items.id, items.e FROM items ORDER BY items.e <=> %(e_1)s::VECTOR \n LIMIT %(param_1)s::INTEGER",
        "items", "e", "<=>", "", True, Amount(place=1), False,
    ),
    "pgvector.django, by position": (
        'SELECT "i"."id", ("i"."e" <#> %s) AS "distance" FROM "items" "i" WHERE "i"."shop" = %s ORDER BY 2 ASC LIMIT 5',
        "items", "e", "<#>", "", True, FIVE, True,
    ),
    "taxicab": ("SELECT id FROM items ORDER BY e <+> '[1,2]' LIMIT 5", "items", "e", "<+>", "", True, FIVE, False),
    "by a label": (
        "SELECT e <=> $1 AS d FROM items WHERE e <=> $1 < 0.5 ORDER BY d LIMIT $2",
        "items", "e", "<=>", "", True, Amount(place=2), True,
    ),
    "a cast of the column": (
        "SELECT id FROM items ORDER BY e::halfvec(3) <-> $1 LIMIT 5",
        "items", "e", "<->", "halfvec(3)", True, FIVE, False,
    ),
    "the most similar first": (
        "SELECT id, 1 - (e <=> $1) AS s FROM items ORDER BY s DESC LIMIT 5",
        "items", "e", "<=>", "", False, FIVE, False,
    ),
    "the inner product turned round": (
        "SELECT id FROM items ORDER BY (e <#> $1) * -1 DESC LIMIT 5", "items", "e", "<#>", "", False, FIVE, False,
    ),
    "one part of the similarity": (
        "SELECT id FROM items ORDER BY 1 / (1 + (e <-> $1)) DESC LIMIT 5", "items", "e", "<->", "", False, FIVE, False,
    ),
    "beside a row of the table": (
        "SELECT id FROM items ORDER BY e <-> (SELECT e FROM items WHERE id = $1) FETCH FIRST 5 ROWS ONLY",
        "items", "e", "<->", "", True, FIVE, False,
    ),
    "within a join": (
        "SELECT i.id FROM items i JOIN shops s ON s.id = i.shop WHERE s.name = $2 ORDER BY i.e <-> $1 LIMIT 5",
        "items", "e", "<->", "", True, FIVE, True,
    ),
    "in a part of the statement": (
        "WITH near AS (SELECT id FROM items ORDER BY e <-> $1 LIMIT 5) SELECT * FROM near JOIN shops USING (id)",
        "items", "e", "<->", "", True, FIVE, False,
    ),
    "an operator with its schema": (
        "SELECT id FROM items ORDER BY e OPERATOR(public.<=>) $1 LIMIT 5", "items", "e", "<=>", "", True, FIVE, False,
    ),
}  # fmt: skip

OTHERS = {
    "no order": "SELECT e <-> $1 FROM items LIMIT 5",
    "no limit": "SELECT id FROM items ORDER BY e <-> $1",
    "the farthest first": "SELECT id FROM items ORDER BY e <-> $1 DESC LIMIT 5",
    "the least similar first": "SELECT id FROM items ORDER BY 1 - (e <=> $1) LIMIT 5",
    "two columns": "SELECT a.id FROM items a, items b ORDER BY a.e <-> b.e LIMIT 5",
    "two distances": "SELECT id FROM items ORDER BY (e <-> $1) + (f <-> $2) LIMIT 5",
    "a group": "SELECT shop FROM items GROUP BY shop ORDER BY min(e <-> $1) LIMIT 5",
    "a derived table": "SELECT id FROM (SELECT * FROM items WHERE shop = 1) AS i ORDER BY i.e <-> $1 LIMIT 5",
    "a JSON arrow": "SELECT body->'a' FROM items ORDER BY body->>'b' LIMIT 5",
    "in a string": "SELECT '<=>' FROM items ORDER BY id LIMIT 5",
    "broken": "SELECT FROM ORDER BY <=> LIMIT",
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(case: tuple[str, str, str, str, str, bool, Amount, bool]) -> None:
    statement, table, column, operator, cast, direct, limit, filtered = case
    found = nearest(statement)
    assert found is not None
    assert (found.tables, found.column, found.operator, found.cast) == ((table,), column, operator, cast)
    assert (found.direct, found.limit, found.filtered) == (direct, limit, filtered)


@pytest.mark.parametrize("statement", OTHERS.values(), ids=OTHERS)
def test_others(statement: str) -> None:
    assert nearest(statement) is None


def test_what_is_sent_keeps_conditions_and_their_values() -> None:
    found = nearest(
        "SELECT id, 1 - (e <=> %s) AS s FROM items WHERE n LIKE 'a%%' AND shop = %s ORDER BY s DESC LIMIT %s"
    )
    assert found is not None
    where = "FROM items WHERE n LIKE 'a%%' AND shop = %(pv1)s"
    distance = "e OPERATOR(<=>) %(pv_query)s"
    assert found.probe(own=False) == f"SELECT {distance} {where} ORDER BY {distance} LIMIT %(pv_limit)s"
    assert found.probe(own=True) == f"SELECT {distance} {where} ORDER BY 1 - ({distance}) DESC LIMIT %(pv_limit)s"
    assert found.counting() == f"SELECT COUNT(*) {where}"


@pytest.mark.parametrize("operator", ["<->", "<=>", "<#>", "<+>", "<~>"])
def test_shapes_keep_the_operator(operator: str) -> None:
    said = shape(f"SELECT id FROM items ORDER BY e {operator} '[1,2,3]'::vector LIMIT 5")
    assert said == f"SELECT id FROM items ORDER BY e {operator} CAST(? AS VECTOR) NULLS LAST LIMIT ?"
