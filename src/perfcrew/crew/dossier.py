"""The dossier: the evidence that a specialist is given, numbered, the costliest first, cut to a budget."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from perfcrew.core.base import Noun
from perfcrew.core.evidence import Evidence

_LONG = ("samples", "operation", "before_ms", "after_ms", "rss_bytes", "packages", "project")


class Exhibit(Noun):
    """One item as it stands in a prompt."""

    number: int
    id: str
    kind: str
    subject: str
    text: str


class Dossier(Noun):
    """What is shown, and how many items were left out for length."""

    exhibits: tuple[Exhibit, ...]
    left_out: int


def dossier(evidence: Iterable[Evidence], costliest: Sequence[str], budget_characters: int) -> Dossier:
    """The items in the order of their endpoint's cost (`costliest` first), until the budget is used up."""
    rank = {subject: n for n, subject in enumerate(costliest)}
    ordered = sorted(evidence, key=lambda e: (rank.get(e.subject, len(rank)), e.kind, e.slot))
    exhibits: list[Exhibit] = []
    used = 0
    for item in ordered:
        text = _text(item)
        if used + len(text) > budget_characters:
            continue
        used += len(text)
        exhibits.append(Exhibit(number=len(exhibits) + 1, id=item.id, kind=item.kind, subject=item.subject, text=text))
    return Dossier(exhibits=tuple(exhibits), left_out=len(ordered) - len(exhibits))


def _text(item: Evidence) -> str:
    return json.dumps(_short(item.body.model_dump(mode="json", exclude={"kind"})), ensure_ascii=False)


def _short(value: Any) -> Any:
    """Without long lists of samples, which a reader of text gains nothing from."""
    if isinstance(value, dict):
        return {k: _short(v) for k, v in value.items() if k not in _LONG and v not in (None, "", [], {})}
    if isinstance(value, list):
        return [_short(v) for v in value[:8]]
    return value
