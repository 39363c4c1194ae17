"""How the exact metrics of an endpoint grow with the data, from traced runs at several sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from perfcrew.core.evidence import Counts, Scaling
from perfcrew.stats.growth import FEWEST_SIZES, growth

SCALED = {
    "db.statements": "statements_count",
    "db.rows": "rows",
    "cache.round_trips": "cache_count",
    "http.calls": "http_count",
    "model.calls": "model_count",
    "response.bytes": "response_bytes",
}


def scale(points: Sequence[tuple[float, Counts]], by: Literal["rows", "page size"]) -> list[Scaling]:
    """One fit a metric that was ever above zero; empty below three different sizes, where nothing can be said."""
    at = dict(sorted((p for p in points if p[0] > 0), key=lambda p: p[0]))
    if len(at) < FEWEST_SIZES:
        return []
    found = []
    for metric, field in SCALED.items():
        values = tuple(float(getattr(counts, field)) for counts in at.values())
        if any(values):
            fit = growth(tuple(at), values)
            found.append(
                Scaling(
                    metric=metric,
                    by=by,
                    sizes=tuple(at),
                    values=values,
                    growth=fit.kind,
                    slope=fit.slope,
                    fit_share=fit.r2,
                )
            )
    return found
