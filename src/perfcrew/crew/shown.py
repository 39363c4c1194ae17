"""What of an item of evidence a model is shown: what was measured, without values, headers and long lists."""

from __future__ import annotations

import json
from typing import Any

from perfcrew.core.advice import IndexAdvice, IndexUsage
from perfcrew.core.evidence import Evidence, QueryPlan
from perfcrew.core.sql import shape
from perfcrew.core.vectors import VectorSearch
from perfcrew.instruments.plan_nodes import without_values

KINDS = (
    *("measurement", "traces", "scaling", "plan", "profile", "memory", "startup", "neighbour", "payload", "data"),
    *("vectors", "cache server", "ttl curve", "index advice", "index usage", "connection need", "peak"),
    *("environment", "log", "failure", "not measured", "findings", "comparison", "trial", "outcome", "suite", "kept"),
)
"""Kinds that are shown. What holds requests, variables and what was sent to a model is not."""
_LONG = ("samples", "operation", "before_ms", "after_ms", "rss_bytes", "packages", "project", "log_ratios", "level")
_WITHHELD = ("headers", "fingerprints", "settings")
_WHOLE = ("points",)
"""Lists that are a table of their own: advice is taken from it, so no row of it may be missing."""
_DEFINED = ("ddl", "where", "index")
"""Texts of an index that may hold a value: of a row's condition, or within an expression."""
_MOST = 8


def is_shown(item: Evidence) -> bool:
    """Whether a model may see an item of its kind."""
    return item.kind in KINDS


def plain(item: Evidence) -> dict[str, Any]:
    """The body as plain values: statements as their shapes, without headers and what is empty."""
    body = item.body.model_dump(mode="json", exclude={"kind"})
    if isinstance(item.body, QueryPlan):
        body["statement"] = shape(item.body.statement)
    if isinstance(item.body, (QueryPlan, IndexAdvice, IndexUsage)):
        body = _without_constants(body)
    swept = ("settings",) if isinstance(item.body, VectorSearch) else ()
    return {k: v for k, v in body.items() if k not in _WITHHELD or k in swept}


def _without_constants(value: Any) -> Any:
    """With `?` for each value in the definition of an index."""
    if isinstance(value, dict):
        return {
            k: without_values(v) if k in _DEFINED and isinstance(v, str) else _without_constants(v)
            for k, v in value.items()
        }
    return [_without_constants(v) for v in value] if isinstance(value, list) else value


def text(item: Evidence, *, whole: bool = False) -> str:
    """The body as JSON; long lists are cut, unless the whole is wanted."""
    return json.dumps(plain(item) if whole else _short(plain(item)), ensure_ascii=False)


def _short(value: Any, most: int = _MOST) -> Any:
    """Without long lists of samples and digits that nobody measured; a list that is cut says by how many."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in _LONG and v not in (None, "", [], {})}
        return {k: _short(v, len(v) if k in _WHOLE else _MOST) for k, v in kept.items()}
    if isinstance(value, list):
        more = [f"({len(value) - most} more: read the item)"] if len(value) > most else []
        return [*(_short(v) for v in value[:most]), *more]
    return float(f"{value:.6g}") if isinstance(value, float) else value
