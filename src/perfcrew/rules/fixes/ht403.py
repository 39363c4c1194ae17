"""HT403: answers are compressed by the framework's own middleware.

FastAPI and Starlette: `GZipMiddleware` around the application. Django: in `MIDDLEWARE`, below what must stay above it.
Flask: flask-compress, where the project depends on it. Which fields or items could go is not for a rule to say.
"""

from __future__ import annotations

import ast

from perfcrew.core.patches import Declined, Fix
from perfcrew.rules.fixes import imports, middleware, project, validators
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.outcomes import Draft, attempt, declined
from perfcrew.rules.source import Source

_FACTORIES = {
    "fastapi.FastAPI": "fastapi.middleware.gzip",
    "fastapi.applications.FastAPI": "fastapi.middleware.gzip",
    "starlette.applications.Starlette": "starlette.middleware.gzip",
}
_ABOVE = ("SecurityMiddleware", "WhiteNoiseMiddleware", "UpdateCacheMiddleware")
"""Django's and WhiteNoise's documentation want these first."""
_GZIP = "django.middleware.gzip.GZipMiddleware"
_STREAMS = "Streams are compressed too: an old Starlette would hold back server-sent events."
_BREACH = "Pages with a secret beside what the user sent can be attacked when compressed (BREACH)."


def fix(case: Case) -> list[Fix | Declined]:
    """Compression, and a validator where the finding asks for one; smaller answers are declined."""
    reason = "which items or fields may go is for the answer's readers to say"
    return [
        *attempt(case, "gzip", lambda: _compress(case)),
        *validators.conditional(case),
        declined(case, "less", reason),
    ]


def _compress(case: Case) -> Draft:
    framework = case.app.project.framework
    if framework in ("fastapi", "starlette"):
        return _asgi(case)
    if framework == "django":
        return _django(case)
    if framework == "flask":
        return _flask(case)
    raise Unwritable(f"no compression is known for {framework}: let the proxy in front compress")


def _asgi(case: Case) -> Draft:
    text, statement, name = middleware.made(case, tuple(_FACTORIES))
    if "GZipMiddleware" in text.text:
        raise Unwritable(f"{middleware.relative(case, text)} has a GZipMiddleware already: look at its minimum_size")
    edits = Edits(text)
    full = imports.called(text, statement.value) if isinstance(statement.value, ast.Call) else ""
    gzip = imports.bring(edits, _FACTORIES[full], "GZipMiddleware")
    edits.after(middleware.last_middleware(text, statement, name), f"{name}.add_middleware({gzip}, minimum_size=1000)")
    return _draft(case, edits, text, "GZipMiddleware", (_STREAMS,))


def _draft(case: Case, edits: Edits, text: Source, variant: str, trade_offs: tuple[str, ...]) -> Draft:
    return Draft(
        variant, "Compress large answers", {middleware.relative(case, text): edits.result()}, (_BREACH, *trade_offs)
    )


def _django(case: Case) -> Draft:
    files = middleware.in_list(case, _GZIP, _ABOVE)
    return Draft("GZipMiddleware", "Compress large answers", files, (_BREACH,))


def _flask(case: Case) -> Draft:
    if not project.depends_on(case.root, "flask-compress"):
        raise Unwritable("flask-compress is not among the project's dependencies: add it, or let the proxy compress")
    text, statement, name = middleware.made(case, ("flask.Flask", "flask.app.Flask"))
    if "flask_compress" in text.text:
        raise Unwritable(f"{middleware.relative(case, text)} uses flask-compress already")
    edits = Edits(text)
    edits.after(statement, f"{imports.bring(edits, 'flask_compress', 'Compress')}({name})")
    return _draft(case, edits, text, "flask-compress", ())
