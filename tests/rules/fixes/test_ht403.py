"""Compression by the framework's own middleware."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perfcrew.core.patches import Declined, Fix
from perfcrew.rules.fixes import propose

from .cases import FILE, PYPROJECT, At, application, finding, reasons, same, variant, write

HANDLER = "def page():\n    return []\n"


def compressed(root: Path, files: dict[str, str], framework: Any, **project: object) -> list[Fix | Declined]:
    """What is proposed for a handler of its own, in a project of these files."""
    write(root, {"pyproject.toml": PYPROJECT, FILE: HANDLER, **files})
    seen = finding(root, "HT403", At("return []", "page"))
    return propose(root, seen, application(root, framework, **project))


ASGI = """
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware


def create_app():
    app = FastAPI()
    app.add_middleware(CORSMiddleware)
    # Then the routes.
    app.include_router(router)
    return app
"""
ASGI_AFTER = """
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware


def create_app():
    app = FastAPI()
    app.add_middleware(CORSMiddleware)
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    # Then the routes.
    app.include_router(router)
    return app
"""
DJANGO = """
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",  # first
    # Then sessions.
    "django.contrib.sessions.middleware.SessionMiddleware",
]
"""
DJANGO_AFTER = """
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",  # first
    # Then sessions.
    "django.middleware.gzip.GZipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
]
"""


def test_fastapi(tmp_path: Path) -> None:
    answers = compressed(tmp_path, {"shop/main.py": ASGI}, "fastapi", app="shop.main:create_app()")
    same(variant(answers, "GZipMiddleware"), ASGI_AFTER)


def test_starlette_in_the_only_place(tmp_path: Path) -> None:
    before = "from starlette.applications import Starlette\n\napp: Starlette = Starlette()\n"
    text = variant(compressed(tmp_path, {"shop/main.py": before}, "starlette"), "GZipMiddleware")
    after = """
        from starlette.applications import Starlette
        from starlette.middleware.gzip import GZipMiddleware

        app: Starlette = Starlette()
        app.add_middleware(GZipMiddleware, minimum_size=1000)
        """
    same(text, after)


def test_django_in_the_settings_that_others_take_over(tmp_path: Path) -> None:
    files = {
        "site/settings/__init__.py": "",
        "site/settings/base.py": DJANGO,
        "site/settings/production.py": "from .base import *\n",
    }
    answers = compressed(tmp_path, files, "django", settings_module="site.settings.production")
    (fix,) = [a for a in answers if isinstance(a, Fix)]
    assert list(fix.files) == ["site/settings/base.py"]
    same(variant(answers, "GZipMiddleware"), DJANGO_AFTER)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('MIDDLEWARE = ["a.B"]\n', 'MIDDLEWARE = ["django.middleware.gzip.GZipMiddleware", "a.B"]\n'),
        (
            'MIDDLEWARE = ["django.middleware.security.SecurityMiddleware"]\n',
            'MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "django.middleware.gzip.GZipMiddleware"]\n',
        ),
    ],
)
def test_django_on_one_line(before: str, after: str, tmp_path: Path) -> None:
    answers = compressed(tmp_path, {"site/settings.py": before}, "django", settings_module="site.settings")
    same(variant(answers, "GZipMiddleware"), after)


def test_flask_with_its_package(tmp_path: Path) -> None:
    before = "from flask import Flask\n\napp = Flask(__name__)\n"
    text = variant(compressed(tmp_path, {"shop/main.py": before}, "flask"), "flask-compress")
    same(text, "from flask import Flask\nfrom flask_compress import Compress\n\napp = Flask(__name__)\nCompress(app)\n")


REFUSED: dict[str, tuple[str, dict[str, str], str]] = {
    "there already": (
        "fastapi",
        {"shop/main.py": ASGI.replace("CORSMiddleware", "GZipMiddleware").replace("cors", "gzip")},
        "GZipMiddleware already",
    ),
    "two applications": (
        "fastapi",
        {"shop/main.py": ASGI, "shop/second.py": ASGI},
        "made in 2 places",
    ),
    "made where it is returned": (
        "fastapi",
        {"shop/main.py": "from fastapi import FastAPI\n\n\ndef make():\n    return FastAPI()\n"},
        "made nowhere in a plain statement",
    ),
    "Flask without the package": (
        "flask",
        {
            "pyproject.toml": "[project]\nname = 'shop'\n",
            "shop/main.py": "from flask import Flask\n\napp = Flask('a')\n",
        },
        "not among the project's dependencies",
    ),
    "Django's list is put together": (
        "django",
        {"site/settings.py": "MIDDLEWARE = BASE + ['a']\n"},
        "put together",
    ),
    "Django has it": (
        "django",
        {"site/settings.py": "MIDDLEWARE = ['django.middleware.gzip.GZipMiddleware']\n"},
        "in MIDDLEWARE already",
    ),
    "Quart": ("quart", {}, "let the proxy"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    framework, files, why = REFUSED[name]
    answers = compressed(tmp_path, files, framework, settings_module="site.settings")
    assert not [a for a in answers if isinstance(a, Fix)]
    assert why in reasons(answers)
