"""DB101: the set in one statement: eager loading of a lazy relation, or one `IN` for a loop of lookups.

Counts, sums and filtered relations are declined: what one statement for all of them looks like is for a developer to
say. Loops that write are declined too.
"""

from __future__ import annotations

from perfcrew.core.patches import Declined, Fix
from perfcrew.rules.fixes import eager, models
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.outcomes import attempt


def fix(case: Case) -> list[Fix | Declined]:
    """Eager loading in each way that fits."""
    known = models.read(case.root)
    if any(m.style == "django" for m in known):
        return attempt(case, "set", lambda: eager.django(case, known))
    return attempt(
        case,
        "set",
        lambda: eager.sqlalchemy(case, known, "selectinload"),
        lambda: eager.sqlalchemy(case, known, "joinedload"),
    )
