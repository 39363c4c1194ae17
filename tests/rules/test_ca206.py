"""CA206 a cache in the process: cases that must be found, and look-alikes that must not."""

from __future__ import annotations

import pytest

from perfcrew.core.scene import Scene

from .build import App, Found, Shot, Silent, check_found, run, scene, traced, warm

HEAD = """
import functools
from functools import cache, cached_property, lru_cache
from cachetools import TTLCache

"""


def executed(app: App, source: str, needle: str = "# ran", function: str = "price") -> Scene:
    """Warm requests in which the line with the needle sent a statement."""
    app.write("shop.py", HEAD + source)
    frames = [app.frame("shop.py", needle, function)]
    return scene(app, traced(warm(lambda: Shot().sql("SELECT 1", 1, frames))))


def price(decorator: str, arguments: str, body: str = "return ask(1)  # ran") -> str:
    return f"{decorator}\ndef price({arguments}):  # here\n    {body}\n"


FOUND = {
    "no bound": Found(lambda app: executed(app, price("@cache", "book_id: int")), "shop.py", "# here", "medium"),
    "no bound, said otherwise": Found(
        lambda app: executed(app, price("@lru_cache(maxsize=None)", "name, *, at: str")), "shop.py", "# here", "medium"
    ),
    "no bound, by module": Found(lambda app: executed(app, price("@functools.cache", "x")), "shop.py", "# here",
                                 "medium"),
    "on a method": Found(
        lambda app: executed(app, "class Shop:\n    @cache\n    def price(self):  # here\n        ask()  # ran\n"),
        "shop.py", "# here", "medium",
    ),
    "made anew": Found(
        lambda app: executed(app, "def price(x):\n    kept = TTLCache(10, 60)  # here\n    ask(kept)  # ran\n"),
        "shop.py", "# here", "medium",
    ),
    "made anew around a function": Found(
        lambda app: executed(app, "def price(x):\n    load = lru_cache(maxsize=9)(ask)  # here\n    load(x)  # ran\n"),
        "shop.py", "# here", "medium",
    ),
}  # fmt: skip

SILENT: dict[str, Silent] = {
    "a bound": lambda app: executed(app, price("@lru_cache(maxsize=128)", "x")),
    "the bound that it has by itself": lambda app: executed(app, price("@lru_cache", "x")),
    "no arguments": lambda app: executed(app, price("@cache", "")),
    "arguments of few values": lambda app: executed(app, price("@cache", "a: bool, kind: Literal['x'], c: ColourEnum")),
    "another cache of that name": lambda app: executed(app, price("@app.cache", "x")),
    "not executed": lambda app: executed(
        app, price("@cache", "x", "return 1") + "def other():\n    ask()  # ran\n", function="other"
    ),
    "made once at the module": lambda app: executed(
        app, "KEPT = TTLCache(10, 60)\ndef price(x):\n    return KEPT.get(x) or ask(x)  # ran\n"
    ),
    "made once, when the instance is": lambda app: executed(
        app, "class S:\n    def __init__(self):\n        kept = TTLCache(10, 60)\n        ask(kept)  # ran\n",
        function="__init__",
    ),
    "made and kept": lambda app: executed(
        app, "def price(app):\n    kept = TTLCache(10, 60)\n    app.kept = kept\n    ask()  # ran\n"
    ),
    "made and returned": lambda app: executed(
        app, "def price():\n    kept = TTLCache(10, 60)\n    ask()  # ran\n    return kept\n"
    ),
    "a property that is kept": lambda app: executed(
        app, "class Shop:\n    @cached_property\n    def price(self):\n        return ask()  # ran\n"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("CA206", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("CA206", app, build(app)) == []
