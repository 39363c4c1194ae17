"""HT404: a validator that is honoured, by Django's own middleware; one that moves, and an earlier `304`, by hand.

See `validators`, which HT403 shares.
"""

from __future__ import annotations

from perfcrew.core.patches import Declined, Fix
from perfcrew.rules.fixes import validators
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.outcomes import declined

_BY_HAND = {
    "steady": "what the tag is made of is for its author to say: the recipe names what makes one move",
    "early": "which version tells that an answer changed is for its author to say: see the recipe",
}


def fix(case: Case) -> list[Fix | Declined]:
    """One of three, by the hypothesis that the finding has."""
    named = {h.id for h in case.finding.hypotheses}
    by_hand = [declined(case, name, why) for name, why in _BY_HAND.items() if f"{case.finding.rule}-{name}" in named]
    return [*validators.conditional(case), *by_hand]
