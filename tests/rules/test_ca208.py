"""CA208 keys without a version: cases that must be found, and look-alikes that must not."""

from __future__ import annotations

import pytest

from perfcrew.core.scene import Scene

from .build import App, Found, Shot, Silent, check_found, run, scene, traced

SOURCE = """
import json

def keep(redis, key, book):
    redis.set(key, json.dumps(book), ex=60)  # dumped

def plain(redis, key, text):
    redis.set(key, text, ex=60)  # plain

def above(redis, key, book):
    plain(redis, key, book.model_dump_json())  # above
"""


def kept(
    app: App, key: str = "book:7", line: str = "# dumped", size: int = 100, command: str = "SET", above: bool = False
) -> Scene:
    app.write("books.py", SOURCE)
    frames = [app.frame("books.py", line, line.strip("# "))]
    if above:
        frames = [app.frame("books.py", "# plain", "plain"), app.frame("books.py", "# above", "above")]
    shots = [Shot(repeat=n).cache(command, key, frames, size=size, ttl=60) for n in range(4)]
    return scene(app, traced(shots))


FOUND = {
    "a dumped object": Found(kept, "books.py", "# dumped", "low", subject="book:{n}"),
    "dumped by the caller": Found(lambda app: kept(app, above=True), "books.py", "# plain", "low"),
    "no namespace": Found(lambda app: kept(app, "7", "# plain"), "books.py", "# plain", "low"),
    "no namespace but a hash": Found(
        lambda app: kept(app, "0c3a9f0cbb0e4f0d", "# plain"), "books.py", "# plain", "low"
    ),
}

SILENT: dict[str, Silent] = {
    "a version first": lambda app: kept(app, "v2:book:7"),
    "a version within": lambda app: kept(app, "shop:book-v3:7"),
    "a version in words": lambda app: kept(app, "book:schema4:7"),
    "Django puts one there": lambda app: kept(app, ":1:book:7"),
    "plain text": lambda app: kept(app, line="# plain"),
    "a flag": lambda app: kept(app, size=1),
    "a counter": lambda app: kept(app, command="INCR"),
    "a lock": lambda app: kept(app, command="SETNX"),
    "reads": lambda app: kept(app, command="GET"),
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("CA208", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("CA208", app, build(app)) == []
