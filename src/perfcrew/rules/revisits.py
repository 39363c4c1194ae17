"""What a client is sent again though it has it already, and what to do about it."""

from __future__ import annotations

import re

from perfcrew.core.evidence import Payload, Revisit
from perfcrew.core.findings import Hypothesis
from perfcrew.core.scene import Scene
from perfcrew.rules.costs import by_design, scores
from perfcrew.rules.places import text
from perfcrew.rules.recipes import python

METRIC = "conditional.bytes"
_SHOWN_IN_PAGES = ("image/", "font/")
"""Large by design, and yet fetched on each visit."""

ASGI = """
from hashlib import blake2b
from starlette.datastructures import Headers, MutableHeaders
class Conditional:      # app.add_middleware(Conditional), before GZipMiddleware is added; streams go through
    def __init__(self, app):
        self.app = app
    async def __call__(self, scope, receive, send):
        asks, held = scope["type"] == "http" and scope["method"] == "GET", []
        told = Headers(scope=scope).get("if-none-match", "").split(",") if asks else []
        async def answered(message):
            if asks and message["type"] == "http.response.start":
                return held.append(message)      # until its body begins
            if held:
                headers = MutableHeaders(scope=(start := held.pop()))
                whole = start["status"] == 200 and message.get("body") and not message.get("more_body")
                if whole and "no-store" not in headers.get("cache-control", ""):
                    tag = headers.setdefault("etag", f'W/"{blake2b(message["body"], digest_size=16).hexdigest()}"')
                    if tag.removeprefix("W/") in [t.strip().removeprefix("W/") for t in told]:
                        start["status"], message = 304, {**message, "body": b""}
                        del headers["content-length"]
                await send(start)
            await send(message)
        await self.app(scope, receive, answered)
"""
DJANGO = """
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.gzip.GZipMiddleware",      # what compresses stands above it
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.middleware.common.CommonMiddleware",
]
"""
DJANGO_VIEW = """
from django.views.decorators.http import conditional_page

@conditional_page
def books(request): ...
"""
FLASK = """
@app.after_request
def conditional(response):
    whole = request.method == "GET" and response.status_code == 200 and not response.is_streamed
    if whole and not response.cache_control.no_store:
        response.add_etag()
        response.make_conditional(request)
    return response
"""
_ALONE = "On one view alone, where the others should not pay for it (under ASGI, a hop to another thread each):"
_RECIPES = {
    "django": f"{python(DJANGO)}\n\n{_ALONE}\n\n{python(DJANGO_VIEW)}",
    "flask": python(FLASK),
    "starlette": python(ASGI),
}
_IMPORT = re.compile(r"^\s*(?:from|import) (fastapi|starlette|django|flask)\b", re.MULTILINE)


def kept(body: Payload) -> Revisit | None:
    """How the answer was asked again, where it stayed the same and a browser may keep it; None elsewhere.

    Streams and downloads are not asked for on each visit.
    """
    again = body.revisit
    if again is None or not again.same or again.sets_cookies or again.allows.no_store or "*" in again.allows.varies:
        return None
    return None if by_design(body) and not body.content_type.startswith(_SHOWN_IN_PAGES) else again


def is_paid_each_time(again: Revisit) -> bool:
    """Whether a client has nothing to ask by, and no time for which it may go without asking."""
    return again.conditional_status is None and again.allows.fresh_s == 0


def is_personal(again: Revisit) -> bool:
    """Whether only a browser may keep it: it says so, or it depends on who asks."""
    depends = not {"cookie", "authorization"}.isdisjoint(again.allows.varies)
    return again.with_credentials or again.allows.private or depends


def framework(scene: Scene) -> str:
    """`django`, `flask` or `starlette` (FastAPI too); empty where neither the routes nor the handler's file tell."""
    if scene.endpoint.source in _RECIPES:
        return scene.endpoint.source
    code = text(scene.root, scene.endpoint.handler) if scene.endpoint.handler else None
    named = _IMPORT.search(code.text) if code else None
    return "" if named is None else named[1].replace("fastapi", "starlette")


def conditional(rule: str, scene: Scene, again: Revisit, confidence: float) -> Hypothesis:
    """Answering those who have the answer already without it."""
    recipe = _RECIPES.get(framework(scene))
    private = is_personal(again)
    lasting = f"`Cache-Control: {'private, ' if private else ''}max-age=…`"
    return Hypothesis(
        id=f"{rule}-conditional",
        change="answering a client that has the answer already with `304`, by a validator that is honoured",
        metric=METRIC,
        improvement=1.0,
        because="the answer stayed the same byte for byte, and a `304` has no body",
        kind="configuration",
        recipe=recipe or _EVERY,
        scores=scores(0.5, confidence, effort=4, risk=4, reversibility=5),
        alternatives=(f"{lasting} where it may be old for a while: then nobody asks at all",),
        trade_offs=_TRADE_OFF + (_KEPT_APART if private else ""),
        rollback="Take it out.",
    )


_TRADE_OFF = "The answer is still built each time, and its digest costs processor time: only its bytes are spared."
_KEPT_APART = " It depends on who asks: `Cache-Control: private` keeps it out of shared caches."
_NAMES = {"django": "Django", "flask": "Flask", "starlette": "FastAPI and Starlette"}
_EVERY = "\n\n".join(f"{name}:\n\n{_RECIPES[key]}" for key, name in _NAMES.items())
