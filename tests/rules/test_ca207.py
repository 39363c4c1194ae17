"""CA207 large values: cases that must be found, and look-alikes that must not."""

from __future__ import annotations

import pytest

from perfcrew.core.scene import Scene

from .build import App, Found, Shot, Silent, check_found, measured, run, scene, traced

SOURCE = """
def book(redis, key):
    kept = redis.get(key)  # read
    redis.set(key, kept)  # write
"""


def value(
    app: App, size: int = 200_000, key: str = "book:1", ms: float = 4.0, reads: bool = True, many: int = 1
) -> Scene:
    app.write("books.py", SOURCE)
    read, write = app.frame("books.py", "# read", "book"), app.frame("books.py", "# write", "book")
    keys = [f"{key}{n}" for n in range(many)]
    shots = []
    for number in range(5):
        shot = Shot(repeat=number)
        if reads and number:
            shot.cache("MGET" if many > 1 else "GET", keys, [read], hit=True, size=size, ms=ms)
        else:
            shot.cache("SET", key, [write], size=size, ms=ms, ttl=60)
        shots.append(shot.wait(4))
    return scene(app, traced(shots), measurements=(measured("latency", 300.0),) if ms > 100 else ())


FOUND = {
    "a large one": Found(value, "books.py", "# read", "low", subject="book:{n}"),
    "a huge one": Found(lambda app: value(app, 2_000_000), "books.py", "# read", "medium"),
    "one that takes long": Found(lambda app: value(app, ms=200.0), "books.py", "# read", "high"),
    "one that is only written": Found(lambda app: value(app, reads=False), "books.py", "# write", "low"),
}

SILENT: dict[str, Silent] = {
    "a small one": lambda app: value(app, 99_000),
    "many small ones": lambda app: value(app, 50_000, many=20),
    "a picture": lambda app: value(app, key="thumb:1"),
    "a file by its ending": lambda app: value(app, key="cover.png"),
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("CA207", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("CA207", app, build(app)) == []
