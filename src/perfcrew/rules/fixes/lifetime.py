"""How long a written cache keeps an answer: as the model of its reads advises, within what an experiment can prove."""

from __future__ import annotations

import math

from perfcrew.rules.fixes.case import Case

SECONDS = 30
"""Where no model says more."""
MOST = 3600
"""However much more would hit: a write by another program, or by hand, is not told to the cache."""
MOST_UNTOLD = 60
"""Where no write of the application drops what is kept, new data show when the time is over, and an experiment waits
for that no longer."""


def seconds(case: Case, *, told: bool) -> int:
    """Whole seconds. `told`: whether the writes of the application drop what is kept."""
    advised = _advised(case)
    return SECONDS if advised is None else max(1, min(math.ceil(advised), MOST if told else MOST_UNTOLD))


def said(case: Case) -> str:
    """Where the number comes from."""
    advised = _advised(case)
    if advised is None:
        return "No time to live is advised for this read: the number is a guess."
    return f"The model of a cache advises {math.ceil(advised)} s for this read, as the least that meets the target."


def _advised(case: Case) -> float | None:
    """Of the reads that the finding is about, by their shape."""
    curves = case.scene.ttl if case.scene else ()
    body = next((c.body for c in curves if c.body.of == "statement" and c.body.group == case.finding.subject), None)
    return None if body is None or body.advised is None else body.points[body.advised].ttl_s
