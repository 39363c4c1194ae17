"""RT304 growing memory: cases that must be found, and look-alikes that must not."""

from typing import Any

import pytest

from perfcrew.core.evidence import Allocation, Estimate, GrowingContainer, LiveObjects, Memory
from perfcrew.core.scene import Scene, Seen

from .build import App, Found, Silent, check_found, run, scene

SOURCE = """
from collections import OrderedDict, deque
from functools import cache, lru_cache

_searches = {}
_seen = set()
_bounded = OrderedDict()
_recent = deque(maxlen=100)
_trimmed = []
_open = {}

class Search:
    by_id = {}

def start(key, rows):
    hits = [Hit(row) for row in rows]  # hits
    _searches[key] = hits  # keeps

def visit(key):
    _seen.add(key)  # adds
    Search.by_id[key] = key  # class attribute

def put(key, value):
    _bounded[key] = value
    while len(_bounded) > 100:
        _bounded.popitem(last=False)

def push(value):
    _recent.append(value)
    _trimmed.append(value)
    if len(_trimmed) > 100:
        _trimmed.pop(0)

def open_and_close(key):
    _open[key] = object()  # opens
    if key.startswith("x"):
        del _open[key]

@lru_cache(maxsize=256)
def barcode(isbn):
    return isbn

@lru_cache(maxsize=None)
def forever(isbn):  # unbounded
    return isbn

@cache
def always(isbn):  # cache
    return isbn
"""


def memory(
    app: App,
    owner: str = "",
    gained: int = 60,
    requests: int = 60,
    allocation: str | None = "# hits",
    kept: float = 20_000.0,
    objects: float = 0.0,
    kind: str = "dict",
    type_: str = "bookshop.searching.Hit",
    **rest: Any,
) -> Scene:
    app.write("src/bookshop/searching.py", SOURCE)
    boxes = (GrowingContainer(owner=owner, type=kind, before_count=60, after_count=60 + gained),) if owner else ()
    live = LiveObjects(
        type=type_, before_count=100, after_count=int(100 + objects * requests), per_request_count=objects
    )
    at = app.place("src/bookshop/searching.py", allocation, "start") if allocation else None
    body = Memory(
        requests_count=requests,
        rss_bytes=(50_000_000, 51_000_000, 52_000_000),
        slope_bytes=Estimate(value=22_000.0, low=20_000.0, high=24_000.0),
        objects=(live,),
        containers=boxes,
        allocations=(Allocation(place=at, per_request_bytes=kept, blocks_count=100),) if at else (),
    )
    return scene(app, memory=Seen("memory-1", body), key="GET /search", **rest)


FILE = "src/bookshop/searching.py"
FOUND = {
    "a dict of the module": Found(
        lambda app: memory(app, "bookshop.searching._searches"), FILE, "# keeps", "medium", None, "_searches"
    ),
    "a set": Found(lambda app: memory(app, "bookshop.searching._seen", kind="set"), FILE, "# adds", "medium"),
    "a class's attribute": Found(
        lambda app: memory(app, "bookshop.searching.Search.by_id"), FILE, "# class attribute", "medium"
    ),
    "without allocations": Found(
        lambda app: memory(app, "bookshop.searching._searches", allocation=None), FILE, "# keeps", "medium"
    ),
    "much a request is high": Found(
        lambda app: memory(app, "bookshop.searching._searches", kept=400_000), FILE, "# keeps", "high"
    ),
    "an lru_cache without a bound": Found(
        lambda app: memory(app, "bookshop.searching.forever", kind="lru_cache"), FILE, "# unbounded", "medium"
    ),
    "functools.cache": Found(
        lambda app: memory(app, "bookshop.searching.always", kind="lru_cache"), FILE, "# cache", "medium"
    ),
    "live objects and the line that allocates them": Found(
        lambda app: memory(app, objects=10.0), FILE, "# hits", "medium", None, "Hit"
    ),
    "some are let go": Found(lambda app: memory(app, "bookshop.searching._open"), FILE, "# opens", "medium"),
}

SILENT: dict[str, Silent] = {
    "nothing grows": lambda app: memory(app),
    "it grew while warming up": lambda app: memory(app, "bookshop.searching._searches", gained=5),
    "a cache with a bound": lambda app: memory(app, "bookshop.searching.barcode", kind="lru_cache"),
    "an eviction beside the store": lambda app: memory(app, "bookshop.searching._bounded"),
    "a deque with a bound": lambda app: memory(app, "bookshop.searching._recent", kind="deque"),
    "trimmed by its size": lambda app: memory(app, "bookshop.searching._trimmed", kind="list"),
    "objects that no line of the application keeps": lambda app: memory(app, objects=10.0, allocation=None),
    "objects with next to nothing allocated": lambda app: memory(app, objects=10.0, kept=40),
    "the resident size alone": lambda app: memory(app, allocation=None),
    "the probe's own": lambda app: memory(app, "_perfcrew_probe.writer._lines"),
    "few requests": lambda app: memory(app, "bookshop.searching._searches", gained=5, requests=5),
    "not measured": lambda app: scene(app),
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("RT304", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("RT304", app, build(app)) == []


def test_a_deletion_somewhere_makes_less_sure(app: App) -> None:
    (kept,) = run("RT304", app, memory(app, "bookshop.searching._searches"))
    (partly,) = run("RT304", app, memory(app, "bookshop.searching._open"))
    assert partly.confidence < 0.5 < kept.confidence
