"""The unit of a number in a body of evidence."""

from __future__ import annotations

import pytest

from perfcrew.core.evidence import Counts, Scaling, TraceGroup, Traces, unit_of


def scaling(metric: str, by: str = "rows") -> Scaling:
    sizes = {"sizes": (1, 2), "values": (3, 4)}
    return Scaling(metric=metric, by=by, growth="linear", slope=1, fit_share=1, **sizes)  # type: ignore[arg-type]


GROUP = TraceGroup(
    operation="database", shape="", digest="", place=None, repeats_count=1, parameters_count=1, total_ms=1
)
TRACES = Traces(instrumented=True, mode="otel", requests_count=1, counts=Counts(), groups=(GROUP,))

UNITS = {
    "bytes of an answer by rows": (scaling("response.bytes"), "values.1", "bytes"),
    "rows fetched": (scaling("db.rows"), "values.0", "rows"),
    "statements": (scaling("db.statements"), "values.0", "count/request"),
    "a metric that is not known": (scaling("made.up"), "values.0", "count"),
    "sizes are rows": (scaling("response.bytes"), "sizes.0", "rows"),
    "sizes of a page": (scaling("response.bytes", "page size"), "sizes.0", "count"),
    "the fit is a share": (scaling("response.bytes"), "fit_share", "fraction"),
    "how often a group repeats": (TRACES, "groups.0.repeats_count", "count"),
    "how long a group takes": (TRACES, "groups.0.total_ms", "ms"),
}


@pytest.mark.parametrize(("body", "path", "unit"), UNITS.values(), ids=UNITS)
def test_unit(body: object, path: str, unit: str) -> None:
    assert unit_of(body, path) == unit
