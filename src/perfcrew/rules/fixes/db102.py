"""DB102: read once what is asked for again: before the loop, handed down, with the rows, or once for each value."""

from __future__ import annotations

from perfcrew.core.patches import Declined, Fix
from perfcrew.rules.fixes import eager, hand_down, hoist, models, once_a_value, session_memo
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.outcomes import attempt


def fix(case: Case) -> list[Fix | Declined]:
    """The ways that fit, the plainest first."""
    known = models.read(case.root)
    django = any(m.style == "django" for m in known)
    return attempt(
        case,
        "once",
        lambda: hoist.hoisted(case),
        lambda: hand_down.handed_down(case),
        lambda: eager.django(case, known) if django else eager.sqlalchemy(case, known, "selectinload"),
        lambda: once_a_value.read_once(case),
        lambda: session_memo.kept(case),
    )
