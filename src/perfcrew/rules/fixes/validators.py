"""A client that has the answer already is told so: Django's own middleware does it, the others' recipes are by hand."""

from __future__ import annotations

from perfcrew.core.patches import Declined, Fix
from perfcrew.rules.fixes import middleware
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.outcomes import Draft, attempt

SUFFIX = "conditional"
_MIDDLEWARE = "django.middleware.http.ConditionalGetMiddleware"
_ABOVE = (
    *("SecurityMiddleware", "WhiteNoiseMiddleware", "UpdateCacheMiddleware", "SessionMiddleware", "CorsMiddleware"),
    *("GZipMiddleware", "BrotliMiddleware", "CompressionMiddleware"),
)
"""What changes an answer stands above it, compression first of all: Django pads that by chance."""
_NEW_CODE = "Starlette has no middleware for it: the recipe's is new code of the project's own, for it to take or leave"
_BY_HAND = {
    "fastapi": _NEW_CODE,
    "starlette": _NEW_CODE,
    "flask": "which answers are digested is for the project to say: the recipe hooks in after every request",
}


def conditional(case: Case) -> list[Fix | Declined]:
    """For a finding with that hypothesis; nothing for others."""
    wanted = f"{case.finding.rule}-{SUFFIX}" in {h.id for h in case.finding.hypotheses}
    return attempt(case, SUFFIX, lambda: _draft(case)) if wanted else []


def _draft(case: Case) -> Draft:
    framework = case.app.project.framework
    if framework != "django":
        reason = _BY_HAND.get(framework, f"no middleware for it is known for {framework}")
        raise Unwritable(reason)
    files = middleware.in_list(case, _MIDDLEWARE, _ABOVE)
    return Draft("ConditionalGetMiddleware", "Answer conditional requests", files)
