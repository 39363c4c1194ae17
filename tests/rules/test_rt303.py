"""RT303 hot function: cases that must be found, and look-alikes that must not."""

from typing import Any

import pytest

from perfcrew.core.evidence import CpuProfile, ProfileLine
from perfcrew.core.scene import Scene, Seen
from perfcrew.core.web import Place

from .build import App, Found, Silent, check_found, measured, run, scene

SOURCE = """
import hashlib

def distance(left, right):
    for row in left:
        best = min(row, *right)  # inner
    return best

def closest(title, titles):
    return sorted(distance(title, other) for other in titles)  # calls

def squares(items):
    return [item * item for item in items]  # comprehension

def sign(text):
    return hashlib.pbkdf2_hmac("sha256", text, b"key", 20_000)  # pbkdf2

def ratio(left, right):
    return SequenceMatcher(None, left, right).ratio()  # difflib

def check(password, stored):
    return bcrypt.checkpw(password, stored)  # bcrypt
"""


def line(
    place: Place, own: float, total: float = 0.9, application: bool = True, trigger: Place | None = None
) -> ProfileLine:
    return ProfileLine(place=place, own_share=own, total_share=total, application=application, trigger=trigger)


def profiled(
    app: App,
    functions: list[ProfileLine],
    lines: list[ProfileLine],
    cpu_ms: float = 40,
    samples: int = 300,
    **rest: Any,
) -> Scene:
    body = CpuProfile(
        samples_count=samples,
        idle_share=0.1,
        requests_count=30,
        request_ms=50,
        lines=tuple(lines),
        functions=tuple(functions),
    )
    seen = Seen("profile-1", body)
    return scene(app, profile=seen, measurements=(measured("cpu", cpu_ms),), key="GET /books/{id}/similar", **rest)


def own(app: App, function: str = "distance", needle: str = "# inner", share: float = 0.8, **rest: Any) -> Scene:
    app.write("similarity.py", SOURCE)
    defined = app.place("similarity.py", f"def {function}", function)
    hottest = app.place("similarity.py", needle, function)
    return profiled(app, [line(defined, share)], [line(defined, 0.01), line(hottest, share - 0.01)], **rest)


def library(
    app: App,
    file: str,
    share: float = 0.7,
    function: str = "find_longest_match",
    by: str = "ratio",
    needle: str = "# difflib",
) -> Scene:
    """A library's function that a line of the application calls."""
    app.write("similarity.py", SOURCE)
    culprit = Place(file=file, line=350, function=function)
    trigger = app.place("similarity.py", needle, by)
    defined = app.place("similarity.py", f"def {by}", by)
    inner = line(culprit, share, application=False, trigger=trigger)
    return profiled(app, [line(defined, 0.02), inner], [inner])


def comprehension(app: App) -> Scene:
    """The profiler gives a comprehension a name of its own."""
    app.write("similarity.py", SOURCE)
    inner = Place(file="similarity.py", line=app.line("similarity.py", "# comprehension"), function="<listcomp>")
    return profiled(
        app, [line(app.place("similarity.py", "def squares", "squares"), 0.1), line(inner, 0.6)], [line(inner, 0.6)]
    )


def beside_waiting(app: App, share: float = 0.16, samples: int = 64) -> Scene:
    """A pool's thread that stands ready is sampled as if it worked."""
    app.write("similarity.py", SOURCE)
    defined = app.place("similarity.py", "def distance", "distance")
    pool = Place(file="/usr/lib/python3.11/concurrent/futures/thread.py", line=81, function="_worker")
    hottest = line(app.place("similarity.py", "# inner", "distance"), share)
    return profiled(app, [line(pool, 0.7, application=False), line(defined, share)], [hottest], samples=samples)


FOUND = {
    "beside threads that stand ready": Found(
        beside_waiting, "similarity.py", "# inner", "medium", "# calls", "distance"
    ),
    "a comprehension belongs to the function around it": Found(
        comprehension, "similarity.py", "# comprehension", "medium", None, "squares"
    ),
    "an edit distance in pure Python": Found(own, "similarity.py", "# inner", "medium", "# calls", "distance"),
    "much processor time": Found(lambda app: own(app, cpu_ms=400), "similarity.py", "# inner", "high"),
    "less than half of the profile": Found(lambda app: own(app, share=0.4), "similarity.py", "# inner", "medium"),
    "a library that computes for a line": Found(
        lambda app: library(app, "/usr/lib/python3.11/difflib.py"), "similarity.py", "# difflib", "medium"
    ),
}

SILENT: dict[str, Silent] = {
    "key stretching": lambda app: own(app, "sign", "# pbkdf2"),
    "password hashing in a library": lambda app: own(app, "check", "# bcrypt"),
    "a small share": lambda app: own(app, share=0.1),
    "little processor time": lambda app: own(app, cpu_ms=3),
    "few samples": lambda app: own(app, samples=9),
    "few samples in the function": lambda app: beside_waiting(app, samples=30),
    "SQLAlchemy on behalf of a line": lambda app: library(
        app, "/x/site-packages/sqlalchemy/sql/compiler.py", function="visit"
    ),
    "serialization by pydantic": lambda app: library(
        app, "/x/site-packages/pydantic/main.py", function="model_validate"
    ),
    "Django's templates": lambda app: library(app, "/x/site-packages/django/template/base.py", function="render"),
    "nothing was profiled": lambda app: scene(app),
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("RT303", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("RT303", app, build(app)) == []
