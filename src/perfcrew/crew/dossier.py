"""The dossier: the evidence that a specialist is given, numbered, the costliest first, cut to a budget of tokens."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from perfcrew.core.base import Noun
from perfcrew.core.columns import GENERAL
from perfcrew.core.evidence import Evidence
from perfcrew.crew import shown

_CHARACTERS = 3
"""Of JSON and code to a token, rather fewer than most models need: a budget is kept, whichever is asked."""
_OF_ALL = ("cache server", "index advice")
"""What sums up a whole application for its specialist: it comes before any one endpoint."""
_LONGEST_SHARE = 0.25
"""Of the budget that one item may take: a large one is left to be read by its id."""


class Exhibit(Noun):
    """One item as it stands in a prompt."""

    number: int
    id: str
    kind: str
    subject: str
    text: str


class Dossier(Noun):
    """What is shown, and how many items were left out for length, by kind."""

    exhibits: tuple[Exhibit, ...]
    left_out: int
    left_kinds: tuple[str, ...] = ()


def tokens(text: str) -> int:
    """About how many tokens a text has; rather more than fewer."""
    return math.ceil(len(text) / _CHARACTERS)


def dossier(evidence: Iterable[Evidence], costliest: Sequence[str], budget_tokens: int) -> Dossier:
    """What sums up the application, then the items in the order of their endpoint's cost (`costliest` first), until
    the budget is used up."""
    rank = {subject: n for n, subject in enumerate(costliest)}
    ordered = sorted(evidence, key=lambda e: (_rank(e, rank), e.kind, e.slot))
    exhibits: list[Exhibit] = []
    left, used = Counter[str](), 0
    for item in ordered:
        text = shown.text(item)
        cost = tokens(text)
        if used + cost > budget_tokens or (exhibits and cost > budget_tokens * _LONGEST_SHARE):
            left[item.kind] += 1
            continue
        used += cost
        exhibits.append(Exhibit(number=len(exhibits) + 1, id=item.id, kind=item.kind, subject=item.subject, text=text))
    kinds = tuple(f"{count} {kind}" for kind, count in sorted(left.items()))
    return Dossier(exhibits=tuple(exhibits), left_out=left.total(), left_kinds=kinds)


def _rank(item: Evidence, costliest: Mapping[str, int]) -> int:
    summary = item.kind in _OF_ALL and item.subject == GENERAL
    return -1 if summary else costliest.get(item.subject, len(costliest))
