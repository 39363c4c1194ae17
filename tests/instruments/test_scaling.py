"""Growth of exact metrics, read off traced runs at several sizes."""

from perfcrew.core.evidence import Counts
from perfcrew.instruments.scaling import scale


def counts(statements: float, rows: float) -> Counts:
    return Counts(statements_count=statements, rows=rows, response_bytes=1000)


def test_each_metric_that_occurs_is_fitted() -> None:
    found = {s.metric: s for s in scale([(400, counts(401, 2)), (200, counts(201, 2)), (800, counts(801, 2))], "rows")}
    assert {name: s.growth for name, s in found.items()} == {
        "db.statements": "linear",
        "db.rows": "constant",
        "response.bytes": "constant",
    }
    assert found["db.statements"].sizes == (200, 400, 800) and found["db.statements"].values == (201, 401, 801)


def test_two_sizes_say_nothing() -> None:
    assert scale([(200, counts(1, 1)), (400, counts(2, 2)), (400, counts(2, 2)), (0, counts(0, 0))], "rows") == []
