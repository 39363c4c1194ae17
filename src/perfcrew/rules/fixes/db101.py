"""DB101: the set in one statement: eager loading of a lazy relation, or one `IN` for a loop of lookups.

Filtered relations and loops that write are declined: what one statement for all of them looks like is for a developer
to say.
"""

from __future__ import annotations

from collections.abc import Callable

from perfcrew.core.patches import Declined, Fix
from perfcrew.core.sql import is_read
from perfcrew.rules.fixes import eager, models, one_in, raw_lookup
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.outcomes import Draft, attempt, declined


def fix(case: Case) -> list[Fix | Declined]:
    """Each way that fits: where the line asks by itself, one `IN`; else eager loading."""
    if case.finding.subject and not is_read(case.finding.subject):
        reason = "the statements write: whether they may be sent as one, and in which order, is for a developer to say"
        return [declined(case, "set", reason)]
    known = models.read(case.root)
    return attempt(case, "set", *_writers(case, known))


def _writers(case: Case, known: models.Models) -> list[Callable[[], Draft]]:
    if any(m.style == "django" for m in known):
        return [lambda: eager.django(case, known), lambda: raw_lookup.one_statement(case)]
    return [
        lambda: one_in.one_in(case, known),
        lambda: eager.sqlalchemy(case, known, "selectinload"),
        lambda: eager.sqlalchemy(case, known, "joinedload"),
        lambda: raw_lookup.one_statement(case),
    ]
