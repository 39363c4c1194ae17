"""The vectors that a sweep asks for: those that the application sent, where they were recorded whole, else drawn.

Drawn ones lie a tenth of the way from one row of the table to another: a row itself would find itself, at no distance,
which any index does.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence

from psycopg import sql

from perfcrew.core.sql_candidates import LEAST_ROWS as _ENOUGH
from perfcrew.instruments.sessions import Refused
from perfcrew.instruments.vector_catalog import Column, Connection

_TOWARDS = 0.1


def whole(captured: Sequence[object], dimensions: int) -> Iterator[str]:
    """The vectors of that many dimensions among recorded parameters, each once, as pgvector writes them."""
    seen = set()
    for value in (value for parameters in captured for value in _values(parameters)):
        text = _vector(value, dimensions)
        if text and text not in seen:
            seen.add(text)
            yield text


def _values(parameters: object) -> list[object]:
    if isinstance(parameters, Mapping):
        return list(parameters.values())
    return parameters if isinstance(parameters, list) else []


def _vector(value: object, dimensions: int) -> str:
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        try:
            value = json.loads(value)
        except ValueError:
            return ""
    if not isinstance(value, list) or len(value) != dimensions:
        return ""
    return _written(value) if all(isinstance(one, (int, float)) for one in value) else ""


def drawn(db: Connection, column: Column, count: int, rows: int, seed: int) -> list[str]:
    """So many vectors near rows of the table, the same for the same seed. Raises Refused where no row has one."""
    if count <= 0:
        return []
    part = min(100.0, 100.0 * (4 * count + _ENOUGH) / rows)
    asked = sql.SQL(
        "SELECT {0}::text FROM {1} TABLESAMPLE BERNOULLI ({2}) REPEATABLE ({3}) WHERE {0} IS NOT NULL LIMIT {4}"
    ).format(sql.Identifier(column.name), column.path, part, seed, 4 * count)
    found = [json.loads(text) for (text,) in db.execute(asked).fetchall()]
    if len(found) < 2:
        raise Refused("its column holds no vectors")
    lot = random.Random(seed)
    pairs = (lot.sample(found, 2) for _ in range(count))
    return [_written([a + _TOWARDS * (b - a) for a, b in zip(one, other, strict=True)]) for one, other in pairs]


def _written(values: Sequence[float]) -> str:
    return "[" + ",".join(f"{value:.7g}" for value in values) + "]"
