"""DB104: the answer of a slow statement, kept where nothing speaks against it; a faster one is not known by rule."""

from __future__ import annotations

from perfcrew.core.patches import Declined, Fix
from perfcrew.rules.fixes import ca201
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.outcomes import attempt, declined

_REWRITE = (
    "a faster statement of the same meaning is not known by rule: the plan in the evidence shows what it spends on"
)


def fix(case: Case) -> list[Fix | Declined]:
    """The answer kept for a bounded time, as CA201."""
    return [*attempt(case, "keep", lambda: ca201.kept(case)), declined(case, "rewrite", _REWRITE)]
