"""What of an item of evidence a model is shown: what was measured, without values, headers and long lists."""

from __future__ import annotations

import json
from typing import Any

from perfcrew.core.evidence import Evidence, QueryPlan
from perfcrew.core.sql import shape

KINDS = (
    *("measurement", "traces", "scaling", "plan", "profile", "memory", "startup", "neighbour", "payload", "data"),
    *("environment", "log", "failure", "not measured", "findings", "comparison", "trial", "outcome", "suite", "kept"),
)
"""Kinds that are shown. What holds requests, variables and what was sent to a model is not."""
_LONG = ("samples", "operation", "before_ms", "after_ms", "rss_bytes", "packages", "project", "log_ratios", "level")
_WITHHELD = ("headers", "fingerprints", "settings")
_MOST = 8


def is_shown(item: Evidence) -> bool:
    """Whether a model may see an item of its kind."""
    return item.kind in KINDS


def plain(item: Evidence) -> dict[str, Any]:
    """The body as plain values: statements as their shapes, without headers and what is empty."""
    body = item.body.model_dump(mode="json", exclude={"kind"})
    if isinstance(item.body, QueryPlan):
        body["statement"] = shape(item.body.statement)
    return {k: v for k, v in body.items() if k not in _WITHHELD}


def text(item: Evidence, *, whole: bool = False) -> str:
    """The body as JSON; long lists are cut, unless the whole is wanted."""
    return json.dumps(plain(item) if whole else _short(plain(item)), ensure_ascii=False)


def _short(value: Any) -> Any:
    """Without long lists of samples and digits that nobody measured, which a reader of text gains nothing from."""
    if isinstance(value, dict):
        return {k: _short(v) for k, v in value.items() if k not in _LONG and v not in (None, "", [], {})}
    if isinstance(value, list):
        return [_short(v) for v in value[:_MOST]]
    return float(f"{value:.6g}") if isinstance(value, float) else value
