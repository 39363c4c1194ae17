"""DB101: the set in one statement: eager loading of a lazy relation, or one `IN` for a loop of lookups.

Filtered relations and loops that write are declined: what one statement for all of them looks like is for a developer
to say.
"""

from __future__ import annotations

from collections.abc import Callable

from perfcrew.core.patches import Declined, Fix
from perfcrew.core.sql import is_read
from perfcrew.rules.fixes import eager, in_bulk, models, one_in, paths, raw_lookup
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
    """By what stands on the line: a text of SQL, a statement of its own, or a relation."""
    django = any(m.style == "django" for m in known)
    if raw_lookup.sends_text(case):
        return [lambda: raw_lookup.one_statement(case)]
    if paths.asks_itself(case, known):
        return [lambda: in_bulk.in_bulk(case, known) if django else one_in.one_in(case, known)]
    if django:
        return [lambda: eager.django(case, known)]
    return [
        lambda: eager.sqlalchemy(case, known, "selectinload"),
        lambda: eager.sqlalchemy(case, known, "joinedload"),
    ]
