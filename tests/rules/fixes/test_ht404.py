"""A validator by Django's own middleware; what the recipes say runs, on real applications."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient, Response

from perfcrew.core.patches import Declined, Fix
from perfcrew.rules.fixes import propose
from perfcrew.rules.revisits import ASGI, DJANGO, DJANGO_VIEW, FLASK

from .cases import FILE, PYPROJECT, At, application, finding, hypothesis, reasons, same, variant, write

HANDLER = "def page():\n    return []\n"
VARIANT = "ConditionalGetMiddleware"


def validated(
    root: Path, files: dict[str, str], framework: Any = "django", named: str = "HT404-conditional"
) -> list[Fix | Declined]:
    """What is proposed for a finding with this hypothesis, in a project of these files."""
    write(root, {"pyproject.toml": PYPROJECT, FILE: HANDLER, **files})
    known = (hypothesis(named, "conditional.bytes"),)
    seen = finding(root, named.partition("-")[0], At("return []", "page"), hypotheses=known)
    return propose(root, seen, application(root, framework, settings_module="site.settings"))


BEFORE = """
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",  # who it is
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.common.CommonMiddleware",
]
"""
AFTER = """
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",  # who it is
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.middleware.common.CommonMiddleware",
]
"""
COMPRESSED = """
MIDDLEWARE = [
    "django.middleware.common.CommonMiddleware",
    "django.middleware.gzip.GZipMiddleware",
]
"""
BELOW = """
MIDDLEWARE = [
    "django.middleware.common.CommonMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
]
"""
PLAIN = 'MIDDLEWARE = ["shop.Own", "django.middleware.common.CommonMiddleware"]\n'
FIRST = (
    'MIDDLEWARE = ["django.middleware.http.ConditionalGetMiddleware", "shop.Own", '
    '"django.middleware.common.CommonMiddleware"]\n'
)


@pytest.mark.parametrize(("before", "after"), [(BEFORE, AFTER), (COMPRESSED, BELOW), (PLAIN, FIRST)])
def test_in_its_place(before: str, after: str, tmp_path: Path) -> None:
    answers = validated(tmp_path, {"site/settings.py": before})
    same(variant(answers, VARIANT), after)
    (fix,) = (a for a in answers if isinstance(a, Fix))
    assert (fix.metrics, fix.exact, fix.ttl_s) == (("conditional.bytes",), True, 0)


def test_of_a_large_answer_beside_its_compression(tmp_path: Path) -> None:
    answers = validated(tmp_path, {"site/settings.py": BEFORE}, named="HT403-conditional")
    assert [a.variant for a in answers if isinstance(a, Fix)] == [VARIANT, "GZipMiddleware"]
    same(variant(answers, VARIANT), AFTER)


def test_of_a_large_answer_that_has_one_nothing_is_said(tmp_path: Path) -> None:
    answers = validated(tmp_path, {"site/settings.py": BEFORE}, named="HT403-less")
    assert [a.variant for a in answers if isinstance(a, Fix)] == ["GZipMiddleware"]
    assert {a.hypothesis for a in answers} == {"HT403-gzip", "HT403-less"}


REFUSED: dict[str, tuple[str, str, str, str]] = {
    "there already": ("django", AFTER, "HT404-conditional", "ConditionalGetMiddleware is in MIDDLEWARE already"),
    "put together": ("django", "MIDDLEWARE = BASE + ['a']\n", "HT404-conditional", "ConditionalGetMiddleware' by hand"),
    "not found": ("django", "DEBUG = True\n", "HT404-conditional", "no list of MIDDLEWARE"),
    "FastAPI": ("fastapi", BEFORE, "HT404-conditional", "Starlette has no middleware for it"),
    "Starlette": ("starlette", BEFORE, "HT404-conditional", "Starlette has no middleware for it"),
    "Flask": ("flask", BEFORE, "HT404-conditional", "for the project to say"),
    "Quart": ("quart", BEFORE, "HT404-conditional", "no middleware for it is known for quart"),
    "a tag that moves": ("django", BEFORE, "HT404-steady", "what the tag is made of"),
    "built in vain": ("django", BEFORE, "HT404-early", "which version tells"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    framework, settings, named, why = REFUSED[name]
    answers = validated(tmp_path, {"site/settings.py": settings}, framework, named)
    assert [a.hypothesis for a in answers] == [named]
    assert why in reasons(answers)


BODY = b"The same again. " * 2000
Get = Callable[..., Awaitable[Response]]


def starlette() -> Any:
    """An application with the recipe's middleware, and compression around it."""
    from starlette.applications import Starlette
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, StreamingResponse
    from starlette.routing import Route

    async def plain(request: Request) -> PlainTextResponse:
        return PlainTextResponse(BODY, headers={"X-Own": "kept", "Vary": "Cookie"})

    async def tagged(request: Request) -> PlainTextResponse:
        return PlainTextResponse(BODY, headers={"ETag": '"own"'})

    async def secret(request: Request) -> PlainTextResponse:
        return PlainTextResponse(BODY, headers={"Cache-Control": "private, no-store"})

    async def wrong(request: Request) -> PlainTextResponse:
        return PlainTextResponse(BODY, status_code=404)

    async def streamed(request: Request) -> StreamingResponse:
        return StreamingResponse(iter([BODY, BODY]))

    handlers = {"/plain": plain, "/tagged": tagged, "/secret": secret, "/wrong": wrong, "/streamed": streamed}
    app = Starlette(routes=[Route(path, handler, methods=["GET", "POST"]) for path, handler in handlers.items()])
    made: dict[str, Any] = {}
    exec(ASGI, made)
    app.add_middleware(made["Conditional"])
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    return app


async def test_the_recipe_for_starlette_runs() -> None:
    async with AsyncClient(transport=ASGITransport(starlette()), base_url="http://shop") as client:
        first = await client.get("/plain")
        tag = first.headers["etag"]
        assert (first.status_code, first.content, first.headers["content-encoding"]) == (200, BODY, "gzip")
        for asked in (tag, f'"other", {tag}', tag.removeprefix("W/")):
            again = await client.get("/plain", headers={"If-None-Match": asked})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
            assert (again.headers["x-own"], again.headers["vary"].split(",")[0]) == ("kept", "Cookie")
        for asked in ('"other"', tag[:-2] + '"', ""):
            again = await client.get("/plain", headers={"If-None-Match": asked})
            assert (again.status_code, again.content) == (200, BODY)
        posted = await client.post("/plain", headers={"If-None-Match": tag})
        assert (posted.status_code, "etag" in posted.headers) == (200, False)
        own = await client.get("/tagged", headers={"If-None-Match": 'W/"own"'})
        assert (own.status_code, own.headers["etag"]) == (304, '"own"')
        for path, status, body in (("/secret", 200, BODY), ("/wrong", 404, BODY), ("/streamed", 200, BODY * 2)):
            other = await client.get(path, headers={"If-None-Match": tag})
            assert (other.status_code, other.content, "etag" in other.headers) == (status, body, False)


def test_the_recipe_for_flask_runs() -> None:
    from flask import Flask, request

    app = Flask("shop")
    app.add_url_rule("/plain", "plain", lambda: BODY)
    app.add_url_rule("/secret", "secret", lambda: (BODY, 200, {"Cache-Control": "no-store"}))
    app.add_url_rule("/streamed", "streamed", lambda: (part for part in (BODY, BODY)))
    app.add_url_rule("/wrong", "wrong", lambda: (BODY, 404))
    exec(FLASK, {"app": app, "request": request})
    client = app.test_client()
    tag = client.get("/plain").headers["ETag"]
    again = client.get("/plain", headers={"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    assert client.get("/plain", headers={"If-None-Match": '"other"'}).data == BODY
    for path, body in (("/secret", BODY), ("/streamed", BODY * 2), ("/wrong", BODY)):
        other = client.get(path, headers={"If-None-Match": tag})
        assert (other.data, "ETag" in other.headers) == (body, False)


DRIVER = """
import json, sys
import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
from django.test import Client

made = {}
exec(open("site/settings.py").read() if sys.argv[1] == "fixed" else open("recipe.py").read(), made)
own = [m for m in made["MIDDLEWARE"] if not m.startswith("corsheaders")]
settings.configure(
    DEBUG=False, ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="x", MIDDLEWARE=own,
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
)
BODY = b"The same again. " * 2000
view = {"HttpResponse": HttpResponse, "BODY": BODY, "__name__": "view"}
exec(open("view.py").read().replace("...", "return HttpResponse(BODY)"), view)
urlpatterns = [
    path("plain", lambda request: HttpResponse(BODY)),
    path("alone", view["books"]),
    path("secret", lambda request: HttpResponse(BODY, headers={"Cache-Control": "no-store"})),
    path("wrong", lambda request: HttpResponse(BODY, status=404)),
]
django.setup()
client, told = Client(), {}
packed = {"Accept-Encoding": "gzip"}
tag = client.get("/plain", headers=packed)["ETag"]
for name in ("plain", "secret", "wrong"):
    answer = client.get("/" + name, headers={"If-None-Match": tag, **packed})
    told[name] = [answer.status_code, bool(answer.content), "ETag" in answer]
settings.MIDDLEWARE = []
alone = Client()
tag = alone.get("/alone")["ETag"]
told["alone"] = [alone.get("/alone", headers={"If-None-Match": known}).status_code for known in (tag, "other")]
settings.MIDDLEWARE = own
told["gzip"] = client.get("/plain", headers=packed).get("Content-Encoding", "")
print(json.dumps(told))
"""


@pytest.mark.target
@pytest.mark.parametrize("which", ["fixed", "recipe"])
def test_django_honours_it(which: str, tmp_path: Path) -> None:
    """With compression in the recipe, whose random padding stands above the digest."""
    same(variant(validated(tmp_path, {"site/settings.py": BEFORE}), VARIANT), AFTER)
    write(tmp_path, {"site/settings.py": AFTER, "recipe.py": DJANGO, "view.py": DJANGO_VIEW})
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, which], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    wanted = {
        "plain": [304, False, True],
        "secret": [200, True, False],
        "wrong": [404, True, True],
        "alone": [304, 200],
    }
    assert json.loads(done.stdout) == {**wanted, "gzip": "gzip" if which == "recipe" else ""}
